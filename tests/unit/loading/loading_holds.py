"""What holds of anything that is loaded, whatever it is: checks that the tests and the fuzzer share."""

from __future__ import annotations

from contextlib import suppress

from tests.support.paths import CATALOG
from yaml_connector._expressions.compile import compile_condition, compile_extraction, compile_text
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._expressions.value_types import parse_type
from yaml_connector._loading.loader import LoadedSpec, load_text
from yaml_connector.errors import Diagnostic, EvaluationError
from yaml_connector.testing.loader import load_tests, value_problems

LONGEST = 5  # seconds of the processor for one case; nearly all take milliseconds
FOREIGN = ("Value error", "pydantic", " object at 0x")  # other people's words
_SPEC = CATALOG / "databricks_job.yaml"
_KNOWN = load_text(_SPEC.read_bytes(), str(_SPEC))


def spec_holds(content: bytes) -> LoadedSpec | None:
    """A spec file gives a spec or problems at places in the file, in their order, each one line of our own words."""
    loaded, problems = load_text(content, "s.yaml")
    assert (loaded is None) == any(problem.severity == "error" for problem in problems)
    problems_hold(problems, content)
    return loaded


def contract_holds(content: bytes) -> None:
    """So does a file of contract tests, and the values in it, whatever spec they are for."""
    loaded, problems = load_tests(content, str(_SPEC.with_suffix(".test.yaml")), lambda file: _KNOWN)
    problems_hold(problems, content)
    if loaded is not None:
        problems_hold(value_problems(loaded), content)


def problems_hold(problems: list[Diagnostic], content: bytes) -> None:
    assert problems == sorted(problems)
    assert len(problems) <= 201
    last = 1 + content.count(b"\n") + content.count(b"\r") + content.count(b"\x85") + content.count(b"\xe2\x80")
    for problem in problems:
        assert 1 <= problem.line <= last + 1  # what is missing at the end stands after it
        assert problem.column >= 1
        assert problem.message
        assert "\n" not in str(problem), str(problem)
        assert len(str(problem)) < 10_000
        assert not any(words in problem.message for words in FOREIGN), problem.message


def expression_holds(text: str) -> None:
    """An expression is compiled, or a EvaluationError says why not; so it is inside a text and as a condition."""
    for compile_it in (compile_condition, compile_extraction, compile_text):
        source = text if compile_it is compile_condition else "${{" + text + "}}"
        with suppress(EvaluationError):
            compile_it(source)


def path_holds(text: str) -> None:
    """A JSONPath is compiled and finds something or nothing, or a EvaluationError says why not."""
    with suppress(EvaluationError):
        compile_path(text).find({"a": [{"b": 1, "a-b": "x"}, {"b": "y-z"}, None], "b": {"a": [3, 1, 2]}})


def type_holds(text: str) -> None:
    """A type is one, or a EvaluationError says why not."""
    with suppress(EvaluationError):
        parse_type(text)
