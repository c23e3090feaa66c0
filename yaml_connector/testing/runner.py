"""Runs contract tests: calls the connector as Flyte does, against recorded responses.

Each test has its own connector, clock and cache. Between two calls the job is encoded to bytes, as Flyte stores it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from yaml_connector._clock import use_clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import as_plain
from yaml_connector._http.files import LocalFiles
from yaml_connector._http.httpx_transport import HttpxTransport
from yaml_connector._http.redact import Redactor
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.container import ContainerEnd
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import read_links
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.fields import Path
from yaml_connector._spec.secrecy import sensitive_values
from yaml_connector.errors import Diagnostic, YamlConnectorError
from yaml_connector.testing.clock import FakeClock
from yaml_connector.testing.compare import Difference, differences
from yaml_connector.testing.coverage import Coverage
from yaml_connector.testing.fixtures import Fixtures, fixtures_of, make_secrets
from yaml_connector.testing.loader import LoadedTests
from yaml_connector.testing.model import Call, CreateCall, DeleteCall, GetCall, LogsCall, Test
from yaml_connector.testing.replay import ExchangeBook, ReplayTransport, Watch


@dataclass(frozen=True)
class Failure:
    """Why a test failed, with a place in its file.

    `call` is the number and kind of the call, `exchange` the number of the exchange, both from 1. `outcome` says what
    the call returned or raised.
    """

    file: str
    line: int
    column: int
    what: str
    call: str | None = None
    exchange: int | None = None
    differences: tuple[Difference, ...] = ()
    outcome: str | None = None

    def masked(self, redactor: Redactor) -> Failure:
        """Return a copy with secrets masked."""
        return replace(
            self,
            what=redactor.redact(self.what),
            differences=tuple(difference.masked(redactor) for difference in self.differences),
            outcome=None if self.outcome is None else redactor.redact(self.outcome),
        )


@dataclass(frozen=True)
class TestResult:
    """The result of one test; without failures it passed. `not_played` says why it could not be played over sockets."""

    __test__ = False  # nothing for pytest to collect

    name: str
    line: int
    failures: tuple[Failure, ...] = ()
    outcomes: tuple[tuple[str, dict[str, Any]], ...] = ()
    """What each call gave, named as in `expect`, redacted."""
    not_played: str | None = None

    @property
    def passed(self) -> bool:
        return not self.failures and self.not_played is None


@dataclass(frozen=True)
class FileResult:
    """The results of a file of tests. `coverage` is None if not all of its tests were run."""

    file: str
    spec_file: str
    results: tuple[TestResult, ...]
    coverage: Coverage | None = None
    seconds: float = 0.0


def run_tests(
    loaded: LoadedTests,
    *,
    only: Callable[[str], bool] = lambda name: True,
    sockets: bool = False,
    watch: Watch | None = None,
    any_request: bool = False,
) -> FileResult:
    """Run those tests of a file for whose name `only` returns true; with `sockets`, over real ones.

    `loaded.loaded`, the spec, must not be None. `watch` is told each request that was sent as recorded; with
    `any_request`, whatever is sent counts as that.
    """
    return asyncio.run(_run_tests(loaded, only, sockets, watch, any_request))


async def _run_tests(
    loaded: LoadedTests, only: Callable[[str], bool], sockets: bool, watch: Watch | None, any_request: bool
) -> FileResult:
    assert loaded.loaded is not None
    coverage = Coverage(loaded.loaded)
    began = asyncio.get_running_loop().time()
    numbers = [number for number, test in enumerate(loaded.tests.tests) if only(test.name)]
    # A task has a context of its own, so that each test has its own clock.
    runs = [_Run(loaded, loaded.loaded, number, coverage, sockets=sockets) for number in numbers]
    for run in runs:
        run.book.watch, run.book.any_request = watch, any_request
    results = [await asyncio.create_task(run.run()) for run in runs]
    whole = len(results) == len(loaded.tests.tests)
    seconds = asyncio.get_running_loop().time() - began
    return FileResult(loaded.file, loaded.spec_file, tuple(results), coverage if whole else None, seconds)


@dataclass
class _Outcome:
    """The outcome of a call: values for the names that `expect` may hold, or the error that it raised."""

    found: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def data(self) -> dict[str, Any]:
        return as_plain(self.found) if self.error is None else {"error": str(self.error)}

    @property
    def text(self) -> str | None:
        if self.error is not None:
            return f"raised {type(self.error).__name__}: {self.error}"
        parts = [str(self.found[name]) for name in ("phase", "message") if self.found.get(name) is not None]
        return "returned " + ": ".join(parts) if parts else None


@dataclass(frozen=True)
class _Left:
    """What the test says that the container left."""

    end: ContainerEnd

    async def read(self, output_prefix: str, seconds: float) -> ContainerEnd:
        return self.end


class _Run:
    """One test."""

    def __init__(self, loaded: LoadedTests, spec: LoadedSpec, index: int, coverage: Coverage, *, sockets: bool) -> None:
        self.loaded = loaded
        self.spec = spec
        self.index = index
        self.test: Test = loaded.tests.tests[index]
        self.coverage = coverage
        self.clock = FakeClock(sleeping_moves=False)
        self.book: ExchangeBook
        self.transport: Transport
        if sockets:
            from yaml_connector.testing.sockets import SocketTransport

            self.book = ExchangeBook()
            self.transport = SocketTransport(self.book, self.clock)
        else:
            self.book = replay = ReplayTransport(self.clock)
            self.transport = HttpxTransport(replay)
        self.secrets: dict[str, str] = {}
        self.known: set[str] = set()
        self.outcomes: list[tuple[str, dict[str, Any]]] = []
        self.kept: bytes | None = None
        self.token = ""

    async def run(self) -> TestResult:
        """Run the test up to its first call that fails."""
        use_clock(self.clock)
        line, _ = self.loaded.document.position(("tests", self.index))
        given, problems = fixtures_of(self.loaded.tests, self.index, self.spec.spec, self.loaded.document)
        if given is None:
            return TestResult(self.test.name, line, tuple(_of_problem(problem) for problem in problems))
        try:
            self.secrets = make_secrets(given.secrets)
            self.connector = self.start(given)
        except YamlConnectorError as error:
            return TestResult(self.test.name, line, (self.failure(("tests", self.index), str(error)),))
        redactor = self.redactor(given)
        try:
            failures = await self.calls(given, redactor)
        finally:
            await self.transport.close()
        return TestResult(self.test.name, line, tuple(failures), tuple(self.outcomes))

    async def calls(self, given: Fixtures, redactor: Redactor) -> list[Failure]:
        """Make the calls up to the first that fails; return its failures."""
        failures: list[Failure] = []
        for number, call in enumerate(self.test.calls):
            if call.kind == "after":
                self.clock.move(call.after)
            elif call.kind == "clock":
                self.clock.step(call.clock)
            elif call.kind == "restart":
                self.connector = self.start(given)
            elif call.kind == "secrets":
                kept = {name: value for name, value in self.secrets.items() if name not in call.secrets}
                self.secrets = kept | make_secrets(call.secrets)
                redactor = self.redactor(given)
            else:
                failures = [failure.masked(redactor) for failure in await self.call(given, number, call, redactor)]
            if failures:
                break
        return failures

    def start(self, given: Fixtures) -> JobClient:
        """Return a connector with an empty cache."""
        files = LocalFiles(os.path.dirname(self.loaded.file))
        return JobClient(
            self.spec,
            environment=given.env,
            transport=self.transport,
            files=files,
            container_files=_Left(given.container_end),
            events=self.coverage,
        )

    def redactor(self, given: Fixtures) -> Redactor:
        """Return what masks all secrets that the test has had so far."""
        self.known |= set(self.known_secrets(given))
        return Redactor(self.known)

    def known_secrets(self, given: Fixtures) -> Iterator[str]:
        names = self.connector.plan.secrets.sensitive
        yield from sensitive_values(names, self.secrets).values()
        for name, secret in self.spec.spec.secrets.items():
            if name in names and secret.env is not None and secret.env in given.env:
                yield given.env[secret.env]

    # --- one call ---------------------------------------------------------------------------------------------------

    async def call(self, given: Fixtures, number: int, call: Call, redactor: Redactor) -> list[Failure]:
        """Make a call; return its failures."""
        details: CreateCall | GetCall | LogsCall | DeleteCall = getattr(call, call.kind)
        path: Path = ("tests", self.index, "calls", number, call.kind)
        label = f"call {number + 1} ({call.kind})"
        if call.kind != "create" and self.kept is None:
            return [self.failure(path, "there is no job: no create before this call returned one", call=label)]
        self.book.open(details.exchanges)
        outcome = await self.outcome_of(given, details)
        self.outcomes.append((call.kind, redactor.redact_tree(outcome.data)))
        mismatch = self.book.close()
        if mismatch is not None:
            exchange = None if mismatch.exchange is None else mismatch.exchange + 1
            place = (*path, "exchanges", mismatch.exchange) if mismatch.exchange is not None else path
            found = () if mismatch.out_of_order else mismatch.differences
            return [self.failure(place, mismatch.what, label, exchange, found, outcome.text)]
        return list(self.unexpected(details, outcome, path, label))

    async def outcome_of(self, given: Fixtures, call: CreateCall | GetCall | LogsCall | DeleteCall) -> _Outcome:
        try:
            if isinstance(call, CreateCall):
                return _Outcome(await self.create(given, call))
            job = JobMeta.decode(self.kept or b"")
            if isinstance(call, GetCall):
                return _Outcome(await self.get(job))
            if isinstance(call, LogsCall):
                return _Outcome(await self.logs(job, self.token if call.token is None else call.token))
            await self.connector.delete(job, self.secrets)
            return _Outcome()
        except Exception as error:  # a bug of the connector must be reported as a failed test, too
            return _Outcome(error=error)

    async def create(self, given: Fixtures, call: CreateCall) -> dict[str, Any]:
        self.kept, self.token = None, ""
        values = CreateValues(given.inputs, given.config, given.task, self.secrets, given.outputs)
        self.kept = (await self.connector.create(values)).encode()
        job = JobMeta.decode(self.kept)
        values_of_job = self.connector.job_values(job, self.secrets)
        return {
            "job_id": values_of_job["id"] or None,
            "saved": {name: values_of_job[name] for name in job.saved if name in values_of_job},
            "adopted": job.adopted,
            "submitted": self.connector.is_submitted(job),
            "phase": None if job.create_error is None else "FAILED",
            "message": job.create_error,
            "links": self.first_links(job, values_of_job) if "links" in call.expect.model_fields_set else [],
        }

    def first_links(self, job: JobMeta, values: dict[str, Any]) -> list[dict[str, str]]:
        plan = self.connector.plan
        if job.create_error is not None or job.pending is not None:
            return []
        base_url = plan.connection.endpoint(job.config).base_url
        scope = Scope(inputs=job.inputs, config=job.config, task=job.task, job=values, base_url=base_url)
        return [{"name": name, "url": url} for name, url in read_links(plan.poll.status, scope, static=True)]

    async def get(self, job: JobMeta) -> dict[str, Any]:
        status = await self.connector.get(job, self.secrets)
        return status.data() | {"submitted": self.connector.is_submitted(job)}

    async def logs(self, job: JobMeta, token: str) -> dict[str, Any]:
        lines: list[str] = []
        following = None
        async for page in self.connector.logs(job, token):
            lines += [line.message for line in page.lines]
            following = page.token if page.last else following
        self.token = following or self.token
        return {"lines": lines, "next": following is not None}

    # --- what is expected ---------------------------------------------------------------------------------------------

    def unexpected(
        self, call: CreateCall | GetCall | LogsCall | DeleteCall, outcome: _Outcome, path: Path, label: str
    ) -> Iterator[Failure]:
        """Yield a failure if the outcome is not as expected; fields that `expect` leaves out are not compared."""
        expected: dict[str, Any] = call.expect.model_dump(exclude_unset=True)
        pattern = expected.pop("error", None)
        error = outcome.error
        if error is not None and not (pattern is not None and isinstance(error, YamlConnectorError)):
            yield self.failure(path, f"raised {type(error).__name__}: {error}", label)
            return
        found: list[Difference] = []
        if pattern is not None:
            found += differences(f"/{pattern}/", None if error is None else str(error), "error")
        if error is None:
            for name, value in expected.items():
                found += differences(value, outcome.found[name], name)
        if found:
            place: Path = (*path, "expect")
            yield self.failure(place, "not as expected", label, None, tuple(found), outcome.text)

    def failure(
        self,
        path: Path,
        what: str,
        call: str | None = None,
        exchange: int | None = None,
        found: tuple[Difference, ...] = (),
        outcome: str | None = None,
    ) -> Failure:
        line, column = self.loaded.document.position(path)
        return Failure(self.loaded.file, line, column, what, call, exchange, found, outcome)


def _of_problem(problem: Diagnostic) -> Failure:
    return Failure(problem.file, problem.line, problem.column, problem.text)
