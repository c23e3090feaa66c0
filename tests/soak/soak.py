"""Load, faults and kills: many jobs over five specs through `c0`, which is killed again and again.

``python tests/soak/soak.py [--jobs 1000] [--kills 100] [--rate 0.05]`` prints its figures; the exit code is 1 if one of
them is not as it must be. One of the five backends never answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "faults"), str(HERE)]

import grpc  # noqa: E402 - the way to the tests' helpers comes first
import psutil  # noqa: E402
from fault_rig import BATCH, CREATES, GET  # noqa: E402
from flyte_side import ENDS, metadata_of, state, template_of  # noqa: E402
from flyteidl2.connector.connector_pb2 import CreateTaskRequest, GetTaskRequest, TaskCategory  # noqa: E402
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub  # noqa: E402
from real_processes import Process, accepts, c0_command, clean_environment, free_ports  # noqa: E402
from soak_backend import SoakServer, TimedApi, is_cancelled  # noqa: E402

from yaml_connector import task_from_spec  # noqa: E402

FLYTES_PATIENCE = 10.0
AT_ONCE = 100
SPECS = {
    "plain": {"create": CREATES["idempotent"], "get": GET},
    "adopting": {"create": CREATES["adopt"], "get": GET},
    "stepwise": {"create": CREATES["steps"], "get": GET, "result": {"request": "GET /jobs/${{ job.id }}/result"}},
    "batched": {
        "create": CREATES["idempotent"],
        "get": {**GET, "batch": {**BATCH, "items": "$.jobs[*]", "id": "$.id", "window": "50ms"}},
    },
    "hanging": {"create": CREATES["idempotent"], "get": GET},
}


@dataclass
class Run:
    """One soak run: its backends, its service, and what came of it."""

    folder: Path
    servers: dict[str, SoakServer]
    tasks: dict[str, Any] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slow: float = 0.0
    port: int = 0
    process: Process | None = None
    stub: Any = None

    def write_specs(self) -> None:
        specs = self.folder / "connectors.d"
        specs.mkdir()
        for name, sections in SPECS.items():
            data = {
                "spec_version": 1,
                "task_type_name": name,
                "connection": {"base_url": f"http://127.0.0.1:{self.servers[name].port}", "timeout": "1s"},
                **sections,
            }
            (specs / f"{name}.yaml").write_text(json.dumps(data))
            self.tasks[name] = task_from_spec(specs / f"{name}.yaml", name=name)

    async def start(self) -> None:
        env = clean_environment(self.folder, YAML_CONNECTOR_PATH=str(self.folder / "connectors.d"))
        command = c0_command(self.port, "yaml_connector.service")
        self.process = Process(command, self.folder, env, self.folder / "c0.log")
        deadline = time.monotonic() + 60
        while not accepts(self.port):
            if self.process.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"c0 did not start:\n{self.process.output}")
            await asyncio.sleep(0.05)

    async def call(self, method: Any, request: Any) -> Any:
        began = time.monotonic()
        try:
            return await method(request, timeout=FLYTES_PATIENCE)
        finally:
            self.slow = max(self.slow, time.monotonic() - began)

    def create_request(self, spec: str, run: str) -> Any:
        task = self.tasks[spec]
        return CreateTaskRequest(template=template_of(task), task_execution_metadata=metadata_of(task, run))

    async def job(self, spec: str, run: str) -> None:
        """One job as Flyte drives it: create until it is taken, then get until it is over."""
        request, kept = self.create_request(spec, run), b""
        while not kept:
            try:
                kept = (await self.call(self.stub.CreateTask, request)).resource_meta
            except grpc.RpcError as error:
                self.errors[f"create {error.code().name}"] += 1
                await asyncio.sleep(random.uniform(0.2, 1.0))
        await self.poll(spec, kept)

    async def poll(self, spec: str, kept: bytes) -> None:
        ask = GetTaskRequest(resource_meta=kept, task_category=TaskCategory(name=spec))
        while True:
            try:
                resource = (await self.call(self.stub.GetTask, ask)).resource
            except grpc.RpcError as error:
                self.errors[f"get {error.code().name}"] += 1
            else:
                if state(resource) in ENDS:
                    self.ends[state(resource)] += 1
                    return
            await asyncio.sleep(random.uniform(0.5, 1.5))

    async def kill_again_and_again(self, kills: int) -> None:
        for number in range(kills):
            await asyncio.sleep(random.uniform(0.0, 1.5))
            assert self.process is not None
            self.process.kill()
            await self.start()
            if (number + 1) % 10 == 0:
                print(f"  {number + 1} kills, {self.ends.total()} jobs over", flush=True)

    async def latencies(self, seconds: float, kept: bytes, rss: list[int]) -> list[float]:
        """How long gets of a healthy backend take, one after the other, with the service's memory beside."""
        assert self.process is not None
        process = psutil.Process(self.process.process.pid)
        ask = GetTaskRequest(resource_meta=kept, task_category=TaskCategory(name="plain"))
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            await self.stub.GetTask(ask, timeout=FLYTES_PATIENCE)
            found.append(time.monotonic() - began)
            rss.append(process.memory_info().rss)
            await asyncio.sleep(0.005)
        return found

    async def hang(self, stop: asyncio.Event) -> None:
        """One caller after the other at the backend that never answers."""
        number = 0
        while not stop.is_set():
            number += 1
            try:
                await self.stub.CreateTask(
                    self.create_request("hanging", f"h{number}-{id(stop)}"), timeout=FLYTES_PATIENCE
                )
            except grpc.RpcError:
                self.errors["hanging, as it must"] += 1
                await asyncio.sleep(0.1)


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def soak(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run; gives what is not as it must be."""
    servers = {
        name: SoakServer(TimedApi(1.0, options.longest), options.rate, hangs=name == "hanging") for name in SPECS
    }
    for server in servers.values():
        await server.start()
    run = Run(folder, servers, port=free_ports(1)[0])
    run.write_specs()
    await run.start()
    backoff = [("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 100)]
    wrong = []
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{run.port}", backoff) as channel:
            run.stub = AsyncConnectorServiceStub(channel)
            wrong += await _jobs_and_kills(run, options)
            wrong += await _steady(run, options)
    finally:
        assert run.process is not None
        run.process.send(signal.SIGTERM)
        run.process.stop()
        for server in servers.values():
            await server.heal()
            await server.stop()
    return wrong


async def _jobs_and_kills(run: Run, options: argparse.Namespace) -> list[str]:
    began = time.monotonic()
    stop, places = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    healthy = [name for name in SPECS if name != "hanging"]

    async def one(number: int) -> None:
        async with places:
            await run.job(healthy[number % len(healthy)], f"r{number}")

    hanging = [asyncio.create_task(run.hang(stop)) for _ in range(5)]
    killing = asyncio.create_task(run.kill_again_and_again(options.kills))
    await asyncio.gather(*(one(number) for number in range(options.jobs)))
    await killing
    stop.set()
    await asyncio.gather(*hanging)
    wanted = {name: len(range(number, options.jobs, len(healthy))) for number, name in enumerate(healthy)}
    made = {name: len(run.servers[name].api.jobs) for name in healthy}
    sent, faulty = (sum(getattr(run.servers[name], what) for name in healthy) for what in ("count", "faulty"))
    print(f"jobs            {options.jobs} in {time.monotonic() - began:.0f} s, {options.kills} kills")
    print(f"requests        {sent}, of which {faulty} failed on purpose ({faulty / sent:.1%})")
    print(f"ends            {dict(run.ends)}")
    print(f"jobs made       {made}, wanted {wanted}")
    print(f"errors to Flyte {dict(run.errors)}")
    print(f"longest call    {run.slow:.1f} s", flush=True)
    wrong = []
    cancelled = sum(is_cancelled(f"r{number}-") for number in range(options.jobs))
    if run.ends != Counter(SUCCEEDED=options.jobs - cancelled, ABORTED=cancelled):
        wrong.append("not every job has its right end")
    if made != wanted:
        wrong.append("not exactly one job for each attempt")
    if run.errors["get INTERNAL"] or run.errors["get DEADLINE_EXCEEDED"]:
        wrong.append("a get was raised")
    return wrong


async def _steady(run: Run, options: argparse.Namespace) -> list[str]:
    """The service as it is, without kills: memory, and the time of healthy calls while a backend hangs."""
    for server in run.servers.values():
        server.rate = 0.0
    api = run.servers["plain"].api
    assert isinstance(api, TimedApi)
    request = run.create_request("plain", "steady")
    made = await run.stub.CreateTask(request, timeout=FLYTES_PATIENCE, wait_for_ready=True)  # it was just restarted
    kept = made.resource_meta
    api.ends[json.loads(kept)["id"]] = time.monotonic() + 3600
    rss: list[int] = []
    await run.latencies(options.steady / 4, kept, [])
    alone = await run.latencies(options.steady / 2, kept, [])
    stop = asyncio.Event()
    hanging = [asyncio.create_task(run.hang(stop)) for _ in range(20)]
    beside = await run.latencies(options.steady, kept, rss)
    stop.set()
    await asyncio.gather(*hanging)
    half = rss[len(rss) // 2 :]
    growth = (sum(half[-50:]) / 50 - sum(half[:50]) / 50) / 2**20
    print(f"healthy p99     {p99(alone) * 1e3:.1f} ms alone, {p99(beside) * 1e3:.1f} ms while a backend hangs")
    print(f"memory          {rss[-1] / 2**20:.0f} MiB, {growth:+.1f} MiB over the second half", flush=True)
    wrong = []
    if growth > 3:
        wrong.append("memory grows")
    if p99(beside) > 3 * p99(alone) + 0.05:
        wrong.append("a backend that hangs slows the others down")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.05, help="share of requests that fail")
    parser.add_argument("--longest", type=float, default=40.0, help="seconds that a job takes at most")
    parser.add_argument("--steady", type=float, default=20.0, help="seconds of the measurements at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(soak(options, Path(folder)))
    print("good" if not wrong else "WRONG: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
