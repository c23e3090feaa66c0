"""More than one connector process: ``python -m bench.processes`` (``make bench-processes``).

Processes share nothing, so a client may send each call to any of them; here it goes round. What one process takes from
the machine is in the table too: the client and the backend need their share of the cores, so calls can only scale as
far as there are cores left. So each process gets a share of a core only (`--share`): it is stopped for the rest of the
time, and a small machine shows what a big one would.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from statistics import median
from threading import Event, Thread

from bench import command
from bench.client import Client, Load, Send, drive
from bench.command import Cell, Column
from bench.connected import connected, get_requests
from bench.messages import Reply
from bench.services import Service, Services, environment, free_ports
from bench.spec_files import BASE, CUSTOM, TASK_TYPE

COLUMNS: list[Column] = [
    ("processes", "processes", "d"),
    ("calls_per_s", "calls/s", ".0f"),
    ("scale", "/ one", ".2f"),
    ("cpu_us", "CPU us/call", ".0f"),
    ("services", "services' cores", ".2f"),
    ("client", "client's", ".2f"),
    ("backend", "backend's", ".2f"),
]
AT_ONCE = 64
JOBS = 128
PERIOD = 0.02
"""Seconds in which a process runs for its share."""


def round_robin(clients: Sequence[Client]) -> Send:
    """Sends each call to the next of the services."""
    senders = itertools.cycle([client.senders["GetTask"] for client in clients])

    async def send(request: bytes) -> Reply:
        return await next(senders)(request)

    return send


@contextmanager
def limited(services: Sequence[Service], share: float) -> Iterator[None]:
    """Within it, each of the services runs for this share of the time: one after the other."""
    over = Event()

    def limit() -> None:
        while not over.is_set():
            for service in services:
                service.resume()
                over.wait(share * PERIOD)
                service.pause()
            over.wait(max(0.0, 1 - share * len(services)) * PERIOD)
        for service in services:
            service.resume()

    limiting = Thread(target=limit)
    if share < 1:
        limiting.start()
    try:
        yield
    finally:
        over.set()
        if share < 1:
            limiting.join()


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each number of processes."""
    most = max(options.processes)
    (backend_port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        services = stack.enter_context(Services(environment(BASE.parent, backend_port)))
        jobs = services.start_backend(backend_port)
        up: list[tuple[Service, Client]] = [
            await stack.enter_async_context(connected(services, f"c0-{number}", "yaml_connector.flyte.service"))
            for number in range(most)
        ]
        requests = itertools.cycle(await get_requests(up[0][1], TASK_TYPE, CUSTOM, JOBS))
        taken: dict[int, list[Cell]] = {number: [] for number in options.processes}
        stack.enter_context(limited([service for service, _ in up], options.share))
        for _ in range(options.rounds):
            for number in options.processes:
                command.tell(f"{number} processes")
                send = round_robin([client for _, client in up[:number]])
                await drive(send, requests, Load(AT_ONCE, calls=4 * AT_ONCE))
                before = [each.cpu_seconds() for each, _ in up], jobs.cpu_seconds(), time.process_time()
                timings = await drive(send, requests, Load(AT_ONCE, options.seconds))
                cpu = sum(each.cpu_seconds() for each, _ in up) - sum(before[0])
                calls = len(timings.latencies)
                taken[number].append(
                    {
                        "calls_per_s": calls / timings.seconds,
                        "cpu_us": cpu / calls * 1e6,
                        "services": cpu / timings.seconds,
                        "client": (time.process_time() - before[2]) / timings.seconds,
                        "backend": (jobs.cpu_seconds() - before[1]) / timings.seconds,
                    }
                )
    first = taken[options.processes[0]]
    cells = []
    for number, samples in taken.items():
        scale = median(sample["calls_per_s"] / one["calls_per_s"] for sample, one in zip(samples, first, strict=True))
        medians = {name: median(sample[name] for sample in samples) for name in samples[0]}
        cells.append({"processes": number, **medians, "scale": scale})
    return cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = command.parser("bench.processes", "Calls per second by the number of connector processes.")
    parser.add_argument("--processes", type=command.counts, default=[1, 2, 3], help="several with commas (1,2,3)")
    parser.add_argument("--share", type=_share, default=0.25, help="of a core, for each process: 0.05 to 1 (0.25)")
    parser.add_argument("--rounds", type=command.count, help="how often each is measured (20)")
    parser.add_argument("--seconds", type=command.duration, help="length of each sample (1)")
    options = parser.parse_args(arguments)
    if options.share < 1 < options.share * max(options.processes):
        parser.error(
            f"--share: {max(options.processes)} processes cannot have {options.share} of a core one after the other"
        )
    options.rounds = options.rounds or (3 if options.quick else 20)
    options.seconds = options.seconds or (0.3 if options.quick else 1.0)
    return command.show(options, measure(options), COLUMNS)


def _share(text: str) -> float:
    share = float(text)
    if not 0.05 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share of a core: 0.05 to 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
