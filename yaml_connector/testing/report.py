"""Results of contract tests as lines of text, as JSON data and as JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from yaml_connector._expressions.value_types import as_plain
from yaml_connector.errors import Diagnostic
from yaml_connector.testing.compare import NOTHING, show
from yaml_connector.testing.coverage import Coverage, Unreached
from yaml_connector.testing.runner import Failure, FileResult

PASSED, FAILED, NOT_PLAYED = "✓", "✗", "-"


def file_lines(result: FileResult) -> Iterator[str]:
    """Yield one line for each test of a file, and the reasons below each failed one."""
    yield result.file
    for test in result.results:
        if test.not_played is not None:
            yield f"  {NOT_PLAYED} {test.name} (cannot be played: {test.not_played})"
            continue
        yield f"  {PASSED if test.passed else FAILED} {test.name}"
        for failure in test.failures:
            yield from (f"      {line}" for line in failure_lines(failure))


def unreached(results: Iterable[FileResult]) -> list[Unreached]:
    """Return the places that no test reached, spec by spec.

    All files of tests for one spec count together. A spec is left out if some of its tests were not run.
    """
    together: dict[str, Coverage | None] = {}
    for result in results:
        known = together.setdefault(result.spec_file, Coverage(result.coverage.loaded) if result.coverage else None)
        if known is not None and result.coverage is not None:
            known.add(result.coverage)
        else:
            together[result.spec_file] = None
    return [place for coverage in together.values() if coverage is not None for place in coverage.unreached()]


def unreached_lines(places: Iterable[Unreached]) -> Iterator[str]:
    """Yield the places that no test reached as lines of text."""
    for file, found in groupby(places, key=lambda place: place.file):
        yield f"reached by no test of {file}:"
        yield from (f"  {place}" for place in found)


def failure_lines(failure: Failure) -> Iterator[str]:
    """Yield the place and the reason of a failure, then each field that differs."""
    where = "".join(
        f"{part}: "
        for part in (failure.call, f"exchange {failure.exchange}" if failure.exchange is not None else None)
        if part is not None
    )
    yield f"{failure.file}:{failure.line}:{failure.column}: {where}{failure.what}"
    for difference in failure.differences:
        found = as_plain(difference.found)
        yield f"  {difference.field}"
        yield f"    expected {show(difference.expected, found)}"
        yield f"    found    {show(found, difference.expected)}"
        if difference.is_masked:
            yield "    they differ only in what is masked: the value of a secret"
    if failure.outcome is not None:
        yield f"  the call {failure.outcome}"


def counts(results: Iterable[FileResult]) -> dict[str, int]:
    """Count the tests that passed and failed."""
    tests = [test for result in results for test in result.results]
    passed = sum(test.passed for test in tests)
    return {"passed": passed, "failed": len(tests) - passed}


def socket_counts(results: Iterable[FileResult]) -> dict[str, int]:
    """Count the tests that gave the same over sockets, something else, or could not be played."""
    tests = [test for result in results for test in result.results]
    same, not_played = sum(test.passed for test in tests), sum(test.not_played is not None for test in tests)
    return {"same": same, "different": len(tests) - same - not_played, "not_played": not_played}


def socket_totals(results: Iterable[FileResult]) -> str:
    """Return the summary line of the tests over sockets."""
    numbers = socket_counts(results)
    texts = {"same": "as recorded", "different": "different", "not_played": "cannot be played"}
    parts = [f"{number} {texts[name]}" for name, number in numbers.items() if number or name == "same"]
    return f"over real sockets: {', '.join(parts)}"


def totals(results: Iterable[FileResult], problems: int = 0) -> str:
    """Return the summary line: `12 passed, 1 failed`."""
    numbers = counts(results)
    parts = [f"{numbers['passed']} passed"]
    if numbers["failed"]:
        parts.append(f"{numbers['failed']} failed")
    if problems:
        parts.append(f"{problems} problem{'' if problems == 1 else 's'}")
    return ", ".join(parts)


def as_data(result: FileResult) -> dict[str, Any]:
    """Return a file's result as data for JSON."""
    return {
        "file": result.file,
        "spec": result.spec_file,
        "tests": [
            {
                "name": test.name,
                "line": test.line,
                "passed": test.passed,
                **({} if test.not_played is None else {"not_played": test.not_played}),
                "failures": [_failure_data(failure) for failure in test.failures],
            }
            for test in result.results
        ],
    }


def _failure_data(failure: Failure) -> dict[str, Any]:
    return {
        "file": failure.file,
        "line": failure.line,
        "column": failure.column,
        "call": failure.call,
        "exchange": failure.exchange,
        "message": failure.what,
        "differences": [
            {
                "field": item.field,
                **{name: value for name, value in pair if value is not NOTHING},
                **({"is_masked": True} if item.is_masked else {}),
            }
            for item in failure.differences
            for pair in [(("expected", item.expected), ("found", as_plain(item.found)))]
        ],
        "outcome": failure.outcome,
    }


def junit(results: Iterable[FileResult], problems: Iterable[Diagnostic] = ()) -> ElementTree[Element]:
    """Return the results as JUnit XML: a suite for each file, and one for the problems of files with errors."""
    root = Element("testsuites")
    for result in results:
        failed = sum(bool(test.failures) for test in result.results)
        suite = _suite(root, result.file, len(result.results), failures=failed, seconds=result.seconds)
        for test in result.results:
            case = SubElement(
                suite, "testcase", name=test.name, classname=result.file, file=result.file, line=str(test.line)
            )
            if test.not_played is not None:
                SubElement(case, "skipped", message=_xml_text(test.not_played))
            for failure in test.failures:
                text = "\n".join(failure_lines(failure))
                SubElement(case, "failure", message=_xml_text(failure.what)).text = _xml_text(text)
    problems = list(problems)
    if problems:
        suite = _suite(root, "problems", len(problems), errors=len(problems))
        for problem in problems:
            case = SubElement(suite, "testcase", name=f"{problem.file}:{problem.line}", classname=problem.file)
            SubElement(case, "error", message=_xml_text(problem.message)).text = _xml_text(str(problem))
    indent(root)
    return ElementTree(root)


def _suite(root: Element, name: str, tests: int, *, failures: int = 0, errors: int = 0, seconds: float = 0) -> Element:
    numbers = {"tests": str(tests), "failures": str(failures), "errors": str(errors), "time": f"{seconds:.3f}"}
    return SubElement(root, "testsuite", {"name": name, **numbers})


def _xml_text(text: str) -> str:
    """Replace the characters that XML does not allow."""
    return "".join(char if char in "\t\n\r" or ord(char) >= 32 else "�" for char in text)
