r"""Regular expressions: RE2's syntax, in time that is linear in the text; `\b` and `\1` survive Jinja's strings."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from tests.unit.expressions.evaluating import in_answer
from yaml_connector._expressions import regex
from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._loading.loader import read_spec
from yaml_connector.errors import EvaluationError

RAY = r"'(?s).*\n([A-Za-z0-9_.]*(?:Error|Exception):[^\n]*)'"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (r"'a cat' | regex('\bcat\b')", "cat"),
        (r"'concat' | regex('\bcat\b')", None),
        (r"'ab' | regex_replace('(a)(b)', '\2\1')", "ba"),
        (r"'ab' | regex_replace('(a)(b)', '\\2\\1')", "ba"),
        (r"'é€😀' | regex_replace('', '-')", "-é-€-😀-"),
        (r"'é€😀' | regex('€(.)')", "😀"),
        (r"'x' | regex_replace('(y)?x', '[\1]')", "[]"),
        (r"'a\\nb' | regex_replace('a', '\\\\')", "\\\nb".replace("\n", "\\n")),
        ("'Ünï' | regex('([\\\\pL]+)')", "Ünï"),
        ("'Ünï' | regex('(\\\\w+)')", "n"),
    ],
)
def test_means_what_it_says(call: str, expected: str | None) -> None:
    assert in_answer(f"${{{{ {call} }}}}") == expected


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\\1", r"(a)\1", "(?>a)"])
@pytest.mark.parametrize(
    "call", ["'x' | regex('PATTERN')", "'x' | regex_replace('PATTERN', '')", "x | map('regex', 'PATTERN')"]
)
def test_what_re2_lacks_is_an_error_when_the_field_is_compiled(pattern: str, call: str) -> None:
    with pytest.raises(EvaluationError, match="is not in RE2's syntax"):
        compile_text(f"${{{{ {call.replace('PATTERN', pattern)} }}}}", answer=True)


def test_a_pattern_that_is_known_only_at_the_call_is_an_error_of_the_call() -> None:
    field = compile_text("${{ 'x' | regex(pattern) }}", answer=True)
    assert field.names
    with pytest.raises(EvaluationError, match="is not in RE2's syntax"):
        in_answer("${{ 'x' | regex(pattern) }}", pattern="(?=a)b")


def test_a_path_searches_with_re2() -> None:
    body = {"items": [{"s": "xay"}, {"s": "xby"}, {"s": 3}]}
    assert compile_path("$.items[?(@.s =~ 'a')].s").find(body) == ["xay"]
    assert compile_path("$.items[?(@.s =~ 'a' || @.s =~ 'b.$')].s").find(body) == ["xay", "xby"]
    assert compile_path("$.items[0].s.`sub(/x(.)/, \\\\1-)`").value(body) == "a-y"
    for path in ("$.items[?(@.s =~ '(?=a)')]", "$..items[?(@.s == 'x' || @.s =~ '(?=a)')].s", "$.s.`sub(/(?=a)/, x)`"):
        with pytest.raises(EvaluationError, match="is not in RE2's syntax"):
            compile_path(path)


def test_patterns_that_take_quadratic_time_elsewhere_read_a_megabyte_at_once() -> None:
    page = "x\n" * 500_000
    started = time.process_time()
    assert in_answer(f"${{{{ page | regex({RAY}) }}}}", page=page) is None
    assert in_answer("${{ page | regex('(a*)*b') }}", page="a" * 2**20) is None
    assert compile_path("$[?(@ =~ '(a*)*b')]").find(["a" * 2**20]) == []
    assert in_answer("${{ page | regex('Run .+ does not exist') }}", page="Run " * 2**18) is None
    assert time.process_time() - started < 2


@pytest.mark.slow
def test_every_pattern_of_the_catalog_reads_a_hostile_megabyte_at_once() -> None:
    import re as python

    for file in sorted(Path(regex.__file__).parents[1].joinpath("catalog").glob("*.yaml")):
        for call in python.findall(
            r"(?:\| regex(?:_replace)?|'regex_replace',) ?\(?'((?:[^'\\]|\\.)*)'", file.read_text()
        ):
            pattern = regex.compile_regex(ast.literal_eval(f"'{call}'"))
            for text in (call * (2**20 // len(call)), "x\n" * 2**19, "Error: " * 150_000, "0" * 2**20, " " * 2**20):
                started = time.process_time()
                pattern.search(text)
                assert time.process_time() - started < 0.5, (file.name, call)


@pytest.mark.slow
def test_compiled_patterns_are_bounded_in_bytes() -> None:
    for number in range(600):
        regex.compile_regex(f"a{number}")
    for number in range(30):
        regex.compile_regex(rf"[\pL\d_]{{{40 + number}}}")
    kept = map(regex.compile_regex, regex._patterns)
    assert sum(pattern.size for pattern in kept) <= regex._CACHED


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EvaluationError):
        regex.compile_regex("(?=a)")
    regex.compile_regex("((a{1,30}){1,30}b|[a-c]{90}d)*x").search("abc" * 30_000)
    assert capfd.readouterr().err == ""


SPEC = r"""spec_version: 1
name: patterns
task_type: patterns
connection: {{base_url: "http://localhost:1"}}
create:
  request: {{path: /jobs}}
  job_id: ${{{{ body.id | regex('{pattern}') }}}}
get:
  request: {{path: "/jobs/${{{{ job.id }}}}"}}
  phase: $.state
"""


@pytest.mark.parametrize(
    ("pattern", "said"),
    [(r"(\\w+)", r"\w knows ASCII"), (r"\bx", r"\b knows ASCII"), ("(?=x)", "RE2's syntax"), ("[a-z]+", None)],
)
def test_loading_names_the_field(tmp_path: Path, pattern: str, said: str | None) -> None:
    file = tmp_path / "patterns.yaml"
    file.write_text(SPEC.format(pattern=pattern))
    loaded, problems = read_spec(str(file))
    found = [
        problem for problem in (*problems, *(loaded.warnings if loaded else ())) if problem.path == "create.job_id"
    ]
    assert [said in problem.message for problem in found] == ([True] if said else [])
