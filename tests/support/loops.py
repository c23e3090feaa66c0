"""Event loops with clocks of their own, for tests of what has limits in time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from time import monotonic, thread_time
from typing import Any, TypeVar

from yaml_connector._clock import Clock, use_clock

T = TypeVar("T")

_SLICE = 0.02  # seconds for which the loop waits at once
_MOST = 0.03  # seconds without computing that count between two readings of the clock


class _Sliced(selectors.DefaultSelector):
    """Waits for a short time only, so that a stall while it waits is seen as one."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(_SLICE if timeout is None else min(timeout, _SLICE))


class SteadyLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while the machine lets the process wait: no limit is over because of that.

    What the loop's thread computes counts in full.
    """

    def __init__(self) -> None:
        self._seen, self._computed, self._passed = monotonic(), thread_time(), 0.0
        super().__init__(_Sliced())

    def time(self) -> float:
        now, computed = monotonic(), thread_time()
        self._passed += min(now - self._seen, computed - self._computed + _MOST)
        self._seen, self._computed = now, computed
        return self._passed


class _SteadyLoops(asyncio.DefaultEventLoopPolicy):
    _loop_factory = SteadyLoop


@contextmanager
def steady_loops() -> Iterator[None]:
    """Let every event loop be a steady one until the block ends, also those that a command makes for itself."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(_SteadyLoops())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)


def now() -> float:
    """Return the seconds of the running loop's clock."""
    return asyncio.get_running_loop().time()


class Turns:
    """The turns of the event loop that others get while an `async with` block runs."""

    count = 0

    async def __aenter__(self) -> Turns:
        self._counting = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._counting.cancel()

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


class _ClockOfLoop(Clock):
    monotonic = staticmethod(now)


def run_steadily(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end by a clock that stands still while the machine lets the process wait; it is the loop's, too."""

    async def by_the_clock() -> T:
        use_clock(_ClockOfLoop())
        return await main

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        return runner.run(by_the_clock())
