"""JSONPath and extractions: where a value is read from an answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse

from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_extraction, compile_extractions
from yaml_connector._expressions.jsonpath import _plain_steps, compile_path
from yaml_connector._expressions.scope import Scope
from yaml_connector.errors import EvaluationError

NAMES = st.sampled_from(
    ["a", "b", "items", "a-b", "len", "keys", "0", "", "é", "a b", "$", "x.y", "where", "parent", "_x", "A1", "sorted"]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "text"]) | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
STEPS = st.one_of(
    NAMES.filter(str.isidentifier).map(lambda name: f".{name}"),
    NAMES.filter(lambda name: name and "'" not in name).map(lambda name: f"['{name}']"),
    st.integers(0, 3).map(lambda index: f"[{index}]"),
    st.just("[*]"),
)
PATHS = st.lists(STEPS, max_size=5).map(lambda steps: "$" + "".join(steps))
BODY: dict[str, Any] = {
    "id": 7,
    "none": None,
    "items": [{"n": 1, "s": "a"}, {"n": 2}, {"s": "c"}],
    "m": {"x": {"n": 3}, "y": 4},
    "a-b": {"c.d": 5},
    "e": [],
}


@pytest.mark.slow
@given(PATHS, DOCUMENTS)
def test_the_short_way_finds_what_jsonpath_ng_finds(path: str, document: Any) -> None:
    if _plain_steps(path) is not None:
        assert repr(compile_path(path).find(document)) == repr([match.value for match in parse(path).find(document)])


def test_the_short_way_is_taken_for_the_paths_that_nearly_every_spec_uses() -> None:
    for path in ("$", "$.id", "$.a.b[0]", "$['a-b']", "$.items[*].id", "$[*]", "$[0][1]"):
        assert _plain_steps(path) is not None
    for path in ("$.len", "$..a", "$.a[-1]", "$.a[0:1]", "$.*", "a.b", "$.a.`len`", "$['*']", "$.a[?(@.b)]"):
        assert _plain_steps(path) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", BODY),
        ("$.id", 7),
        ("$.none", None),
        ("$.nope", None),
        ("$.id.x", None),
        ("$.items[0].n", 1),
        ("$.items[9]", None),
        ("$['a-b']['c.d']", 5),
        ('$."a-b"."c.d"', 5),
        ("$.items[*].n", [1, 2]),
        ("$.items[*]", BODY["items"]),
        ("$.e[*]", []),
        ("$.nope[*].x", []),
        ("$..n", [1, 2, 3]),
        ("$.items[0:2].n", [1, 2]),
        ("$.items[?(@.n > 1)].n", [2]),
        ("$.items[?(@.s == 'a')].n", [1]),
        ("$.m.*", [{"n": 3}, 4]),
        ("$.items.`len`", 3),
        ("$.items[-1].s", "c"),
        ("$.items[?s].s", ["a", "c"]),
    ],
)
def test_a_path_that_can_match_several_places_gives_a_list_any_other_the_value(path: str, value: Any) -> None:
    assert compile_path(path).value(BODY) == value


@pytest.mark.parametrize(
    "path",
    [
        "$.",
        "$..",
        "$.a[",
        "$.a]",
        "$.a[?(@.b",
        "$.a[?(@.b ==)]",
        "$[a b]",
        "$.a b c",
        "$['a",
        "$.a.`nope`",
        "$.a.`sub(/x/`",
        "$ $",
        "$.a[1:2:3:4]",
        "${a}",
        "$a",
        "$.a..",
        "$.[?]",
        "$.a[*",
        "$.a,",
        "$|",
        "$.a[?(@.b =~ '(')]x",
    ],
)
def test_a_syntax_error_is_a_problem_that_shows_the_path_and_says_where(path: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        compile_path(path)
    message = str(raised.value)
    assert message.startswith(f"{path!r} is not a valid JSONPath: ")
    assert len(message) > len(f"{path!r} is not a valid JSONPath: ") + 5
    assert "\n" not in message


def test_an_unlikely_path_takes_no_long() -> None:
    started = time.perf_counter()
    for path in (
        "$" + ".a" * 4000,
        "$..a" + ".b" * 3000,
        "$" + "[" * 5000,
        "$." + "(" * 3000,
        "$" + "[*]" * 30,
        "$" + "..a" * 2000,
        "$.a[?(@.b == '" + "x" * 9000 + "')]",
        "$" + ".a" * 500_000,
    ):
        try:
            compile_path(path).find(BODY)
        except EvaluationError:
            continue
    assert time.perf_counter() - started < 10


def test_an_operator_on_a_value_of_another_type_matches_nothing() -> None:
    assert compile_path("$.items[?(@.n > 'x')].n").find(BODY) == []
    assert compile_path("$.id.`split(,, 0, -1)`").find(BODY) == []


def scope(body: Any = None, **more: Any) -> AnyScope:
    return AnyScope(body=BODY if body is None else body, status=200, **more)


class TestAnExtraction:
    @pytest.mark.parametrize(
        ("raw", "value", "first", "every"),
        [
            ("$.id", 7, 7, [7]),
            ("$.items[*].n", [1, 2], 1, [1, 2]),
            ("$.items", BODY["items"], BODY["items"], [BODY["items"]]),
            ("$.nope", None, None, []),
            ("$.none", None, None, [None]),
            ("$.nope[*]", [], None, []),
            ("${{ body.id }}", 7, 7, [7]),
            ("${{ body['items'] | map(attribute='n') }}", [1, 2, None], [1, 2, None], [1, 2, None]),
            ("${{ body.nope }}", None, None, []),
            ("a-${{ body.id }}", "a-7", "a-7", ["a-7"]),
            ("literal", "literal", "literal", ["literal"]),
            ("", "", "", [""]),
            (5, 5, 5, [5]),
            (True, True, True, [True]),
            (None, None, None, []),
            ([1, "${{ body.id }}"], [1, 7], [1, 7], [1, 7]),
            ({"a": "${{ body.id }}"}, {"a": 7}, {"a": 7}, [{"a": 7}]),
            (" $.id", " $.id", " $.id", [" $.id"]),
            ("a$.id", "a$.id", "a$.id", ["a$.id"]),
        ],
    )
    def test_is_a_path_a_template_or_a_literal(self, raw: Any, value: Any, first: Any, every: list[Any]) -> None:
        extraction = compile_extraction(raw)
        assert (extraction.value(scope()), extraction.first(scope()), extraction.every(scope())) == (
            value,
            first,
            every,
        )

    def test_of_an_answer_without_a_body_finds_nothing(self) -> None:
        for raw, every in (("$.id", []), ("$.items[*]", []), ("$", []), ("${{ body.id }}", [])):
            extraction = compile_extraction(raw)
            assert extraction.first(Scope()) is None
            assert extraction.every(Scope()) == every

    def test_may_read_a_line_instead(self) -> None:
        assert compile_extraction("$.m", root="line").first(AnyScope(line={"m": 1}, body={"m": 2})) == 1

    @pytest.mark.parametrize("raw", ["$.a[", "${{ a", "${{ + }}", ["${{ + }}"], {"a": "${{ + }}"}])
    def test_that_is_wrong_is_a_problem(self, raw: Any) -> None:
        with pytest.raises(EvaluationError):
            compile_extraction(raw)


class TestAMappingOfExtractions:
    def test_reads_each_and_leaves_out_what_is_not_there(self) -> None:
        raw = {
            "id": "$.id",
            "all": "$.items[*].n",
            "no": "$.nope",
            "t": "${{ body.nope }}",
            "lit": "x",
            "nil": None,
            "deep": {"n": "$.m.x.n", "l": ["$.id", 5]},
            "empty": "$.e[*]",
        }
        assert compile_extractions(raw).evaluate(scope()) == {
            "id": 7,
            "all": [1, 2],
            "lit": "x",
            "nil": None,
            "deep": {"n": 3, "l": [7, 5]},
            "empty": [],
        }

    def test_may_be_one_template(self) -> None:
        assert compile_extractions("${{ body.m }}").evaluate(scope()) == BODY["m"]
