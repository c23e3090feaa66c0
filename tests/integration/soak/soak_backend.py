"""The backends of the soak run: job APIs that lose answers, commit late, fail and go away for a while, and one that
never answers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from dataclasses import replace
from math import inf
from typing import Any

from tests.integration.faults.fault_server import FAULTS, Answer, Fault, FaultServer, JobApi, Seen, Wire, as_json
from yaml_connector._jobs.cancel import ASKING
from yaml_connector._jobs.delete import FRESH

LATE = 3.0  # seconds from a lost answer to the commit
OVER = ("done", "cancelled", "preempted")


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
_AWAY = [FAULTS["reset_before_reading"], FAULTS["503_seconds"], replace(FAULTS["502"], acts=False)]


class TimedApi(JobApi):
    """Jobs end by themselves, after a random time; how they end is in the names of their runs.

    `made` has the jobs of each key. `late_cancels` counts cancels of jobs that the connector had to know to be over:
    for longer than it trusts what it has read, unless it has just asked in vain (`unanswered`, times by job).
    """

    def __init__(self, shortest: float, longest: float) -> None:
        super().__init__()
        self.ends: dict[str, float] = {}
        self.made: defaultdict[str, list[str]] = defaultdict(list)
        self.unanswered: dict[str, float] = {}
        self.late_cancels = self.cancels_after_end = self.cancels = 0
        self._span = (shortest, longest)

    def answer(self, seen: Seen) -> Answer:
        parts = seen.path.strip("/").split("/")
        if parts[0] == "jobs" and seen.method == "GET":
            for job_id in parts[1:2] or seen.query.get("ids", "").split(","):
                self._move(job_id)
        if parts[-1] == "cancel":
            self._move(parts[1])
            self.cancels += 1
            now = time.monotonic()
            if self.jobs[parts[1]]["state"] in OVER:
                self.cancels_after_end += 1
                asked_in_vain = now - self.unanswered.get(parts[1], -inf) < ASKING
                self.late_cancels += now - self.ends[parts[1]] > FRESH and not asked_in_vain
                return as_json({"message": "it is over"}, 409)
            self.ends[parts[1]] = now
        return super().answer(seen)

    def _create(self, seen: Seen) -> Answer:
        answer = super()._create(seen)
        body, made = json.loads(seen.body), json.loads(answer[2])["id"]
        if made not in self.made[body["key"]]:
            self.made[body["key"]].append(made)
            self.jobs[made] |= {"key": body["key"], "attempt": body["attempt"]}
        return answer

    def _move(self, job_id: str) -> None:
        job: dict[str, Any] | None = self.jobs.get(job_id)
        if job is None or job["state"] in OVER:
            return
        end = self.ends.setdefault(job_id, time.monotonic() + random.uniform(*self._span))
        if time.monotonic() >= end:
            preempted = is_preempted(job["key"]) and job["attempt"] == 0
            job["state"] = "preempted" if preempted else "cancelled" if is_cancelled(job["key"]) else "done"

    def jobs_of_runs(self) -> Counter[str]:
        """How many jobs were made for each run."""
        counts: Counter[str] = Counter()
        for key, made in self.made.items():
            counts[key.partition("-")[0]] += len(made)
        return counts


def is_cancelled(key: str) -> bool:
    """Does the job of this run (`r17-...`) end as cancelled at its API? One in ten does."""
    return key.partition("-")[0].endswith("3")


def is_preempted(key: str) -> bool:
    """Is the first job of this run preempted, so that Flyte tries again? One in ten is."""
    return key.partition("-")[0].endswith("7")


def is_aborted(key: str) -> bool:
    """Does the user of this run abort it? One in ten does."""
    return key.partition("-")[0].endswith("5")


class SoakServer(FaultServer):
    """A backend. `rate` is the share of requests that fail; `pause` the seconds before each answer; `hangs`: it reads
    and never answers; `away`: it refuses whatever it is asked, as a gateway does in front of a backend that is gone."""

    def __init__(self, api: TimedApi, rate: float, *, hangs: bool = False) -> None:
        super().__init__()
        self.api = self.timed = api
        self.rate = rate
        self.faulty = self.count = self.late = 0
        self.commits_after = LATE
        self.pause = 0.0
        self.hangs = hangs
        self.away = False
        self._committing: set[asyncio.Task[None]] = set()

    def _hit(self, method: str, path: str) -> Fault | None:
        self.count += 1
        self.seen.clear()
        fault = self._chosen_fault(method, path)
        if fault is not None and method == "GET":
            self.timed.unanswered[path.rpartition("/")[2]] = time.monotonic()
        return fault

    def _chosen_fault(self, method: str, path: str) -> Fault | None:
        if self.away:
            self.faulty += 1
            return random.choice(_AWAY)
        if self.hangs:
            return FAULTS["silent"]
        if self.pause:
            return Fault("doubtful", _pause, acts=True)
        if random.random() >= self.rate:
            return None
        self.faulty += 1
        if (method, path) == ("POST", "/jobs") and random.random() < 0.3:
            self.late += 1
            return Fault("doubtful", self._commit_late)
        return random.choice(_FAULTS)

    async def _commit_late(self, wire: Wire) -> None:
        """Lose the answer, and make the job a while later."""
        seen = self.seen[-1]

        async def commit() -> None:
            await asyncio.sleep(self.commits_after)
            self.timed.answer(seen)

        task = asyncio.create_task(commit())
        self._committing.add(task)
        task.add_done_callback(self._committing.discard)
        wire.reset()
