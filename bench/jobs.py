"""Many running jobs behind a backend with a limit: ``python -m bench jobs`` (``make bench-jobs``).

    Flyte's part (this process) --gRPC--> c0 --HTTP--> a backend with a limit

Every job is asked for once in an interval, 30 s as Flyte does it, one after the other over the interval; never twice at
the same time. (By default Flyte has 10 workers and asks for 10 jobs a second at most, which must be raised for that:
the table tells how many calls were under way at most. `--workers` sets a bound.) Time is not compressed.

A job may change at any moment of `--seconds`; the age is how long after that moment a reply says so. Every answer of
the backend tells when the job was read, so this is computed for all moments, not tried for some. `too early` counts
requests for a job during a Retry-After for it; `least gap` is the shortest time between two reads of one job, for which
the variant with `min_interval` says one and a half intervals.
"""

import argparse
import asyncio
import itertools
import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from flyteidl2.connector import connector_pb2 as pb
from flyteidl2.core.execution_pb2 import TaskExecution

from bench import command
from bench.client import Client, Load, drive
from bench.command import Cell, Column
from bench.services import Service, Services, connected, environment, get_requests
from bench.spec_files import BATCH, CUSTOM, TASK_TYPE, write_spec

WARM_UP_JOBS = 512
"""As many at once: what calls under way take is there before the memory is read, so that the rest is the jobs'."""
SETTLE = 1.0
"""Seconds for a service to come to rest before its memory is read."""


@dataclass(frozen=True)
class Variant:
    """A way to ask for the jobs: the changes of the spec, or none for the floor."""

    name: str
    changes: Mapping[str, Any] | None = None


def variants(limit: int, interval: float) -> list[Variant]:
    """All ways, for a backend with this limit and polls in this interval."""
    known = {"rate_limit": {"requests": limit, "per": "1s"}}
    seldom = {"min_interval": f"{1.5 * interval * 1000:.0f}ms"}
    return [
        Variant("floor"),
        Variant("alone", {}),
        Variant("alone, rate_limit", {"connection": known}),
        Variant("batch", {"get": {"batch": BATCH}}),
        Variant("batch, rate_limit", {"connection": known, "get": {"batch": BATCH}}),
        Variant("batch, min_interval", {"get": {"batch": BATCH, "poll": seldom}}),
    ]


ABOUT = "Many running jobs behind a backend with a limit."
COLUMNS: list[Column] = [
    ("variant", "", ""),
    ("jobs", "jobs", "d"),
    ("age_p50", "age p50 s", ".1f"),
    ("age_p99", "p99 s", ".1f"),
    ("age_max", "max s", ".1f"),
    ("unseen", "not seen", "d"),
    ("failed", "failed", "d"),
    ("requests_per_s", "requests/s", ".1f"),
    ("busiest", "in 1 s", "d"),
    ("refused", "429s", "d"),
    ("too_early", "too early", "d"),
    ("shortest_gap", "least gap s", ".1f"),
    ("polls", "polls", "d"),
    ("at_once", "at once", "d"),
    ("cpu_us", "CPU us/poll", ".0f"),
    ("floor", "/ floor", ".2f"),
    ("rss_mb", "RSS MB", ".0f"),
    ("job_bytes", "bytes/job", ".0f"),
]


@dataclass
class Job:
    """What Flyte knows of one job: when it was read at the backend, and when that reply came."""

    request: bytes
    read: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    replies: list[tuple[float, bytes]] = field(default_factory=list)
    asked: bool = False
    failed: bool = False

    def take(self) -> None:
        """Reads the replies: all that are news."""
        for arrived, reply in self.replies:
            resource = pb.GetTaskResponse.FromString(reply).resource
            self.failed = self.failed or resource.phase != TaskExecution.RUNNING
            try:
                read = float(resource.message)
            except ValueError:
                continue  # unreadable
            if not self.read or read > self.read[-1]:
                self.read.append(read)
                self.seen.append(arrived)


class Flyte:
    """Polls jobs as Flyte does, so many at once at most (None: as many as it takes)."""

    def __init__(self, client: Client, jobs: Sequence[Job], interval: float, workers: int | None) -> None:
        self._get = client.senders["GetTask"]
        self._workers = asyncio.Semaphore(workers or len(jobs))
        self._jobs = jobs
        self._interval = interval
        self.polls = self.at_once = self._under_way = 0

    async def poll(self, seconds: float) -> None:
        """Asks for every job once an interval, for that long, and waits for the last replies."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                due = start + number * self._interval / len(self._jobs)
                now = time.monotonic()
                if max(due, now) > start + seconds:
                    return
                await asyncio.sleep(max(0.0, due - now))
                job = self._jobs[number % len(self._jobs)]
                if not job.asked:
                    job.asked = True
                    await self._workers.acquire()
                    group.create_task(self._ask(job))

    async def _ask(self, job: Job) -> None:
        self.polls += 1
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            reply = await self._get(job.request)
            job.replies.append((time.monotonic(), reply[0]))
        except grpc.RpcError:  # what Flyte counts, and gives the job up after a few
            job.failed = True
        finally:
            job.asked = False
            self._under_way -= 1
            self._workers.release()


def ages(jobs: Sequence[Job], start: float, watched: float, end: float) -> dict[str, float | int]:
    """How long after a change Flyte knew of it: over all jobs, and all moments from `start` for `watched` seconds.

    What was not known at the `end` counts as known then: the largest figures are lower bounds if `unseen` is not 0.
    """
    spans: list[tuple[float, float, float]] = []  # the length of a span of moments, and the ages at its end and start
    unseen = 0
    for job in jobs:
        since = start
        for read, seen in zip([*job.read, float("inf")], [*job.seen, end], strict=True):
            until = min(read, start + watched)
            if until > since:
                spans.append((until - since, seen - until, seen - since))
                unseen += read == float("inf")
                since = until
    points = sorted((low + (high - low) * part, length) for length, low, high in spans for part in _PARTS)
    total = sum(length for _, length in points)
    found, passed = {}, 0.0
    wanted = iter([("age_p50", 0.5), ("age_p99", 0.99)])
    name, share = next(wanted)
    for age, length in points:
        passed += length
        while name and passed >= share * total:
            found[name] = age
            name, share = next(wanted, ("", 1.0))
    return {**found, "age_max": max(high for *_, high in spans), "unseen": unseen}


_PARTS = [(number + 0.5) / 16 for number in range(16)]


async def simulate(variant: Variant, number: int, options: argparse.Namespace) -> Cell:
    """One row of the table, with processes of its own."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        services = stack.enter_context(Services())
        backend = services.start_backend("limited", options.limit)
        kind, module = "bench_floor", "bench.handwritten"
        custom: Mapping[str, str | int] = {"timeout_seconds": 60}
        if variant.changes is not None:
            changes = {"result": None, **variant.changes}
            write_spec(folder, changes)
            kind, module, custom = TASK_TYPE, "yaml_connector.flyte.service", CUSTOM
        service, client = await stack.enter_async_context(connected(services, module, environment(folder, backend)))
        requests = await get_requests(client, kind, custom, number + WARM_UP_JOBS)
        await drive(client.senders["GetTask"], iter(requests[number:]), Load(WARM_UP_JOBS, calls=WARM_UP_JOBS))
        await asyncio.sleep(SETTLE)
        before = service.memory()
        await asyncio.to_thread(_seen, backend.port)
        cell: Cell = {"variant": variant.name, "jobs": number}
        return cell | await _polled(service, client, list(map(Job, requests[:number])), before, backend.port, options)


async def _polled(
    service: Service,
    client: Client,
    jobs: list[Job],
    before: int,
    backend_port: int,
    options: argparse.Namespace,
) -> Cell:
    flyte = Flyte(client, jobs, options.interval, options.workers)
    cpu, start = service.cpu_seconds(), time.monotonic()
    await flyte.poll(options.seconds + 2 * options.interval)  # what changes last has time to be seen
    end = time.monotonic()
    cpu = service.cpu_seconds() - cpu
    for job in jobs:
        job.take()
    seen = await asyncio.to_thread(_seen, backend_port)
    await asyncio.sleep(SETTLE)
    memory = service.memory()
    cell: Cell = {
        "failed": sum(job.failed for job in jobs),
        "polls": flyte.polls,
        "at_once": flyte.at_once,
        "cpu_us": cpu / flyte.polls * 1e6,
        "rss_mb": memory / 2**20,
        "job_bytes": (memory - before) / len(jobs),
    }
    if seen["reads"]:
        cell |= ages(jobs, start, options.seconds, end)
        cell |= {**seen, "requests_per_s": seen["reads"] / (end - start)}
    return cell


def _seen(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=5) as response:
        return dict(json.load(response))


async def measure(options: argparse.Namespace) -> list[Cell]:
    """All rows: for each number of jobs, each variant."""
    chosen = [
        each for each in variants(options.limit, options.interval) if options.only is None or each.name in options.only
    ]
    cells: list[Cell] = []
    for number in options.jobs:
        floor: float | None = None
        for variant in chosen:
            command.tell(f"{number} jobs, {variant.name}")
            cell = await simulate(variant, number, options)
            floor = cell["cpu_us"] if variant.name == "floor" else floor
            cells.append({**cell, "floor": cell["cpu_us"] / floor if floor else None})
    return cells


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    names = "; ".join(each.name for each in variants(1, 1))
    parser.add_argument("--jobs", type=command.counts, help="how many, several with commas (100,1000,10000)")
    parser.add_argument("--only", help=f"variants, with ; between: {names}", type=lambda text: text.split(";"))
    parser.add_argument("--interval", type=command.duration, help="seconds between two polls of a job (30, as Flyte)")
    parser.add_argument("--seconds", type=command.duration, help="how long jobs may change (60)")
    parser.add_argument("--workers", type=command.count, help="polls at once at most (as many as it takes; Flyte: 10)")
    parser.add_argument("--limit", type=command.count, default=10, help="requests a second that the backend answers")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.jobs = options.jobs or ([100, 1000] if options.quick else [100, 1000, 10_000])
    options.interval = options.interval or (5.0 if options.quick else 30.0)
    options.seconds = options.seconds or (10.0 if options.quick else 60.0)
