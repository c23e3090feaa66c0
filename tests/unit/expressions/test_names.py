"""Expressions: what a mapping shows, the names an expression refers to, and trees of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from multidict import CIMultiDict

from tests.support.scopes import AnyScope
from tests.unit.expressions.evaluating import JSON, in_answer, in_request
from yaml_connector._expressions.compile import compile_expression, compile_text, compile_tree
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response


class TestAMapping:
    @pytest.mark.parametrize("name", [name for name in dir(dict) if not name.startswith("_")])
    def test_shows_its_keys_and_never_pythons_methods(self, name: str) -> None:
        for evaluate in (in_request, in_answer):
            for source in (f"x.{name}", f"x['{name}']", f"x|attr('{name}')", f"(x).{name}"):
                assert evaluate("${{ " + source + " }}", x={name: "mine"}) == "mine"
                assert evaluate("${{ (" + source + ") is defined }}", x={}) is False

    def test_of_headers_does_not_care_for_case(self) -> None:
        answer = Response("GET", "u", 200, CIMultiDict({"Content-Type": "x/y"}), b"")
        for source in ("headers['content-type']", "headers['CONTENT-TYPE']", "headers['content-' ~ 'type']"):
            assert compile_text("${{ " + source + " }}", answer=True).evaluate(Scope(response=answer)) == "x/y"
        assert compile_text("${{ headers }}", answer=True).evaluate(Scope(response=answer)) == {"Content-Type": "x/y"}

    def test_of_an_answer_shows_the_names_of_the_page_and_no_other(self) -> None:
        answer = Response("GET", "https://u", 201, CIMultiDict(), b'{"a": 1}')
        answer.saved = {"s": 1}
        for name, expected in (
            ("status", 201),
            ("url", "https://u"),
            ("text", '{"a": 1}'),
            ("body", {"a": 1}),
            ("saved", {"s": 1}),
        ):
            assert in_answer("${{ x." + name + " }}", x=answer) == expected
        for name in ("method", "content", "_body", "is_json", "keys", "get"):
            assert in_answer("${{ x." + name + " }}", x=answer) is None
            assert in_answer("${{ x | attr('" + name + "') }}", x=answer) is None

    def test_that_makes_its_values_on_demand_is_asked_only_for_what_is_named(self) -> None:
        class Lazy(Mapping[str, Any]):
            def __getitem__(self, key: str) -> Any:
                if key != "a":
                    raise AssertionError(key)
                return 1

            def __iter__(self) -> Any:
                return iter(["a", "b"])

            def __len__(self) -> int:
                return 2

        assert in_request("${{ x.a + 1 }}", x=Lazy()) == 2


class TestNames:
    @pytest.mark.parametrize(
        ("source", "names"),
        [
            ("a", {("a",)}),
            ("a.b['c'][0]", {("a", "b", "c", 0)}),
            ("a[b.c].d", {("a",), ("b", "c")}),
            ("a.b ~ c", {("a", "b"), ("c",)}),
            ("a | default(b)", {("a",), ("b",)}),
            ("a['b' ~ 'c']", {("a",)}),
            ("x.y if a.b else [c, {'k': d.e}]", {("x", "y"), ("a", "b"), ("c",), ("d", "e")}),
            ("a.b(c)", {("a", "b"), ("c",)}),
            ("1", set()),
            ("a | map(attribute='b')", {("a",)}),
            ("a[1:b]", {("a",), ("b",)}),
            ("(a.b).c", {("a", "b", "c")}),
        ],
    )
    def test_are_what_an_expression_refers_to(self, source: str, names: set[Any]) -> None:
        assert set(compile_expression(source, answer=True).names) == names


class TestATree:
    def test_leaves_out_a_key_whose_template_gives_null_and_keeps_a_literal_null(self) -> None:
        tree = {
            "a": "${{ n }}",
            "b": None,
            "c": {"d": "${{ n }}", "e": 1},
            "f": ["${{ n }}", None, {"g": "${{ n }}"}],
            "h": "${{ v }}",
        }
        assert compile_tree(tree).evaluate(AnyScope(n=None, v=0)) == {
            "b": None,
            "c": {"e": 1},
            "f": [None, None, {}],
            "h": 0,
        }

    @given(JSON)
    def test_without_a_template_is_constant_and_as_it_was(self, tree: Any) -> None:
        if "${{" not in repr(tree):
            compiled = compile_tree(tree)
            assert compiled.constant
            assert repr(compiled.evaluate(Scope())) == repr(tree)
