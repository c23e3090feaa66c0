"""A local run: the job is driven from this process, in the spec's rhythm, with progress and log lines, and cancelled
when the run is interrupted."""

from __future__ import annotations

import asyncio
import atexit
import os
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
import flyte.errors
from flyte._context import internal_ctx
from flyte._internal.runtime.task_serde import get_proto_task
from flyte.connectors import ConnectorRegistry
from flyte.models import SerializationContext
from flyteidl2.connector.connector_pb2 import TaskExecutionMetadata
from flyteidl2.core.identifier_pb2 import (
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)

from yaml_connector.connector import KeptJob, YamlConnector
from yaml_connector.errors import CallError, YamlConnectorError
from yaml_connector.job.get import Status
from yaml_connector.literals import OutputValue

if TYPE_CHECKING:
    from yaml_connector.task.plugin import YamlConnectorTask

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
_PAGES_AT_ONCE = 50  # of the log; then the job's state is looked at again
_EMPTY_PAGES = 10  # of a log whose API always promises more


async def run_locally(task: YamlConnectorTask, inputs: dict[str, Any]) -> Any:
    """Submit the task's job, follow it, and give its outputs as Flyte's local controller expects them.

    Raises a recoverable error for RETRYABLE_FAILED (the task's `retries` apply) and one that is not for the other ends.
    """
    context = internal_ctx().data.task_context
    if context is None:
        raise RuntimeError("a task runs within a Flyte run: use flyte.run(...) or `flyte run --local`")
    connector = ConnectorRegistry.get_connector(task.task_type, task.task_type_version)
    assert isinstance(connector, YamlConnector)
    secrets = {name: _secret_from_environment(name, key) for name, key in task.connector_secrets.items()}
    job = _LocalJob(task, connector, secrets, context)
    return await job.run(inputs)


def _secret_from_environment(name: str, key: str) -> str:
    variable = key.upper().replace("-", "_")
    value = os.environ.get(key) or os.environ.get(variable)
    if value is None:
        raise flyte.errors.NonRecoverableError(
            f"the secret {name!r} is called {key!r} in Flyte's store; in a local run it comes from the environment: "
            f"set {variable}"
        )
    return value


class _LocalJob:
    def __init__(
        self, task: YamlConnectorTask, connector: YamlConnector, secrets: dict[str, str], context: Any
    ) -> None:
        self.task = task
        self.connector = connector
        self.secrets = secrets
        self.context = context
        self.began = time.monotonic()
        self.token = ""  # where the next page of the log starts
        self.lines_shown = 0  # how many lines from there on were shown already
        self.shown: tuple[Any, ...] = ()
        self.interrupted = False

    async def run(self, inputs: dict[str, Any]) -> Any:
        template = get_proto_task(self.task, self._serialization(), self.context)
        loop = _loops.enter(self.connector)
        try:
            try:
                kept = await self.connector.create(
                    template,
                    self.context.raw_data_path.path,
                    inputs,
                    self._execution(),
                    **self.secrets,
                )
            except CallError as error:
                raise flyte.errors.RuntimeUserError("CreateFailed", str(error)) from None
            _open_jobs[id(self)] = (self, kept)
            try:
                status = await self._follow(kept)
            except asyncio.CancelledError:
                await self._cancel_now(kept)
                raise
            _open_jobs.pop(id(self), None)
            return self._end(status)
        finally:
            await loop.leave()

    def _serialization(self) -> SerializationContext:
        action = self.context.action
        return SerializationContext(
            project=action.project,
            domain=action.domain,
            org=action.org,
            code_bundle=self.context.code_bundle,
            version=self.context.version,
            image_cache=self.context.compiled_image_cache,
        )

    def _execution(self) -> TaskExecutionMetadata:
        """The identity of this run. Each try of a local run is an attempt of its own."""
        action = self.context.action
        run = WorkflowExecutionIdentifier(
            project=action.project or "local", domain=action.domain or "local", name=action.run_name or action.name
        )
        node = NodeExecutionIdentifier(node_id=f"{action.name}-{uuid.uuid4().hex[:12]}", execution_id=run)
        return TaskExecutionMetadata(task_execution_id=TaskExecutionIdentifier(node_execution_id=node))

    # --- following ----------------------------------------------------------------------------------------------------

    async def _follow(self, kept: KeptJob) -> Status:
        settings = self.connector.loaded.spec.get
        least = settings.poll.min_interval if settings else 0.0
        pause = _FIRST_PAUSE
        self._say(f"submitted as {kept.meta.id}" if kept.meta.failed is None else "not submitted")
        while True:
            status = await self.connector.jobs.get(kept.meta, self.secrets)
            self._show(status)
            await self._show_logs(kept, last=status.is_terminal)
            if status.is_terminal:
                return status
            await asyncio.sleep(max(least, pause))
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    def _show(self, status: Status) -> None:
        seen = (status.phase, status.message)
        if seen != self.shown:
            self.shown = seen
            self._say(status.phase + (f": {status.message}" if status.message else ""))
        tracker = internal_ctx().data.tracker
        if status.links and tracker is not None:
            tracker.record_log_links(action_id=self.context.action.name, log_links=status.links)
        for name, url in status.links:
            if (name, url) not in _seen_links:
                _seen_links.add((name, url))
                self._say(f"{name}: {url}")

    async def _show_logs(self, kept: KeptJob, *, last: bool) -> None:
        """The lines that are new; at the end of the job, all that are left. A log that cannot be read does not disturb
        the run."""
        self.connector.jobs.memory.of(kept.meta.key).secrets = self.secrets  # those of a job that is over are dropped
        pages = empty = 0
        while empty < _EMPTY_PAGES and (last or pages < _PAGES_AT_ONCE):
            count, token = 0, None
            try:
                async for page in self.connector.jobs.logs(kept.meta, self.token):
                    token = page.token
                    for line in page.lines:
                        count += 1
                        if count > self.lines_shown:
                            self.lines_shown = count
                            self._say(f"| {line.message}")
            except YamlConnectorError as error:
                if last:
                    self._say(f"the log cannot be read: {error}")
                return
            if not token:
                return  # from the same token on, there may be more lines later
            self.token, self.lines_shown = token, 0
            pages, empty = pages + 1, 0 if count else empty + 1
            if empty and not last:
                return

    def _say(self, text: str) -> None:
        if internal_ctx().data.tracker is None:
            click.echo(f"{self.task.name} [{time.monotonic() - self.began:5.1f} s] {text}", err=True)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _end(self, status: Status) -> Any:
        if status.phase == "SUCCEEDED":
            declared = self.task.native_interface.outputs  # the template has them in the order of their names
            values = tuple(OutputValue(*status.outputs[name]).native() for name in declared)
            if len(values) == 1:
                return values[0]
            return values or None
        message = f"{self.task.name} ended as {status.phase}: {status.message or 'the API gives no reason'}"
        if status.phase == "RETRYABLE_FAILED":
            raise flyte.errors.RuntimeUserError("RetryableFailed", message)
        raise flyte.errors.NonRecoverableError(message, code=status.phase.title())

    async def _cancel_now(self, kept: KeptJob) -> None:
        """Delete the job. When the interpreter ends before that is done, it is asked for once more, from there."""
        if not self.interrupted:
            self.interrupted = True
            self._say(f"interrupted: cancelling the job {kept.meta.id}")
        try:
            await asyncio.shield(self.connector.delete(kept, **self.secrets))
            outcome = "cancelled"
        except YamlConnectorError as error:
            outcome = f"the job {kept.meta.id} could not be cancelled: {error}"
        if _open_jobs.pop(id(self), None) is not None:
            self._say(outcome)


_seen_links: set[tuple[str, str]] = set()
_open_jobs: dict[int, tuple[_LocalJob, KeptJob]] = {}


@atexit.register
def _cancel_open_jobs() -> None:
    """Ctrl-C ends the main thread, and with it the loop that drives the jobs: what is open is cancelled here."""
    jobs = list(_open_jobs.values())
    if not jobs:
        return

    async def cancel_all() -> None:
        for job, kept in jobs:
            await job._cancel_now(kept)
            await job.connector.jobs.close()

    loop = asyncio.new_event_loop()
    loop.set_default_executor(_InThisThread())
    loop.run_until_complete(cancel_all())
    loop.close()


class _InThisThread(ThreadPoolExecutor):
    """At the interpreter's end no thread can be started any more, not even to look up a host's name."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:  # whatever it is belongs to whoever waits for it
            done.set_exception(error)
        return done


class _Loops:
    """Closes a connector's sockets when the last job of this event loop is over."""

    def __init__(self) -> None:
        self._users: dict[tuple[int, int], int] = {}

    def enter(self, connector: YamlConnector) -> _Use:
        key = (id(asyncio.get_running_loop()), id(connector))
        self._users[key] = self._users.get(key, 0) + 1
        return _Use(self, key, connector)

    async def leave(self, key: tuple[int, int], connector: YamlConnector) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            await connector.jobs.close()


class _Use:
    def __init__(self, loops: _Loops, key: tuple[int, int], connector: YamlConnector) -> None:
        self._loops, self._key, self._connector = loops, key, connector

    async def leave(self) -> None:
        await self._loops.leave(self._key, self._connector)


_loops = _Loops()

__all__ = ["run_locally"]
