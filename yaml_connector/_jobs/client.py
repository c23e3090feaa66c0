"""The generic connector, without Flyte: one client drives the jobs of one spec."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext, redact_error, redacted_errors
from yaml_connector._http.events import Events
from yaml_connector._http.files import NO_FILES, Files
from yaml_connector._http.redact import redactor_for
from yaml_connector._http.thread import in_thread_if
from yaml_connector._http.transport import Transport
from yaml_connector._jobs import call_log, metrics
from yaml_connector._jobs.cache import JobCache, JobState
from yaml_connector._jobs.cancel import is_over, send_delete
from yaml_connector._jobs.compiled_spec import CompiledSpec, CompiledSpecs
from yaml_connector._jobs.container import ContainerFiles
from yaml_connector._jobs.contexts import CallContexts
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.delete import delete_failed
from yaml_connector._jobs.log_reader import LogPage, read_logs
from yaml_connector._jobs.meta import JobMeta, decode_kept, unfit
from yaml_connector._jobs.placeholders import replace_secrets, restore_secrets
from yaml_connector._jobs.poll import poll, readable_again, unreadable
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector._jobs.status import Status, read_links
from yaml_connector._jobs.submitter import Submitter
from yaml_connector._jobs.time_limit import evaluate_timeout, find_limit
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import TERMINAL_PHASES, ConnectorSpec
from yaml_connector._spec.secrecy import sensitive_values
from yaml_connector._spec.task_values import complete_config
from yaml_connector._text import loggable
from yaml_connector.errors import CallError, ConfigError, EvaluationError

_MOST_FOREIGN = 10_000
_KNOWN_FOR = 300.0  # seconds: then a log that may have ended asks whether its job is over; another replica may know
_SPARE = 4096  # bytes for the job's id, at least; characters of a message about a task
_SHORTEST_POLL = 1.0  # seconds: with less time left, a job that was just submitted is read by the next get


class JobClient:
    """Drives the jobs of one spec: create, get, delete, logs.

    `environment` is the connector's environment (default: the process's), `transport` sends requests (default: by real
    sockets), `files` opens file inputs, `container_files` finds what containers left (default: nobody looks), `events`
    receives what happens, `signer` signs what Flyte keeps.
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        *,
        environment: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        files: Files = NO_FILES,
        container_files: ContainerFiles | None = None,
        events: Events | None = None,
        signer: Signer = UNSIGNED,
    ) -> None:
        self.spec: ConnectorSpec = loaded.spec
        environment = os.environ if environment is None else environment
        self.plan = CompiledSpec(loaded.spec, loaded.document.data, environment, transport)
        self.cache, self.foreign = JobCache(), JobCache(_MOST_FOREIGN)  # the latter: jobs that are not read here
        self._specs = CompiledSpecs(self.plan, environment)
        self._signer = signer
        self._task_type = loaded.spec.task_type_name
        self._contexts = CallContexts(self._task_type, files, events)
        self._container_files = container_files
        self._submitter = Submitter(self.plan, self._contexts)

    def take_over(self, other: JobClient) -> None:
        """Go on with what another client of the same task type remembers of its jobs."""
        self.cache, self.foreign, self._submitter.in_progress = other.cache, other.foreign, other._submitter.in_progress

    # --- what Flyte keeps ---------------------------------------------------------------------------------------------

    def encode(self, meta: JobMeta) -> bytes:
        """Return what Flyte keeps of a job."""
        data = meta.encode(self._signer)
        if not meta.surely_fits and (why := unfit(data)) is not None:
            known = f"; the job {meta.id[:200]} runs: cancel it at the API" if meta.id else ""
            meta.create_error = (meta.create_error or why + known)[:_SPARE]
            kept = JobMeta(self._task_type, self.spec.task_type_version, create_error=meta.create_error)
            data = kept.encode(self._signer)
        return data

    def decode(self, data: bytes) -> JobMeta:
        """Read what Flyte kept of a job. Never raises: see `JobMeta.decode_error`."""
        meta = decode_kept(data, self._signer)
        if meta.decode_error is None:
            made_for = (meta.task_type, meta.task_version)
            if made_for != (self._task_type, self.spec.task_type_version):
                return JobMeta.foreign(data, "what Flyte kept is a job of another task type")
        return meta

    # --- create -----------------------------------------------------------------------------------------------------

    async def create(self, values: CreateValues) -> JobMeta:
        """Submit a job, or adopt it. Permanent failures are returned as a failed job. Raises TransientError for what
        Flyte may try again."""
        signs = bool(self._signer.keys)
        meta = JobMeta(
            task_type=self._task_type,
            task_version=self.spec.task_type_version,
            created_at=clock().time(),
            digest=self.plan.digest,
            snapshot=self.plan.snapshot if signs else "",
            verified=signs,
            outputs=[[name, kind] for name, kind in values.outputs.items()],
            name=str(values.task.get("key", "")),
            timeout=values.task.get("timeout") or 0.0,
        )
        self.plan.retained.keep(meta, inputs=values.inputs, task=values.task)
        work = self._create(values, meta)
        return await call_log.run_logged("create", self._task_type, meta, work, call_log.create_outcome)

    async def _create(self, values: CreateValues, meta: JobMeta) -> JobMeta:
        secrets: Mapping[str, str | None] = {}
        try:
            if self.spec.allow is not None and not values.local:
                refusal = self.spec.allow.refusal(*(str(values.task.get(name, "")) for name in ("project", "domain")))
                if refusal is not None:
                    raise ConfigError(f"{refusal}; nothing was submitted")
            # with its defaults, and checked again: the spec may have changed since the task was built
            config = await in_thread_if(values.large, complete_config, self.spec, values.config)
            self.plan.retained.keep(meta, config=config)
            scope = Scope(inputs=values.inputs, config=config, task=values.task, steps={})
            evaluate_timeout(self.plan.poll.timeout, scope)
            secrets = self.plan.secrets.values(values.secrets, scope)
            context = self._contexts.open("create", self.plan, config, secrets, meta.name)
        except (EvaluationError, ConfigError) as problem:
            known = frozenset(sensitive_values(self.plan.secrets.sensitive, {**values.secrets, **secrets}).values())
            meta.create_error = redactor_for(known).redact(str(problem)[:_SPARE])
            return meta
        scope = scope.with_names(secrets=secrets, base_url=context.endpoint.base_url)
        if not meta.surely_fits and (why := await in_thread_if(values.large, self._unfit, meta)) is not None:
            meta.create_error = f"{why}; nothing was submitted"
            return meta
        with redacted_errors(context):
            submission = await self._submitter.create(meta, context, scope, values.secrets)
        if meta.create_error is None:
            job = meta.job
            await replace_secrets(meta, context)
            state = self.cache.get(meta)
            state.secrets, state.submission, state.seen = dict(values.secrets), submission, clock().monotonic()
            self.cache.weigh(state)
            find_limit(self.plan.poll.timeout, meta, state, scope)
            if submission is not None:
                return meta
            state.alive_at = clock().monotonic()
            if context.not_before > clock().monotonic() and self.spec.get is not None:
                state.next_poll, state.phase = context.not_before, "QUEUED"
                links = read_links(self.plan.poll.status, scope.with_names(job=job), static=True)
                state.status = Status("QUEUED", "submitted; the API asked to wait before it is asked", links)
        return meta

    def _unfit(self, meta: JobMeta) -> str | None:
        return unfit(meta.encode(self._signer), _SPARE)

    # --- get --------------------------------------------------------------------------------------------------------

    async def get(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> Status:
        """Return how the job is doing. Never raises."""
        if meta.create_error is not None:
            return Status("FAILED", meta.create_error)
        if meta.decode_error is not None:
            problem = EvaluationError(f"{meta.decode_error}; the job itself may still be running")
            if meta.is_foreign:
                state = self.foreign.get(meta)
                state.seen = clock().monotonic()
                return unreadable(self.plan.poll, state, problem)
            return Status("FAILED", str(problem))
        state = self.cache.get(meta)
        if secrets:
            self.cache.keep_secrets(state, secrets)
        now = state.seen = clock().monotonic()
        deadline = None
        if meta.pending is not None:
            if state.submitted is None or state.submission is not None:
                deadline = now + self.plan.connection.spec.deadline
                async with self._submitter.turn(meta):
                    unsubmitted = await self._submit(meta, state, deadline)
                if unsubmitted is not None:
                    return self._told(meta, state, unsubmitted)
                deadline -= clock().monotonic()
                if clock().monotonic() < state.next_poll or deadline < _SHORTEST_POLL:
                    return Status("QUEUED", "submitted; the next get asks for it")
            meta = state.submitted or meta
            if meta.create_error is not None:
                return Status("FAILED", meta.create_error)
        if state.status is not None and now < state.next_poll and now < state.expires:
            return state.status
        work = self._poll(meta, state, deadline) if now < state.expires else self._poll_in_time(meta, state)
        if metrics.logger.isEnabledFor(logging.DEBUG):
            work = call_log.run_logged("get", self._task_type, meta, work, attrgetter("phase"))
        status = await work
        if status.phase in TERMINAL_PHASES:
            state.next_poll = 0.0
        # it may be large, so it is kept no longer than needed
        state.status = status if state.next_poll and clock().monotonic() < state.next_poll else None
        return self._told(meta, state, status)

    def _told(self, meta: JobMeta, state: JobState, status: Status) -> Status:
        if state.status or state.secrets or state.cursor or state.submission or state.submitted:
            self.cache.weigh(state)
        if status.phase != state.phase:
            call_log.phase_changed(self._task_type, meta, state, status.phase)
        if status.phase in TERMINAL_PHASES:  # forget what only a running job needs
            self.cache.job_ended(state, clock().monotonic())
        return status

    async def _submit(self, meta: JobMeta, state: JobState, until: float) -> Status | None:
        """Try to submit a job, by the time `until` of the clock's `monotonic`; None once that has worked, so that the
        same call goes on as any other. Never raises."""
        plan = self.plan.poll
        try:
            if clock().monotonic() >= state.expires:
                find_limit(plan.timeout, meta, state, Scope(config=self.plan.config_of(meta)))
            if clock().monotonic() >= state.expires:
                return state.timed_out or await self._give_up(
                    self.plan, meta, state, self._delete(self.plan, meta, state, until, may_create=False)
                )
            return await self._submitter.get(meta, state, until)
        except (CallError, EvaluationError, ConfigError) as failure:
            return unreadable(plan, state, failure)
        except Exception as failure:  # a bug here must not fail a job that may be submitted
            return unreadable(plan, state, call_log.tellable(f"create of {loggable(meta.name)}", failure))

    async def _poll_in_time(self, meta: JobMeta, state: JobState) -> Status:
        """Poll a job whose time limit is over, or not known yet. One that is not over by then is cancelled and given
        up, in half of the call's time each."""
        now = clock().monotonic()
        try:
            plan = self._specs.find(meta)
            if state.expires == -inf:
                config = {} if plan.poll.timeout is None or plan.poll.timeout.constant else plan.config_of(meta)
                find_limit(plan.poll.timeout, meta, state, Scope(config=config))
        except (EvaluationError, ConfigError):
            return await self._poll(meta, state)  # which tells the same
        if now < state.expires:
            return await self._poll(meta, state)
        if state.timed_out is not None:
            return state.timed_out
        deadline = plan.connection.spec.deadline
        status = await self._poll(meta, state, deadline=deadline / 2)
        if state.is_over:
            return status
        cancel = None
        if plan.delete is not None:
            cancel = send_delete(self._contexts, plan, plan.delete, meta, state, now + deadline)
        return await self._give_up(plan, meta, state, cancel, status.links)

    async def _give_up(
        self,
        plan: CompiledSpec,
        meta: JobMeta,
        state: JobState,
        cancel: Awaitable[None] | None,
        links: Sequence[tuple[str, str]] = (),
    ) -> Status:
        """End a job whose time limit is over, once it is cancelled."""
        message = f"timed out after {state.time_limit}"
        try:
            if cancel is not None:
                await cancel
        except (CallError, EvaluationError, ConfigError) as failure:
            if not delete_failed(plan.delete, self._task_type, meta, state, failure):
                return Status("RUNNING", f"{message}, and could not be cancelled: {failure}", [*links])
        readable_again(plan.poll, state)
        state.timed_out = timed_out = Status(plan.poll.settings.give_up, message, [*links])
        return timed_out

    async def _poll(self, meta: JobMeta, state: JobState, deadline: float | None = None) -> Status:
        plan = self.plan
        context: CallContext | None = None
        scope: Scope | None = None
        try:
            if meta.digest != plan.digest:
                plan = self._specs.find(meta)
            context, scope = self._contexts.later("get", plan, meta, state, state.secrets, deadline=deadline)
            interval = plan.poll.settings.min_interval
            if interval:
                state.next_poll = max(state.next_poll, clock().monotonic() + interval)
            return await poll(plan.poll, meta, state, context, scope, self._container_files)
        except TurnOver:
            too_much = EvaluationError("the values that the request is made of take too much work")
            return unreadable(plan.poll, state, too_much, scope)
        except (CallError, EvaluationError, ConfigError) as failure:
            if context is not None:
                redact_error(context, failure)
            not_before = context.not_before if context is not None else 0.0
            return unreadable(plan.poll, state, failure, scope, not_before=not_before)
        except Exception as failure:  # a bug here must not fail a job that runs
            return unreadable(plan.poll, state, call_log.tellable(f"get of {loggable(meta.name)}", failure), scope)

    # --- delete and logs --------------------------------------------------------------------------------------------

    async def delete(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> None:
        """Cancel the job. Raises CallError or EvaluationError if that failed."""
        plan = self.plan
        cache = self.foreign if meta.is_foreign else self.cache
        state = cache.get(meta)
        cache.keep_secrets(state, secrets)
        try:
            if not _has_job(meta):
                return
            plan = self._specs.find(meta)
            until = clock().monotonic() + plan.connection.spec.deadline
            with call_log.logged("delete", self._task_type, meta):
                if meta.pending is not None:
                    async with self._submitter.turn(meta):
                        await self._delete(plan, meta, state, until)
                else:
                    await self._delete(plan, meta, state, until)
            readable_again(plan.poll, state)
            state.delete_failing_since = None
        except (CallError, EvaluationError, ConfigError) as failure:
            if not delete_failed(plan.delete, self._task_type, meta, state, failure):
                raise

    async def _delete(
        self, plan: CompiledSpec, meta: JobMeta, state: JobState, until: float, *, may_create: bool = True
    ) -> None:
        if meta.pending is not None:
            submitted = state.submitted or await self._submitter.find(
                meta, state, until, may_create=may_create and plan.delete is not None
            )
            self.cache.weigh(state)
            if submitted is None:
                return
            meta = submitted
        if plan.delete is None:
            metrics.logger.warning("abort of %s: the spec has no delete, so the job %s goes on", meta.name, meta.id)
        elif not plan.delete.always and await is_over(self._contexts, plan, meta, state):
            metrics.logger.info("delete of %s: the job %s is over, nothing was sent", meta.name, meta.id)
        else:
            await send_delete(self._contexts, plan, plan.delete, meta, state, until)

    async def logs(
        self, meta: JobMeta, token: str, secrets: Mapping[str, str] | None = None, *, read_on: bool = False
    ) -> AsyncIterator[LogPage]:
        """Read the log from `token` on ("": from the start), in pages; the last page has the next token, or none.

        `read_on`: a log of several items has not ended with its job. Raises CallError or EvaluationError.
        """
        if not _has_job(meta):
            return
        plan = self._specs.find(meta)
        if plan.logs is None:
            return
        state = self.cache.get(meta)
        if meta.pending is not None:
            if state.submitted is None:
                yield LogPage(last=True)
                return
            meta = state.submitted
        until = clock().monotonic() + plan.connection.spec.deadline
        job_is_over = plan.logs.each is None
        if not job_is_over and not read_on:
            job_is_over = await is_over(self._contexts, plan, meta, state, secrets, _KNOWN_FOR)
        now = clock().monotonic()
        context, scope = self._contexts.later(
            "logs", plan, meta, state, secrets or state.secrets_at(now), deadline=until - now
        )
        with call_log.logged("logs", self._task_type, meta), redacted_errors(context):
            async for page in read_logs(plan.logs, context, scope, token, is_over=job_is_over):
                yield page

    def is_submitted(self, meta: JobMeta) -> bool:
        """Tell whether a job is submitted, as far as this process knows."""
        return bool(meta.id) or self.cache.get(meta).submitted is not None

    async def close(self) -> None:
        """Close the sockets of this event loop."""
        await self._specs.close()

    def job_values(self, meta: JobMeta, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the values of `job.*` with those of the secrets in them. Raises EvaluationError if they are others."""
        if not meta.holders:
            return meta.job
        scope = Scope(inputs=meta.inputs, config=self.plan.config_of(meta), task=meta.task, steps={})
        return dict(
            restore_secrets(meta.holders, meta.job, self.plan.secrets.values(given, scope), is_ours=meta.verified)
        )


def _has_job(meta: JobMeta) -> bool:
    """Tell whether there is a job to act on. Raises EvaluationError for one that may be another service's."""
    if meta.is_foreign:
        raise EvaluationError(f"{meta.decode_error}; nothing was sent")
    return meta.create_error is None and (bool(meta.id) or meta.pending is not None)
