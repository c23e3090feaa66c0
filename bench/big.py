"""Big answers: ``python -m bench big`` (``make bench-big``).

A status document of 1 MB: the CPU time of a poll beside that of `json.loads` of the same document, which is measured in
this process in the same round. (Half of both is garbage collection, which takes the longer the more there is in memory:
so this process has everything imported that a service has.) A text log of 100 MB: its speed beside that of a
hand-written reader, and by how much the memory of the services grows at most while they read it.
"""

import argparse
import importlib
import itertools
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import command, messages
from bench.backend import log_text, status_document
from bench.client import Client, Load, drive
from bench.command import Cell, Column
from bench.messages import WrongAnswerError
from bench.services import Service, Services, connected, environment, running_jobs
from bench.spec_files import CUSTOM, TASK_TYPE, write_spec

ABOUT = "A big status document, and a big log."
COLUMNS: list[Column] = [
    ("connector", "", ""),
    ("status_ms", "status: CPU ms", ".2f"),
    ("to_decoding", "/ json.loads", ".2f"),
    ("log_mb_s", "log: MB/s", ".1f"),
    ("log_time", "time / hand-written", ".2f"),
    ("log_cpu_s", "CPU s", ".2f"),
    ("log_cpu", "CPU / hand-written", ".2f"),
    ("grown_mb", "grown by MB", ".1f"),
]

MEGABYTE = 1_000_000
REFERENCE = "hand-written"
LONG = 300.0
"""Seconds that reading the log may take; in service, a call has 9 s, and the next one reads on."""

CHANGES = {
    "result": None,
    "connection": {"deadline": f"{LONG:.0f}s"},
    "logs": {
        "request": {"path": "/jobs/${{ job.id }}/logs", "query": None},
        "format": "text",
        "max_time": f"{LONG:.0f}s",
        **dict.fromkeys(("lines", "message", "timestamp", "next")),
    },
}


@dataclass(frozen=True)
class Reader:
    """A connector to measure."""

    name: str
    task_type: str
    module: str
    custom: Mapping[str, str | int]


READERS = [
    Reader(REFERENCE, "bench_text_log", "bench.handwritten", {"timeout_seconds": 60}),
    Reader("yaml", TASK_TYPE, "yaml_connector.flyte.service", CUSTOM),
]


class Measured:
    """A connector that is up, and what was measured of it."""

    def __init__(self, reader: Reader, service: Service, client: Client, meta: bytes) -> None:
        self.reader = reader
        self._service = service
        self._client = client
        self._get = messages.get_request(reader.task_type, meta)
        self._logs = messages.logs_request(reader.task_type, meta)
        self.status: list[float] = []
        self.log_seconds: list[float] = []
        self.log_cpu: list[float] = []
        self.grown = 0

    async def read_status(self, calls: int, *, keep: bool) -> None:
        """Polls so many times, one after the other."""
        before = self._service.cpu_seconds()
        timings = await drive(self._client.senders["GetTask"], itertools.repeat(self._get), Load(1, calls=calls))
        cpu = self._service.cpu_seconds() - before
        for reply in timings.replies:
            messages.check_running(reply)
        if keep:
            self.status.append(cpu / calls)

    async def read_log(self, size: int) -> None:
        """Reads the whole log, and forgets it."""
        memory, cpu, start = self._service.memory(), self._service.cpu_seconds(), time.perf_counter()
        received = 0
        async for message in self._client.logs(self._logs, LONG):
            received += len(message)
        self.log_seconds.append(time.perf_counter() - start)
        self.log_cpu.append(self._service.cpu_seconds() - cpu)
        self.grown = max(self.grown, self._service.most_memory() - memory)
        if received < size:
            raise WrongAnswerError(f"{self.reader.name}: the log has {size} bytes, and {received} came")


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each connector."""
    importlib.import_module("yaml_connector.flyte.connector")  # see above
    document, log = status_document(options.status), len(log_text(options.log))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        write_spec(folder, CHANGES)
        services = stack.enter_context(Services())
        env = environment(folder, services.start_backend("big", options.status, options.log))
        measured = []
        for reader in READERS:
            service, client = await stack.enter_async_context(connected(services, reader.module, env))
            (meta,) = await running_jobs(client, reader.task_type, reader.custom, 1)
            measured.append(Measured(reader, service, client, meta))
        decoding: list[float] = []
        for number in range(options.rounds + 1):
            command.tell(f"round {number} of {options.rounds}" if number else "warming up")
            start = time.process_time()
            for _ in range(options.calls):
                json.loads(document)
            if number:
                decoding.append((time.process_time() - start) / options.calls)
            for each in measured:
                await each.read_status(options.calls, keep=number > 0)
        for number in range(options.logs):
            for each in measured:
                command.tell(f"log {number + 1} of {options.logs}, {each.reader.name}")
                await each.read_log(log)
    hand_written = measured[0]
    return [_cell(each, hand_written, decoding, log) for each in measured]


def _cell(measured: Measured, hand_written: Measured, decoding: list[float], log: int) -> Cell:
    return {
        "connector": measured.reader.name,
        "status_ms": median(measured.status) * 1e3,
        "decoding_ms": median(decoding) * 1e3,
        "to_decoding": _ratio(measured.status, decoding),
        "log_mb_s": log / MEGABYTE / median(measured.log_seconds),
        "log_time": _ratio(measured.log_seconds, hand_written.log_seconds),
        "log_cpu_s": median(measured.log_cpu),
        "log_cpu": _ratio(measured.log_cpu, hand_written.log_cpu),
        "grown_mb": measured.grown / MEGABYTE,
    }


def _ratio(samples: list[float], references: list[float]) -> float:
    return median(sample / reference for sample, reference in zip(samples, references, strict=True))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--status", type=command.count, default=MEGABYTE, help="bytes of the status document (1 MB)")
    parser.add_argument("--log", type=command.count, help="bytes of the log (100 MB)")
    parser.add_argument("--calls", type=command.count, default=10, help="polls for each sample (10)")
    parser.add_argument("--rounds", type=command.count, help="samples of the poll (20)")
    parser.add_argument("--logs", type=command.count, help="how often the log is read (5)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.log = options.log or (10 if options.quick else 100) * MEGABYTE
    options.rounds = options.rounds or (3 if options.quick else 20)
    options.logs = options.logs or (1 if options.quick else 5)
