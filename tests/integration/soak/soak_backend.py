"""The backends of the soak run: good job APIs, of which a share of all requests fails, and one that never answers."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from tests.integration.faults.fault_server import FAULTS, Answer, Fault, FaultServer, JobApi, Seen, Wire


async def _slow(wire: Wire) -> None:
    await asyncio.sleep(2)


async def _pause(wire: Wire) -> None:
    assert isinstance(wire.server, SoakServer)
    await asyncio.sleep(wire.server.pause)
    await wire.send(*wire.good)


_KINDS = (
    "reset_before_reading",
    "reset_after_reading",
    "half_body",
    "503_seconds",
    "500",
    "502",
    "html",
    "broken_json",
)
_FAULTS = [FAULTS[name] for name in _KINDS] + [Fault("doubtful", _slow, acts=True)]


class TimedApi(JobApi):
    """Jobs end by themselves, after a random time; how they end is in their key."""

    def __init__(self, shortest: float, longest: float) -> None:
        super().__init__()
        self.ends: dict[str, float] = {}
        self._span = (shortest, longest)

    def answer(self, seen: Seen) -> Answer:
        parts = seen.path.strip("/").split("/")
        if seen.method == "GET" and parts[0] == "jobs":
            for job_id in parts[1:2] or seen.query.get("ids", "").split(","):
                self._move(job_id)
        return super().answer(seen)

    def _move(self, job_id: str) -> None:
        job: dict[str, Any] | None = self.jobs.get(job_id)
        if job is None:
            return
        end = self.ends.setdefault(job_id, time.monotonic() + random.uniform(*self._span))
        if time.monotonic() >= end:
            key = next(key for key, known in self.by_key.items() if known == job_id)
            job["state"] = "cancelled" if is_cancelled(key) else "done"


def is_cancelled(key: str) -> bool:
    """Does the job of this run (`r17-...`) end as cancelled? One in ten does."""
    return key.partition("-")[0].endswith("3")


class SoakServer(FaultServer):
    """A backend. `rate` is the share of requests that fail; `pause` the seconds before each answer; `hangs`: it reads
    and never answers."""

    def __init__(self, api: TimedApi, rate: float, *, hangs: bool = False) -> None:
        super().__init__()
        self.api = api
        self.rate = rate
        self.faulty = self.count = 0
        self.pause = 0.0
        self.hangs = hangs

    def _hit(self, method: str, path: str) -> Fault | None:
        self.count += 1
        self.seen.clear()
        if self.hangs:
            return FAULTS["silent"]
        if self.pause:
            return Fault("doubtful", _pause, acts=True)
        if random.random() >= self.rate:
            return None
        self.faulty += 1
        return random.choice(_FAULTS)
