"""Shares the turns of an event loop: long work is done in parts, and one part in a few turns, for every caller alike.

So it does not matter to the others how many have long work at the same time. A short call takes some ten turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

_FREE = 3  # turns after each part


class Turns:
    """The turns of one event loop. Those that wait for one are served in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._new_future = loop.create_future
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def next(self) -> None:
        """Wait for a turn in which no other part of long work is done."""
        if self._is_taken:
            granted = self._new_future()
            self._waiting.append(granted)
            await granted
        else:
            self._is_taken = True
            self._call_soon(self._count, _FREE)

    def _count(self, free: int) -> None:
        if free:
            self._call_soon(self._count, free - 1)
            return
        while self._waiting:
            granted = self._waiting.popleft()
            if not granted.done():
                granted.set_result(None)
                self._call_soon(self._count, _FREE)
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
