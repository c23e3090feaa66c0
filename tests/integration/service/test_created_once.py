"""Flyte's executor, two replicas of the service, and backends that fail while jobs are created: one job for a task."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.faults.fault_rig import CREATES, GET
from tests.integration.faults.fault_server import FAULTS, Fault
from tests.integration.soak.soak_backend import SoakServer, TimedApi
from tests.support.executor import Action, Executor, ExecutorSettings, FastClock
from tests.support.replicas import Replica, client_of
from yaml_connector import task_from_spec

BODY = {"key": "${{ task.key }}", "attempt": "${{ task.attempt }}"}
FAILURES = ("lost", "silent", "late", "away", "broken", "down")


@dataclass(frozen=True)
class Pace:
    """How long the backends fail, how late they make a job, when a job is deleted after its end, the spec's times, and
    the speed of the executor's."""

    failing: float
    late: float
    deleted_after: float
    timeout: str
    deadline: str
    speed: float


FAST = Pace(failing=1.5, late=0.7, deleted_after=0.1, timeout="200ms", deadline="2s", speed=60.0)
# What the test does within seconds: these are the times of Flyte and of the usual spec, to try by hand.
REAL = Pace(failing=30.0, late=8.0, deleted_after=20.0, timeout="5s", deadline="9s", speed=1.0)


class FailingServer(SoakServer):
    """Fails in one way until `until`: it loses the answers of POSTs (or says nothing), makes jobs late, or is away: as
    behind a gateway, with connections that break, or without any."""

    def __init__(self, failure: str, pace: Pace) -> None:
        super().__init__(TimedApi(0.1, 0.5), rate=0.0)
        self.failure, self.commits_after = failure, pace.late
        self.until = time.monotonic() + 3600

    def _chosen_fault(self, method: str, path: str) -> Fault | None:
        if time.monotonic() > self.until or (method != "POST" and self.failure in ("lost", "silent", "late")):
            return None
        if path.endswith("/cancel"):
            return None
        named = {"lost": "reset_after_reading", "silent": "silent", "away": "503_seconds"}
        if self.failure == "late":
            return Fault("doubtful", self._commit_late)
        return FAULTS[named.get(self.failure, "reset_before_reading")]


def write_specs(folder: Path, servers: dict[str, FailingServer], pace: Pace) -> list[Any]:
    """Write a spec for each way of failing and each way of creating; return tasks of them."""
    (folder / "connectors.d").mkdir()
    tasks = []
    for failure, server in servers.items():
        for name in ("idempotent", "adopt", "steps"):
            create = json.loads(json.dumps(CREATES[name]))
            (create["steps"][-1] if "steps" in create else create)["request"] |= {"json": BODY}
            file = folder / "connectors.d" / f"{failure}_{name}.yaml"
            spec = {
                "spec_version": 1,
                "task_type_name": file.stem,
                "connection": {
                    "base_url": f"http://127.0.0.1:{server.port}",
                    "timeout": pace.timeout,
                    "deadline": pace.deadline,
                },
                "create": create,
                "get": {**GET, "poll": {"not_found_grace": f"{pace.late + 2:g}s"}},
                "delete": {"request": "POST /jobs/${{ job.id }}/cancel"},
            }
            file.write_text(json.dumps(spec))
            tasks.append(task_from_spec(file))
    return tasks


async def heal_later(server: FailingServer, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await server.heal()


async def executed(folder: Path, pace: Pace) -> tuple[list[Action], dict[str, FailingServer], Executor]:
    """Execute a task of each spec without and with retries; a replica is killed once all creates were answered."""
    servers = {failure: FailingServer(failure, pace) for failure in FAILURES}
    replicas = [Replica(folder, number, forked=True) for number in range(2)]
    for server in servers.values():
        await server.start()
    tasks = write_specs(folder, servers, pace)
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        actions = [
            Action(task, f"r{number * 10}-{retries}", retries)
            for number, task in enumerate(tasks)
            for retries in (0, 2)
        ]
        calls, all_answered = Counter[str](), asyncio.Event()

        def heard(call: str, seconds: float) -> None:
            calls[call] += 1
            if calls["create"] == len(actions):
                all_answered.set()

        with closing(client_of(replicas)) as client:
            clock, settings = FastClock(pace.speed), ExecutorSettings(deleted_after=pace.deleted_after * pace.speed)
            async with Executor(client, clock=clock, settings=settings, heard=heard) as executor:
                for server in servers.values():
                    server.until = time.monotonic() + pace.failing
                await servers["down"].fail(FAULTS["refuse"], lambda method, path: True, None)
                healing = asyncio.create_task(heal_later(servers["down"], pace.failing))
                running = [asyncio.create_task(executor.run(action)) for action in actions]
                await all_answered.wait()
                await replicas[0].kill()
                await asyncio.gather(*running)
                await healing
                assert await executor.all_deleted(pace.deleted_after + 10) == 0
    finally:
        for replica in replicas:
            replica.stop()
        for server in servers.values():
            await server.heal()
            await server.stop()
    return actions, servers, executor


def test_each_task_has_one_job_and_succeeds_whatever_fails_while_it_is_created(tmp_path: Path) -> None:
    actions, servers, executor = asyncio.run(executed(tmp_path, FAST))
    ends = [(action.task.task_type, action.phase, action.creates, action.message) for action in actions]
    assert [end for end in ends if end[1:3] != ("SUCCEEDED", ["ok"])] == []
    for failure, server in servers.items():
        assert {key: len(made) for key, made in server.timed.made.items() if len(made) != 1} == {}, failure
        assert len(server.timed.made) == 6, failure
        assert server.timed.late_cancels == 0, failure
    assert executor.calls["get INTERNAL"] == executor.calls["get DEADLINE_EXCEEDED"] == 0
