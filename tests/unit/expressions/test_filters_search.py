"""Filters that look for something: `regex`, `find`, `jsonpath`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filters import problem, value
from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_text
from yaml_connector.errors import EvaluationError


class TestRegex:
    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ("'job-17 ok' | regex('job-(\\\\d+)')", "17"),
            ("'job-17' | regex('\\\\d+')", "17"),
            ("'a-b' | regex('(.)-(.)', 2)", "b"),
            ("'a-b' | regex('(.)-(.)', 0)", "a-b"),
            ("'a-b' | regex('(?P<x>.)-', group='x')", "a"),
            ("'abc' | regex('z')", None),
            ("'abc' | regex('a(z)?')", None),
            ("17 | regex('1(.)')", "7"),
            ("'a.b.c' | regex_replace('[.]', '-')", "a-b-c"),
            ("'ab' | regex_replace('(a)(b)', '\\\\2\\\\1')", "ba"),
            ("'abc' | regex_replace('', '-')", "-a-b-c-"),
            ("'ab' | regex_replace('(?P<x>a)', '<\\\\g<x>>')", "<a>b"),
            ("'a\\\\nb' | regex_replace('b', '$1')", "a\\nb".replace("b", "$1")),
        ],
    )
    def test_finds_and_replaces(self, call: str, expected: Any) -> None:
        assert value(call) == expected

    def test_that_is_wrong_is_a_problem_that_says_how(self) -> None:
        assert "'(' is not a valid regular expression: missing )" in problem("'a' | regex('(')")
        assert "has no group 5" in problem("'a' | regex('(a)', 5)")
        assert "'[' is not a valid regular expression" in problem("'a' | regex_replace('[', '')")
        assert problem("'a' | regex_replace('a', '\\\\9')")

    @given(st.text(st.sampled_from("ab1.")), st.text(st.sampled_from("xy1")))
    def test_replaces_as_python_does(self, text: str, new: str) -> None:
        import re

        for pattern in ("a", "a*", "b|1", "[.]", ""):
            assert value("x | regex_replace(p, n)", x=text, p=pattern, n=new) == re.sub(pattern, new, text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.a[0].b", 1),
        ("$.a[*].b", [1, 2]),
        ("$..b", [1, 2]),
        ("$.a[0:1].b", [1]),
        ("$.a[?(@.b > 1)].b", [2]),
        ("$.nope", None),
        ("$.nope[*]", []),
        ("$.a", [{"b": 1}, {"b": 2}]),
        ("$.a[-1].b", 2),
    ],
)
def test_jsonpath_gives_a_list_where_a_path_can_match_several_places(path: str, expected: Any) -> None:
    assert value("x | jsonpath(p)", x={"a": [{"b": 1}, {"b": 2}]}, p=path) == expected


JOBS = [
    {"id": 7, "at": {"host": "a", "tags": ["x", "y"]}},
    {"id": "8", "at": {"host": None}},
    "text",
    None,
    {"id": True},
]


class TestFind:
    @pytest.mark.parametrize(
        ("call", "index"),
        [
            ("find('id', 7)", 0),
            ("find('id', '7')", 0),
            ("find('id', 8)", 1),
            ("find('id', 'true')", 4),
            ("find('at.host', 'a')", 0),
            ("find('at.tags.1', 'y')", 0),
            ("find('at.tags', ['x', 'y'])", 0),
            ("find('at.tags', '[\"x\",\"y\"]')", 0),
            ("find('id', 9)", None),
            ("find('at.host', none)", None),
            ("find('at.host', 'null')", None),
            ("find('at.host', x.nope) if false", None),
            ("find('nope', 7)", None),
            ("find('at.tags.9', 'y')", None),
            ("find('at.tags.99999999999999999999', 'y')", None),
            ("find('', 7)", None),
        ],
    )
    def test_gives_the_first_item_whose_attribute_is_the_value_as_text(self, call: str, index: int | None) -> None:
        assert value(f"x | {call}", x=JOBS) == (None if index is None else JOBS[index])

    @pytest.mark.parametrize("given_", ["'text'", "{'a': 1}", "5"])
    def test_needs_a_list(self, given_: str) -> None:
        assert "find: a list is needed" in problem(f"{given_} | find('a', 1)")

    def test_of_a_missing_value_is_an_error_in_a_request_and_nothing_in_an_answer(self) -> None:
        source = "${{ x | find('id', y.z) }}"
        assert compile_text(source, answer=True).evaluate(AnyScope(x=JOBS, y={})) is None
        with pytest.raises(EvaluationError, match="'z' does not exist"):
            compile_text(source, answer=False).evaluate(AnyScope(x=JOBS, y={}))


def test_a_very_long_jsonpath_of_a_task_is_not_compiled() -> None:
    said = problem("x | jsonpath(p)", x={}, p="$" + ".a" * 5000)
    assert "jsonpath: a path has at most 2000 characters, and this one 10001" in said
