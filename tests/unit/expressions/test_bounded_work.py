"""No expression takes longer than its budget, whatever the values are that it is evaluated with."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scopes import AnyScope
from yaml_connector._expressions.budget import limited
from yaml_connector._expressions.compile import compile_expression, compile_extraction
from yaml_connector._expressions.jinja import REQUEST
from yaml_connector.errors import EvaluationError

pytestmark = pytest.mark.slow

BUDGET = 10_000_000  # nanoseconds
SLACK = 0.2  # seconds of CPU: machines differ, and what is counted is an estimate

SIZE = 128 * 1024


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else 1


VALUES: dict[str, Any] = {
    "one letter": "a" * SIZE,
    "comments": "<!---->" * (SIZE // 7),
    "brackets": "(<" * (SIZE // 2),
    "words": "ab " * (SIZE // 3),
    "lines": "\n" * SIZE,
    "URLs": "http://a.b " * (SIZE // 11),
    "entities": "&lt;" * (SIZE // 4),
    "formats": "%s{}" * (SIZE // 4),
    "digits": "9" * 4000,
    "a number": 10**4000,
    "numbers": [1] * (SIZE // 2),
    "letters": ["a"] * (SIZE // 4),
    "lists": [[] for _ in range(SIZE // 3)],
    "mappings": [{"a": number} for number in range(SIZE // 8)],
    "a mapping": {f"k{number}": number for number in range(SIZE // 11)},
    "pairs": [["a", 1]] * (SIZE // 8),
    "long texts": ["a" * 1000 + str(number) for number in range(SIZE // 1000)],
    "deep": _deep(190),
    "mixed": [1, "a", None] * (SIZE // 15),
}
ARGUMENTS = {
    "attr": "'a'", "batch": "2", "center": "200000", "d": "1", "default": "1", "divisibleby": "7", "format": "1", "groupby": "'a'", "indent": "9, true",
    "join": "v", "jsonpath": "'$..a'", "map": "attribute='a'", "merge": "v", "regex": "'(a+)b'", "regex_replace": "'a', 'bb'", "reject": "'in', v", "rejectattr": "'a'",
    "replace": "'a', v", "round": "2", "select": "'in', v", "selectattr": "'a', 'in', v", "slice": "3", "sum": "start=[]", "test": "'string'", "filter": "'e'",
    **dict.fromkeys(("in", "eq", "ne", "lt", "gt", "le", "ge", "equalto", "sameas", "greaterthan", "lessthan", "!=", "<", "<=", "==", ">", ">="), "v"),
}  # fmt: skip
LAZY = frozenset(
    {"map", "select", "reject", "selectattr", "rejectattr", "batch", "slice", "unique", "reverse", "items"}
)


def seconds_of(evaluate: Callable[[], object]) -> float:
    """The seconds of CPU that a call takes; one that seems late is measured again, since a run of the garbage collector
    counts as well."""
    for _ in range(3):
        began = time.thread_time()
        with limited(BUDGET):
            try:
                evaluate()
            except EvaluationError as error:
                assert str(error)
        if (seconds := time.thread_time() - began) <= SLACK:
            break
    return seconds


def took(source: str, values: dict[str, Any]) -> dict[str, float]:
    """The seconds of CPU that an expression takes with each of the values, if it is too long."""
    expression = compile_expression(source, answer=True)
    seconds = {name: seconds_of(partial(expression.evaluate, AnyScope(v=value))) for name, value in values.items()}
    return {name: each for name, each in seconds.items() if each > SLACK}


@pytest.mark.parametrize("name", sorted(REQUEST.filters))
def test_no_filter_takes_long(name: str) -> None:
    source = f"v | {name}({ARGUMENTS.get(name, '')})" + (" | list" if name in LAZY else "")
    assert took(source, VALUES) == {}


@pytest.mark.parametrize("name", sorted(name for name in REQUEST.tests if name.isidentifier()))
def test_no_test_takes_long(name: str) -> None:
    assert took(f"v is {name}({ARGUMENTS.get(name, '')})", VALUES) == {}


@pytest.mark.parametrize("name", sorted(name for name in dir(str) if not name.startswith("_")))
def test_no_method_of_a_text_takes_long(name: str) -> None:
    texts = {key: value for key, value in VALUES.items() if isinstance(value, str)}
    for arguments in ("", "v", "'a', v", "200000", "'a'"):
        assert took(f"v.{name}({arguments})", texts) == {}
        assert took(f"(v | safe).{name}({arguments})", texts) == {}


@pytest.mark.parametrize(
    "source",
    [
        "v in v", "v not in v", "v | select('in', v) | list", "v | reject('in', v) | list", "v | map('in', v) | list", "v == v", "v < v", "1 < v in v", "v ~ v ~ v", "~".join(["v"] * 1000),
        "+".join(["v"] * 50), "*".join(["v"] * 100), "v * 1000", "1000 * v", "v ** v", "v ** 1000", "v // 7", "v % 7", "v % v", "v / 3", "-v", "v[1:]", "v" + "[1:]" * 20, "[v, v, v] | string",
        "{'a': v, 'b': v} | json", "[v] * 1000 | map('string') | list", "range(10000) | map('replace', '1', v) | list", "range(10000) | map('string') | map('center', 1000) | join", "v | list",
        "v | map('jsonpath', '$[*]') | list", "v | map('string') | join", "v | map('regex', '(.*)b') | list", "v | map('tojson') | list", "v | map('list') | sum(start=[])", "v | sum(start='')",
        "v.split('') | length", "v.split(',') | length", "v.splitlines() | length", "v.count(v)", "v.index(v)", "v.items() | list", "v | dictsort", "dict(v)", "v | batch(1, v) | list",
        "v | sort(attribute='a.b.c')", "v | sort(case_sensitive=true)", "v | unique(attribute='a') | list", "v | max", "v | tojson(indent=8)", "v | wordwrap(1)", "v | indent(v, true)", "(v, v, v, v)",
        "v | urlize(1)", "v | safe | striptags", "v | join(v)", "v | fromjson", "('[' * 100000) | fromjson", "('[],' * 30000) | fromjson", "v | regex_replace('', v)", "v | regex(v)", "v | xmlattr | length",
    ],
    ids=lambda source: source[:40],
)  # fmt: skip
def test_nothing_that_grows_takes_long(source: str) -> None:
    assert took(source, VALUES) == {}


PATHS = [
    "$..a", "$..*", "$..*..*", "$..*..*..*", "$..[?(@.a)]", "$..[?(@..a)]", "$[?(@.a == $.a)]", "$[?($..a)]", "$..[0]", "$[*][*][*]", "$[0:100000]", "$[::1]", "$.*.*", "$.`keys`", "$..`keys`",
    "$..*.`str()`", "$.`len`", "$[\\a]", "$[/a, \\b]", "$[*].a + $[*].a", "$[0] * 1000000000", "$[*].`sub(/a/, bb)`", "$..*.`parent`..a", "$[?(@.a =~ 'b+')]", "$[?(@.a > 5)].a",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_takes_long(path: str) -> None:
    extraction = compile_extraction(path)
    seconds = {name: seconds_of(partial(extraction.every, AnyScope(body=value))) for name, value in VALUES.items()}
    assert {name: each for name, each in seconds.items() if each > SLACK} == {}


ATOMS = st.sampled_from(["v", "[v, v]", "'a'", "v[0]", "v | first", "range(9999)", "9999", "{'a': v}"])
FILTERS = st.tuples(st.sampled_from(sorted(REQUEST.filters)), st.sampled_from(["", "v", "'a'", "'in', v", "99, v", "'replace', 'a', v", "'a', v", "attribute='a'"]))  # fmt: skip


@given(ATOMS, st.lists(FILTERS, min_size=1, max_size=5), st.sampled_from(sorted(VALUES)))
def test_no_chain_of_filters_takes_long(atom: str, filters: list[tuple[str, str]], name: str) -> None:
    source = atom + "".join(f" | {each}({arguments})" for each, arguments in filters)
    with suppress(EvaluationError):  # it does not compile: a pattern that is wrong
        assert took(source, {name: VALUES[name]}) == {}
