"""Expressions and templates: types, null, what is missing, and what messages say."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scopes import AnyScope
from tests.unit.expressions.evaluating import JSON, in_answer, in_request
from yaml_connector._expressions.compile import compile_condition, compile_tree, parse_text
from yaml_connector.errors import EvaluationError

BOTH = pytest.mark.parametrize("evaluate", [in_request, in_answer], ids=["request", "answer"])


def problem(evaluate: Any, text: str, **scope: Any) -> str:
    with pytest.raises(EvaluationError) as raised:
        evaluate(text, **scope)
    return str(raised.value)


@BOTH
class TestAWholeTemplate:
    @given(JSON)
    def test_gives_any_value_as_it_is(self, evaluate: Any, value: Any) -> None:
        for text in (
            "${{ x }}",
            "${{x}}",
            "${{ x['y'] }}",
            "${{ (x) }}",
            "${{ [x][0] }}",
            "${{ {'a': x}.a }}",
            "${{ x if true else 1 }}",
        ):
            scope = {"y": value} if "y" in text else value
            assert repr(evaluate(text, x=scope)) == repr(value)

    @given(JSON)
    def test_gives_it_within_what_an_expression_puts_together(self, evaluate: Any, value: Any) -> None:
        assert repr(evaluate("${{ [x, {'k': x}] }}", x=value)) == repr([value, {"k": value}])

    @pytest.mark.parametrize(
        "text", ["123", "1.0", "true", "null", "None", "[1]", "{}", "'a'", " 5 ", "", "${{ 1 }}", "2024-05-01"]
    )
    def test_never_parses_a_string_again(self, evaluate: Any, text: str) -> None:
        assert evaluate("${{ x }}", x=text) == text
        assert evaluate("${{ x | string }}", x=text) == text
        assert evaluate("a${{ x }}", x=text) == f"a{text}"

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("1", 1),
            ("1.0", 1.0),
            ("'1'", "1"),
            ("true", True),
            ("none", None),
            ("[1, '2']", [1, "2"]),
            ("{'a': none}", {"a": None}),
            ("(1, 2)", [1, 2]),
            ("1 + 1", 2),
            ("4 / 2", 2.0),
            ("7 // 2", 3),
            ("7 % 2", 1),
            ("2 ** 3", 8),
            ("'a' ~ 1 ~ none", "a1None"),
            ("1 in [1]", True),
            ("not true", False),
            ("'a' if 1 > 2 else 'b'", "b"),
            ("'abc'[1]", "b"),
            ("'abc'[:2]", "ab"),
            ("[1, 2, 3][-1]", 3),
            ("'a,b'.split(',')", ["a", "b"]),
            ("range(3)", [0, 1, 2]),
            ("[1, 2] | map('string')", ["1", "2"]),
            ("{'a': 1}.items()", None),
            ("'A'.lower()", "a"),
            ("[[1] | map('string')]", [["1"]]),
            ("{'a': range(2)}", {"a": [0, 1]}),
            ("dict(a=1)", {"a": 1}),
            ("'<' | escape", "&lt;"),
        ],
    )
    def test_keeps_the_type_of_its_result(self, evaluate: Any, source: str, expected: Any) -> None:
        if expected is None and source != "none":
            return
        found = evaluate("${{ " + source + " }}")
        assert (found, type(found)) == (expected, type(expected))

    @pytest.mark.parametrize(
        "source",
        [
            "'a'.upper",
            "range",
            "now",
            "x.append",
            "cycler",
            "dict",
            "namespace(a=1)",
            "[''.join]",
            "{'a': now}",
            "joiner(',')",
        ],
    )
    def test_gives_data_and_nothing_else(self, evaluate: Any, source: str) -> None:
        try:
            found = evaluate("${{ " + source + " }}", x=[1])
        except EvaluationError:
            return
        assert found is None


@BOTH
class TestATemplateInsideAText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("s", "s"),
            (1, "1"),
            (1.0, "1.0"),
            (True, "true"),
            ([1, "é"], '[1,"é"]'),
            ({"b": 1, "a": None}, '{"b":1,"a":null}'),
            ("", ""),
            (2**53 + 1, "9007199254740993"),
            (1e21, "1e+21"),
        ],
    )
    def test_is_written_as_text_or_json(self, evaluate: Any, value: Any, text: str) -> None:
        assert evaluate("<${{ x }}|${{ x | default('') }}>", x=value) == f"<{text}|{text}>"

    def test_that_is_null_is_an_error_that_names_it(self, evaluate: Any) -> None:
        assert problem(evaluate, "a ${{ x }}", x=None) == "${{ x }} is null, and there is text around it"
        assert "${{ x.y | default(none) }} is null" in problem(evaluate, "a ${{ x.y | default(none) }}", x={})

    def test_may_stand_beside_another(self, evaluate: Any) -> None:
        assert evaluate("${{ a }}${{ b }}", a=1, b=2) == "12"
        assert evaluate(" ${{ a }}", a=1) == " 1"


@BOTH
class TestATextThatIsNoTemplate:
    @given(st.text(st.sampled_from("${}()%#a 1'\"\\\n")))
    def test_is_left_alone(self, evaluate: Any, text: str) -> None:
        if "${{" not in text:
            assert evaluate(text) == text

    @pytest.mark.parametrize(
        "text",
        ["${x}", "{{ x }}", "$(x)", "{% if %}", "{# #}", "$ {{ x }}", "}}", "$${x}", "%{x}", "#{x}", "\\${x}", "$x"],
    )
    def test_is_left_alone_beside_one(self, evaluate: Any, text: str) -> None:
        assert evaluate(text, x=1) == text
        assert evaluate(text + "|${{ x }}|" + text, x=1) == f"{text}|1|{text}"


class TestWhereATemplateEnds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("${{ '}}' }}", "}}"),
            ('${{ "}}" ~ x }}', "}}1"),
            ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
            ("${{ {'a': 1}}}", {"a": 1}),
            ("${{ '\\'}}' }}", "'}}"),
            ("${{ x }}}", "1}"),
            ("${{ x }}}}", "1}}"),
            ("${{ {} }}", {}),
            ("${{ ['${{'] }}", ["${{"]),
            ("${{\n  x\n}}", 1),
            ("${{ x }}\n", "1\n"),
        ],
    )
    def test_is_where_its_own_braces_close(self, text: str, expected: Any) -> None:
        assert in_request(text, x=1) == expected

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a ${{ x", "the template that starts at character 3 has no closing '}}'"),
            ("${{ x }", "has no closing"),
            ("ab ${{ x + }} ${{ y }}", "in the template at character 4: syntax error"),
            ("${{ }}", "syntax error"),
            ("${{ x y }}", "unexpected 'y'"),
            ("${{ (x }}", "syntax error"),
            ("${{ x) }}", "syntax error"),
            ("${{ [x }}", "syntax error"),
            ("${{ 'x }}", "syntax error"),
            ("${{ x | nofilter }}", "there is no filter 'nofilter'"),
            ("${{ x | defalt(1) }}", "did you mean default?"),
            ("${{ x is nothing }}", "there is no test 'nothing'"),
            ("${{ x = 1 }}", "syntax error"),
            ("${{ {% x %} }}", "syntax error"),
            ("${{ x; y }}", "syntax error"),
            ("${{ lambda: 1 }}", "syntax error"),
            ("${{ x | }}", "syntax error"),
            ("${{ import os }}", "syntax error"),
            ("${{ x ? 1 : 2 }}", "syntax error"),
        ],
    )
    def test_that_is_wrong_says_where_and_what(self, text: str, message: str) -> None:
        with pytest.raises(EvaluationError) as raised:
            parse_text(text)
        assert message in str(raised.value)


class TestWhatIsMissingInARequest:
    SCOPE: ClassVar[dict[str, Any]] = {"inputs": {"name": "n", "size": 1}, "n": None, "l": [1]}

    @pytest.mark.parametrize(
        ("source", "messages"),
        [
            ("inputs.nmae", ["'nmae' does not exist", "did you mean name?", "there is: name, size"]),
            ("inputs['nmae']", ["'nmae' does not exist", "did you mean name?"]),
            ("inputs.nmae.deep.deeper", ["'nmae' does not exist"]),
            ("inputs.nmae | upper", ["'nmae' does not exist"]),
            ("'a' ~ inputs.nmae", ["'nmae' does not exist"]),
            ("inputs.nmae == 1", ["'nmae' does not exist"]),
            ("inputs.nmae + 1", ["'nmae' does not exist"]),
            ("[inputs.nmae]", ["'nmae' does not exist"]),
            ("{'a': inputs.nmae}", ["'nmae' does not exist"]),
            ("[[{'a': inputs.nmae}]]", ["'nmae' does not exist"]),
            ("1 if inputs.nmae else 2", ["'nmae' does not exist"]),
            ("nope", ["'nope' does not exist here"]),
            ("nope.x", ["'nope' does not exist here"]),
            ("inputs.name.first", ["'first' does not exist", "a string"]),
            ("n.x", ["'x' does not exist", "null"]),
            ("l[5]", ["does not exist", "a list"]),
            ("inputs.size.x", ["'x' does not exist", "a number"]),
            ("inputs.items", ["'items' does not exist"]),
            ("inputs.items()", ["'items' does not exist"]),
            ("inputs.nmae and true", ["'nmae' does not exist"]),
        ],
    )
    def test_is_an_error_that_names_it_and_what_does_exist(self, source: str, messages: list[str]) -> None:
        text = problem(in_request, "${{ " + source + " }}", **self.SCOPE)
        for message in messages:
            assert message in text

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("inputs.nmae | default('d')", "d"),
            ("inputs.nmae.deep | default('d')", "d"),
            ("nope | default(none)", None),
            ("inputs.nmae is defined", False),
            ("inputs.nmae is not defined", True),
            ("inputs.name is defined", True),
            ("inputs.name | default('d')", "n"),
            ("n | default('d')", "d"),
            ("n | d('d')", "d"),
            ("n | default(none)", None),
            ("false | default('d')", False),
            ("0 | default('d')", 0),
            ("n | default('d', true)", "d"),
            ("[inputs.nmae | default(1)]", [1]),
        ],
    )
    def test_may_have_a_default(self, source: str, expected: Any) -> None:
        assert in_request("${{ " + source + " }}", **self.SCOPE) == expected

    def test_is_found_deep_in_a_body_too(self) -> None:
        tree = compile_tree({"a": [{"b": "x ${{ inputs.nmae }}"}]})
        with pytest.raises(EvaluationError, match="'nmae' does not exist"):
            tree.evaluate(AnyScope(**self.SCOPE))


class TestWhatIsMissingInAnAnswer:
    SCOPE: ClassVar[dict[str, Any]] = {
        "body": {"state": "done", "n": None, "l": [1, {"a": 2}], "zero": 0},
        "status": 200,
    }

    @pytest.mark.parametrize(
        "source",
        [
            "body.nope",
            "body.nope.deep.deeper",
            "nope",
            "nope.x",
            "body.state.x",
            "body.n.x",
            "body.l[7]",
            "body.l[7].x",
            "body.l.x",
            "body['nope']['x'][0]",
            "body.nope()",
            "body.nope.x(1).y",
            "body.nope + 1",
            "1 + body.nope",
            "body.nope * 2",
            "-body.nope",
            "body.nope / 2",
            "body.l[1].b.c",
            "status.x",
            "body.items",
            "body.keys",
            "body.nope if true",
        ],
    )
    def test_gives_null_and_is_false_and_not_defined(self, source: str) -> None:
        assert in_answer("${{ " + source + " }}", **self.SCOPE) is None
        assert not compile_condition(f"({source})").evaluate(AnyScope(**self.SCOPE))
        assert in_answer("${{ (" + source + ") is defined }}", **self.SCOPE) is False
        assert in_answer("${{ (" + source + ") | default('d') }}", **self.SCOPE) == "d"
        assert in_answer("${{ [" + source + ", {'k': " + source + "}] }}", **self.SCOPE) == [None, {"k": None}]

    @pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">=", "in"])
    @pytest.mark.parametrize(
        "other", ["1", "'a'", "none", "true", "false", "0", "''", "[]", "{}", "body.also_nope", "body.state"]
    )
    def test_makes_every_comparison_false(self, operator: str, other: str) -> None:
        if operator == "in" and not other.startswith(("[", "{", "body.also")):
            return
        assert not compile_condition(f"body.nope {operator} {other}").evaluate(AnyScope(**self.SCOPE))
        if operator != "in":
            assert not compile_condition(f"{other} {operator} body.nope").evaluate(AnyScope(**self.SCOPE))

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("status == 202", False),
            ("body.done and body.error is defined", False),
            ("body.state == 'done' and not body.error", True),
            ("body.conditions | selectattr('type', 'equalto', 'Failed') | list", False),
            ("body.l | selectattr('a', 'equalto', 2) | list", True),
            ("body.nope | length > 0", False),
            ("'x' in body.nope", False),
            ("body.state in ['done', 'error']", True),
            ("body.state | upper == 'DONE'", True),
            ("body.n is none", True),
            ("body.n is defined", True),
            ("body.zero", False),
            ("body.zero == 0", True),
            ("true", True),
            ("body.nope | int == 0", True),
            ("not body.nope", True),
        ],
    )
    def test_lets_conditions_be_written_as_they_are_read(self, condition: str, holds: bool) -> None:
        assert bool(compile_condition(condition).evaluate(AnyScope(**self.SCOPE))) is holds
