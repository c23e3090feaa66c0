"""What became of contract tests, as plain lines, as JSON data and as JUnit XML (section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from yaml_connector.contract.compare import NOTHING, show
from yaml_connector.contract.runner import Failure, FileResult
from yaml_connector.values.types import as_plain

PASSED, FAILED = "✓", "✗"


def file_lines(result: FileResult) -> Iterator[str]:
    """A file's tests, one line each; below a test that failed, why; below all, what no test reached."""
    yield result.file
    for test in result.results:
        yield f"  {PASSED if test.passed else FAILED} {test.name}"
        for failure in test.failures:
            yield from (f"      {line}" for line in failure_lines(failure))
    if result.unreached:
        yield f"  reached by no test of {result.file}:"
        yield from (f"      {place}" for place in result.unreached)


def failure_lines(failure: Failure) -> Iterator[str]:
    """Where and what, then each field that differs."""
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
    if failure.outcome is not None:
        yield f"  the call {failure.outcome}"


def totals(results: Iterable[FileResult], problems: int = 0) -> str:
    """The last line: `12 passed, 1 failed`."""
    tests = [test for result in results for test in result.results]
    failed = sum(not test.passed for test in tests)
    text = f"{len(tests) - failed} passed"
    if failed:
        text += f", {failed} failed"
    return text + (f", {problems} problem{'s' if problems != 1 else ''}" if problems else "")


def as_data(result: FileResult) -> dict[str, Any]:
    """A file's result as JSON can hold it."""
    return {
        "file": result.file,
        "spec": result.spec_file,
        "tests": [
            {
                "name": test.name,
                "line": test.line,
                "passed": test.passed,
                "failures": [_failure_data(failure) for failure in test.failures],
            }
            for test in result.results
        ],
        "unreached": None
        if result.unreached is None
        else [
            {"file": item.file, "line": item.line, "column": item.column, "path": item.path, "value": item.value}
            for item in result.unreached
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
            }
            for item in failure.differences
            for pair in [(("expected", item.expected), ("found", as_plain(item.found)))]
        ],
        "outcome": failure.outcome,
    }


def junit(results: Iterable[FileResult]) -> ElementTree[Element]:
    """All results as JUnit XML; one suite for each file."""
    root = Element("testsuites")
    for result in results:
        failed = sum(not test.passed for test in result.results)
        suite = SubElement(
            root,
            "testsuite",
            name=result.file,
            tests=str(len(result.results)),
            failures=str(failed),
            errors="0",
            time=f"{result.seconds:.3f}",
        )
        for test in result.results:
            case = SubElement(
                suite, "testcase", name=test.name, classname=result.file, file=result.file, line=str(test.line)
            )
            for failure in test.failures:
                text = "\n".join(failure_lines(failure))
                SubElement(case, "failure", message=_xml_text(failure.what)).text = _xml_text(text)
    indent(root)
    return ElementTree(root)


def _xml_text(text: str) -> str:
    """The text without the characters that XML does not have."""
    return "".join(char if char in "\t\n\r" or ord(char) >= 32 else "�" for char in text)
