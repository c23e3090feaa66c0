"""Whatever callers and backends send, what the service remembers of it has a bound in bytes."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from multidict import CIMultiDict

from tests.support.fake_api import spec_data
from yaml_connector._expressions.jsonpath import compile_given_path
from yaml_connector._expressions.regex import compile_regex
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import parse_type
from yaml_connector._http.auth.token_cache import Grant, TokenCache
from yaml_connector._http.connection import Connection
from yaml_connector._http.hosts import normal_host, parse_pattern, parse_url
from yaml_connector._http.messages import Response
from yaml_connector._http.redact import redactor_for
from yaml_connector._jobs.cache import JobCache, JobState
from yaml_connector._jobs.call_log import phase_changed
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import Submission
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.secret_values import LARGEST_SECRET, Secrets
from yaml_connector._jobs.status import Status
from yaml_connector._loading.loader import LoadedSpec, load_text
from yaml_connector._spec import ConnectorSpec
from yaml_connector.errors import CallError, EvaluationError

pytestmark = pytest.mark.slow

MB = 10**6
numbers = count()


def long_text(size: int) -> str:
    return f"{next(numbers)}-".ljust(size, "x")


def fill_jobs(path: Path) -> Callable[[], object]:
    cache = JobCache()

    def one() -> None:
        job = cache.get(JobMeta("t", id=long_text(100_000), name=long_text(100_000)))
        job.secrets, job.cursor = {"key": long_text(2**16)}, long_text(2**16)
        job.status = Status("RUNNING", long_text(2000), [("page", long_text(40_000))], {"a": long_text(60_000)})
        cache.weigh(job)

    return one


def fill_by_deletes(path: Path) -> Callable[[], object]:
    client = JobClient(loaded_of(secrets={"key": {}}, delete={"request": "DELETE /", "always": True}))
    kept = (JobMeta("t", id="1", created_at=1.0), JobMeta.foreign(b"{}", "of another service"))

    def one() -> None:
        for meta in kept:
            with suppress(CallError, EvaluationError):
                asyncio.run(client.delete(replace(meta, digest=long_text(9)), {"key": long_text(10**6)}))

    return one


def fill_jobs_to_submit(path: Path) -> Callable[[], object]:
    """Jobs that this process submitted later than their create, or has not submitted yet."""
    cache = JobCache()

    def one() -> None:
        job = cache.get(JobMeta("t", id=long_text(20)))
        job.submitted = JobMeta("t", saved={"a": long_text(500_000)})
        job.submission = Submission(0.0)
        response = Response("GET", "http://a.test/", 200, CIMultiDict(), long_text(200_000).encode())
        job.submission.outcome.steps["a"] = response
        cache.weigh(job)

    return one


def fill_tokens(path: Path) -> Callable[[], object]:
    cache = TokenCache()

    async def fetch() -> Grant:
        return Grant(long_text(2**16), None, {"a": long_text(2**16)})

    return lambda: asyncio.run(cache.get(long_text(64), fetch))


def fill_secret_files(path: Path) -> Callable[[], object]:
    spec = spec_of(secrets={"key": {"file": f"{path}/${{{{ config.team }}}}"}}, config={"team": "str"})
    secrets = Secrets(spec, {})

    def one() -> None:
        name = long_text(20)
        (path / name).write_text(long_text(LARGEST_SECRET))
        secrets.values({}, Scope(config={"team": name}))

    return one


def fill_endpoints(path: Path) -> Callable[[], object]:
    connection = {"base_url": "https://a.test/${{ config.region }}", "allowed_hosts": ["a.test"]}
    made = Connection(spec_of(connection=connection, config={"region": "str"}).connection, {})

    def one() -> None:
        made.endpoint({"region": long_text(1900)})
        with pytest.raises(EvaluationError, match="base_url has 60015 characters, and 2000 are the most"):
            made.endpoint({"region": long_text(60_000)})

    return one


def loaded_of(**sections: object) -> LoadedSpec:
    loaded, problems = load_text(json.dumps(spec_data(**sections)).encode(), "x.yaml")
    assert loaded is not None, problems
    return loaded


def spec_of(**sections: object) -> ConnectorSpec:
    return loaded_of(**sections).spec


CACHES: dict[str, tuple[Callable[[Path], Callable[[], object]], int, float]] = {
    # how it is filled, how many times, and how many MB it may take
    "URLs": (lambda _: lambda: parse_url(f"https://a.test/{long_text(2**16 - 100)}"), 300, 25),  # urllib keeps some
    "short URLs": (lambda _: lambda: parse_url(f"https://a.test/{long_text(1900)}"), 3000, 20),
    "hosts": (lambda _: lambda: normal_host(f"{next(numbers)}.{'a' * 60}.{'b' * 60}.{'c' * 60}"), 3000, 3),
    "zones of addresses": (lambda _: lambda: normal_host(f"fe80::1%{long_text(900)}"), 8000, 12),
    "patterns of hosts": (lambda _: lambda: parse_pattern(f"{long_text(9)}.test".rjust(10**6)), 100, 1),
    "types": (lambda _: lambda: parse_type("int".rjust(10**6 + next(numbers))), 100, 1),
    "paths": (lambda _: lambda: compile_given_path("$" + f".a{next(numbers)}" * 200), 200, 20),
    "patterns": (lambda _: lambda: compile_regex(long_text(900)), 500, 40),
    "redactors": (lambda _: lambda: redactor_for(frozenset({long_text(20_000)})), 200, 80),
    "jobs": (fill_jobs, 500, 80),
    "secrets that a delete brings": (fill_by_deletes, 100, 80),
    "jobs that are submitted late": (fill_jobs_to_submit, 200, 80),
    "tokens": (fill_tokens, 200, 40),
    "files of secrets": (fill_secret_files, 500, 40),
    "endpoints": (fill_endpoints, 1050, 20),
}


@pytest.mark.parametrize("name", CACHES)
def test_every_cache_has_a_bound_in_bytes(name: str, tmp_path: Path) -> None:
    make, times, most = CACHES[name]
    fill = make(tmp_path)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(times):
            fill()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < most * MB


def test_a_name_of_any_length_takes_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "yaml_connector"):
        phase_changed("t", JobMeta("t", id="i" * MB, name="n" * MB), JobState(), "RUNNING")
    assert len(caplog.messages[0]) < 10_000


def test_an_id_cannot_begin_a_line_of_the_log_or_steer_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "yaml_connector"):
        phase_changed("t", JobMeta("t", id="7\nphase task_type=t\x1b[31m", name="n\u202e"), JobState(), "RUNNING")
    assert caplog.messages == [
        r"phase task_type=t execution='n\u202e' job='7\nphase task_type=t\x1b[31m' None -> RUNNING"
    ]
