"""A scope is plain data: it can be sent to another process and evaluated there, and nobody changes another's."""

from __future__ import annotations

import pickle

from multidict import CIMultiDict, CIMultiDictProxy

from yaml_connector._expressions.compile import compile_expression, compile_extraction
from yaml_connector._expressions.scope import MISSING, NO_RESPONSE, UNDEFINED, Scope
from yaml_connector._http.messages import Response


def response(content: bytes) -> Response:
    headers = CIMultiDictProxy(CIMultiDict({"X-A": "1"}))
    return Response("GET", "https://api.test/x", 200, headers, content)


def test_a_scope_can_be_pickled() -> None:
    scope = Scope(inputs={"x": 1}, job={"id": "7"}, steps={"a": response(b"[1]")}, response=response(b'{"b": 2}'))
    there: Scope = pickle.loads(pickle.dumps(scope))
    for source in ("inputs.x + 1", "job.id", "steps.a.body[0]", "body.b * 2", "headers['x-a']", "status", "url"):
        expression = compile_expression(source, answer=True)
        assert expression.evaluate(there) == expression.evaluate(scope)
    assert compile_extraction("$.b").first(there) == 2
    assert there.task is MISSING


def test_what_is_undefined_here_is_undefined_there() -> None:
    there: Scope = pickle.loads(pickle.dumps(Scope(response=response(b"<html>"))))
    assert there.response.body is UNDEFINED
    assert pickle.loads(pickle.dumps(Scope())).response.body is UNDEFINED


def test_another_scope_leaves_the_first_as_it_is() -> None:
    first = Scope(config={"a": 1})
    second = first.with_names(item=1).with_response(response(b"1"))
    assert (first.item, first.response, second.item, second.config) == (MISSING, NO_RESPONSE, 1, {"a": 1})
    assert second.with_response(None).response is NO_RESPONSE


def test_only_names_of_the_language_are_names() -> None:
    for name in ("with_response", "with_names", "get", "response", "__class__"):
        assert Scope().get(name) is MISSING
        assert compile_expression(f"({name}) is defined", answer=True).evaluate(Scope()) is False
