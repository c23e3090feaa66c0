"""Shares the turns of an event loop: long work is done in parts, and one part in a few turns, for every caller alike.

So it does not matter to the others how many have long work at the same time. A short call takes some ten turns. While
there are calls, the loop is also free after each part for a multiple of the time that it took: a call then takes little
longer than without the long work, however many turns it takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from time import perf_counter
from weakref import WeakKeyDictionary

_FREE = 3  # turns after each part
_PAUSE = 3.0  # times as long as a part the others have, if there are some
LONGEST_PAUSE = 0.03  # seconds
_RECENT = 0.25  # seconds


class Calls:
    """When a call of the service last began, of `perf_counter`."""

    began = -inf

    def pause_after(self, seconds: float) -> float:
        """Return how long to leave the loop to calls after work that took so long; 0 if there are none lately."""
        return min(_PAUSE * seconds, LONGEST_PAUSE) if perf_counter() - self.began < _RECENT else 0.0


calls = Calls()


class Turns:
    """The turns of one event loop. Those that wait for one are served in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._began = 0.0
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def next(self) -> None:
        """Wait for a turn in which no other part of long work is done."""
        if self._is_taken:
            granted = self._loop.create_future()
            self._waiting.append(granted)
            await granted
        else:
            self._is_taken = True
            self._begin()

    def _begin(self) -> None:
        self._began = perf_counter()
        self._loop.call_soon(self._end)  # behind the part, which is done in this turn or in the next one

    def _end(self) -> None:
        pause = calls.pause_after(perf_counter() - self._began)
        if pause:
            self._loop.call_later(pause, self._count, 0)
        else:
            self._count(_FREE - 1)

    def _count(self, free: int) -> None:
        if free:
            self._loop.call_soon(self._count, free - 1)
            return
        while self._waiting:
            granted = self._waiting.popleft()
            if not granted.done():
                granted.set_result(None)
                self._begin()
                return
        self._is_taken = False


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


async def next_turn() -> None:
    """Wait for a turn of the running event loop in which no other part of long work is done."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns(loop)
    await turns.next()
