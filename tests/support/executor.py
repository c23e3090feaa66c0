"""A model of Flyte's open-source executor: how it drives a connector service, with its own times.

What it does was seen on the whole backend. For each attempt one create; a create that raises fails the attempt, and the
next one follows at once, with another number and no delete for the old one. A get soon after the create, then one at
each tick, all jobs at the same one, by ten workers. Errors of get are counted over the whole life of a job, and after
too many the executor stops looking. A delete at an abort, before a retry, and some time after the end; one that fails
is repeated for ever, except before a retry.

Its own times can be sped up with its clock. A call takes as long as it takes, and no longer than the client waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import grpc
from flyteidl2.connector.connector_pb2 import CreateTaskRequest, Resource

from tests.support.flyte_side import ENDS, metadata_of, state, template_of
from yaml_connector._clock import Clock
from yaml_connector.flyte.service_client import ServiceJob

T = TypeVar("T")


class Service(Protocol):
    """What the executor needs of a `ServiceClient`."""

    def submit(self, task: Any, request: CreateTaskRequest) -> ServiceJob: ...

    def get(self, job: ServiceJob) -> Resource: ...

    def delete(self, job: ServiceJob) -> None: ...


class FastClock(Clock):
    """A clock that runs `speed` times as fast as real time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed

    def monotonic(self) -> float:  # type: ignore[override]  # the base class has the function itself, for its speed
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


@dataclass(frozen=True)
class ExecutorSettings:
    """The executor's configuration, with its defaults; times in seconds."""

    resync: float = 30.0  # webApi.caching.resyncInterval
    max_system_failures: int = 5  # webApi.caching.maxSystemFailures
    workers: int = 10
    burst: int = 100
    rate: float = 10.0  # gets a second, beyond the burst
    delete_again: float = 10.0
    deleted_after: float = 3600.0  # from the end of a job to its last delete


@dataclass
class Action:
    """A task that is executed: what Flyte's user sees of it, and what the executor did for it.

    `phase` is the last phase seen. BLIND is that of a job which the executor does not look at any more: to the user it
    is running for ever.
    """

    task: Any
    run: str
    retries: int = 0
    request: CreateTaskRequest = field(default_factory=CreateTaskRequest)
    phase: str = "QUEUED"
    message: str = ""
    attempts: int = 0
    creates: list[str] = field(default_factory=list)  # of each attempt: "ok", or the code of the error
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    last: Resource = field(default_factory=Resource)

    def abort(self) -> None:
        """Abort it, as its user does."""
        self.aborted.set()


class _Rate:
    """A bucket of tokens: a burst, then so many a second."""

    def __init__(self, clock: Clock, settings: ExecutorSettings) -> None:
        self._clock, self._settings = clock, settings
        self._next = clock.monotonic()

    async def wait(self) -> None:
        now = self._clock.monotonic()
        full = now - self._settings.burst / self._settings.rate
        self._next = max(self._next, full) + 1 / self._settings.rate
        await self._clock.sleep(max(0.0, self._next - now))


class Executor:
    """Executes tasks by a connector service. Use it as an asynchronous context manager; its end waits for nothing.

    `calls` counts calls and the codes of their errors, `longest` is the longest call in seconds, `heard` is told of
    each call: its name, and how many seconds it took.
    """

    def __init__(
        self,
        service: Service,
        *,
        clock: Clock | None = None,
        settings: ExecutorSettings | None = None,
        heard: Callable[[str, float], None] = lambda name, seconds: None,
        threads: int = 64,
    ) -> None:
        self.clock = clock or Clock()
        self.settings = settings or ExecutorSettings()
        self.calls: Counter[str] = Counter()
        self.longest = 0.0
        self._service = service
        self._heard = heard
        self._workers = asyncio.Semaphore(self.settings.workers)
        self._rate = _Rate(self.clock, self.settings)
        self._threads = ThreadPoolExecutor(threads)
        self._templates: dict[int, Any] = {}
        self._deletes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Executor:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._deletes:
            task.cancel()
        await asyncio.gather(*self._deletes, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, action: Action) -> Action:
        """Execute a task until its end, with its retries. The last delete follows later."""
        for attempt in range(action.retries + 1):
            if attempt:
                await self.clock.sleep(random.uniform(0.1, 0.4))
            action.attempts = attempt + 1
            if action.aborted.is_set():
                action.phase = "ABORTED"
                return action
            try:
                job = await self._create(action, attempt)
            except grpc.RpcError as error:
                action.creates.append(error.code().name)
                action.phase, action.message = "FAILED", error.details() or ""
                continue
            action.creates.append("ok")
            action.phase, action.message = "QUEUED", ""  # what was seen of the attempt before does not count
            deleted = await self._follow(action, job)
            if deleted:
                return action
            if action.phase == "RETRYABLE_FAILED" and attempt < action.retries:
                await self._try_delete(job)  # one that fails is only logged
                continue
            if action.phase != "BLIND":
                self._in_background(self._delete_later(job))
            return action
        return action

    async def all_deleted(self, patience: float) -> int:
        """Wait for the deletes after the end, at most so many real seconds; return how many are still open."""
        if self._deletes:
            await asyncio.wait(self._deletes, timeout=patience)
        return len(self._deletes)

    # --- one job ------------------------------------------------------------------------------------------------------

    async def _create(self, action: Action, attempt: int) -> ServiceJob:
        key = id(action.task)
        if key not in self._templates:
            self._templates[key] = template_of(action.task)
        request = CreateTaskRequest()
        request.CopyFrom(action.request)
        request.template.CopyFrom(self._templates[key])
        request.task_execution_metadata.CopyFrom(metadata_of(action.task, action.run, attempt=attempt))
        return await self._call("create", self._service.submit, action.task, request)

    async def _follow(self, action: Action, job: ServiceJob) -> bool:
        """Look at the job until it is over, or was aborted; tell whether the delete of an abort has worked."""
        failures = 0
        aborting: asyncio.Task[None] | None = None
        await self.clock.sleep(random.uniform(0.005, 0.02))
        while True:
            if action.aborted.is_set() and aborting is None:
                aborting = self._in_background(self._delete_until_it_works(job))
            if aborting is not None and aborting.done():
                action.phase = "ABORTED"
                return True
            async with self._workers:
                await self._rate.wait()
                try:
                    action.last = await self._call("get", self._service.get, job)
                except grpc.RpcError:
                    failures += 1
                else:
                    action.phase, action.message = state(action.last), action.last.message
            if failures > self.settings.max_system_failures:
                action.phase = "BLIND"
            if action.phase in ENDS or action.phase == "BLIND":
                if aborting is not None:
                    aborting.cancel()
                return False
            await self._next_tick(action if aborting is None else None, aborting)

    async def _next_tick(self, action: Action | None, aborting: asyncio.Task[None] | None) -> None:
        """Wait for the tick at which all jobs are asked for, or until an abort, or its delete that works."""
        resync = self.settings.resync
        pause = resync - self.clock.monotonic() % resync
        tick = asyncio.ensure_future(self.clock.sleep(pause))
        waits: list[asyncio.Future[Any]] = [tick]
        noticed = asyncio.ensure_future(action.aborted.wait()) if action is not None else None
        if noticed is not None:
            waits.append(noticed)
        if aborting is not None:
            waits.append(aborting)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tick.cancel()
            if noticed is not None:
                noticed.cancel()

    # --- deletes ------------------------------------------------------------------------------------------------------

    async def _try_delete(self, job: ServiceJob) -> bool:
        try:
            await self._call("delete", self._service.delete, job)
        except grpc.RpcError:
            return False
        return True

    async def _delete_until_it_works(self, job: ServiceJob) -> None:
        while not await self._try_delete(job):
            await self.clock.sleep(self.settings.delete_again)

    async def _delete_later(self, job: ServiceJob) -> None:
        await self.clock.sleep(self.settings.deleted_after)
        await self._delete_until_it_works(job)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._deletes.add(task)
        task.add_done_callback(self._deletes.discard)
        return task

    # --- calls --------------------------------------------------------------------------------------------------------

    async def _call(self, name: str, method: Callable[..., T], *args: Any) -> T:
        """Make a call in a thread; count it, and the code of its error."""
        self.calls[name] += 1
        began = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, method, *args)
        except grpc.RpcError as error:
            self.calls[f"{name} {error.code().name}"] += 1
            raise
        finally:
            took = time.monotonic() - began
            self.longest = max(self.longest, took)
            self._heard(name, took)
