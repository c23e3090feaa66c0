"""Sixteen normal tasks at a time beside an attack: ``python -m tests.integration.attack.neighbours FOLDER``, a process
of its own with a good backend.

It reads commands: `connect PORT` begins, `take` prints what was measured since the last one, as JSON, and the end of
its input ends it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.faults.fault_server import FaultServer
from tests.integration.soak.soak_backend import TimedApi
from tests.support.executor import Action, Executor, ExecutorSettings, FastClock
from tests.support.flyte_side import outputs_of
from yaml_connector import task_from_spec
from yaml_connector.flyte.service_client import ServiceClient

AT_ONCE = 16
TICK = 0.2  # seconds between two gets of a job: Flyte's 30 s, sped up
_LATEST = 15.0  # seconds that a job takes at most, with all calls; each takes four seconds at its API


@dataclass
class Taken:
    """What was measured: seconds of each call, tasks that ended, and what was wrong with some.

    `machine` is the longest time by which this process itself woke up late: what the machine did, and not the service.
    `oldest` are the seconds since the oldest task began that has not ended yet.
    """

    seconds: list[float] = field(default_factory=list)
    ended: int = 0
    wrong: list[str] = field(default_factory=list)
    machine: float = 0.0
    oldest: float = 0.0


class Neighbours:
    """The tasks, one after the other in each of sixteen places."""

    def __init__(self, executor: Executor, flyte: ServiceClient, task: Any) -> None:
        self.taken = Taken()
        self._executor, self._flyte, self._task = executor, flyte, task
        self._numbers = itertools.count(1)
        self._began: dict[str, float] = {}  # of the tasks that have not ended

    def heard(self, name: str, seconds: float) -> None:
        self.taken.seconds.append(seconds)

    async def place(self) -> None:
        await asyncio.sleep(random.uniform(0, 2))
        while True:
            action = Action(self._task, f"n{next(self._numbers)}x{random.getrandbits(40):x}z")
            began = self._began[action.run] = time.monotonic()
            await self._executor.run(action)
            del self._began[action.run]
            took = time.monotonic() - began
            found = outputs_of(action.last)
            if action.phase != "SUCCEEDED":
                self.taken.wrong.append(f"{action.phase}: {action.message[:200]}")
            elif not found["name"].scalar.primitive.string_value.startswith(f"{action.run}-"):
                self.taken.wrong.append("it has the output of another job")
            elif took > _LATEST:
                self.taken.wrong.append(f"it took {took:.1f} s")
            self.taken.ended += 1

    async def watch_machine(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            self.taken.machine = max(self.taken.machine, time.monotonic() - before - 0.02)

    def take(self) -> Taken:
        taken, self.taken = self.taken, Taken()
        taken.oldest = max((time.monotonic() - began for began in self._began.values()), default=0.0)
        return taken


def spec_of(port: int) -> dict[str, Any]:
    """The neighbours' spec, with a backend on this port."""
    return {
        "spec_version": 1,
        "task_type_name": "neighbour",
        "connection": {"base_url": f"http://127.0.0.1:{port}", "timeout": "8s"},
        "outputs": {"name": "$.key"},
        "create": {
            "request": {
                "method": "POST",
                "path": "/jobs",
                "headers": {"Idempotency-Key": "${{ task.key }}"},
                "json": {"key": "${{ task.key }}", "attempt": "${{ task.attempt }}"},
            },
            "idempotent": True,
            "job_id": "$.id",
        },
        "get": {
            "request": "GET /jobs/${{ job.id }}",
            "phase": {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"]}},
            "message": "$.detail",
        },
        "delete": {"request": "POST /jobs/${{ job.id }}/cancel"},
    }


async def main(folder: Path) -> None:
    """Write the spec, say so, and obey."""
    server = FaultServer()
    server.api = TimedApi(3.9, 4.1)
    await server.start()
    spec = folder / "neighbour.yaml"
    spec.write_text(json.dumps(spec_of(server.port)))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    _, port = (await reader.readline()).split()
    with closing(ServiceClient(f"127.0.0.1:{int(port)}")) as flyte:
        clock = FastClock(30.0 / TICK)
        settings = ExecutorSettings(deleted_after=30.0, rate=1e6)
        async with Executor(flyte, clock=clock, settings=settings, heard=lambda *call: told.heard(*call)) as executor:
            told = Neighbours(executor, flyte, task_from_spec(spec))
            running = [asyncio.create_task(told.place()) for _ in range(AT_ONCE)]
            running.append(asyncio.create_task(told.watch_machine()))
            print("connected", flush=True)
            while await reader.readline():
                print(json.dumps(asdict(told.take())), flush=True)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
