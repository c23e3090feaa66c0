"""What a backend that hangs and a slow one do to calls for a healthy one: ``python -m bench neighbours``
(``make bench-neighbours``).

One `c0` with five specs. The healthy one is asked at a steady rate all the time, and so are two others: in turns two
with a healthy backend (alone), and two of which one backend never answers and the other is slow (beside them). So the
service gets as many calls in both cases. A turn is measured once the calls that hang have piled up.
"""

import argparse
import asyncio
import itertools
import math
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench import command
from bench.client import Send
from bench.command import Cell, Column
from bench.services import Services, connected, environment, get_requests
from bench.spec_files import CUSTOM, write_spec

ABOUT = "What a hanging and a slow backend do to calls for a healthy one."
COLUMNS: list[Column] = [
    ("phase", "", ""),
    ("p50_ms", "p50 ms", ".2f"),
    ("p99_ms", "p99 ms", ".2f"),
    ("max_ms", "max ms", ".1f"),
    ("ratio", "p99 / alone", ".2f"),
    ("calls", "calls", "d"),
    ("failed", "failed", "d"),
    ("others_at_once", "others at once", "d"),
]

HANGS, SLOW = 3600.0, 2.0
"""Seconds that the two backends take."""

BACKENDS = {"healthy": 0.0, "calm_a": 0.0, "calm_b": 0.0, "hanging": HANGS, "slow": SLOW}
PHASES = {"alone": ("calm_a", "calm_b"), "beside them": ("hanging", "slow")}
PILE_UP = 4.0
"""Seconds until as many calls hang as ever will (about: a spec's timeout is 5 s, its deadline 9 s)."""

JOBS = 512


class Steady:
    """Calls at a steady rate, whether or not those before were answered."""

    def __init__(self, send: Send, requests: Sequence[bytes], rate: float) -> None:
        self._send = send
        self._requests = itertools.cycle(requests)
        self._rate = rate
        self._tasks: set[asyncio.Task[None]] = set()
        self.latencies: list[float] = []
        self.failed = self.most = 0

    async def run(self, seconds: float = math.inf) -> None:
        """Calls for that long; cancelled, it leaves the calls that are under way alone."""
        start = time.perf_counter()
        for number in itertools.count():
            due = start + number / self._rate
            if due > start + seconds:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self._call())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.most = max(self.most, len(self._tasks))

    async def finish(self) -> None:
        """Waits for the calls that are under way."""
        await asyncio.gather(*self._tasks)

    async def _call(self) -> None:
        start = time.perf_counter()
        try:
            await self._send(next(self._requests))
        except Exception:
            self.failed += 1
        self.latencies.append(time.perf_counter() - start)


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each phase."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        services = stack.enter_context(Services())
        for name, seconds in BACKENDS.items():
            backend = services.start_backend("plain", seconds)
            write_spec(folder, {"connection": {"base_url": f"http://127.0.0.1:{backend.port}"}}, name)
        _, client = await stack.enter_async_context(
            connected(services, "yaml_connector.flyte.service", environment(folder))
        )
        send = client.senders["GetTask"]
        requests = {name: await get_requests(client, name, CUSTOM, JOBS) for name in BACKENDS}
        taken: dict[str, list[Steady]] = {phase: [] for phase in PHASES}
        others: dict[str, int] = {}
        for number in range(options.rounds + 1):
            command.tell(f"round {number} of {options.rounds}" if number else "warming up")
            for phase, names in PHASES.items():
                beside = [Steady(send, requests[name], options.others_rate) for name in names]
                running = [asyncio.create_task(each.run()) for each in beside]
                await asyncio.sleep(PILE_UP)
                healthy = Steady(send, requests["healthy"], options.rate)
                await healthy.run(options.seconds)
                await healthy.finish()
                for task in running:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                for each in beside:
                    await each.finish()
                if number:
                    taken[phase].append(healthy)
                    others[phase] = max(others.get(phase, 0), sum(each.most for each in beside))
    alone = [_p99(each) for each in taken["alone"]]
    cells = []
    for phase, samples in taken.items():
        latencies = [latency for each in samples for latency in each.latencies]
        ratios = [_p99(each) / base for each, base in zip(samples, alone, strict=True)]
        cells.append(
            {
                "phase": phase,
                "p50_ms": median(latencies) * 1e3,
                "p99_ms": median(map(_p99, samples)) * 1e3,
                "max_ms": max(latencies) * 1e3,
                "ratio": median(ratios),
                "ratios": ratios,
                "calls": len(latencies),
                "failed": sum(each.failed for each in samples),
                "others_at_once": others[phase],
            }
        )
    return cells


def _p99(calls: Steady) -> float:
    return quantiles(calls.latencies, n=100, method="inclusive")[98]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--rounds", type=command.count, help="how often each is measured (10)")
    parser.add_argument("--seconds", type=command.duration, help="length of each sample (8)")
    parser.add_argument("--rate", type=command.count, default=150, help="calls a second for the healthy one (150)")
    parser.add_argument("--others-rate", type=command.count, default=15, help="for each of the two others (15)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.rounds = options.rounds or (2 if options.quick else 10)
    options.seconds = options.seconds or (3.0 if options.quick else 8.0)
