"""A clock that a test moves."""

from __future__ import annotations

import asyncio

from yaml_connector._clock import Clock

START = 1767225600.0  # 2026-01-01T00:00:00Z
_MONOTONIC_START = 1000.0  # far from the epoch time, so that a mix-up of the two shows


class FakeClock(Clock):
    """Starts at a fixed time. `now` is the epoch time in seconds, and `slept` lists what was waited for, in seconds.

    Waiting never takes real time. `sleeping_moves` tells whether it moves this clock. A change of `now` is time that
    passes; `step` changes what the wall clock shows.
    """

    def __init__(self, now: float = START, *, sleeping_moves: bool = True) -> None:
        self.now = now
        self._ahead = now - _MONOTONIC_START  # of the wall clock, compared with the monotonic one
        self.slept: list[float] = []
        self._sleeping_moves = sleeping_moves

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - self._ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._sleeping_moves:
            self.move(seconds)
        await asyncio.sleep(0)

    def jitter(self, longest: float) -> float:
        return longest

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or backward; no time passes."""
        self.now += seconds
        self._ahead += seconds
