"""The clock: the package reads the time here, so that a contract test can replace it."""

from __future__ import annotations

import random
import time as real
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Event


class Clock:
    """Real time: `time()` in epoch seconds, `monotonic()` in seconds from some start, `sleep()` for seconds."""

    # The functions themselves, not methods that call them: every call reads the clock several times.
    time = staticmethod(real.time)
    monotonic = staticmethod(real.monotonic)

    async def sleep(self, seconds: float) -> None:
        import asyncio  # imported here: checking specs does not need it

        await asyncio.sleep(seconds)

    def jitter(self, longest: float) -> float:
        """Return how long to wait, in seconds, if anything up to `longest` will do."""
        return random.uniform(0, longest)  # noqa: S311 - no secret


_REAL = Clock()
_current: ContextVar[Clock] = ContextVar("yaml_connector_clock", default=_REAL)


clock = _current.get
"""Return the clock in force in this context."""


async def wait_for(event: Event, seconds: float) -> None:
    """Sleep by the clock in force, no longer than until the event is set."""
    import asyncio

    waits = [asyncio.ensure_future(clock().sleep(seconds)), asyncio.ensure_future(event.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def use_clock(replacement: Clock) -> None:
    """Replace the clock for everything that runs in this context."""
    _current.set(replacement)
