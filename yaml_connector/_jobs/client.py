"""The generic connector, without Flyte: one instance drives the jobs of one spec."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from traceback import format_tb
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext, redacted_errors
from yaml_connector._http.events import EventFanOut, Events
from yaml_connector._http.files import Files, no_files
from yaml_connector._http.redact import redactor_for
from yaml_connector._http.transport import Transport
from yaml_connector._jobs import metrics
from yaml_connector._jobs.cache import JobCache, JobState
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.create import CreateOperation, CreateValues
from yaml_connector._jobs.logs import LogPage, read_logs
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.poll import Poll, Status, readable_again, static_links, unreadable
from yaml_connector._jobs.snapshot import restore_spec
from yaml_connector._jobs.steps import run_calls
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.task_values import complete_config
from yaml_connector.errors import CallError, ConfigError, EvaluationError

_MOST_OLD_SPECS = 256


class _Silent:
    """Nothing is told of a call. `outcome` is what came of it, in one word."""

    outcome = "done"

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None: ...


class _Told(_Silent):
    """One log line for a call, at debug."""

    def __init__(self, call: str, task_type: str, meta: JobMeta) -> None:
        self._call = call
        self._task_type = task_type
        self._meta = meta
        self._began = clock().monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        outcome = self.outcome if kind is None else kind.__name__
        took = clock().monotonic() - self._began
        metrics.log_call(self._call, self._task_type, self._meta.name, self._meta.id, outcome, took)


_SILENT = _Silent()


class Connector:
    """Drives the jobs of one spec: create, get, delete, logs.

    `environment` is the connector's environment (default: the process's), `transport` the wire (default: real sockets),
    `files` opens file inputs, `events` receives what happens.
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        *,
        environment: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        files: Files = no_files,
        events: Events | None = None,
    ) -> None:
        self.spec: ConnectorSpec = loaded.spec
        self._environment = os.environ if environment is None else environment
        self._transport = transport
        self._files = files
        self.plan = CompiledSpec(loaded.spec, loaded.document.data, self._environment, transport)
        self.memory = JobCache()
        self._old_plans: OrderedDict[str, CompiledSpec] = OrderedDict()
        self._events = events

    # --- create -----------------------------------------------------------------------------------------------------

    async def create(self, values: CreateValues) -> JobMeta:
        """Submit a job. Raises TransientError for what Flyte may try again; what no retry mends comes back as a
        failed job."""
        meta = self._new_meta(values)
        with self._told("create", meta) as told:
            meta = await self._create(values, meta)
            told.outcome = "failed" if meta.failed is not None else "adopted" if meta.adopted else "submitted"
        return meta

    async def _create(self, values: CreateValues, meta: JobMeta) -> JobMeta:
        secrets: Mapping[str, str | None] = {}
        try:
            config = self._config(values.config)
            meta.config = self.plan.kept.of("config", config)
            names = Scope(inputs=values.inputs, config=config, task=values.task)
            secrets = self.plan.secrets.values(values.secrets, names)
            session = self._session(self.plan, config, secrets, "create", meta)
            names = names.with_names(secrets=secrets, base_url=session.endpoint.base_url, steps={})
        except (EvaluationError, ConfigError) as problem:
            known = frozenset(value for value in (*secrets.values(), *values.secrets.values()) if value)
            meta.failed = redactor_for(known).redact(str(problem))
            return meta
        with redacted_errors(session):
            meta = await CreateOperation(self.plan, values, session, names, meta).run()
        if values.secrets and meta.failed is None:
            self.memory.of(meta.key).secrets = dict(values.secrets)
        return meta

    def _new_meta(self, values: CreateValues) -> JobMeta:
        kept = self.plan.kept
        return JobMeta(
            created_at=clock().time(),
            digest=self.plan.digest,
            pin=self.plan.pin,
            inputs=kept.of("inputs", values.inputs),
            task=kept.of("task", values.task),
            outputs=[[name, kind] for name, kind in values.outputs.items()],
            name=str(values.task.get("key", "")),
        )

    def _config(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The config with its defaults, checked again: the spec may have changed since the task was built."""
        return complete_config(self.spec, given)

    # --- get --------------------------------------------------------------------------------------------------------

    async def get(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> Status:
        """How the job is doing. Never raises."""
        if meta.failed is not None:
            return Status("FAILED", meta.failed)
        if meta.broken is not None:
            return Status("FAILED", f"{meta.broken}; the job itself may still be running")
        memory = self.memory.of(meta.key)
        if secrets:
            memory.secrets = dict(secrets)
        if memory.status is not None and clock().time() < memory.next_poll:
            remembered: Status = memory.status
            return remembered
        with self._told("get", meta) as told:
            status = await self._poll(meta, memory)
            told.outcome = status.phase
        self._remember(meta, memory, status)
        return status

    async def _poll(self, meta: JobMeta, memory: JobState) -> Status:
        plan = self.plan
        names: Scope | None = None
        session: CallContext | None = None
        try:
            plan = self._plan_of(meta)
            session, names = self._later(plan, meta, memory.secrets, "get")
            settings = plan.spec.get.poll if plan.spec.get else None
            if settings is not None and settings.min_interval:
                memory.next_poll = max(memory.next_poll, clock().time() + settings.min_interval)
            with redacted_errors(session):
                return await Poll(plan, meta, memory, session, names).run()
        except (CallError, EvaluationError, ConfigError) as failure:
            return self._unreadable(plan, memory, failure, names)
        except Exception as failure:  # a fault of our own must not fail a job that runs
            where = "".join(format_tb(failure.__traceback__))  # without its words: they may hold a secret
            metrics.logger.error("get of %s failed unexpectedly: %s\n%s", meta.name, type(failure).__name__, where)
            return self._unreadable(plan, memory, EvaluationError(f"internal error ({type(failure).__name__})"), names)

    def _unreadable(self, plan: CompiledSpec, memory: JobState, failure: Exception, names: Scope | None) -> Status:
        return unreadable(
            plan, memory, failure, static_links(plan.get, names) if names is not None and plan.get else []
        )

    def _remember(self, meta: JobMeta, memory: JobState, status: Status) -> None:
        if status.phase != memory.phase:
            metrics.PHASES.labels(self.spec.task_type_name, status.phase).inc()
            metrics.logger.info(
                "phase task_type=%s execution=%s job=%s %s -> %s",
                self.spec.task_type_name,
                meta.name,
                meta.id,
                memory.phase,
                status.phase,
            )
        memory.phase = status.phase
        if status.is_terminal:
            memory.next_poll = 0.0
            memory.ended = memory.ended or clock().time()
            if self._has_own_secrets(meta):
                memory.secrets = {}
        # it may be large, so it is kept no longer than needed
        memory.status = status if memory.next_poll and clock().time() < memory.next_poll else None

    def _has_own_secrets(self, meta: JobMeta) -> bool:
        """Can the log of a job that is over be read without the task's secrets? Else they are kept for a while."""
        try:
            self.plan.secrets.values({}, Scope(inputs=meta.inputs, config=meta.config, task=meta.task))
        except EvaluationError:
            return False
        return True

    # --- delete and logs --------------------------------------------------------------------------------------------

    async def delete(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> None:
        """Cancel the job; raises CallError or EvaluationError if that did not work."""
        if meta.failed is not None or not meta.id:
            return
        plan = self._plan_of(meta)
        if plan.delete is None:
            metrics.logger.warning("abort of %s: the spec has no delete, so the job %s goes on", meta.name, meta.id)
            return
        memory = self.memory.of(meta.key)
        session, names = self._later(plan, meta, secrets or memory.secrets, "delete")
        with self._told("delete", meta), redacted_errors(session):
            await run_calls(plan.delete, session, names)
        readable_again(plan, memory)

    async def logs(self, meta: JobMeta, token: str, secrets: Mapping[str, str] | None = None) -> AsyncIterator[LogPage]:
        """The log from `token` on ("": from the start), in pages; the last page has the next token, or none.

        Raises CallError or EvaluationError.
        """
        if meta.failed is not None or not meta.id:
            return
        plan = self._plan_of(meta)
        if plan.logs is None:
            return
        given = secrets or self.memory.of(meta.key).secrets_at(clock().time())
        session, names = self._later(plan, meta, given, "logs")
        with self._told("logs", meta), redacted_errors(session):
            async for page in read_logs(plan.logs, session, names, token):
                yield page

    async def close(self) -> None:
        """Close the sockets of this event loop."""
        for plan in (self.plan, *self._old_plans.values()):
            await plan.connection.transport.close()

    # --- what the later calls share -----------------------------------------------------------------------------------

    def _session(
        self, plan: CompiledSpec, config: Mapping[str, Any], secrets: Mapping[str, str | None], call: str, meta: JobMeta
    ) -> CallContext:
        counted = metrics.CallMetrics(self.spec.task_type_name)
        events = counted if self._events is None else EventFanOut(counted, self._events)
        events.section(call)
        return CallContext(
            plan.connection,
            config=config,
            secrets=secrets,
            files=self._files,
            pinned_by=None if plan is self.plan else self.plan.connection,
            events=events,
            about=f"call={call} execution={meta.name}" if metrics.logger.isEnabledFor(logging.DEBUG) else "",
            coalesces=plan.only_reads(call),
        )

    def _told(self, call: str, meta: JobMeta) -> _Silent:
        if not metrics.logger.isEnabledFor(logging.DEBUG):
            return _SILENT
        return _Told(call, self.spec.task_type_name, meta)

    def _later(
        self, plan: CompiledSpec, meta: JobMeta, given: Mapping[str, str], call: str
    ) -> tuple[CallContext, Scope]:
        names = Scope(inputs=meta.inputs, config=meta.config, task=meta.task, job=meta.job)
        secrets = plan.secrets.values(given, names)
        session = self._session(plan, meta.config, secrets, call, meta)
        return session, names.with_names(secrets=secrets, base_url=session.endpoint.base_url, steps={})

    def _plan_of(self, meta: JobMeta) -> CompiledSpec:
        """The spec as it was when the job was created; raises EvaluationError if it cannot be had."""
        if meta.digest == self.plan.digest or not meta.pin:
            return self.plan
        plan = self._old_plans.get(meta.digest)
        if plan is None:
            spec = restore_spec(meta.pin)
            plan = CompiledSpec(spec, {}, self._environment, self._transport, pinned=(meta.digest, meta.pin))
            self._old_plans[meta.digest] = plan
            while len(self._old_plans) > _MOST_OLD_SPECS:
                self._old_plans.popitem(last=False)
        self._old_plans.move_to_end(meta.digest)
        return plan
