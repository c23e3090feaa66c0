"""Contract tests a second time, over real sockets: the same outcomes, and what cannot be played."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.contract_folder import CREATE, DEFAULTS, Folder
from tests.support.paths import ROOT
from yaml_connector._loading.loader import read_file
from yaml_connector.cli.main import cli
from yaml_connector.testing.again_by_sockets import run_again
from yaml_connector.testing.loader import LoadedTests, load_tests
from yaml_connector.testing.runner import run_tests

CORNERS = ROOT / "tests" / "unit" / "catalog" / "corners"
QUICK = [
    ROOT / "connectors.d" / "batch_job.test.yaml",
    *(CORNERS / f"{name}.test.yaml" for name in ("uploads", "steps")),
]
STATUS = {"url": "https://batch.test/jobs/7"}


def loaded(file: str | Path) -> LoadedTests:
    tests, problems = load_tests(read_file(str(file)), str(file))
    assert tests is not None
    assert problems == []
    return tests


def one_test(*responses: Any) -> dict[str, Any]:
    """A file with one test, whose get gets these responses one after the other."""
    exchanges = [{"request": STATUS, "response": response} for response in responses]
    return {"defaults": DEFAULTS, "tests": [{"name": "t", "calls": [CREATE, {"get": {"exchanges": exchanges}}]}]}


@pytest.mark.slow
@pytest.mark.parametrize("file", QUICK, ids=lambda file: file.name)
def test_a_spec_gives_the_same_over_real_sockets(file: Path) -> None:
    tests = loaded(file)
    first = run_tests(tests)
    again = run_again(tests, first)
    assert [(test.name, test.failures, test.not_played) for test in again.results] == [
        (test.name, (), None) for test in first.results
    ]


@pytest.mark.parametrize(
    "responses",
    [
        [{"fault": "reset"}, {"fault": "refused"}, {"json": {"state": "done", "result": "r"}}],
        [{"after": "6s", "json": {}}, {"after": "1s", "json": {"state": "running"}}],
        [{"status": 204}] * 3,
        [{"json": {"state": "running"}, "headers": {"Transfer-Encoding": "chunked", "Set-Cookie": ["a=1", "b=2"]}}],
        [{"status": 599, "text": "ü" * 100_000}],
        [{"fault": "not_http"}, {"fault": "truncated", "json": {"state": "done"}}, {"json": {"state": "running"}}],
        [{"json": {"state": "running"}, "headers": {"Content-Encoding": "gzip"}, "cookies": {"a": "b"}}],
    ],
    ids=["faults", "late", "empty", "chunked", "long", "half", "not packed"],
)
def test_odd_responses_are_played_as_they_are_recorded(folder: Folder, responses: list[Any]) -> None:
    tests = loaded(folder.write(one_test(*responses)))
    first = run_tests(tests)
    assert first.results[0].failures == ()
    (again,) = run_again(tests, first).results
    assert (again.failures, again.not_played) == ((), None)


def test_a_call_that_gives_something_else_is_shown_field_by_field(folder: Folder) -> None:
    tests = loaded(folder.write(one_test({"json": {"state": "running", "detail": "cooking"}})))
    first = run_tests(tests)
    (result,) = first.results
    create, (_, get) = result.outcomes
    other = replace(result, outcomes=(create, ("get", {**get, "message": "kinder"})))
    (again,) = run_again(tests, replace(first, results=(other,))).results
    (failure,) = again.failures
    (difference,) = failure.differences
    assert (difference.field, difference.expected, difference.found) == ("calls[1].get.message", "kinder", "cooking")


@pytest.mark.parametrize(
    ("response", "why"),
    [
        ({"status": 103}, "the status 103 is not that of a final response"),
        ({"status": 204, "text": "body"}, "a response with status 204 has no body"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "the header 'X-A' cannot be sent"),
        ({"headers": {"Content-Length": 99}, "text": "short"}, "Content-Length is 99, and the body has 5 bytes"),
    ],
)
def test_what_cannot_be_played_is_named(folder: Folder, response: Any, why: str) -> None:
    tests = loaded(folder.write(one_test(response)))
    (again,) = run_again(tests, run_tests(tests)).results
    assert again.not_played == f"GET https://batch.test/jobs/7: {why}"


def test_the_command_counts_what_is_as_recorded_and_what_cannot_be_played(folder: Folder) -> None:
    file = folder.write(one_test({"status": 103}))
    done = CliRunner().invoke(cli, ["test", file, "--real-sockets"])
    assert done.exit_code == 0
    assert "  - t (cannot be played: GET https://batch.test/jobs/7: the status 103" in done.stdout
    assert done.stdout.endswith("1 passed\nover real sockets: 0 as recorded, 1 cannot be played\n")
    done = CliRunner().invoke(cli, ["test", str(QUICK[0]), "--real-sockets", "--json", "-k", "log over two pages"])
    found = json.loads(done.stdout)["real_sockets"]
    assert {name: found[name] for name in ("same", "different", "not_played")} == {
        "same": 1,
        "different": 0,
        "not_played": 0,
    }
