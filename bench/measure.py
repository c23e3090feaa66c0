"""The measurements: who, what, in which order."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from bench import backend, messages
from bench.client import Client, Load, drive
from bench.connected import FAILURES, until_ready
from bench.messages import Reply, WrongAnswerError
from bench.services import Service, Services, count_requests, free_ports

SPECS = Path(__file__).parent / "spec"
JOBS = 128
"""Jobs of each kind to go round: more than calls at once, so that no two calls at a time are for the same job."""

CREATES = 4096
"""Different create requests to go round."""

SLOW_ROUNDS = 3


@dataclass(frozen=True)
class Subject:
    """A connector to measure."""

    name: str
    task_type: str
    module: str
    custom: Mapping[str, str | int]
    """The task template's `custom`."""
    http: bool = True
    """Whether it asks the backend at all."""
    slow: bool = False
    """Tens of milliseconds a call: no warm-up, and `SLOW_ROUNDS` rounds; a quick run has one of them, to 8 at once."""


@dataclass(frozen=True)
class Operation:
    """A kind of call."""

    name: str
    method: str
    requests: int
    """HTTP requests that the backend must see for each call."""
    check: Callable[[Reply], None]
    about: str


_CUSTOM: dict[str, str | int] = {"timeout_seconds": 60}
SUBJECTS = [
    Subject("floor", "bench_floor", "bench.handwritten", _CUSTOM, http=False),
    Subject("aiohttp", "bench_aiohttp", "bench.handwritten", _CUSTOM),
    Subject("yaml", "bench_job", "yaml_connector.flyte.service", {"config": '{"timeout_seconds": 60}'}),
    Subject("aiohttp-per-call", "bench_aiohttp_per_call", "bench.handwritten", _CUSTOM),
    Subject("httpx", "bench_httpx", "bench.handwritten", _CUSTOM),
    Subject("httpx-per-call", "bench_httpx_per_call", "bench.handwritten", _CUSTOM, slow=True),
]
REFERENCE = "aiohttp"

OPERATIONS = [
    Operation("get", "GetTask", 1, messages.check_running, "one poll of a running job"),
    Operation("success", "GetTask", 2, messages.check_succeeded, "the last poll: the status, the result, one output"),
    Operation("create", "CreateTask", 1, messages.check_create, "one job submitted"),
    Operation("delete", "DeleteTask", 1, messages.check_delete, "one job cancelled"),
    Operation("logs", "GetTaskLogs", 1, messages.check_logs, "a page of ten lines"),
]


@dataclass(frozen=True)
class Plan:
    """What to measure, how often and how long."""

    subjects: Sequence[Subject]
    operations: Sequence[Operation]
    at_once: Sequence[int]
    rounds: int
    seconds: float
    calls: int | None
    quick: bool


@dataclass(frozen=True)
class Sample:
    """One measurement of one cell; times in seconds, `cpu` that of the service process for each call."""

    round: int
    calls: int
    cpu: float
    rate: float
    """Calls in a second."""
    p50: float
    p99: float


Cell = tuple[str, str, int]
"""Connector, operation, calls at once."""


@dataclass
class Results:
    """What was measured, and why a connector was left out."""

    samples: dict[Cell, list[Sample]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, subject: Subject, what: str, error: Exception) -> str:
        """Notes that a connector is left out from now on, and returns the line that says so."""
        reason = " ".join(str(error).split())
        self.left_out[subject.name] = f"{subject.name} ({subject.module}) {what}, going on without it: {reason}"
        return self.left_out[subject.name]


class Runner:
    """A connector that is up, with the requests for it."""

    def __init__(self, subject: Subject, service: Service, client: Client, backend_port: int) -> None:
        self.subject = subject
        self._service = service
        self._client = client
        self._backend_port = backend_port
        self._requests: dict[str, Iterator[bytes]] = {}

    async def prepare(self, operations: Sequence[Operation]) -> None:
        """Waits until the service is up, creates the jobs by real calls, and calls everything to warm up.

        Raises:
            ServiceError, CallError, WrongAnswerError: the connector does not work.
        """
        await until_ready(self._service, self._client)
        kind, custom = self.subject.task_type, self.subject.custom
        numbers = itertools.count(1)

        async def jobs(name: str) -> list[bytes]:
            requests = [messages.create_request(kind, custom, name, next(numbers)) for _ in range(JOBS)]
            count = 2 if self.subject.slow else JOBS
            timings = await drive(self._client.senders["CreateTask"], iter(requests), Load(min(16, count), calls=count))
            return [messages.resource_meta(reply) for reply in timings.replies]

        running, done, unwanted = await jobs("training"), await jobs("done-training"), await jobs("unwanted")
        creates = (messages.create_request(kind, custom, "training", next(numbers)) for _ in range(CREATES))
        pools = {
            "create": list(creates) if any(each.name == "create" for each in operations) else [],
            "get": [messages.get_request(kind, meta) for meta in running],
            "success": [messages.get_request(kind, meta) for meta in done],
            "delete": [messages.delete_request(kind, meta) for meta in unwanted],
            "logs": [messages.logs_request(kind, meta) for meta in running],
        }
        self._requests = {name: itertools.cycle(pool) for name, pool in pools.items()}
        for operation in operations:
            load = Load(1, calls=1) if self.subject.slow else Load(64, calls=256)
            await self.sample(operation, load, 0)

    async def sample(self, operation: Operation, load: Load, round_number: int) -> Sample:
        """Measures one cell once, after a few calls that fill the connection pools again.

        Raises:
            ServiceError, CallError, WrongAnswerError: the connector did not do its work.
        """
        send, requests = self._client.senders[operation.method], self._requests[operation.name]
        if not self.subject.slow:
            await drive(send, requests, Load(load.at_once, calls=2 * load.at_once))
        http_before = await asyncio.to_thread(count_requests, self._backend_port)
        cpu_before = self._service.cpu_seconds()
        timings = await drive(send, requests, load)
        cpu = self._service.cpu_seconds() - cpu_before
        http = await asyncio.to_thread(count_requests, self._backend_port) - http_before
        for reply in timings.replies:
            operation.check(reply)
        calls = len(timings.latencies)
        expected = operation.requests * calls if self.subject.http else 0
        if http != expected:
            raise WrongAnswerError(f"{http} HTTP requests for {calls} calls instead of {expected}")
        p50, p99 = _percentiles(timings.latencies)
        return Sample(round_number, calls, cpu / calls, calls / timings.seconds, p50, p99)


def _percentiles(latencies: list[float]) -> tuple[float, float]:
    if len(latencies) == 1:
        return latencies[0], latencies[0]
    cuts = quantiles(latencies, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def measure(plan: Plan, env: Mapping[str, str], tell: Callable[[str], None]) -> Results:
    """Starts everything, measures, and stops everything, also when it fails or is cancelled.

    Args:
        plan: what to measure.
        env: the environment for the processes.
        tell: takes a line of text for the user.
    """
    results = Results()
    backend_port, *ports = free_ports(1 + 2 * len(plan.subjects))
    env = {**env, "BENCH_URL": f"http://127.0.0.1:{backend_port}", "BENCH_API_KEY": backend.API_KEY}
    env["YAML_CONNECTOR_PATH"] = str(SPECS)
    with Services(env) as services:
        services.start_backend(backend_port)
        started = [
            services.start_connector(subject.name, subject.module, port, prometheus_port)
            for subject, port, prometheus_port in zip(plan.subjects, ports[::2], ports[1::2], strict=True)
        ]
        async with AsyncExitStack() as stack:
            runners: list[Runner] = []
            for subject, service in zip(plan.subjects, started, strict=True):
                client = Client(service.port)
                stack.push_async_callback(client.close)
                runner = Runner(subject, service, client, backend_port)
                try:
                    await runner.prepare(plan.operations)
                except FAILURES as error:
                    tell(results.leave_out(subject, "does not work", error))
                else:
                    runners.append(runner)
            await _rounds(plan, runners, results, tell)
    return results


async def _rounds(plan: Plan, runners: list[Runner], results: Results, tell: Callable[[str], None]) -> None:
    for number in range(plan.rounds):
        if not runners:
            return
        tell(f"round {number + 1} of {plan.rounds}")
        for operation, at_once in itertools.product(plan.operations, plan.at_once):
            load = Load(at_once, plan.seconds, plan.calls)
            for runner in list(runners):
                if runner.subject.slow and _skips_slow(plan, number, at_once):
                    continue
                try:
                    sample = await runner.sample(operation, load, number)
                except FAILURES as error:
                    tell(results.leave_out(runner.subject, f"failed at {operation.name}, {at_once} at once", error))
                    runners.remove(runner)
                else:
                    results.samples.setdefault((runner.subject.name, operation.name, at_once), []).append(sample)
        # Every connector comes first, and last, in turn.
        runners[:] = runners[1:] + runners[:1]


def _skips_slow(plan: Plan, number: int, at_once: int) -> bool:
    return number > 0 or at_once > 8 if plan.quick else number >= SLOW_ROUNDS
