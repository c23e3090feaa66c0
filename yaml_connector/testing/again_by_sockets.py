"""Runs contract tests a second time, over real sockets, and compares what the calls give with the first time."""

from __future__ import annotations

from dataclasses import replace

from yaml_connector.testing.compare import differences
from yaml_connector.testing.loader import LoadedTests
from yaml_connector.testing.model import Test
from yaml_connector.testing.runner import Failure, FileResult, TestResult, run_tests
from yaml_connector.testing.sockets import why_not_played


def run_again(loaded: LoadedTests, first: FileResult) -> FileResult:
    """Run the tests of a result again over real sockets.

    A test passes if all its calls give the same as the first time. One that cannot be played says why.
    """
    names = {test.name for test in first.results}
    skipped = {test.name: why for test in loaded.tests.tests if (why := _why_not_played(test)) is not None}
    again = run_tests(loaded, only=(names - skipped.keys()).__contains__, sockets=True)
    second = {result.name: result for result in again.results}
    results = [
        _compared(loaded, one, second[one.name])
        if one.name in second
        else TestResult(one.name, one.line, not_played=skipped[one.name])
        for one in first.results
    ]
    return replace(again, file=f"{first.file}, over real sockets", results=tuple(results), coverage=None)


def _why_not_played(test: Test) -> str | None:
    """Return why a test cannot be played; None if it can."""
    for call in test.calls:
        for exchange in call.exchanges:
            if (why := why_not_played(exchange.response)) is not None:
                return f"{exchange.request.target}: {why}"
    return None


def _compared(loaded: LoadedTests, first: TestResult, second: TestResult) -> TestResult:
    if second.failures and not first.failures:
        return second
    calls = [dict([outcome]) for outcome in first.outcomes], [dict([outcome]) for outcome in second.outcomes]
    found = tuple(differences(*calls, "calls"))
    if not found:
        return replace(second, failures=())
    what = "the calls give something else than with recorded responses"
    return replace(second, failures=(Failure(loaded.file, first.line, 1, what, differences=found),))
