"""A log that grows, read again and again up to where it ends: for those who follow a job, locally or in a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from yaml_connector._jobs.logs import LogLine, LogPage
from yaml_connector.errors import YamlConnectorError

_PAGES_AT_ONCE = 50  # then the job's state is looked at again
_EMPTY_PAGES = 10  # of a log whose API always promises more
_LAST_READS = 4  # of the log of a job that is over, when reading it fails


class LogFollower:
    """What is new of one job's log. `read` gives its pages from a token on."""

    def __init__(self, read: Callable[[str], AsyncIterator[LogPage]]) -> None:
        self._read = read
        self._token = ""  # where the next page starts
        self._given = 0  # how many lines from there on were given already

    async def news(self, *, last: bool) -> AsyncGenerator[LogLine, None]:
        """The lines that are new, as far as there are any now; those that are left when the job is over (`last`).

        Raises YamlConnectorError if these cannot be read. Before the end that is no error: the next call asks again.
        """
        pages = empty = failures = 0
        while empty < _EMPTY_PAGES and (last or pages < _PAGES_AT_ONCE):
            count, token = 0, None
            unfinished: list[LogLine] = []
            try:
                async for page in self._read(self._token):
                    token = page.token
                    if page.unfinished:
                        unfinished += page.lines
                        continue
                    for line in page.lines:
                        count += 1
                        if count > self._given:
                            self._given = count
                            yield line
            except YamlConnectorError:
                failures += 1
                if last and failures == _LAST_READS:
                    raise
                if not last:
                    return
                await asyncio.sleep(failures)  # there is no later call that would give what is missing
                continue
            if token or last:  # else it comes again, with the rest of it
                for line in unfinished:
                    yield line
            if not token:
                return  # from the same token on, there may be more lines later
            self._token, self._given = token, 0
            pages, empty = pages + 1, 0 if count else empty + 1
            if empty and not last:
                return
