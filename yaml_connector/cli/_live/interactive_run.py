"""One real job, run from the terminal as Flyte would run it: create, polls, logs as they come, delete at Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from yaml_connector._clock import clock
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.follower import JobFollower, cancel_job
from yaml_connector._jobs.log_reader import LogPage
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector.cli._live.recorder import RecordedExchange
from yaml_connector.errors import CallError, TransientError, YamlConnectorError

if TYPE_CHECKING:
    from yaml_connector.cli._live.recorder import RecordingJobClient
    from yaml_connector.cli._live.service_job import RecordedServiceJob

    JobDriver = RecordingJobClient | RecordedServiceJob

_CANCELLED_WITHIN = 10.0  # seconds that a job which took too long has to end
_CREATES = 3  # Flyte tries a create again that may work the next time
_LONGEST_PAUSE = 3.0  # seconds between two creates
T = TypeVar("T")


@dataclass
class CallRecord:
    """One connector call: its exchanges, when it ended (seconds since the start), and its result or error; of a log
    call, the token that it was given and the next one."""

    kind: str
    exchanges: list[RecordedExchange]
    at: float
    found: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    token: str = ""
    following: str | None = None


@dataclass
class Ended:
    """How a run ended, or as far as it is; the `status` is the last that is known.

    `left`: the job has not ended; the run has told how to find it. `timed_out`: it took too long, and was cancelled.
    """

    meta: JobMeta = field(default_factory=JobMeta)
    status: Status = field(default_factory=lambda: Status("QUEUED"))
    seconds: float = 0.0
    left: bool = False
    cancelled: bool = False
    lines: list[str] = field(default_factory=list)
    phases: list[tuple[float, str]] = field(default_factory=list)
    timed_out: bool = False

    @property
    def is_success(self) -> bool:
        return self.status.phase == "SUCCEEDED" and not self.timed_out


class Interrupts:
    """Counts Ctrl-C while the block runs: `first` and `second` are set by the first and the second one.

    After a Ctrl-C, all further ones are ignored when the block has ended: the process is about to end by itself, and
    says what became of the job.
    """

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        self._count = 0

    def __enter__(self) -> Interrupts:
        self._loop = asyncio.get_running_loop()
        self._is_main = threading.current_thread() is threading.main_thread()  # else there are no signals
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, signal.SIG_IGN if self._count else self._before)

    def _interrupt(self, *_: object) -> None:
        self._count += 1
        is_first = self._count == 1 and not self.first.is_set()
        self._loop.call_soon_threadsafe((self.first if is_first else self.second).set)


class NotSubmittedError(YamlConnectorError):
    """The job was not submitted, or it is unknown whether it was (`may_exist`). `timed_out`: not within the timeout."""

    def __init__(self, message: str, *, may_exist: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.may_exist = may_exist
        self.timed_out = timed_out


class InteractiveRun:
    """One job of one connector. After `timeout` seconds, a call that is under way is given up and the job is cancelled;
    a job that has not ended 10 s later is left.

    `name` is what the user calls the spec, `options` are those for later calls on the job. `tell` shows a text, which
    is redacted; its kind is submitted, phase, info, link, log, note or wire. `remember` is given each call that was
    made; then the log is not read on after the job's end.
    """

    def __init__(
        self,
        connector: JobDriver,
        values: CreateValues,
        tell: Callable[[str, str], None],
        *,
        name: str = "",
        options: Sequence[str] = (),
        verbose: bool = False,
        timeout: float | None = None,
        remember: Callable[[CallRecord], None] | None = None,
    ) -> None:
        self.connector = connector
        self.values = values
        self.tell = tell
        self.name = name or connector.spec.task_type_name
        self.options = options
        self.verbose = verbose
        self.timeout = timeout
        self.remember = remember
        self.began = clock().monotonic()
        self.interrupts = Interrupts()
        self.expired = asyncio.Event()
        self.submitting: list[RecordedExchange] = []
        self.failure: CallError | None = None
        self.ended = Ended()
        self.last_get = ""

    async def run(self) -> Ended:
        """Submit the job and follow it to its end. Raises NotSubmittedError or CallError if it is not submitted."""
        with self.interrupts:
            waiting = [
                self._after(self.timeout, self._time_out),
                self._after(self.timeout and self.timeout + _CANCELLED_WITHIN, self.interrupts.second.set),
            ]
            try:
                meta = await self._until(self._create(), self.interrupts.second, self.expired)
                if meta is None:
                    raise self._not_submitted()
                return await self._until(self._follow(meta), self.interrupts.second) or self._left(meta)
            finally:
                for handle in waiting:
                    handle.cancel()
                await self.connector.close()

    async def _until(self, work: Coroutine[Any, Any, T], *events: asyncio.Event) -> T | None:
        """Return the result of the work, or None if an event came first: then it is given up, whatever it waits for."""
        doing, *others = [asyncio.ensure_future(each) for each in (work, *(event.wait() for event in events))]
        try:
            await asyncio.wait([doing, *others], return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            for task in (doing, *others):
                task.cancel()
            await asyncio.gather(doing, *others, return_exceptions=True)

    def _after(self, seconds: float | None, act: Callable[[], None]) -> asyncio.Handle:
        """Act after a time; None is never."""
        loop = asyncio.get_running_loop()
        handle = loop.call_later(seconds or 0.0, act)
        if seconds is None:
            handle.cancel()
        return handle

    def _time_out(self) -> None:
        self.interrupts.first.set()
        if self.timeout is not None and not self.ended.status.is_terminal:  # of an ended job, the log is still read
            self.ended.timed_out = True
            self.expired.set()
            if self.ended.meta.id:
                self._tell("note", f"the job takes longer than {duration_text(self.timeout)}")

    def _elapsed(self) -> float:
        return clock().monotonic() - self.began

    def _tell(self, kind: str, text: str) -> None:
        if kind == "log":
            self.ended.lines.append(text)
        if kind == "phase" and (not self.ended.phases or self.ended.phases[-1][1] != self.ended.status.phase):
            self.ended.phases.append((self._elapsed(), self.ended.status.phase))
        try:
            self.tell(kind, self.connector.redact(text))
        except OSError as error:  # a full disk, or `| head`: a job that nobody sees is cancelled, as at Ctrl-C
            self.interrupts.first.set()
            self.tell("note", f"the output cannot be written: {error.strerror}")

    def _done(
        self,
        kind: str,
        found: dict[str, Any] | None = None,
        error: str | None = None,
        *,
        token: str = "",
        following: str | None = None,
    ) -> None:
        """End a call: show its exchanges if that is wanted, and hand it to `remember`."""
        exchanges = self.connector.take()
        if kind == "create":
            self.submitting += exchanges
        if kind == "get" and exchanges:
            self.last_get = f"{exchanges[-1].request.method} {exchanges[-1].request.url}"
        if self.verbose:
            for exchange in exchanges:
                for line in self.connector.lines_of(exchange):
                    self._tell("wire", line)
        if self.remember is not None:
            self.remember(CallRecord(kind, exchanges, self._elapsed(), found or {}, error, token, following))

    # --- create -----------------------------------------------------------------------------------------------------

    async def _create(self) -> JobMeta:
        attempt = 0
        while True:
            attempt += 1
            try:
                made = await self.connector.create(self.values)
            except CallError as error:
                failure = error
                self._done("create", error=str(failure))
                tries_on = isinstance(failure, TransientError) and attempt < _CREATES
            else:
                if not made.not_submitted:
                    break
                # Flyte would wait for the next get; somebody at a terminal wants to know that the API is not there
                failure = TransientError(made.not_submitted, may_have_been_processed=True)
                self._done("create", {"submitted": False})
                tries_on = attempt < _CREATES or self.timeout is not None
            stop = self.interrupts.first
            self.failure = failure
            if tries_on and not stop.is_set():
                pause = min(attempt / 2, _LONGEST_PAUSE)
                self._tell("note", f"not submitted, tried again in {pause:g} s: {failure}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
            if not tries_on or stop.is_set():
                raise self._not_submitted() if self.ended.timed_out else failure
        meta = self.ended.meta = JobMeta.decode(made.encode())
        found: dict[str, Any] = {"job_id": meta.id}
        if meta.create_error is not None:
            found = {"phase": "FAILED", "message": meta.create_error}
        self._done("create", found | ({"saved": meta.saved} if meta.saved else {}))
        if meta.create_error is None:
            self._tell("submitted", f"{'taken over' if meta.adopted else 'submitted'} as {meta.id}")
        return meta

    def _not_submitted(self) -> NotSubmittedError:
        """Return the error of a create that was given up: what was tried, the last error, and what to do."""
        self._done("create")
        sent, key = self.submitting, self.connector.identified_by
        open_call = next((f"{e.request.method} {e.request.url}" for e in reversed(sent) if e.is_open), None)
        within = "" if self.timeout is None or not self.ended.timed_out else f" within {duration_text(self.timeout)}"
        if sent and not any(exchange.may_submit for exchange in sent):
            reason = str(self.failure or next((e.failure for e in reversed(sent) if e.failure), None) or "no response")
            if open_call is not None:
                reason = f"{open_call} was not answered"
            tried = f"{len(sent)} request{'' if len(sent) == 1 else 's'}"
            text = f"not submitted{within}, after {tried}: {reason}"
            return NotSubmittedError(self.connector.redact(text), may_exist=False, timed_out=bool(within))
        reason = f"{open_call or 'create'} was not answered{within}"
        lines = [f"it is unknown whether the job was submitted: {reason}"]
        if self.failure is not None:
            lines.append(f"the try before failed: {self.failure}")
        create = self.connector.spec.create
        if create.idempotent_for or create.adopt is not None:
            again = f"--task {key}={self.values.task.get(key)}"
            lines.append(f"run it again with {again}: that finds the job, or submits it")
        else:
            found = f"its task.{key} is {self.values.task.get(key)}"
            lines.append(f"look for it at the API before you run it again; {found}")
        return NotSubmittedError(self.connector.redact("\n  ".join(lines)), may_exist=True, timed_out=bool(within))

    # --- following ----------------------------------------------------------------------------------------------------

    async def _follow(self, meta: JobMeta) -> Ended | None:
        """Follow the job, and cancel it when that is wanted. Returns None if it goes on all the same."""
        get, log = self.connector.spec.get, self.connector.spec.logs
        settle = log.settle if log and meta.create_error is None and self.remember is None else 0.0
        follower = JobFollower(
            get=lambda: self._get(meta),
            logs=lambda token, *, read_on: self._read_log(meta, token, read_on and settle > 0),
            tell=self._tell,
            min_interval=get.poll.min_interval if get else 0.0,
            settle=settle,
        )
        await self._until(follower.follow(stop=self.interrupts.first), self.expired)
        if not self.ended.status.is_terminal:
            self.ended.cancelled = await self._cancel(meta)
            if not self.ended.cancelled:
                return None
            await follower.follow()
        return self._ended(meta)

    async def _get(self, meta: JobMeta) -> Status:
        self.ended.status = status = await self.connector.get(meta, self.values.secrets)
        told = ("phase", "message", "outputs") if status.phase == "SUCCEEDED" else ("phase", "message")
        self._done("get", {name: value for name, value in status.data().items() if name in told})
        return status

    async def _read_log(self, meta: JobMeta, token: str, read_on: bool) -> AsyncIterator[LogPage]:
        try:
            pages = [page async for page in self.connector.logs(meta, token, read_on=read_on)]
        except YamlConnectorError as error:
            self._done("logs", error=str(error), token=token)
            raise
        if pages:
            lines = [line.message for page in pages for line in page.lines]
            following = pages[-1].token
            self._done("logs", {"lines": lines, "next": following is not None}, token=token, following=following)
        for page in pages:
            yield page

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _cancel(self, meta: JobMeta) -> bool:
        if self.connector.spec.delete is None:
            self._tell("note", "the spec has no delete: the job cannot be cancelled")
            return False
        self._tell("note", f"cancelling the job {meta.id} (Ctrl-C again leaves it running)")
        try:
            await cancel_job(lambda: self._delete(meta), lambda reason: self._tell("note", reason))
        except YamlConnectorError as error:
            self._tell("note", f"it could not be cancelled: {error}")
            return False
        return True

    async def _delete(self, meta: JobMeta) -> None:
        try:
            await self.connector.delete(meta, self.values.secrets)
        except YamlConnectorError as error:
            self._done("delete", error=str(error))
            raise
        self._done("delete")

    def _left(self, meta: JobMeta) -> Ended:
        status = self.ended.status
        if status.is_terminal:
            self._tell("phase", status.phase + (f": {status.message}" if status.message else ""))
            self._tell("note", "the rest of its log is not read")
            return self._ended(meta)
        where = f"; ask for it with {self.last_get}" if self.last_get else ""
        asked = "was asked to stop, and is left" if self.ended.cancelled else "is left running"
        self._tell("note", f"the job {meta.id} {asked}{where}")
        for label, kind in (("follow it", "get"), ("cancel it", "delete")):
            if getattr(self.connector.spec, kind) is not None:
                self._tell("note", f"{label}: {self._command(kind, meta)}")
        return self._ended(meta, left=True)

    def _command(self, kind: str, meta: JobMeta) -> str:
        """Return the command for a call on the job."""
        words = ["yaml-connector", "call", kind, self.name, "--job-id", meta.id]
        for name, value in meta.saved.items():
            words += ["--saved", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join([*words, *self.options])

    def _ended(self, meta: JobMeta, *, left: bool = False) -> Ended:
        self.ended.meta, self.ended.seconds, self.ended.left = meta, self._elapsed(), left
        return self.ended
