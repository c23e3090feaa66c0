"""Runs `create`: one job for one attempt, or a message that says what is known.

A create that is repeatable (`idempotent`, or `adopt`, which looks for the job) and has not gone through is not given up
when its call is over: get goes on with it. A `Submission` is what this process knows of it, a `CreateOperation` is what
one call does for it, whichever call it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.compile import Extraction
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import NO_RESPONSE, Scope
from yaml_connector._expressions.times import rfc3339
from yaml_connector._http.client import Resend
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import lacks_json, not_json
from yaml_connector._http.messages import Response
from yaml_connector._jobs import metrics
from yaml_connector._jobs.create_plan import CreatePlan, SubmitPlan
from yaml_connector._jobs.meta import DEEPEST_SAVED, is_deeper
from yaml_connector._jobs.steps import Outcome, evaluate, run_steps
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

_MESSAGE_LENGTH = 4000
_SPARE = 1.0  # seconds before the deadline, at which a create that cannot be kept is given up


@dataclass(slots=True)
class CreateValues:
    """What Flyte sends with create: `inputs` and `config` as JSON can hold them, `task` as expressions see it,
    `secrets` of the task by name, `outputs` as the task declares them (name to type). A `local` run is its user's own:
    no project of Flyte's counts. What is `large` is checked beside the event loop."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    outputs: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
    large: bool = False


def _read_id(job_id: Extraction, scope: Scope) -> str | None:
    """Return the id in the response of a scope; None if there is none. Raises TransientError if it lacks the JSON that
    the id is read from."""
    identity, response = job_id.first(scope), scope.response
    if identity is None or identity == "":
        reads_body = any(name[0] == "body" for name in job_id.names)
        if reads_body and scope.response is not NO_RESPONSE and lacks_json(response, "not empty"):
            raise not_json(response)
        return None
    if isinstance(identity, list | dict):
        raise EvaluationError(f"job_id is a {type(identity).__name__}, not an id: {as_text(identity)[:200]}")
    return as_text(identity)


@dataclass(frozen=True)
class SubmittedJob:
    """A job that was submitted, or found (`adopted`)."""

    id: str
    saved: dict[str, Any]
    adopted: bool


@dataclass(eq=False, slots=True, weakref_slot=True)
class Submission:
    """What this process knows of a create that has not gone through. Times are of the clock's `monotonic`.

    `began` is the first try of any process; `is_own`: all of them were made here. `outcome` has the steps that went
    through. `may_have_arrived`: one of the tries that are known; `is_doubtful`: the last one. `doubt_since` is when the
    last such try was made, or when this process began to look for those of another.
    """

    began: float
    is_own: bool = True
    outcome: Outcome = field(default_factory=Outcome)
    may_have_arrived: bool = False
    is_doubtful: bool = False
    doubt_since: float | None = None
    last_try: float = -inf
    not_before: float = 0.0  # when the API may be asked again
    failure: str = ""  # of the last try
    error: str | None = None  # why it is given up
    is_refused: bool = False  # it is given up because the API refused it: there is no job
    is_cancelled: bool = False

    @property
    def size(self) -> int:
        """The characters of what it holds, about."""
        size = len(self.error or "")
        for response in self.outcome.steps.values():
            size += response.size if response else 0  # a skipped step has none
        return size

    @property
    def may_exist(self) -> bool:
        """Tell whether the job may have been submitted, as far as this process knows."""
        return self.may_have_arrived or not self.is_own


class CreateFailedError(Exception):
    """A create failed permanently. The message is for the user, without secrets."""


class _FoundError(Exception):
    """The look-up before another try found the job."""

    def __init__(self, job: SubmittedJob) -> None:
        self.job = job


class _LookUpFailedError(Exception):
    """The look-up failed permanently, so it is not known whether there is a job."""


class CreateOperation(Resend):
    """What one call does to submit a job.

    `can_keep` tells whether a create that does not go through in this call can be kept for later ones (default: it
    can); otherwise it is tried for as long as there is time.
    """

    def __init__(
        self,
        plan: CreatePlan,
        context: CallContext,
        scope: Scope,
        submission: Submission,
        *,
        can_keep: Callable[[], bool] = lambda: True,
    ) -> None:
        self.plan = plan
        self.context = context
        self.scope = scope
        self.submission = submission
        self._can_keep = can_keep

    async def run(self) -> SubmittedJob:
        """Submit the job, or adopt it. Raises CreateFailedError, or TransientError if it has not gone through."""
        plan, submission = self.plan, self.submission
        try:
            if plan.adopt is not None and (submission.last_try == -inf or submission.is_doubtful):
                if (job := await self._look(plan.adopt)) is not None:
                    return job
                if self._only_looks():
                    raise TransientError(submission.failure or _NOT_FOUND, may_have_been_processed=False)
            return await self._submit()
        except _FoundError as found:
            return found.job
        except _LookUpFailedError as failure:
            if not submission.may_have_arrived:
                raise CreateFailedError(self._cut(str(failure))) from None
            raise CreateFailedError(self._unknown(submission.failure, f"; looking for it failed: {failure}")) from None
        except TransientError as failure:
            submission.failure = str(failure)
            submission.not_before = max(submission.not_before, self.context.not_before)
            raise
        except (PermanentError, EvaluationError) as failure:
            # a key would have made the API answer with the job that an earlier try has made
            submission.is_refused = plan.idempotent_for > 0 or not submission.may_exist
            await self.clean_up()
            raise CreateFailedError(self._cut(str(failure))) from None

    async def _submit(self) -> SubmittedJob:
        plan, submission = self.plan, self.submission
        outcome = submission.outcome
        try:
            await run_steps(plan.submit.steps, self.context, self.scope, outcome, resend=self)
            job = await self._accept(plan.submit, outcome)
        except TransientError:
            if outcome.position == len(plan.submit.steps.steps):  # the last response lacks what the id is read from
                outcome.position -= 1
            raise
        except (PermanentError, EvaluationError):
            # without a key, the API may refuse a second job because the first one is there
            if plan.adopt is None or plan.idempotent_for or not submission.may_exist:
                raise
            job = await self._look(plan.adopt)
            if job is None:
                raise
            return job
        if job is None:
            raise EvaluationError(self._no_id(plan.submit.job_id, outcome.response))
        return job

    def give_up(self, failure: TransientError) -> CreateFailedError:
        """Return the error for a create that cannot be kept. Raises the failure if Flyte may create again."""
        submission = self.submission
        if submission.may_have_arrived:
            return CreateFailedError(self._unknown(str(failure)))
        if submission.outcome.completed:
            return CreateFailedError(self._cut(str(failure)))
        raise failure

    def end(self, failure: Exception) -> str:
        """Return the message for a job that ends without having been submitted."""
        if self.submission.may_exist:
            return self._unknown(str(failure))
        return self._cut(f"not submitted: {failure}")

    def _unknown(self, failure: str, look_up: str = "") -> str:
        metrics.AMBIGUOUS_CREATES.labels(self.plan.task_type, "unknown").inc()
        when = rfc3339(datetime.fromtimestamp(clock().time(), UTC), "seconds")
        key = self.scope.task.get("key", "")
        advice = "" if self.plan.is_repeatable else _ADVICE
        return self._cut(
            f"it is unknown whether the job was submitted: {failure} (at {when}; task.key {key}){look_up}. Look for it "
            f"there before you run the task again{advice}"
        )

    def _cut(self, message: str) -> str:
        return self.context.truncate(message, _MESSAGE_LENGTH)

    # --- trying again -------------------------------------------------------------------------------------------------

    @property
    def until(self) -> float | None:
        return None if self._can_keep() else self.context.deadline - _SPARE

    def wanted(self, failure: TransientError) -> bool:
        """Take note of a failed try; False if another one could make a second job."""
        submission, now = self.submission, clock().monotonic()
        submission.last_try, submission.failure = now, str(failure)
        submission.is_doubtful = failure.may_have_been_processed
        if submission.is_doubtful:
            submission.may_have_arrived, submission.doubt_since = True, now
        return self.plan.is_repeatable or not submission.is_doubtful

    async def ready(self) -> bool:
        """Look for the job before another try; False if this must not be made yet."""
        if self.plan.adopt is None or not self.submission.is_doubtful:
            return True
        metrics.AMBIGUOUS_CREATES.labels(self.plan.task_type, "looked_up").inc()
        job = await self._look(self.plan.adopt)
        if job is not None:
            raise _FoundError(job)
        return not self._only_looks()

    def _only_looks(self) -> bool:
        """Tell whether another try could make a second job: nothing but looking tells that there is one already."""
        return not self.plan.idempotent_for and self.is_in_doubt()

    def is_in_doubt(self) -> bool:
        """Tell whether a try that may have arrived can still make its job."""
        since = self.submission.doubt_since
        return since is not None and clock().monotonic() - since < self.plan.grace

    # --- looking for the job ------------------------------------------------------------------------------------------

    async def find(self, adopt: SubmitPlan) -> SubmittedJob | None:
        """Look for the job, for a delete. Raises TransientError or CreateFailedError."""
        try:
            return await self._look(adopt)
        except _LookUpFailedError as failure:
            raise CreateFailedError(self._cut(str(failure))) from None

    async def _look(self, adopt: SubmitPlan) -> SubmittedJob | None:
        """Look for the job; None if it is not there, or only half made. Raises TransientError; _LookUpFailedError."""
        submission = self.submission
        if not submission.is_own and submission.doubt_since is None:
            submission.doubt_since = clock().monotonic()
        self.context.events.section("adopt")
        try:
            found = await run_steps(adopt.steps, self.context, self.scope)
            job = await self._accept(adopt, found, adopted=True)
        except PermanentError as failure:
            if failure.status == 404:
                return None
            raise _LookUpFailedError(str(failure)) from None
        except EvaluationError as failure:
            raise _LookUpFailedError(str(failure)) from None
        except TransientError as failure:
            failure.may_have_been_processed = False  # the look-up failed; it did not submit anything
            raise
        finally:
            self.context.events.section("create")
        if job is None or await self._is_half_made(job):
            return None
        metrics.ADOPTED.labels(self.plan.task_type).inc()
        return job

    async def _is_half_made(self, job: SubmittedJob) -> bool:
        """Tell whether an earlier step has made this job, which the last step has not started."""
        outcome = self.submission.outcome
        if not outcome.completed:
            return False
        try:
            made = await evaluate(self.context, self.plan.submit.job_id, "first", outcome.scope(self.scope))
        except EvaluationError:
            return False
        return made is not None and as_text(made) == job.id

    # --- reading the response -----------------------------------------------------------------------------------------

    def _no_id(self, job_id: Extraction, response: Any) -> str:
        if response is None:
            return "create was skipped: the `if` of every step was false, so there is no job"
        try:
            shown = self.context.single_line(str(response.text), 300) or "nothing"
        except TurnOver:
            shown = "a large response"
        if "headers" in job_id.text and isinstance(response, Response):
            shown += f" (headers: {', '.join(response.headers)})"
        where = f"answered {response.status} without a job id at {job_id.text or 'job_id'}"
        return f"{response.method} {response.url} {where}: {shown}"

    async def _accept(self, plan: SubmitPlan, outcome: Outcome, *, adopted: bool = False) -> SubmittedJob | None:
        """Read the job whose id is in the response; None if there is none."""
        read = outcome.scope(self.scope)
        try:
            identity = _read_id(plan.job_id, read)
        except TurnOver:
            identity = await self.context.read_elsewhere(_read_id, plan.job_id, read)
        if identity is None:
            return None
        saved: Any = {}
        if plan.save is not None:
            job = {"id": identity, "created_at": clock().time(), "cancelled": False}
            saved = await evaluate(self.context, plan.save, "evaluate", read.with_names(job=job)) or {}
            if not isinstance(saved, Mapping):
                raise EvaluationError("create.save must be a mapping")
            if is_deeper(saved, DEEPEST_SAVED):
                runs = f"the job {identity[:200]} runs: cancel it at the API"
                raise EvaluationError(f"create.save has values of more than {DEEPEST_SAVED} levels; {runs}")
        return SubmittedJob(identity, dict(saved), adopted)

    # --- after a failure ----------------------------------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Run `on_failure`, if an earlier step went through. Never raises."""
        outcome = self.submission.outcome
        if not outcome.completed:
            return
        for index, steps in enumerate(self.plan.on_failure):
            self.context.events.section(f"on_failure.{index}")
            try:
                await run_steps(steps, self.context, self.scope, Outcome(steps=dict(outcome.steps)))
            except (PermanentError, TransientError, EvaluationError) as failure:
                metrics.logger.warning(
                    "clean-up after a failed create did not work: %s", self.context.redact(str(failure))
                )


_NOT_FOUND = "another process may have submitted the job, and looking for it has not found it yet"
_ADVICE = "; `idempotent` or `adopt` in the spec's create would settle this by itself"
