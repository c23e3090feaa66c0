"""Submits jobs: in create, and in later calls of a job whose create has not gone through.

All calls that may submit one job take turns. What another process has done is not known here: it makes the same create
by the same `task.key`, which makes the same job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from yaml_connector._clock import clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._http.context import CallContext, redacted_errors
from yaml_connector._jobs import metrics
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.contexts import CallContexts
from yaml_connector._jobs.create import CreateFailedError, CreateOperation, Submission, SubmittedJob
from yaml_connector._jobs.delete import FRESH
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.pending import (
    create_digest,
    forget_large_steps,
    outcome_of,
    pending_of,
    scope_of,
    values_to_keep,
)
from yaml_connector._jobs.placeholders import replace_secrets
from yaml_connector._jobs.status import Status
from yaml_connector.errors import ConfigError, EvaluationError, PermanentError, TransientError

_SHORTEST = 1.0  # seconds: with less time left, after other calls had their turn, nothing is sent
_BUSY = "another call is still submitting the job"
CANCELLED = Status("ABORTED", "the job was cancelled before it was submitted")


class SubmissionsInProgress:
    """The submissions in progress in this process, by `task.key` and secrets, and the locks by which the calls for one
    key take turns.

    A caller may claim any key: what the API told one with other secrets is not for it. It stays when a spec is loaded
    again: a call of the spec before may still be sending its create.
    """

    def __init__(self) -> None:
        self._submissions: WeakValueDictionary[Any, Submission] = WeakValueDictionary()
        self.turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    def get(self, key: str, secrets: Mapping[str, str]) -> Submission | None:
        """Return what is known of a submission with these secrets of the task."""
        return self._submissions.get((key, frozenset(secrets.items()))) if key and self._submissions else None

    def put(self, key: str, secrets: Mapping[str, str], submission: Submission) -> None:
        """Remember a submission, for as long as something else does."""
        if key:
            self._submissions[key, frozenset(secrets.items())] = submission


class Submitter:
    """Submits the jobs of one spec, which is the loaded one: no other spec submits a job."""

    def __init__(self, plan: CompiledSpec, contexts: CallContexts) -> None:
        self.in_progress = SubmissionsInProgress()
        self._plan = plan
        self._contexts = contexts

    def turn(self, meta: JobMeta) -> asyncio.Lock:
        """Return the lock of an attempt of a task: only one call acts on it at a time. A job without a key has one for
        itself."""
        key = (id(asyncio.get_running_loop()), meta.name or str(meta.created_at))
        return self.in_progress.turns.setdefault(key, asyncio.Lock())

    # --- create -------------------------------------------------------------------------------------------------------

    async def create(
        self, meta: JobMeta, context: CallContext, scope: Scope, secrets: Mapping[str, str]
    ) -> Submission | None:
        """Submit a new job, and enter into `meta` what came of it. `secrets` are the task's own. Returns what is known
        of one that is not submitted yet. Raises TransientError for what Flyte may try again."""
        plan = self._plan
        async with self.turn(meta):
            submission = self.in_progress.get(meta.name, secrets) or Submission(began=clock().monotonic())
            operation = CreateOperation(
                plan.create, context, scope, submission, can_keep=lambda: self._to_keep(scope) is not None
            )
            try:
                _enter(meta, await operation.run())
            except CreateFailedError as failure:
                meta.create_error = str(failure)
            except TransientError as failure:
                values = self._to_keep(scope)
                if values is not None:
                    forget_large_steps(submission)
                    meta.pending = pending_of(plan, values, submission, context)
                    meta.not_submitted = submission.failure
                    self.in_progress.put(meta.name, secrets, submission)
                    return submission
                meta.create_error = str(operation.give_up(failure))
                if not submission.may_have_arrived:
                    await operation.clean_up()
        return None

    def _to_keep(self, scope: Scope) -> dict[str, Any] | None:
        return values_to_keep(self._plan, scope) if self._plan.create.is_repeatable else None

    # --- later calls --------------------------------------------------------------------------------------------------

    def submission(self, meta: JobMeta, state: JobState) -> Submission:
        """Return what is known of a job that is not submitted yet. Raises EvaluationError if it cannot be read."""
        if state.submission is None:
            assert meta.pending is not None
            secrets = state.secrets_at(clock().monotonic())
            state.submission = self.in_progress.get(meta.name, secrets) or Submission(
                began=state.created,
                is_own=False,
                outcome=outcome_of(meta.pending, self._plan.create),
                may_have_arrived=meta.pending.get("doubtful", False),
            )
        submission: Submission = state.submission
        return submission

    async def get(self, meta: JobMeta, state: JobState, until: float) -> Status | None:
        """Try to submit a job, by the time `until` of the clock's `monotonic`. Returns how it is doing, or None once it
        is submitted. The caller has the turn.

        Raises EvaluationError if nothing can be sent, so that the job is unreadable.
        """
        if state.submitted is not None and state.submission is None:
            return None  # another call has done it
        submission = self.submission(meta, state)
        if submission.is_cancelled:
            return CANCELLED
        if submission.error is not None:
            return Status("FAILED", submission.error)
        now = clock().monotonic()
        create = self._plan.create
        if 0 < create.idempotent_for <= now - submission.began:
            raise EvaluationError(
                f"the job was not submitted within {duration_text(create.idempotent_for)}, and a create that is sent "
                "later could make a second one (`idempotent`)"
            )
        is_last = now - submission.began >= create.tolerance
        if (now < submission.not_before and not is_last) or until - now < _SHORTEST:
            return _not_yet(submission)
        try:
            operation = self._operation(meta, state, until, max_attempts=1 if is_last else None)
        except ConfigError as failure:
            raise EvaluationError(str(failure)) from None
        with redacted_errors(operation.context):
            try:
                await _submitted(meta, state, await operation.run(), operation.context)
            except CreateFailedError as failure:
                submission.error = str(failure)
                return Status("FAILED", submission.error)
            except TransientError as failure:
                if not is_last:
                    forget_large_steps(submission)
                    return _not_yet(submission)
                submission.error = operation.end(failure)
                await operation.clean_up()
                return Status("FAILED", submission.error)
        state.alive_at, state.submission = clock().monotonic(), None
        if operation.context.not_before > clock().monotonic():
            state.next_poll = operation.context.not_before
        return None

    async def find(self, meta: JobMeta, state: JobState, until: float, *, may_create: bool = True) -> JobMeta | None:
        """Prepare the delete of a job: from now on, this process does not submit it. Returns the job if it is there, by
        the time `until`; None if there is nothing to cancel. The caller has the turn.

        Raises CallError or EvaluationError if it is not known whether the job is there.
        """
        submission, create, now = self.submission(meta, state), self._plan.create, clock().monotonic()
        submission.is_cancelled = True
        if submission.is_refused:
            return None
        if until - now < _SHORTEST:
            raise TransientError(_BUSY, may_have_been_processed=False)
        operation = self._operation(meta, state, until, max_attempts=1)
        with redacted_errors(operation.context):
            knows_all = submission.is_own and not submission.may_have_arrived
            if knows_all and (now - submission.last_try <= FRESH or not may_create):
                await operation.clean_up()
                return None
            try:
                job = await self._find(operation, create.tolerance)
            except CreateFailedError as failure:
                raise PermanentError(str(failure)) from None
            if job is None:
                await operation.clean_up()
                return None
            await _submitted(meta, state, job, operation.context)
        return state.submitted

    async def _find(self, operation: CreateOperation, tolerance: float) -> SubmittedJob | None:
        submission, create, now = operation.submission, operation.plan, clock().monotonic()
        if create.adopt is not None:
            job = await operation.find(create.adopt)
            if job is None and (submission.may_have_arrived or operation.is_in_doubt()):
                raise EvaluationError(
                    f"it is unknown whether the job was submitted: it is not found, and a create may have arrived "
                    f"({submission.failure or 'of another process'})"
                )
            return job
        if now - submission.began < min(tolerance, create.idempotent_for):
            return await operation.run()
        metrics.logger.warning(
            "delete of %s: it is unknown whether the job was submitted; nothing was sent",
            operation.scope.task.get("key"),
        )
        return None

    def _operation(self, meta: JobMeta, state: JobState, until: float, *, max_attempts: int | None) -> CreateOperation:
        """Return the operation of a later call. Raises EvaluationError or ConfigError."""
        plan, submission = self._plan, self.submission(meta, state)
        assert meta.pending is not None
        scope = scope_of(plan, meta.pending, is_ours=meta.verified)
        now = clock().monotonic()
        scope.secrets = plan.secrets.values(state.secrets_at(now), scope)
        context = self._contexts.open(
            "create", plan, scope.config, scope.secrets, meta.name, until - now, max_attempts=max_attempts
        )
        scope.base_url = context.endpoint.base_url
        if meta.pending["digest"] != create_digest(plan, scope.base_url):
            raise EvaluationError("the spec changed before the job was submitted")
        return CreateOperation(plan.create, context, scope, submission)


def _enter(meta: JobMeta, job: SubmittedJob) -> None:
    meta.id, meta.saved, meta.adopted, meta.created_at = job.id, job.saved, job.adopted, clock().time()


async def _submitted(meta: JobMeta, state: JobState, job: SubmittedJob, context: CallContext) -> None:
    """Note that a job is submitted: the process remembers its id."""
    submitted = replace(meta, pending=None, holders={})
    _enter(submitted, job)
    await replace_secrets(submitted, context)
    state.submitted = submitted
    state.grace_from = clock().monotonic()


def _not_yet(submission: Submission) -> Status:
    return Status("QUEUED", f"not submitted yet: {submission.failure or _BUSY}")
