"""The last part of the soak: a service without kills. Memory, open files, and the time of healthy calls: alone, and
beside as many requests of a backend that is slow, and of one that hangs."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from statistics import median

import grpc
import psutil
from flyteidl2.connector.connector_pb2 import CreateTaskRequest

from tests.integration.soak.soak_backend import SoakServer
from tests.support.flyte_side import metadata_of, template_of
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.flyte.service_client import ServiceClient, ServiceJob
from yaml_connector.flyte.task import YamlConnectorTask

CALLERS = 20  # of the backend that hangs
SLOW = 0.8  # seconds: less than the timeout, so as many requests as of a backend that hangs
ROUNDS = 6


class HangingCalls:
    """Callers of the spec whose backend hangs, or is slow."""

    def __init__(self, flyte: ServiceClient, task: YamlConnectorTask, backend: SoakServer) -> None:
        self._flyte, self._task, self._backend = flyte, task, backend
        self._template = template_of(task)
        self.failed = 0

    @asynccontextmanager
    async def beside(self, pause: float | None) -> AsyncIterator[None]:
        """So many callers, one call after the other, at a backend that answers after `pause` seconds, or never."""
        self._backend.pause, self._backend.hangs = pause or 0.0, pause is None
        stop = asyncio.Event()
        calling = [asyncio.create_task(self._again_and_again(stop, number)) for number in range(CALLERS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*calling)

    async def _again_and_again(self, stop: asyncio.Event, caller: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await asyncio.sleep(random.uniform(0, 0.4))  # not all at the same moment
            metadata = metadata_of(self._task, f"h{number}-{caller}-{random.getrandbits(32)}")
            request = CreateTaskRequest(template=self._template, task_execution_metadata=metadata)
            try:
                await asyncio.to_thread(self._flyte.submit, self._task, request)
            except grpc.RpcError:
                self.failed += 1


class Steady:
    """Measures one service while nobody kills it."""

    def __init__(self, flyte: ServiceClient, pid: int) -> None:
        self._flyte = flyte
        self._process = psutil.Process(pid)
        self._rss: list[int] = []

    async def measure(
        self, task: YamlConnectorTask, server: SoakServer, hanging: HangingCalls, options: argparse.Namespace
    ) -> list[str]:
        """Print the figures; return what is not as it must be. The three kinds of load take turns, for the machine is
        not always as fast."""
        request = CreateTaskRequest(template=template_of(task), task_execution_metadata=metadata_of(task, "steady"))
        job = await asyncio.to_thread(self._flyte.submit, task, request)
        server.timed.ends[JobMeta.decode(job.kept).id] = time.monotonic() + 3600
        slice_ = options.steady / ROUNDS
        async with hanging.beside(None):
            await self._latencies(slice_, job)
        self._rss.clear()
        rounds: list[tuple[float, float, float]] = []
        open_files: list[int] = []
        for _ in range(ROUNDS):
            alone = await self._latencies(slice_, job)
            open_files.append(self._process.num_fds())
            async with hanging.beside(SLOW):
                slow = await self._latencies(slice_, job)
            async with hanging.beside(None):
                hung = await self._latencies(slice_, job)
            rounds.append((p99(alone), p99(slow), p99(hung)))
        await self._latencies(1, job)
        open_files.append(self._process.num_fds())
        half = self._rss[len(self._rss) // 2 :]
        growth = (sum(half[-50:]) / 50 - sum(half[:50]) / 50) / 2**20
        alone99, slow99, hung99 = (median(times) * 1e3 for times in zip(*rounds, strict=True))
        ratio = median(hung / slow for _, slow, hung in rounds)
        print(f"healthy p99     {alone99:.1f} ms alone, {slow99:.1f} ms beside {CALLERS} callers of a slow backend,")
        print(f"                {hung99:.1f} ms beside {CALLERS} of one that hangs: {ratio:.2f} times the slow one's")
        print(f"memory          {self._rss[-1] / 2**20:.0f} MiB, {growth:+.1f} MiB over the second half")
        print(f"open files      {open_files[0]} at first, {open_files[-1]} at the end", flush=True)
        wrong = []
        if growth > 3:
            wrong.append("memory grows")
        if open_files[-1] > open_files[0] + 5:
            wrong.append("connections are left open")
        if ratio > 1.2 and hung99 > slow99 + 5:
            wrong.append("a backend that hangs slows the others down")
        return wrong

    async def _latencies(self, seconds: float, job: ServiceJob) -> list[float]:
        """How long gets of a healthy backend take, one after the other, with the service's memory beside."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            await asyncio.to_thread(self._flyte.get, job)
            found.append(time.monotonic() - began)
            self._rss.append(self._process.memory_info().rss)
            await asyncio.sleep(0.005)
        return found


def p99(times: list[float]) -> float:
    """The time that one in a hundred exceeds."""
    return sorted(times)[int(len(times) * 0.99)]


async def steady(
    port: int,
    pid: int,
    tasks: dict[str, YamlConnectorTask],
    servers: dict[str, SoakServer],
    options: argparse.Namespace,
) -> list[str]:
    """Measure the service on a port; return what is not as it must be."""
    with closing(ServiceClient(f"127.0.0.1:{port}", timeout=10.0)) as flyte:
        hanging = HangingCalls(flyte, tasks["hanging"], servers["hanging"])
        return await Steady(flyte, pid).measure(tasks["plain"], servers["plain"], hanging, options)
