"""What a poll costs when many share a request: ``python -m bench batch`` (``make bench-batch``).

64 polls at once, which one request of a batch answers; beside them the floor (no HTTP), the hand-written connector with
a shared `aiohttp` session, and the generic one without a batch. They take turns; ratios compare two of the same round.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import command
from bench.client import Client, Load, drive
from bench.command import Cell, Column
from bench.services import Service, Services, connected, environment, get_requests
from bench.spec_files import BATCH, CUSTOM, TASK_TYPE, write_spec

ABOUT = "What a poll costs when many share a request."
COLUMNS: list[Column] = [
    ("connector", "", ""),
    ("cpu_us", "CPU us/poll", ".0f"),
    ("ratio", "/ floor", ".2f"),
    ("calls_per_s", "polls/s", ".0f"),
]
AT_ONCE = 64
JOBS = 128
NO_LIMIT = 1_000_000
HAND_WRITTEN: Mapping[str, str | int] = {"timeout_seconds": 60}
SUBJECTS: dict[str, tuple[str, str, Mapping[str, str | int]]] = {
    "floor": ("bench.handwritten", "bench_floor", HAND_WRITTEN),
    "aiohttp": ("bench.handwritten", "bench_aiohttp", HAND_WRITTEN),
    "yaml": ("yaml_connector.flyte.service", TASK_TYPE, CUSTOM),
    "yaml, batch": ("yaml_connector.flyte.service", f"{TASK_TYPE}_batch", CUSTOM),
}


@dataclass(frozen=True)
class Subject:
    """A connector that is up, and the polls for it."""

    service: Service
    client: Client
    requests: Iterator[bytes]

    async def sample(self, calls: int) -> tuple[float, float]:
        """CPU seconds of the service for each poll, and polls per second."""
        send = self.client.senders["GetTask"]
        await drive(send, self.requests, Load(AT_ONCE, calls=2 * AT_ONCE))
        before = self.service.cpu_seconds()
        timings = await drive(send, self.requests, Load(AT_ONCE, calls=calls))
        return (self.service.cpu_seconds() - before) / calls, calls / timings.seconds


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each connector."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        write_spec(folder)
        write_spec(folder, {"get": {"batch": {**BATCH, "max": AT_ONCE}}}, f"{TASK_TYPE}_batch")
        services = stack.enter_context(Services())
        env = environment(folder, services.start_backend("limited", NO_LIMIT))
        up: dict[str, tuple[Service, Client]] = {}
        subjects: dict[str, Subject] = {}
        for name, (module, kind, custom) in SUBJECTS.items():
            if module not in up:
                up[module] = await stack.enter_async_context(connected(services, module, env))
            service, client = up[module]
            subjects[name] = Subject(service, client, itertools.cycle(await get_requests(client, kind, custom, JOBS)))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
        for number in range(options.rounds):
            command.tell(f"round {number + 1} of {options.rounds}")
            for name, subject in subjects.items():
                taken[name].append(await subject.sample(options.calls))
    return [
        {
            "connector": name,
            "cpu_us": median(cpu for cpu, _ in samples) * 1e6,
            "ratio": median(cpu / floor for (cpu, _), (floor, _) in zip(samples, taken["floor"], strict=True)),
            "calls_per_s": median(rate for _, rate in samples),
        }
        for name, samples in taken.items()
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--rounds", type=command.count, help="how often each is measured (40)")
    parser.add_argument("--calls", type=command.count, default=512, help="polls for each sample (512)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.rounds = options.rounds or (5 if options.quick else 40)
