"""What one connector call costs, beside hand-written connectors: ``python -m bench calls`` (``make bench``).

    client (this process) --gRPC--> the service with one connector --HTTP--> backend

`yaml` is served as `YamlConnectorEnvironment` does it, by `yaml-connector serve`; all others by `c0`.

Every figure is the median over the rounds. Within a round the connectors are measured one right after the other for
each operation, and a ratio compares two samples of the same round: other load on the machine affects both. With five
equal connectors on two busy cores, nine of ten ratios are within 4 % of 1 and the worst is 7 % off; in a quick run nine
of ten are within 16 %, and the worst is 35 % off.
"""

import argparse
import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median, quantiles

from bench import command, messages
from bench.client import Client, Load, drive
from bench.command import Cell, Column
from bench.messages import Reply, WrongAnswerError
from bench.services import Service, Services, connected, count_requests, environment
from bench.spec_files import BASE, CUSTOM, TASK_TYPE

ABOUT = "What one connector call costs, beside hand-written connectors."
COLUMNS: list[Column] = [
    ("operation", "", ""),
    ("connector", "", ""),
    ("at_once", "at once", "d"),
    ("ratio", "CPU / aiohttp", ".2f"),
    ("ratio_low", "quarter", ".2f"),
    ("ratio_high", "three", ".2f"),
    ("cpu_us", "CPU us/call", ".0f"),
    ("calls_per_s", "calls/s", ".0f"),
    ("p50_ms", "p50 ms", ".2f"),
    ("p99_ms", "p99 ms", ".2f"),
]
AT_ONCE = (1, 8, 64)
JOBS = 128
"""Jobs of each kind to go round: more than calls at once, so that no two calls at a time are for the same job."""

CREATES = 4096
"""Different create requests to go round."""


@dataclass(frozen=True)
class Subject:
    """A connector to measure: its name, its task type, the module that `c0` loads (None: `yaml-connector serve` runs
    it), the task template's `custom`, and whether it sends HTTP requests at all."""

    name: str
    task_type: str
    module: str | None
    custom: Mapping[str, str | int]
    http: bool = True


@dataclass(frozen=True)
class Operation:
    """A kind of call: its gRPC method, and the HTTP requests that the backend must see for each call (None: any
    number)."""

    name: str
    method: str
    requests: int | None
    check: Callable[[Reply], None]


REFERENCE = "aiohttp"
HAND_WRITTEN: Mapping[str, str | int] = {"timeout_seconds": 60}
SUBJECTS = [
    Subject("floor", "bench_floor", "bench.handwritten", HAND_WRITTEN, http=False),
    Subject(REFERENCE, "bench_aiohttp", "bench.handwritten", HAND_WRITTEN),
    Subject("yaml", TASK_TYPE, None, CUSTOM),
    Subject("yaml, c0", TASK_TYPE, "yaml_connector.flyte.service", CUSTOM),
]
OPERATIONS = [
    Operation("get", "GetTask", 1, messages.check_running),
    Operation("success", "GetTask", 2, messages.check_succeeded),
    Operation("create", "CreateTask", 1, messages.check_create),
    # get is asked first unless the job was seen just now, and nothing is sent to one that is over
    Operation("delete", "DeleteTask", None, messages.check_delete),
    Operation("logs", "GetTaskLogs", 1, messages.check_logs),
]


@dataclass(frozen=True)
class Sample:
    """One measurement of one cell; times in seconds, `cpu` of the service process for each call."""

    cpu: float
    rate: float
    p50: float
    p99: float


class Runner:
    """A connector that is up, with the requests for it."""

    def __init__(self, subject: Subject, service: Service, client: Client, backend: Service) -> None:
        self.subject = subject
        self._service = service
        self._client = client
        self._backend = backend
        self._requests: dict[str, Iterator[bytes]] = {}

    async def prepare(self, operations: Sequence[Operation]) -> None:
        """Creates the jobs by real calls, and calls everything to warm up. Raises one of `FAILURES`."""
        kind, custom = self.subject.task_type, self.subject.custom
        numbers = itertools.count(1)

        async def jobs(name: str) -> list[bytes]:
            requests = [messages.create_request(kind, custom, name, next(numbers)) for _ in range(JOBS)]
            timings = await drive(self._client.senders["CreateTask"], iter(requests), Load(16, calls=JOBS))
            return [messages.resource_meta(reply) for reply in timings.replies]

        running, done, unwanted = await jobs("training"), await jobs("done-training"), await jobs("unwanted")
        pools = {
            "create": [messages.create_request(kind, custom, "training", next(numbers)) for _ in range(CREATES)],
            "get": [messages.get_request(kind, meta) for meta in running],
            "success": [messages.get_request(kind, meta) for meta in done],
            "delete": [messages.delete_request(kind, meta) for meta in unwanted],
            "logs": [messages.logs_request(kind, meta) for meta in running],
        }
        self._requests = {name: itertools.cycle(pool) for name, pool in pools.items()}
        for operation in operations:
            await self.sample(operation, Load(64, calls=256))

    async def sample(self, operation: Operation, load: Load) -> Sample:
        """Measures one cell once, after a few calls that fill the connection pools again. Raises one of `FAILURES`."""
        send, requests = self._client.senders[operation.method], self._requests[operation.name]
        await drive(send, requests, Load(load.at_once, calls=2 * load.at_once))
        http_before = await asyncio.to_thread(count_requests, self._backend.port)
        cpu_before = self._service.cpu_seconds()
        timings = await drive(send, requests, load)
        cpu = self._service.cpu_seconds() - cpu_before
        http = await asyncio.to_thread(count_requests, self._backend.port) - http_before
        for reply in timings.replies:
            operation.check(reply)
        calls = len(timings.latencies)
        expected = 0 if not self.subject.http else http if operation.requests is None else operation.requests * calls
        if http != expected:
            raise WrongAnswerError(f"{self.subject.name}: {http} HTTP requests for {calls} calls instead of {expected}")
        cuts = quantiles(timings.latencies * 2, n=100, method="inclusive")
        return Sample(cpu / calls, calls / timings.seconds, cuts[49], cuts[98])


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each operation, connector and number of calls at once."""
    operations = [each for each in OPERATIONS if options.only is None or each.name in options.only]
    samples: dict[tuple[str, str, int], list[Sample]] = {
        (operation.name, subject.name, at_once): []
        for operation, subject, at_once in itertools.product(operations, SUBJECTS, AT_ONCE)
    }
    async with AsyncExitStack() as stack:
        services = stack.enter_context(Services())
        backend = services.start_backend("plain", 0)
        env = environment(BASE.parent, backend)
        runners: list[Runner] = []
        for subject in SUBJECTS:
            up = await stack.enter_async_context(connected(services, subject.module, env))
            runners.append(Runner(subject, *up, backend))
            await runners[-1].prepare(operations)
        for number in range(options.rounds):
            command.tell(f"round {number + 1} of {options.rounds}")
            for operation, at_once in itertools.product(operations, AT_ONCE):
                for runner in runners:
                    sample = await runner.sample(operation, Load(at_once, options.seconds))
                    samples[operation.name, runner.subject.name, at_once].append(sample)
            runners.append(runners.pop(0))  # each connector comes first, and last, in turn
    return [_cell(*key, taken, samples[key[0], REFERENCE, key[2]]) for key, taken in samples.items()]


def _cell(operation: str, connector: str, at_once: int, samples: list[Sample], references: list[Sample]) -> Cell:
    ratios = [sample.cpu / reference.cpu for sample, reference in zip(samples, references, strict=True)]
    low, middle, high = quantiles(ratios * 2, method="inclusive")
    return {
        "operation": operation,
        "connector": connector,
        "at_once": at_once,
        "ratio": middle,
        "ratio_low": low,
        "ratio_high": high,
        "cpu_us": median(each.cpu for each in samples) * 1e6,
        "calls_per_s": median(each.rate for each in samples),
        "p50_ms": median(each.p50 for each in samples) * 1e3,
        "p99_ms": median(each.p99 for each in samples) * 1e3,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    names = ",".join(each.name for each in OPERATIONS)
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"operations, with commas between: {names}")
    parser.add_argument("--rounds", type=command.count, help="samples of each cell (20)")
    parser.add_argument("--seconds", type=command.duration, help="length of each sample (0.15)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.rounds = options.rounds or (3 if options.quick else 20)
    options.seconds = options.seconds or (0.08 if options.quick else 0.15)
