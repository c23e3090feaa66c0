"""Task authors are not trusted with the connector's secrets: whatever value `config` or `inputs` has, in any place of
any request, it stays data. It changes no host, no path's shape, adds no header and no part, and is never evaluated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.fake_api import FakeApi
from tests.support.sending import Sender, built
from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.messages import HttpRequest
from yaml_connector.errors import CallError, EvaluationError

WORDS = [
    ".",
    "..",
    "../..",
    "..%2f",
    "%2e%2e",
    "%2f",
    "a/b",
    "//evil.test",
    "\\\\evil.test",
    "/\\evil.test",
    "@evil.test",
    ":pw@evil.test/",
    "http://evil.test/",
    "evil.test#",
    "evil.test?",
    "evil.test\\",
    "x\r\nX-Evil: 1",
    "x\nX-Evil: 1",
    "x\rX-Evil: 1",
    "x\u2028X-Evil: 1",
    "x\x85X-Evil: 1",
    "x\x0bX-Evil: 1",
    'x"; filename="y',
    'x\\"; filename=\\"y',
    "x\\",
    "\0",
    "?a=b&c=d#e",
    ";a=b",
    "${{ secrets.key }}",
    "{{ secrets.key }}",
    "{% set a = 1 %}",
    "$.id",
    "",
]
ODD = "\r\n\0\t\x0b\x1c\x85\u2028/\\?#%&=;:@.${}\"' aé€😀"
TEXTS = st.sampled_from(WORDS) | st.text(st.sampled_from(ODD), max_size=12)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
SECRETS = {"key": "planted-injection-key"}


def build(request: Mapping[str, Any], value: Any) -> HttpRequest | None:
    """The request with this input; None if it is refused. Whatever else it raises is a bug."""
    try:
        return built(request, inputs={"x": value}, config={"x": value}, secrets=SECRETS, env={}, task={}, steps={})
    except EvaluationError:
        return None


def shape(url: str) -> tuple[str, str, int]:
    """What a value may not change: scheme, host, and how many segments the path has."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path.count("/")


@given(VALUES)
def test_in_a_path_it_is_one_segment(value: Any) -> None:
    made = build({"path": "/jobs/${{ inputs.x }}/cancel"}, value)
    if made is None:
        assert value is None or value == "" or as_text(value) in (".", "..")
        return
    assert shape(made.url) == ("https", "api.test", 3)
    assert "?" not in made.url
    assert "#" not in made.url
    assert unquote(urlsplit(made.url).path.split("/")[2]) == as_text(value)


@given(VALUES)
def test_with_the_path_filter_it_stays_below_the_base(value: Any) -> None:
    made = build({"path": "/files/${{ inputs.x | path }}"}, value)
    if made is not None:
        assert shape(made.url)[:2] == ("https", "api.test")
        assert made.url.startswith("https://api.test/files/")
        assert not {"?", "#", "\\"} & set(made.url)
        assert not {".", ".."} & set(urlsplit(made.url).path.split("/"))
        assert unquote(urlsplit(made.url).path) == f"/files/{as_text(value)}"


@given(VALUES)
def test_as_a_whole_path_it_names_no_host(value: Any) -> None:
    for path in ("${{ inputs.x }}", "${{ inputs.x | path }}", "/${{ inputs.x | path }}"):
        made = build({"path": path}, value)
        assert made is None or shape(made.url)[:2] == ("https", "api.test")


@given(VALUES)
def test_in_a_query_it_is_one_parameter(value: Any) -> None:
    for request in ({"path": "/", "query": {"q": "${{ inputs.x }}"}}, {"path": "/?q=${{ inputs.x }}"}):
        made = build(request, value)
        if made is None or (value is None and "query" in request):
            continue
        items = value if isinstance(value, list) and "query" in request else [value]
        found = parse_qsl(urlsplit(made.url).query, keep_blank_values=True)
        assert found == [("q", "" if item is None else as_text(item)) for item in items]
        assert "#" not in made.url


@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_names_in_a_query_are_data_too(value: dict[str, str]) -> None:
    made = build({"path": "/", "query": "${{ inputs.x }}"}, value)
    assert made is not None
    assert parse_qsl(urlsplit(made.url).query, keep_blank_values=True) == list(value.items())


@given(VALUES)
def test_in_a_header_it_is_one_value(value: Any) -> None:
    made = build({"path": "/", "headers": {"X-Job": "${{ inputs.x }}"}}, value)
    if made is None:
        assert re.search(r"[\x00-\x08\x0a-\x1f\x7f]", as_text(value))
    elif value is not None:
        assert made.headers == {"X-Job": as_text(value)}
        assert not {"\r", "\n", "\0"} & set(made.headers["X-Job"])


@given(st.dictionaries(TEXTS | st.sampled_from(["X-A", "X-B"]), VALUES, max_size=3))
@example({"Host": "evil.test"})
@example({"content-length": "0"})
@example({"Transfer-Encoding": "chunked"})
@example({"Connection": "Upgrade"})
def test_headers_that_a_value_names_are_names_and_frame_nothing(value: dict[str, Any]) -> None:
    made = build({"method": "POST", "path": "/", "headers": "${{ inputs.x }}", "text": "t"}, value)
    if made is not None:
        assert all(re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) for name in made.headers), made.headers
        assert not {"host", "content-length", "transfer-encoding", "connection"} & {n.lower() for n in made.headers}


@given(VALUES)
def test_in_json_it_is_itself_at_its_place(value: Any) -> None:
    made = build({"path": "/", "json": {"a": "${{ inputs.x }}", "b": ["pre ${{ inputs.x }} post"]}}, value)
    if value is None:
        assert made is None  # null within a text
        return
    assert made is not None
    assert json.loads(bytes(made.body)) == {"a": value, "b": [f"pre {as_text(value)} post"]}  # type: ignore[arg-type]


@given(VALUES)
def test_in_a_form_it_is_one_field(value: Any) -> None:
    made = build({"path": "/", "form": {"f": "${{ inputs.x }}"}}, value)
    assert made is not None
    items = value if isinstance(value, list) else [] if value is None else [value]
    found = parse_qsl(bytes(made.body).decode(), keep_blank_values=True)  # type: ignore[arg-type]
    assert found == [("f", "" if item is None else as_text(item)) for item in items]


@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_names_in_a_form_are_data_too(value: dict[str, str]) -> None:
    made = build({"path": "/", "form": "${{ inputs.x }}"}, value)
    assert made is not None
    assert parse_qsl(bytes(made.body).decode(), keep_blank_values=True) == list(value.items())  # type: ignore[arg-type]


@given(VALUES)
def test_as_text_it_is_the_body(value: Any) -> None:
    made = build({"path": "/", "text": "${{ inputs.x }}"}, value)
    assert made is not None
    assert made.body == b"" if value is None else made.body == as_text(value).encode()


def raw_heads(made: HttpRequest) -> list[bytes]:
    """The head of each part, by the boundary alone."""
    assert isinstance(made.body, bytes)
    boundary = made.headers["Content-Type"].partition("boundary=")[2].encode()
    return [piece.partition(b"\r\n\r\n")[0] for piece in made.body.split(b"--" + boundary)[1:-1]]


@given(TEXTS, TEXTS, TEXTS)
def test_in_multipart_it_adds_no_part_no_header_and_no_parameter(name: str, filename: str, content: str) -> None:
    value = {name or "n": {"filename": filename, "content": content, "content_type": "text/plain"}, "last": "z"}
    made = build({"path": "/", "multipart": "${{ inputs.x }}"}, value)
    assert made is not None
    heads = raw_heads(made)
    assert len(heads) == len(value)
    for head, (key, part) in zip(heads, value.items(), strict=True):
        lines = head.split(b"\r\n")[1:]
        assert len(lines) == (1 if isinstance(part, str) else 2)
        # Read as a quoted string of RFC 2183 (a backslash escapes), and as browsers write it (it does not).
        for escapes in (True, False):
            expected = ["form-data", "name"] + (["filename"] if isinstance(part, dict) and part["filename"] else [])
            assert parameters(lines[0].decode().partition(": ")[2], escapes) == expected, key
        assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for line in lines for byte in line}


def parameters(text: str, escapes: bool) -> list[str]:
    """The names of a Content-Disposition's parameters, read character by character."""
    names, name, quoted, position = [], "", False, 0
    while position < len(text):
        char = text[position]
        if quoted and escapes and char == "\\":
            position += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in ";=":
            if name.strip():
                names.append(name.strip())
            name = ""
        elif not quoted:
            name += char
        position += 1
    assert not quoted, text
    return names + ([name.strip()] if name.strip() else [])


@given(TEXTS)
def test_the_content_type_of_a_part_adds_no_header(kind: str) -> None:
    part = {"filename": "f", "content": "c", "content_type": "${{ inputs.x }}"}
    made = build({"path": "/", "multipart": {"file": part}}, kind)
    if made is None:
        assert {"\r", "\n", "\0"} & set(kind)
    else:
        assert len(raw_heads(made)[0].split(b"\r\n")) == (3 if kind else 2)


@pytest.mark.parametrize("place", ["base_url", "base_url's path", "url", "url's start"])
@given(value=TEXTS | st.sampled_from(["api.test", "x.api.test", "evil.test", "api.test.evil.test", "a@api.test"]))
def test_it_sends_no_credentials_elsewhere(place: str, value: str) -> None:
    base, url = {
        "base_url": ("https://${{ config.x }}/v1", "jobs"),
        "base_url's path": ("https://api.test/${{ config.x }}/v1", "jobs"),
        "url": ("https://api.test", "${{ config.x }}"),
        "url's start": ("https://api.test", "https://${{ config.x }}.api.test/jobs"),
    }[place]
    request = {"url": url} if place.startswith("url") else {"path": "/" + url}
    seen: list[httpx.Request] = []

    class Api(FakeApi):
        async def _answer(self, asked: httpx.Request) -> httpx.Response:
            seen.append(asked)
            return httpx.Response(200, json={})

    auth = {"type": "bearer", "token": "${{ secrets.key }}"}
    hosts = ["api.test", "*.api.test"]
    with suppress(EvaluationError, CallError):
        Sender(Api(), secrets=SECRETS, config={"x": value}, base_url=base, allowed_hosts=hosts, auth=auth).send(request)
    for asked in seen:
        assert asked.url.host == "api.test" or asked.url.host.endswith(".api.test")
        assert asked.url.scheme == "https" or "Authorization" not in asked.headers
        if place == "base_url's path":
            assert asked.url.raw_path.count(b"/") == 3
