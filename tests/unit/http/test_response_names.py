"""What expressions see of a response: its headers, cookies and size."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from multidict import CIMultiDict

from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response

HEADERS = [
    ("Via", "1.1 a"),
    ("X-One", "1"),
    ("via", "1.1 b"),
    ("Set-Cookie", "session=first; Path=/"),
    ("Set-Cookie", "theme=dark; Secure"),
    ("set-cookie", "session=s1==; HttpOnly; Expires=Wed, 01 May 2024 12:00:00 GMT"),
    ("Set-Cookie", "Session=other-case"),
    ("Set-Cookie", "no-value"),
    ("Set-Cookie", "=no-name"),
    ("Set-Cookie", ""),
    ("Set-Cookie", ' quoted = "a b" '),
]
RESPONSE = Response("GET", "https://h.test/", 200, CIMultiDict(HEADERS), "é1".encode())


def seen(expression: str, response: Response = RESPONSE) -> Any:
    return compile_text("${{ " + expression + " }}", answer=True).evaluate(Scope(response=response))


@pytest.mark.parametrize("response", [RESPONSE, pickle.loads(pickle.dumps(RESPONSE))], ids=["here", "elsewhere"])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("headers.via", "1.1 a, 1.1 b"),
        ("headers['VIA']", "1.1 a, 1.1 b"),
        ("headers['x-one']", "1"),
        ("headers['set-cookie']", "session=first; Path=/"),
        ("headers.nope", None),
        ("headers.nope.deeper", None),
        ("headers[7]", None),
        ("headers | length", 3),
        ("headers | list", ["Via", "X-One", "Set-Cookie"]),
        ("'via' in headers", True),
        ("cookies.session", "s1=="),
        ("cookies.theme", "dark"),
        ("cookies.Session", "other-case"),
        ("cookies.quoted", '"a b"'),
        ("cookies.nope", None),
        ("cookies | length", 4),
        ("size", 3),
        ("text | length", 2),
    ],
)
def test_a_response_has_joined_headers_cookies_and_a_size(expression: str, expected: Any, response: Response) -> None:
    assert seen(expression, response) == expected


def test_all_headers_can_be_taken_at_once() -> None:
    assert json.loads(seen("headers | json"))["Via"] == "1.1 a, 1.1 b"
    assert seen("headers")["Set-Cookie"] == "session=first; Path=/"


@pytest.mark.parametrize("name", ["headers.a", "cookies.a", "size"])
def test_without_a_response_they_are_null(name: str) -> None:
    assert compile_text("${{ " + name + " }}", answer=True).evaluate(Scope()) is None
