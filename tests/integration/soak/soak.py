"""Load, faults and kills: many jobs over five specs through the connector service, killed again and again.

``python -m tests.integration.soak.soak [--jobs 1000] [--kills 100] [--rate 0.05]`` prints its figures; the exit code
is 1 if one of them is not as it must be. One of the five backends never answers.
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
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import grpc
import psutil
from flyteidl2.connector.connector_pb2 import CreateTaskRequest

from tests.integration.faults.fault_rig import BATCH, CREATES, GET
from tests.integration.soak.soak_backend import SoakServer, TimedApi, is_cancelled
from tests.support.flyte_side import ENDS, metadata_of, state, template_of
from tests.support.ports import accepts, held_socket
from tests.support.real_processes import Process, clean_environment
from yaml_connector import task_from_spec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.flyte.service_client import ServiceClient, ServiceJob

FLYTES_PATIENCE = 10.0
AT_ONCE = 100
CALLERS = 20  # of the backend that hangs
RECONNECT = [("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 100)]
SLOW = 0.8  # seconds: less than the timeout, so as many requests as of a backend that hangs
ROUNDS = 6
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
T = TypeVar("T")


@dataclass
class Run:
    """One soak run: its backends, its service, and what came of it."""

    folder: Path
    servers: dict[str, SoakServer]
    tasks: dict[str, Any] = field(default_factory=dict)
    templates: dict[str, Any] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rss: list[int] = field(default_factory=list)
    slow: float = 0.0
    port: int = 0
    process: Process | None = None
    flyte: Any = None  # the ServiceClient, as soon as there is a service

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
        command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--specs", "connectors.d"]
        command += ["--port", str(self.port)]
        self.process = Process(command, self.folder, clean_environment(self.folder), self.folder / "serve.log")
        deadline = time.monotonic() + 60
        while not accepts(self.port):
            if self.process.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the service did not start:\n{self.process.output}")
            await asyncio.sleep(0.05)

    async def call(self, method: Callable[..., T], *args: Any) -> T:
        """Make a call of the service client in a thread, and keep the longest time."""
        began = time.monotonic()
        try:
            return await asyncio.to_thread(method, *args)
        finally:
            self.slow = max(self.slow, time.monotonic() - began)

    def submit(self, spec: str, run: str) -> ServiceJob:
        task = self.tasks[spec]
        if spec not in self.templates:  # making one takes as long as many calls, and would be measured with them
            self.templates[spec] = template_of(task)
        request = CreateTaskRequest(template=self.templates[spec], task_execution_metadata=metadata_of(task, run))
        job: ServiceJob = self.flyte.submit(task, request)
        return job

    async def job(self, spec: str, run: str) -> None:
        """One job as Flyte drives it: create until it is taken, then get until it is over."""
        job: ServiceJob | None = None
        while job is None:
            try:
                job = await self.call(self.submit, spec, run)
            except grpc.RpcError as error:
                self.errors[f"create {error.code().name}"] += 1
                await asyncio.sleep(random.uniform(0.2, 1.0))
        await self.poll(job)

    async def poll(self, job: ServiceJob) -> None:
        while True:
            try:
                resource = await self.call(self.flyte.get, job)
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

    async def latencies(self, seconds: float, job: ServiceJob) -> list[float]:
        """How long gets of a healthy backend take, one after the other, with the service's memory beside."""
        assert self.process is not None
        process = psutil.Process(self.process.process.pid)
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            await asyncio.to_thread(self.flyte.get, job)
            found.append(time.monotonic() - began)
            self.rss.append(process.memory_info().rss)
            await asyncio.sleep(0.005)
        return found

    def open_files(self) -> int:
        """How many files and sockets the service has open."""
        assert self.process is not None
        return int(psutil.Process(self.process.process.pid).num_fds())

    @asynccontextmanager
    async def callers(self, pause: float | None) -> AsyncIterator[None]:
        """So many callers, one call after the other, at a backend that answers after `pause` seconds, or never."""
        backend = self.servers["hanging"]
        backend.pause, backend.hangs = pause or 0.0, pause is None
        stop = asyncio.Event()
        calling = [asyncio.create_task(self.call_again_and_again(stop)) for _ in range(CALLERS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*calling)

    async def call_again_and_again(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await asyncio.sleep(random.uniform(0, 0.4))  # not all at the same moment
            try:
                await asyncio.to_thread(self.submit, "hanging", f"h{number}-{id(asyncio.current_task())}")
            except grpc.RpcError:
                self.errors["hanging, as it must"] += 1


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def soak(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run; gives what is not as it must be."""
    servers = {
        name: SoakServer(TimedApi(1.0, options.longest), options.rate, hangs=name == "hanging") for name in SPECS
    }
    for server in servers.values():
        await server.start()
    held = held_socket()
    run = Run(folder, servers, port=held.getsockname()[1])
    run.write_specs()
    await run.start()
    wrong = []
    try:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE + CALLERS + 8))
        run.flyte = ServiceClient(f"127.0.0.1:{run.port}", timeout=FLYTES_PATIENCE, options=RECONNECT)
        with closing(run.flyte):
            wrong += await _jobs_and_kills(run, options)
            wrong += await _steady(run, options)
    finally:
        assert run.process is not None
        run.process.send(signal.SIGTERM)
        run.process.stop()
        held.close()
        for server in servers.values():
            await server.heal()
            await server.stop()
    return wrong


async def _jobs_and_kills(run: Run, options: argparse.Namespace) -> list[str]:
    began = time.monotonic()
    places = asyncio.Semaphore(AT_ONCE)
    healthy = [name for name in SPECS if name != "hanging"]

    async def one(number: int) -> None:
        async with places:
            await run.job(healthy[number % len(healthy)], f"r{number}")

    async with run.callers(None):
        killing = asyncio.create_task(run.kill_again_and_again(options.kills))
        await asyncio.gather(*(one(number) for number in range(options.jobs)))
        await killing
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
    """The service as it is, without kills: memory, open files, and the time of healthy calls: alone, and beside as many
    requests of a backend that is slow, and of one that hangs. The three take turns, for the machine is not always as
    fast."""
    for server in run.servers.values():
        server.rate = 0.0
    api = run.servers["plain"].api
    assert isinstance(api, TimedApi)
    ready = grpc.channel_ready_future(run.flyte.channel)  # the service was just restarted
    await asyncio.to_thread(ready.result, FLYTES_PATIENCE)
    job = await run.call(run.submit, "plain", "steady")
    api.ends[JobMeta.decode(job.kept).id] = time.monotonic() + 3600
    slice_ = options.steady / ROUNDS
    async with run.callers(None):
        await run.latencies(slice_, job)
    run.rss.clear()
    rounds: list[tuple[float, float, float]] = []
    open_files: list[int] = []
    for _ in range(ROUNDS):
        alone = await run.latencies(slice_, job)
        open_files.append(run.open_files())
        async with run.callers(SLOW):
            slow = await run.latencies(slice_, job)
        async with run.callers(None):
            hanging = await run.latencies(slice_, job)
        rounds.append((p99(alone), p99(slow), p99(hanging)))
    await run.latencies(1, job)
    open_files.append(run.open_files())
    half = run.rss[len(run.rss) // 2 :]
    growth = (sum(half[-50:]) / 50 - sum(half[:50]) / 50) / 2**20
    alone99, slow99, hanging99 = (median(times) * 1e3 for times in zip(*rounds, strict=True))
    ratio = median(hanging / slow for _, slow, hanging in rounds)
    print(f"healthy p99     {alone99:.1f} ms alone, {slow99:.1f} ms beside {CALLERS} callers of a slow backend,")
    print(f"                {hanging99:.1f} ms beside {CALLERS} of one that hangs: {ratio:.2f} times the slow one's")
    print(f"memory          {run.rss[-1] / 2**20:.0f} MiB, {growth:+.1f} MiB over the second half")
    print(f"open files      {open_files[0]} at first, {open_files[-1]} at the end", flush=True)
    wrong = []
    if growth > 3:
        wrong.append("memory grows")
    if open_files[-1] > open_files[0] + 5:
        wrong.append("connections are left open")
    if ratio > 1.2 and hanging99 > slow99 + 5:
        wrong.append("a backend that hangs slows the others down")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.05, help="share of requests that fail")
    parser.add_argument("--longest", type=float, default=40.0, help="seconds that a job takes at most")
    parser.add_argument("--steady", type=float, default=20.0, help="seconds of each measurement at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(soak(options, Path(folder)))
    print("good" if not wrong else "WRONG: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
