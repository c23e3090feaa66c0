"""A local run: this process submits the job, follows it, shows its progress and log, and cancels it at Ctrl-C."""

from __future__ import annotations

import asyncio
import atexit
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import click
import flyte
import flyte.errors
from flyte.extend import TaskTemplate
from flyte.models import SerializationContext
from flyteidl2.connector.connector_pb2 import TaskExecutionMetadata
from flyteidl2.core.identifier_pb2 import (
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)
from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage

from yaml_connector._clock import clock
from yaml_connector._jobs.follower import JobFollower, cancel_job
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector.errors import CallError, YamlConnectorError
from yaml_connector.flyte._internals import get_proto_task, in_progress_display, show_links
from yaml_connector.flyte.connector import YamlConnector
from yaml_connector.flyte.literals import plain_input
from yaml_connector.flyte.output_values import OutputValue
from yaml_connector.flyte.task_context import TaskContext

Task = TaskTemplate[..., Any, Any]


async def run_locally(
    task: Task, connector: YamlConnector, inputs: dict[str, Any], secret_names: Mapping[str, str]
) -> Any:
    """Submit the task's job, follow it, and return its outputs as Flyte's local controller expects them.

    `connector` is that of the task's spec. `secret_names` are the task's secrets with their names in Flyte's store;
    their values come from the environment.

    Raises a recoverable error for RETRYABLE_FAILED (the task's `retries` apply) and one that is not for the other ends.
    """
    context = flyte.ctx()
    if not context:
        raise RuntimeError("a task runs within a Flyte run: use flyte.run(...) or `flyte run --local`")
    secrets = {name: _secret_from_environment(name, key) for name, key in secret_names.items()}
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
    def __init__(self, task: Task, connector: YamlConnector, secrets: dict[str, str], context: Any) -> None:
        self.task = task
        self.connector = connector
        self.secrets = secrets
        self.context = context
        self.began = clock().monotonic()
        self.told: set[str] = set()
        self.interrupted = False
        self.execution = self._execution()
        self.loop = asyncio.get_running_loop()
        self.created: Future[JobMeta] = Future()  # the thread that ends the run waits for it, whichever it is
        self.created.set_running_or_notify_cancel()

    async def run(self, inputs: dict[str, Any]) -> Any:
        _open_jobs[id(self)] = self
        async with _open_sockets(self.connector):
            try:
                status = await self._follow(await self._create(inputs))
            except asyncio.CancelledError:
                await self.cancel()
                raise
            except Exception:
                _open_jobs.pop(id(self), None)
                raise
        _open_jobs.pop(id(self), None)
        return self._end(status)

    async def _create(self, inputs: dict[str, Any]) -> JobMeta:
        """Submit the job. Once begun this goes on to its end: an interrupted run must know which job to cancel."""
        template = get_proto_task(self.task, self._serialization(), self.context)
        template.type = self.connector.task_type_name  # a service finds it, too, if all specs share one task type
        prefix = self.context.raw_data_path.path

        async def create() -> JobMeta:
            try:
                plain = {name: plain_input(value) for name, value in inputs.items()}
                made = await self.connector.submit(template, prefix, plain, self.execution, self.secrets, local=True)
            except BaseException as error:
                self.created.set_exception(error)
                raise
            kept = self.connector.jobs.decode(made.data)
            self.created.set_result(kept)
            return kept

        try:
            return await asyncio.shield(create())
        except CallError as error:
            raise flyte.errors.RuntimeUserError("CreateFailed", str(error)) from None

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
        """Return the identity of this run. Each try of a local run is an attempt of its own."""
        action = self.context.action
        run = WorkflowExecutionIdentifier(
            project=action.project or "local", domain=action.domain or "local", name=action.run_name or action.name
        )
        node = NodeExecutionIdentifier(node_id=f"{action.name}-{uuid.uuid4().hex[:12]}", execution_id=run)
        return TaskExecutionMetadata(task_execution_id=TaskExecutionIdentifier(node_execution_id=node))

    # --- following ----------------------------------------------------------------------------------------------------

    async def _follow(self, kept: JobMeta) -> Status:
        jobs = self.connector.jobs

        async def get() -> Status:
            status = await jobs.get(kept, self.secrets)
            show_links(self.context.action.name, status.links)
            return status

        settings, log = self.connector.loaded.spec.get, self.connector.loaded.spec.logs
        self.progress(f"submitted as {kept.id}" if kept.id else "not submitted")
        follower = JobFollower(
            get=get,
            logs=lambda token, *, read_on: jobs.logs(kept, token, self.secrets, read_on=read_on),
            tell=self._tell,
            min_interval=settings.poll.min_interval if settings else 0.0,
            settle=log.settle if log and kept.create_error is None else 0.0,
        )
        return await follower.follow()

    def _tell(self, kind: str, text: str) -> None:
        if kind != "info":
            self.progress(f"| {text}" if kind == "log" else text)

    def progress(self, text: str) -> None:
        """Show how the job is doing; once it is being cancelled, only the outcome of that is shown."""
        if not self.interrupted:
            self.say(text)

    def say(self, text: str) -> None:
        if not in_progress_display():
            click.echo(f"{self.task.name} [{clock().monotonic() - self.began:5.1f} s] {text}", err=True)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _end(self, status: Status) -> Any:
        if status.phase == "SUCCEEDED":
            declared = self.task.native_interface.outputs  # the template has them in the order of their names
            values = tuple(OutputValue(*status.outputs[name]).native() for name in declared)
            if len(values) == 1:
                return values[0]
            return values or None
        message = f"{self.task.name} ended as {status.phase}: {status.message or 'the API names no reason'}"
        if status.phase == "RETRYABLE_FAILED":
            raise flyte.errors.RuntimeUserError("RetryableFailed", message)
        raise flyte.errors.NonRecoverableError(message, code=status.phase.title())

    async def cancel(self) -> None:
        """Delete the job, as soon as its create is over, and show the outcome.

        If the interpreter ends before that, `_cancel_open_jobs` calls this once more.
        """
        self.interrupted = True
        try:
            outcome = await self._delete(await self._known())
        except Exception as error:  # create may have raised anything
            outcome = f"{self.left_behind()}: {str(error) or 'there was no response'}"
        _open_jobs.pop(id(self), None)
        self.say_once(outcome)

    async def _known(self) -> JobMeta:
        """Return the job once its create is over. Raises what create raised, or TimeoutError."""
        if not self.created.done() and self.loop.is_running():
            self.say_once("interrupted while the job is submitted: it is cancelled as soon as that is over")
            longest = self.connector.loaded.spec.connection.deadline + 1
            await asyncio.wait([asyncio.wrap_future(self.created)], timeout=longest)
        return self.created.result(timeout=0)

    async def _delete(self, kept: JobMeta) -> str:
        if kept.create_error is not None:
            return f"not submitted: {kept.create_error}"
        self.say_once(f"interrupted: cancelling the job {kept.shown}")
        jobs = self.connector.jobs
        try:
            if jobs.is_submitted(kept):
                await asyncio.shield(cancel_job(lambda: jobs.delete(kept, self.secrets), self.say_once))
            else:
                await asyncio.shield(jobs.delete(kept, self.secrets))
        except YamlConnectorError as error:
            if not jobs.is_submitted(kept):
                return f"{self.left_behind()}: {error}"
            return f"the job {kept.shown} could not be cancelled: {error}"
        return "cancelled"

    def left_behind(self) -> str:
        """Say which job may go on after this run, for the user to look for."""
        kept = self.created.result() if self.created.done() and self.created.exception() is None else None
        if kept is not None and self.connector.jobs.is_submitted(kept):
            return f"the job {kept.shown} is not cancelled"
        key = TaskContext(TaskTemplateMessage(), "", self.execution)["key"]
        return f"it is unknown whether the job was submitted (task.key {key})"

    def say_once(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.say(text)


_open_jobs: dict[int, _LocalJob] = {}


@atexit.register
def _cancel_open_jobs() -> None:
    """Cancel the jobs that are open at the interpreter's end: Ctrl-C has ended the event loop that followed them."""
    jobs = list(_open_jobs.values())
    if not jobs:
        return

    async def cancel_all() -> None:
        await asyncio.gather(*(job.cancel() for job in jobs))
        for job in jobs:
            await job.connector.jobs.close()

    loop = asyncio.new_event_loop()
    loop.set_default_executor(_InThisThread())
    try:
        loop.run_until_complete(cancel_all())
    except KeyboardInterrupt:  # second Ctrl-C: list the jobs left running
        for job in list(_open_jobs.values()):
            job.say(job.left_behind())
    loop.close()


class _InThisThread(ThreadPoolExecutor):
    """Runs work at once: no thread can be started at the interpreter's end, not even to look up a host's name."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:  # the caller's to handle
            done.set_exception(error)
        return done


_sockets_in_use: Counter[tuple[int, int]] = Counter()


@asynccontextmanager
async def _open_sockets(connector: YamlConnector) -> AsyncIterator[None]:
    """Close a connector's sockets when its last job in this event loop has ended."""
    key = (id(asyncio.get_running_loop()), id(connector))
    _sockets_in_use[key] += 1
    try:
        yield
    finally:
        _sockets_in_use[key] -= 1
        if not _sockets_in_use[key]:
            del _sockets_in_use[key]
            await connector.jobs.close()
