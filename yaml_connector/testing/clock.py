"""A clock that is moved by hand (section 10): it starts at a fixed time, and waiting takes none."""

from __future__ import annotations

import asyncio

from yaml_connector._clock import Clock

START = 1767225600.0  # 2026-01-01T00:00:00Z


class FakeClock(Clock):
    """Moves by `move` and by nothing else."""

    def __init__(self) -> None:
        self._passed = 0.0

    def time(self) -> float:
        return START + self._passed

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        """Let so much time go by."""
        self._passed += seconds
