"""Following a job to its end, and its log as it grows: for local runs, `run`, and the demo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

from yaml_connector._clock import clock, wait_for
from yaml_connector._expressions.json_text import as_text
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.log_reader import LogPage
from yaml_connector._jobs.status import Status
from yaml_connector._text import truncate
from yaml_connector.errors import YamlConnectorError

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.2, 3.0, 1.5  # seconds between two polls, and how they grow
_LONGEST_INFO = 200  # characters

_PAGES_AT_ONCE = 50  # then the job is polled again
_EMPTY_PAGES = 10  # of an API that always promises another page
_LAST_READS = 4  # of the log of an ended job, when reading it fails
_SETTLING, _BETWEEN_READS = 30.0, 1.0  # seconds: how long, at most, the log of an ended job is read on, and how often

_CANCELS, _BETWEEN_CANCELS = 8, 2.0  # and seconds


class ReadLog(Protocol):
    """Reads the pages of a log from a token on. `read_on`: more may come, also if the job is over."""

    def __call__(self, token: str, *, read_on: bool) -> AsyncIterator[LogPage]: ...


class JobFollower:
    """Polls one job until it ends, and tells what is new.

    `get` reads the job's status, `logs` its log from a token on. `tell` is given each piece of news: its kind (phase,
    info, link, log or note) and a text. `min_interval` is the least time between two polls, in seconds. The log of an
    ended job is read on until it has had nothing new for `settle` seconds.
    """

    def __init__(
        self,
        *,
        get: Callable[[], Awaitable[Status]],
        logs: ReadLog,
        tell: Callable[[str, str], None],
        min_interval: float = 0.0,
        settle: float = 0.0,
    ) -> None:
        self.status = Status("QUEUED")
        self._get = get
        self._log = LogFollower(logs)
        self._tell = tell
        self._min_interval = min_interval
        self._settle = settle
        self._told: dict[str, Any] = {}
        self._links: set[tuple[str, str]] = set()

    async def follow(self, stop: asyncio.Event | None = None) -> Status:
        """Follow the job to its end and return its last status.

        Returns sooner, between two polls, when `stop` is set; the job can be followed on from there.
        """
        stop = stop or asyncio.Event()
        pause = _FIRST_PAUSE
        while True:
            self.status = await self._get()
            if self.status.is_terminal:
                await self._tell_until_quiet(stop)
                await self._tell_log(stop, last=True)
                self._tell_status(self.status)
                return self.status
            self._tell_status(self.status)
            await self._tell_log(stop, last=False)
            await wait_for(stop, max(self._min_interval, pause))
            if stop.is_set():
                return self.status
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)

    def _tell_status(self, status: Status) -> None:
        self._tell_change("phase", status.phase + (f": {status.message}" if status.message else ""))
        if status.info:
            self._tell_change("info", _one_line(status.info))
        for name, url in status.links:
            if (name, url) not in self._links:
                self._links.add((name, url))
                self._tell("link", f"{name}: {url}")

    def _tell_change(self, kind: str, text: str) -> None:
        if self._told.get(kind) != text:
            self._told[kind] = text
            self._tell(kind, text)

    async def _tell_until_quiet(self, stop: asyncio.Event) -> None:
        """Tell what still comes after the job's end: many APIs collect logs with a delay."""
        now = clock().monotonic
        end, quiet = now() + _SETTLING, now() + self._settle
        while self._settle and not stop.is_set():
            if await self._tell_log(stop, last=False):
                quiet = now() + self._settle
            left = min(end, quiet) - now()
            if left <= 0:
                return
            await wait_for(stop, min(left, _BETWEEN_READS))

    async def _tell_log(self, stop: asyncio.Event, *, last: bool) -> bool:
        """Tell the new lines; False if there are none. A log that cannot be read does not end the following; one that
        is long does not delay a stop."""
        is_new = False
        try:
            async with aclosing(self._log.read_new_lines(last=last)) as lines:
                async for line in lines:
                    self._tell("log", line.message)
                    is_new = True
                    if stop.is_set() and not last:
                        break
        except YamlConnectorError as error:
            self._tell("note", f"the log cannot be read: {error}")
        return is_new


async def cancel_job(delete: Callable[[], Awaitable[None]], tell: Callable[[str], None]) -> None:
    """Delete a job as Flyte does: again, for a while, if that fails. Some APIs refuse it for a job that is starting.

    `tell` is given the reason. Raises the last failure, a YamlConnectorError.
    """
    for left in reversed(range(_CANCELS)):
        try:
            await delete()
            return
        except YamlConnectorError as error:
            if not left:
                raise
            tell(f"cannot be cancelled yet, tried again every {_BETWEEN_CANCELS:g} s: {error}")
        await clock().sleep(_BETWEEN_CANCELS)


def _one_line(info: dict[str, Any]) -> str:
    """Return a job's further information on one line, shortened."""
    text = ", ".join(f"{name}: {as_text(value)}" for name, value in info.items())
    return truncate(" ".join(text.split()), _LONGEST_INFO)


class LogFollower:
    """The new lines of one job's log. `read` returns its pages from a token on."""

    def __init__(self, read: ReadLog) -> None:
        self._read = read
        self._token = ""  # where the next page starts
        self._seen = 0  # how many lines from there on have been returned already

    async def read_new_lines(self, *, last: bool) -> AsyncGenerator[LogLine, None]:
        """Yield the lines that are new, as far as there are any now; all that are left if the job has ended (`last`).

        Raises YamlConnectorError if these cannot be read. Before the end that is fine: the next call reads them.
        """
        pages = empty = failures = 0
        while empty < _EMPTY_PAGES and (last or pages < _PAGES_AT_ONCE):
            count, token = 0, None
            unfinished: list[LogLine] = []
            try:
                async for page in self._read(self._token, read_on=not last):
                    token = page.token
                    if page.unfinished:
                        unfinished += page.lines
                        continue
                    for line in page.lines:
                        count += 1
                        if count > self._seen:
                            self._seen = count
                            yield line
            except YamlConnectorError:
                failures += 1
                if last and failures == _LAST_READS:
                    raise
                if not last:
                    return
                await clock().sleep(failures)  # no later call would read what is missing
                continue
            if token or last:  # else the line comes again, with the rest of it
                for line in unfinished:
                    yield line
            if not token:
                return  # from the same token on, there may be more lines later
            self._token, self._seen = token, 0
            pages, empty = pages + 1, 0 if count else empty + 1
            if empty and not last:
                return
