"""Requests, built: each value in the encoding of its place."""

from __future__ import annotations

import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import BASE, FakeApi
from tests.support.scopes import AnyScope
from tests.support.sending import Sender, built
from yaml_connector._http.hosts import parse_url
from yaml_connector._http.request_template import compile_request
from yaml_connector._spec.requests import Request
from yaml_connector.errors import EvaluationError

TEXT = st.text(min_size=1, max_size=20)
AWKWARD = st.text(st.sampled_from("a./%2eE?#&=+ \\:@;é\u2028\0\r\n\t~*'\"<>[]{}|^`"), min_size=1, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | AWKWARD


def as_server(url: str) -> list[str]:
    """The decoded segments that a server sees."""
    return [unquote(segment) for segment in urlsplit(parse_url(url).url).path.split("/")]


class TestAPath:
    @given(TEXT | AWKWARD)
    def test_holds_any_text_as_one_segment(self, text: str) -> None:
        for template in ("/a/${{ x }}/b", "a/${{ x }}/b"):
            if text in (".", ".."):
                with pytest.raises(EvaluationError, match=r"'\.' and '\.\.'"):
                    built({"path": template}, x=text)
            else:
                url = built({"path": template}, x=text).url
                assert as_server(url) == ["", "a", text, "b"]
                assert urlsplit(url).query == ""

    @given(AWKWARD, AWKWARD)
    def test_never_changes_its_shape_whatever_is_put_together(self, one: str, two: str) -> None:
        try:
            url = built({"path": "/a/v-${{ x }}${{ y }}/${{ x }}.json"}, x=one, y=two).url
        except EvaluationError:
            assert one == "."  # `..json` is a name, `..` alone is not
            return
        assert as_server(url) == ["", "a", f"v-{one}{two}", f"{one}.json"]

    def test_may_not_get_dots_from_several_templates(self) -> None:
        with pytest.raises(EvaluationError):
            built({"path": "/a/${{ x }}${{ x }}/b"}, x=".")

    def test_keeps_dots_that_are_encoded_already_as_text(self) -> None:
        assert as_server(built({"path": "/a/${{ x }}"}, x="%2e%2e").url)[-1] == "%2e%2e"

    def test_may_not_have_dots_of_the_specs_own(self) -> None:
        with pytest.raises(EvaluationError):
            built({"path": "/a/../${{ x }}"}, x="b")

    def test_may_not_lose_a_segment_to_an_empty_value(self) -> None:
        for template in ("/a/${{ x }}", "/a/${{ x }}/b", "/a/${{ x }}?q=1"):
            with pytest.raises(EvaluationError, match=r"\$\{\{ x \}\} is empty"):
                built({"path": template}, x="")

    def test_may_not_hold_null(self) -> None:
        with pytest.raises(EvaluationError, match="is null"):
            built({"path": "/a/${{ x }}"}, x=None)

    @given(st.lists(AWKWARD.filter(lambda text: "/" not in text and text not in (".", "..")), min_size=1, max_size=4))
    def test_keeps_the_slashes_of_a_value_with_the_filter_path(self, segments: list[str]) -> None:
        assert as_server(built({"path": "/a/${{ x | path }}"}, x="/".join(segments)).url) == ["", "a", *segments]

    @pytest.mark.parametrize("text", ["..", "a/../b", "./a", "a/."])
    def test_has_no_dots_from_the_filter_path_either(self, text: str) -> None:
        with pytest.raises(EvaluationError):
            built({"path": "/${{ x | path }}"}, x=text)

    @pytest.mark.parametrize(
        ("base", "path", "url"),
        [
            (BASE, "/jobs", "https://api.test/jobs"),
            (f"{BASE}/v1", "/jobs", "https://api.test/v1/jobs"),
            (f"{BASE}/v1", "jobs/", "https://api.test/v1/jobs/"),
            (BASE, "/a%2Fb", "https://api.test/a%2Fb"),
            (BASE, "/jobs:run", "https://api.test/jobs:run"),
            (BASE, "/a b/ü", "https://api.test/a%20b/%C3%BC"),
            (BASE, "/jobs?x=1", "https://api.test/jobs?x=1"),
        ],
    )
    def test_is_put_under_the_base_url(self, base: str, path: str, url: str) -> None:
        assert built({"path": path}, base_url=base).url == url

    def test_writes_numbers_and_booleans_as_json(self) -> None:
        assert built({"path": "/${{ a }}/${{ b }}/${{ c }}"}, a=7, b=True, c=1.5).url == f"{BASE}/7/true/1.5"


def read_back(encoded: str, sent: dict[str, Any]) -> dict[str, Any]:
    """What a server reads: texts as they are, everything else from JSON, in which a number has several forms."""
    texts = dict(parse_qsl(encoded, keep_blank_values=True))
    return {name: text if isinstance(sent[name], str) else json.loads(text) for name, text in texts.items()}


class TestAQuery:
    @given(st.dictionaries(TEXT | AWKWARD, SCALARS.filter(lambda value: value is not None), max_size=4))
    def test_comes_out_of_the_servers_decoding_as_it_went_in(self, query: dict[str, Any]) -> None:
        url = built({"path": "/x", "query": "${{ q }}"}, q=query).url
        assert read_back(urlsplit(parse_url(url).url).query, query) == query
        assert urlsplit(url).path == "/x"

    def test_has_one_parameter_for_each_item_of_a_list(self) -> None:
        assert (
            built({"path": "/", "query": {"a": "${{ x }}", "b": [1, "é"]}}, x=["1", 2]).url
            == f"{BASE}/?a=1&a=2&b=1&b=%C3%A9"
        )

    def test_leaves_out_what_is_null_and_keeps_a_literal_null(self) -> None:
        assert built({"path": "/", "query": {"a": "${{ x }}", "b": None, "c": ""}}, x=None).url == f"{BASE}/?b=&c="

    def test_is_appended_to_one_in_the_path_and_before_a_fragment(self) -> None:
        assert built({"path": "/a?x=${{ v }}", "query": {"y": 1}}, v="a&b").url == f"{BASE}/a?x=a%26b&y=1"
        assert parse_url(built({"url": f"{BASE}/a#part", "query": {"y": 1}}).url).url == f"{BASE}/a?y=1"

    def test_must_be_a_mapping(self) -> None:
        with pytest.raises(EvaluationError, match="query must be a mapping, not str"):
            built({"path": "/", "query": "${{ x }}"}, x="a=1")


class TestHeaders:
    @pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nb", "\r", "a\0b"])
    def test_with_a_line_break_are_an_error(self, text: str) -> None:
        with pytest.raises(EvaluationError, match="the value of the header X-A contains a line break"):
            built({"path": "/", "headers": {"X-A": "v ${{ x }}"}}, x=text)

    @pytest.mark.parametrize("name", ["X A", "X:A", "X\r\nEvil", "", "Ü"])
    def test_with_a_name_that_is_none_are_an_error(self, name: str) -> None:
        with pytest.raises(EvaluationError, match="is not a valid header name"):
            built({"path": "/", "headers": "${{ h }}"}, h={name: "v"})

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"hOst": "evil.test"}, "headers returned by a template must not contain Host"),
            ({"Content-Length": "0"}, "'Content-Length' is not a header that a spec can set"),
            ({"Transfer-Encoding": "chunked"}, "'Transfer-Encoding' is not a header that a spec can set"),
            ({"X-A": "a\nb"}, "the value of the header X-A contains a line break"),
            ("X-A: b", "headers must be a mapping, not str"),
            ([], "headers must be a mapping, not list"),
        ],
    )
    def test_that_one_template_gives_follow_one_rule_in_a_request_and_in_the_connection(
        self, given: Any, told: str
    ) -> None:
        with pytest.raises(EvaluationError, match=told):
            built({"path": "/", "headers": "${{ config.h }}"}, config={"h": given})
        api = FakeApi({"GET /": 200})
        with pytest.raises(EvaluationError, match=told):
            Sender(api, headers="${{ config.h }}", config={"h": given}).send()
        assert api.sent == []

    def test_of_the_connection_may_be_given_by_one_template(self) -> None:
        api = FakeApi({"GET /": 200})
        sender = Sender(api, headers="${{ config.h }}", query="${{ config.q }}", config={"h": {"X-A": "b"}, "q": None})
        sender.send({"path": "/", "headers": {"X-C": "d"}})
        assert (api.sent[0].headers["X-A"], api.sent[0].headers["X-C"], api.sent[0].url.query) == ("b", "d", b"")
        with pytest.raises(EvaluationError, match="query must be a mapping, not str"):
            Sender(api, query="${{ config.q }}", config={"q": "a=b"}).send()

    def test_are_text_and_null_leaves_one_out(self) -> None:
        headers = {"A": "${{ x }}", "B": "${{ n }}", "C": "${{ m }}"}
        assert built({"path": "/", "headers": headers}, x=None, n=5, m={"k": 1}).headers == {"B": "5", "C": '{"k":1}'}

    def test_of_text_beyond_ascii_are_sent(self) -> None:
        api = FakeApi({"GET /": 200})
        Sender(api).send({"path": "/", "headers": {"X-Name": "ü €"}})
        assert "ü €".encode() in dict(api.sent[0].headers.raw).values()


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def content(request: Any, **scope: Any) -> bytes:
    body = built({"method": "POST", "path": "/", **request}, **scope).body
    assert isinstance(body, bytes)
    return body


class TestABody:
    @given(BODIES.filter(lambda body: body is not None))
    def test_of_json_keeps_every_value_and_type(self, body: Any) -> None:
        sent = json.loads(content({"json": "${{ x }}"}, x=body))
        assert repr(sent) == repr(json.loads(json.dumps(body)))

    @given(BODIES)
    def test_of_json_keeps_them_within_a_mapping_and_a_list(self, body: Any) -> None:
        sent = json.loads(content({"json": {"a": ["${{ x }}"], "n": None}}, x=body))
        assert repr(sent) == repr({"a": [json.loads(json.dumps(body))], "n": None})

    @given(st.text())
    def test_that_holds_anything_but_a_template_is_left_alone(self, text: str) -> None:
        for literal in (text.replace("${{", ""), "${HOME} {{ x }} $(date) #{x} %{y} ${ {"):
            assert json.loads(content({"json": {"a": literal}})) == {"a": literal}

    def test_of_json_leaves_out_a_key_whose_template_gives_null(self) -> None:
        tree = {"a": "${{ x }}", "b": None, "c": {"d": "${{ x }}"}, "e": ["${{ x }}", None]}
        assert json.loads(content({"json": tree}, x=None)) == {"b": None, "c": {}, "e": [None, None]}

    def test_of_json_may_be_one_template_and_none_at_all(self) -> None:
        assert built({"method": "POST", "path": "/", "json": "${{ x }}"}, x=None).body is None
        assert content({"json": None}) == b"null"

    def test_of_json_that_json_cannot_hold_is_an_error(self) -> None:
        with pytest.raises(EvaluationError, match="cannot be written as JSON"):
            content({"json": {"a": "${{ x }}"}}, x=float("nan"))

    def test_that_utf8_cannot_hold_is_an_error(self) -> None:
        for body in (
            {"json": {"a": "${{ x }}"}},
            {"text": "${{ x }}"},
            {"form": {"a": "${{ x }}"}},
            {"multipart": {"a": "${{ x }}"}},
            {"query": {"a": "${{ x }}"}},
            {"headers": {"A": "${{ x }}"}},
            {"path": "/${{ x }}"},
        ):
            with pytest.raises(EvaluationError, match="UTF-8"):
                built({"method": "POST", "path": "/", **body}, x="\ud800")

    @given(st.dictionaries(TEXT | AWKWARD, SCALARS.filter(lambda value: value is not None), max_size=4))
    def test_of_a_form_comes_out_of_the_servers_decoding_as_it_went_in(self, form: dict[str, Any]) -> None:
        assert read_back(content({"form": "${{ f }}"}, f=form).decode("ascii"), form) == form

    def test_of_a_form_has_lists_and_leaves_nulls_out(self) -> None:
        assert content({"form": {"a": ["1", "2 3"], "b": "${{ x }}", "c": None}}, x=None) == b"a=1&a=2+3&c="

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({"json": {}}, "application/json"),
            ({"form": {}}, "application/x-www-form-urlencoded"),
            ({"text": "x"}, "text/plain; charset=utf-8"),
            ({"file": "/f"}, "application/octet-stream"),
            ({}, None),
        ],
    )
    def test_has_a_content_type_and_one_in_the_headers_wins(self, body: Any, kind: str | None) -> None:
        request = {"method": "POST", "path": "/", **body}
        assert built(request).headers.get("Content-Type") == kind
        assert built({**request, "headers": {"content-type": "x/y"}}).headers == {"content-type": "x/y"}

    def test_of_text_is_text(self) -> None:
        assert content({"text": "${{ x }} ü"}, x=[1]) == "[1] ü".encode()


class TestMultipart:
    def parts(self, multipart: Any, **scope: Any) -> list[tuple[Any, ...]]:
        request = built({"method": "POST", "path": "/", "multipart": multipart}, **scope)
        assert isinstance(request.body, bytes)
        message = message_from_bytes(
            b"Content-Type: " + request.headers["Content-Type"].encode() + b"\r\n\r\n" + request.body
        )
        found = []
        for part in message.get_payload():
            name = part.get_param("name", header="Content-Disposition")
            found.append((name, part.get_filename(), part["Content-Type"], part.get_payload(decode=True)))
        return found

    def test_has_fields_and_files(self) -> None:
        multipart = {
            "purpose": "batch",
            "none": "${{ n }}",
            "file": {"filename": "in.jsonl", "content_type": "application/jsonl", "content": "${{ lines }}"},
            "meta": {"content": {"a": "${{ 1 + 1 }}"}},
        }
        assert self.parts(multipart, lines="a\nb", n=None) == [
            ("purpose", None, None, b"batch"),
            ("file", "in.jsonl", "application/jsonl", b"a\nb"),
            ("meta", None, None, b'{"a":2}'),
        ]

    def test_may_be_one_template(self) -> None:
        assert self.parts("${{ m }}", m={"a": 1, "f": {"filename": "x", "content": "y"}}) == [
            ("a", None, None, b"1"),
            ("f", "x", None, b"y"),
        ]

    def test_lets_no_name_break_out_of_its_header(self) -> None:
        for name in ('a"; filename="evil', "a\r\nX-Evil: 1"):
            request = built(
                {"method": "POST", "path": "/", "multipart": "${{ m }}"}, m={name: {"filename": name, "content": "y"}}
            )
            assert isinstance(request.body, bytes)
            lines = request.body.split(b"\r\n")
            assert not any(line.startswith(b"X-Evil") for line in lines)
            assert lines[1].count(b'"') == 4
        with pytest.raises(EvaluationError, match="line break"):
            built(
                {"method": "POST", "path": "/", "multipart": {"a": {"content_type": "${{ x }}", "content": ""}}},
                x="a\r\nb",
            )

    def test_streams_files_between_its_fields(self) -> None:
        class Contents:
            async def size(self, uri: str) -> int | None:
                return 3 + len(uri)

            async def read(self, uri: str) -> Any:
                for chunk in (b"con", uri.encode()):
                    yield chunk

        api = FakeApi({"POST /": 200})
        request = {"method": "POST", "path": "/", "multipart": {"a": "1", "f": {"filename": "x", "file": "s3://f"}}}
        sender = Sender(api)
        sender.send(request, files=Contents())
        assert b"\r\n\r\ncons3://f\r\n--" in api.sent[0].content
        assert int(api.sent[0].headers["Content-Length"]) == len(api.sent[0].content)

    def test_gives_one_part_for_each_item_of_a_list(self) -> None:
        request = built(
            {"method": "POST", "path": "/", "multipart": {"tag": "${{ tags }}", "a": "1"}}, tags=["x", "y", None]
        )
        assert isinstance(request.body, bytes)
        assert request.body.count(b'name="tag"') == 2
        assert b'name="tag"\r\n\r\nx\r\n' in request.body
        assert b'name="tag"\r\n\r\ny\r\n' in request.body

    @pytest.mark.parametrize(
        ("given", "parts"),
        [
            (["1", "2"], [(None, None, b"1"), (None, None, b"2")]),
            ([1, True, "${{ n }}", "${{ t }}"], [(None, None, b"1"), (None, None, b"true"), (None, None, b"text")]),
            (
                ["1", {"filename": "f", "content": "x"}, {"content": ["y"], "content_type": "a/b"}],
                [(None, None, b"1"), ("f", None, b"x"), (None, "a/b", b'["y"]')],
            ),
            ([], []),
            ("${{ tags }}", [(None, None, b"x"), (None, None, b'{"k":["y"]}')]),
            ("${{ [[1, 2], 3] }}", [(None, None, b"[1,2]"), (None, None, b"3")]),
            # a list as the content of one part is one part of JSON
            ({"content": ["x", "y"]}, [(None, None, b'["x","y"]')]),
            ({"content": "${{ tags }}"}, [(None, None, b'["x",{"k":["y"]}]')]),
            ("${{ {'content': tags, 'filename': 'f'} }}", [("f", None, b'["x",{"k":["y"]}]')]),
            # data that only looks like a part
            ("${{ {'content': 1, 'other': 2} }}", [(None, None, b'{"content":1,"other":2}')]),
            ("${{ {'filename': 'f'} }}", [(None, None, b'{"filename":"f"}')]),
            (5, [(None, None, b"5")]),
            (False, [(None, None, b"false")]),
            (None, [(None, None, b"")]),
            ("${{ n }}", []),
            ({"content": "${{ n }}"}, []),
        ],
    )
    def test_has_the_parts_that_stand_under_a_name(self, given: Any, parts: list[Any]) -> None:
        sent = self.parts({"a": given, "z": "end"}, n=None, t="text", tags=["x", {"k": ["y"]}])
        assert sent == [*(("a", *part) for part in parts), ("z", None, None, b"end")]


class TestAMethod:
    def test_may_be_a_template(self) -> None:
        assert built({"method": "${{ m }}", "path": "/"}, m="put").method == "PUT"
        with pytest.raises(EvaluationError, match="'BREW' is not a valid method"):
            built({"method": "${{ m }}", "path": "/"}, m="brew")


class TestAUrl:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://other.test/x?y=1", "https://other.test/x?y=1"),
            ("/root", f"{BASE}/root"),
            ("sub", f"{BASE}/v1/sub"),
            ("?a=1", f"{BASE}/v1/?a=1"),
            ("//other.test/x", f"{BASE.partition(':')[0]}://other.test/x"),  # its host is checked when it is sent
        ],
    )
    def test_that_is_relative_is_resolved_against_the_base_url(self, url: str, expected: str) -> None:
        assert built({"url": "${{ u }}"}, base_url=f"{BASE}/v1", u=url).url == expected

    def test_encodes_what_stands_behind_its_host(self) -> None:
        request = {"url": "${{ base_url }}/x/${{ a }}?q=${{ a }}"}
        assert (
            compile_request(Request.model_validate(request)).build(AnyScope(a="b/c&d", base_url=BASE), BASE).url
            == f"{BASE}/x/b%2Fc%26d?q=b%2Fc%26d"
        )

    @pytest.mark.parametrize("url", ["\\\\evil.test", "/\\evil.test"])
    def test_that_is_neither_absolute_nor_a_path_is_an_error(self, url: str) -> None:
        with pytest.raises(EvaluationError):
            built({"url": "${{ u }}"}, u=url)
