"""Templates: types are kept, nothing is parsed again, and a path keeps its shape."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext import parse as reference_parse

from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_condition, compile_expression, compile_text, compile_tree
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.request_template import compile_request
from yaml_connector._spec.requests import Request
from yaml_connector.errors import EvaluationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_a_whole_template_gives_the_value_itself(value: Any) -> None:
    for text in ("${{ inputs.x }}", "${{ inputs['x'] | default(none) }}"):
        result = compile_text(text).evaluate(Scope(inputs={"x": value}))
        assert result == value
        assert type(result) is type(value)


@given(st.text(max_size=30))
def test_a_text_is_written_as_it_is_and_never_parsed_again(text: str) -> None:
    scope = Scope(inputs={"x": text + "${{ inputs.secret }}", "secret": "no"})
    assert compile_text("<${{ inputs.x }}>").evaluate(scope) == f"<{text}${{{{ inputs.secret }}}}>"


@given(st.text(alphabet="${}()a \r\n", max_size=30).filter(lambda text: "${{" not in text))
def test_what_is_no_template_is_left_alone(text: str) -> None:
    assert compile_text(text).evaluate(Scope()) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_text_is_one_segment_of_a_path(text: str) -> None:
    plan = compile_request(Request.model_validate("GET /jobs/${{ job.id }}/cancel"))
    scope = Scope(job={"id": text})
    if text in (".", ".."):
        with pytest.raises(EvaluationError, match="must not contain the segments"):
            plan.build(scope, "http://h")
        return
    path = plan.build(scope, "http://h").url.removeprefix("http://h")
    _, jobs, segment, cancel = path.split("/")
    assert (jobs, unquote(segment), cancel) == ("jobs", text, "cancel")
    assert not set("?#% \\") & set(segment.replace("%", "", segment.count("%")))


def test_an_empty_segment_is_an_error() -> None:
    plan = compile_request(Request.model_validate("DELETE /jobs/${{ inputs.x }}"))
    with pytest.raises(EvaluationError, match="is empty, and would leave out a segment of the path"):
        plan.build(Scope(inputs={"x": ""}), "http://h")


def test_a_key_whose_template_is_null_is_left_out_and_a_literal_null_is_kept() -> None:
    tree = {"a": "${{ inputs.n }}", "b": None, "c": {"d": "${{ inputs.n }}"}, "e": ["${{ inputs.n }}"]}
    assert compile_tree(tree).evaluate(Scope(inputs={"n": None})) == {"b": None, "c": {}, "e": [None]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x${{ inputs.n }}", "is null, and there is text around it"),
        ("${{ inputs.nope }}", "'nope' does not exist; there is: n, m"),
        ("${{ inputs.m.keys() }}", "does not exist"),
        ("${{ inputs.n", "has no closing"),
    ],
)
def test_what_has_no_value_says_why(text: str, sentence: str) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        compile_text(text).evaluate(Scope(inputs={"n": None, "m": {"a": 1}}))


@pytest.mark.parametrize(
    "condition",
    [
        "body.x",
        "body.x.y.z",
        "body.x == 1",
        "body.x != 1",
        "body.x < 1",
        "body.x in ['a']",
        "'a' in body.x",
        "body.x > 0",
    ],
)
def test_a_missing_field_of_an_answer_is_false_in_every_comparison(condition: str) -> None:
    assert not compile_condition(condition).evaluate(AnyScope(body={"items": [1]}))


def test_a_key_that_is_a_method_s_name_is_the_key() -> None:
    scope = AnyScope(body={"items": [1], "get": 2})
    assert compile_expression("body.items", answer=True).evaluate(scope) == [1]
    assert compile_expression("body['get'] + 0", answer=True).evaluate(scope) == 2


NAMES = st.sampled_from(["a", "b", "c-d"])
STEPS = st.lists(
    st.one_of(
        NAMES.map(lambda name: f".{name}" if name.isidentifier() else f"['{name}']"),
        st.integers(0, 2).map(lambda index: f"[{index}]"),
        st.just("[*]"),
    ),
    max_size=4,
)
DOCUMENTS = st.recursive(
    st.none() | st.integers(0, 3) | st.text("xy", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.slow
@given(STEPS, DOCUMENTS)
def test_a_plain_path_finds_what_jsonpath_ng_finds(steps: list[str], document: Any) -> None:
    text = "$" + "".join(steps)
    assert compile_path(text).find(document) == [match.value for match in reference_parse(text).find(document)]
