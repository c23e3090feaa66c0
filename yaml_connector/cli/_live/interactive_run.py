"""One real job, driven from the terminal as Flyte would: create, get in a rhythm, logs as they come, delete when it is
interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from yaml_connector._expressions.json_text import as_text
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.follower import LogFollower
from yaml_connector._jobs.logs import LogPage
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.poll import Status
from yaml_connector.cli._live.recorder import RecordedExchange, RecordingJobClient
from yaml_connector.errors import CallError, TransientError, YamlConnectorError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
_CREATES = 3  # Flyte tries a create again that may work the next time
_LONGEST_INFO = 200  # characters
T = TypeVar("T")


class Audience(Protocol):
    """Who is told what happens. Every text is redacted already."""

    def tell(self, kind: str, text: str) -> None:
        """`kind` is submitted, phase, info, link, log, note or wire."""


@dataclass
class CallRecord:
    """One call as Flyte would have made it: what was sent and answered, and what it gave."""

    kind: str
    exchanges: list[RecordedExchange]
    at: float
    found: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass
class Ended:
    """How it ended. `left` says that the job was left running, and how to find it."""

    meta: JobMeta
    status: Status
    seconds: float
    left: bool = False
    cancelled: bool = False
    lines: list[str] = field(default_factory=list)
    phases: list[tuple[float, str]] = field(default_factory=list)


class Drive:
    """One job of one connector. `remember` is given every call that was made."""

    def __init__(
        self,
        connector: RecordingJobClient,
        values: CreateValues,
        audience: Audience,
        *,
        verbose: bool = False,
        remember: Callable[[CallRecord], None] = lambda record: None,
    ) -> None:
        self.connector = connector
        self.values = values
        self.audience = audience
        self.verbose = verbose
        self.remember = remember
        self.began = time.monotonic()
        self.interrupts = 0
        self.woken, self.leave = asyncio.Event(), asyncio.Event()
        self.status = Status("QUEUED")  # as far as is known
        self.cancelled = False
        self.lines: list[str] = []
        self.phases: list[tuple[float, str]] = []
        self.seen: tuple[str, str | None] | None = None
        self.links: set[tuple[str, str]] = set()
        self.info: dict[str, Any] = {}
        self.last_get = ""

    async def run(self) -> Ended:
        """Submit the job and follow it to its end. Raises CallError if it could not be submitted."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError):  # no signals here: Ctrl-C ends the program
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            meta = await self._unless_left(self._create())
            if meta is None:
                key = self.values.task.get("key")
                raise YamlConnectorError(f"it is unknown whether the job was submitted: look for one of the key {key}")
            ended = await self._unless_left(self._follow(meta))
            return ended or self._left(meta)
        finally:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(signal.SIGINT)
            await self.connector.close()

    def _interrupt(self) -> None:
        self.interrupts += 1
        self.woken.set()
        if self.interrupts > 1:
            self.leave.set()

    async def _unless_left(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work gives, or None if Ctrl-C was pressed a second time before: what it waits for is given up."""
        doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(self.leave.wait())
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            for task in (doing, leaving):
                task.cancel()
            await asyncio.gather(doing, leaving, return_exceptions=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _tell(self, kind: str, text: str) -> None:
        self.audience.tell(kind, self.connector.redact(text))

    def _done(self, kind: str, found: dict[str, Any] | None = None, error: str | None = None) -> None:
        """A call is over: show what was exchanged, if that is wanted, and hand it on."""
        exchanges = self.connector.take()
        if kind == "get" and exchanges:
            self.last_get = f"{exchanges[-1].request.method} {exchanges[-1].request.url}"
        if self.verbose:
            for exchange in exchanges:
                for line in self.connector.lines_of(exchange):
                    self._tell("wire", line)
        self.remember(CallRecord(kind, exchanges, self._elapsed(), found or {}, error))

    # --- create -----------------------------------------------------------------------------------------------------

    async def _create(self) -> JobMeta:
        for attempt in range(1, _CREATES + 1):
            try:
                meta = JobMeta.decode((await self.connector.create(self.values)).encode())
            except TransientError as failure:
                self._done("create", error=str(failure))
                if attempt == _CREATES or self.interrupts:
                    raise
                self._tell("note", f"not submitted, tried again in {attempt / 2:g} s: {failure}")
                await asyncio.sleep(attempt / 2)
                continue
            except CallError as failure:
                self._done("create", error=str(failure))
                raise
            break
        found = {"phase": "FAILED", "message": meta.failed} if meta.failed is not None else {"job_id": meta.id}
        self._done("create", found | ({"saved": meta.saved} if meta.saved else {}))
        if meta.failed is None:
            self._tell("submitted", f"{'taken over' if meta.adopted else 'submitted'} as {meta.id}")
        return meta

    # --- following ----------------------------------------------------------------------------------------------------

    async def _follow(self, meta: JobMeta) -> Ended:
        settings = self.connector.spec.get
        least = settings.poll.min_interval if settings else 0.0
        pause = _FIRST_PAUSE
        log = LogFollower(lambda token: self._read_log(meta, token))
        while True:
            self.status = await self.connector.get(meta, self.values.secrets)
            self._got(self.status)
            if self.status.is_terminal:
                await self._show_log(log, last=True)
                self._show(self.status)
                return self._ended(meta)
            self._show(self.status)
            await self._show_log(log, last=False)
            if self.interrupts and not self.cancelled:
                self.cancelled = await self._cancel(meta)
                if not self.cancelled:
                    return self._left(meta)
            await self._wait(max(least, pause))
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _wait(self, seconds: float) -> None:
        if self.interrupts and not self.cancelled:
            return
        self.woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)

    def _got(self, status: Status) -> None:
        found: dict[str, Any] = {"phase": status.phase, "message": status.message}
        if status.phase == "SUCCEEDED":
            found["outputs"] = {name: value for name, (_, value) in status.outputs.items()}
        self._done("get", found)

    def _show(self, status: Status) -> None:
        if (status.phase, status.message) != self.seen:
            if self.seen is None or self.seen[0] != status.phase:
                self.phases.append((self._elapsed(), status.phase))
            self.seen = (status.phase, status.message)
            self._tell("phase", status.phase + (f": {status.message}" if status.message else ""))
        if status.info and status.info != self.info:
            self.info = status.info
            self._tell("info", _one_line(status.info))
        for link in status.links:
            if link not in self.links:
                self.links.add(link)
                self._tell("link", f"{link[0]}: {link[1]}")

    async def _show_log(self, log: LogFollower, *, last: bool) -> None:
        """The lines that are new. A log that cannot be read does not disturb the run."""
        try:
            async with contextlib.aclosing(log.news(last=last)) as news:
                async for line in news:
                    self.lines.append(line.message)
                    self._tell("log", line.message)
                    if self.interrupts and not last:
                        return  # the cancel does not wait for a long log
        except YamlConnectorError as error:
            self._tell("note", f"the log cannot be read: {error}")

    async def _read_log(self, meta: JobMeta, token: str) -> AsyncIterator[LogPage]:
        try:
            pages = [page async for page in self.connector.logs(meta, token)]
        except YamlConnectorError as error:
            self._done("logs", error=str(error))
            raise
        if pages:
            lines = [line.message for page in pages for line in page.lines]
            self._done("logs", {"lines": lines, "next": pages[-1].token is not None})
        for page in pages:
            yield page

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _cancel(self, meta: JobMeta) -> bool:
        if self.connector.plan.delete is None:
            self._tell("note", "the spec has no delete: the job cannot be cancelled")
            return False
        self._tell("note", f"cancelling the job {meta.id} (Ctrl-C again leaves it running)")
        try:
            await self.connector.delete(meta, self.values.secrets)
        except YamlConnectorError as error:
            self._done("delete", error=str(error))
            self._tell("note", f"it could not be cancelled: {error}")
            return False
        self._done("delete")
        return True

    def _left(self, meta: JobMeta) -> Ended:
        where = f"; ask for it with {self.last_get}" if self.last_get else ""
        asked = "was asked to stop, and is left" if self.cancelled else "is left running"
        self._tell("note", f"the job {meta.id} {asked}{where}")
        return self._ended(meta, left=True)

    def _ended(self, meta: JobMeta, *, left: bool = False) -> Ended:
        return Ended(meta, self.status, self._elapsed(), left, self.cancelled, self.lines, self.phases)


def _one_line(info: dict[str, Any]) -> str:
    """What a job tells besides, on one line, cut."""
    text = " ".join(", ".join(f"{name}: {as_text(value)}" for name, value in info.items()).split())
    return text if len(text) <= _LONGEST_INFO else f"{text[: _LONGEST_INFO - 3]}..."
