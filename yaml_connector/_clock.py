"""The clock that everything reads, so that a contract test can have one of its own (section 10)."""

from __future__ import annotations

import time
from contextvars import ContextVar


class Clock:
    """Real time. `time()` is epoch seconds, `monotonic()` seconds from some start, `sleep()` waits."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # here, since checking specs needs none of it

        await asyncio.sleep(seconds)


_REAL = Clock()
_current: ContextVar[Clock] = ContextVar("yaml_connector_clock", default=_REAL)


def clock() -> Clock:
    """The clock in force here."""
    return _current.get()


def use_clock(replacement: Clock) -> None:
    """Let everything that runs in this context read another clock."""
    _current.set(replacement)
