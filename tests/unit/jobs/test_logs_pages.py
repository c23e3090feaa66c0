"""Logs: an API that pages, in JSON and in text."""

from __future__ import annotations

import base64
import codecs
import json
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import BROKEN, Driver, FakeApi, job, reply
from tests.support.paged_logs import LINES, PAGED, everything, logs_of
from yaml_connector.errors import CallError, EvaluationError, PermanentError


class TestPages:
    def test_are_read_one_for_each_call_until_next_is_null(self) -> None:
        driver = logs_of([{"lines": ["one"], "next": "c1"}, {"lines": ["two"], "next": None}], **PAGED)
        first, token = driver.logs()
        assert (first, driver.logs(token or "")) == (["one"], (["two"], None))
        assert driver.api.calls == ["GET /jobs/7/logs", "GET /jobs/7/logs?cursor=c1"]

    def test_have_a_token_that_is_opaque_and_safe_anywhere(self) -> None:
        _, token = logs_of({"GET /jobs/7/logs": {"lines": ["a"], "next": {"k": "ü/+ \n"}}}, **PAGED).logs()
        assert token
        assert token.isascii()
        assert token.replace("-", "").replace("_", "").isalnum()

    @pytest.mark.parametrize("following", ["c/1 ?&=", 5, True, {"k": ["v"]}, 2**60])
    def test_hand_the_apis_token_back_as_it_was(self, following: Any) -> None:
        seen: list[Any] = []

        def answer(request: httpx.Request) -> Any:
            seen.append(json.loads(request.content).get("t"))
            return {"lines": ["x"], "next": following if len(seen) < 2 else None}

        driver = logs_of(
            {"POST /logs": answer},
            **{**PAGED, "request": {"method": "POST", "path": "/logs", "json": {"t": "${{ page.token }}"}}},
        )
        assert everything(driver) == ["x", "x"]
        assert seen == [None, following]

    def test_can_be_asked_for_by_the_number_of_lines_given_before(self) -> None:
        stored = [f"line {number}" for number in range(7)]

        def answer(request: httpx.Request) -> Any:
            start = int(request.url.params["from"])
            return {"lines": stored[start : start + 3], "next": "more" if start + 3 < len(stored) else None}

        request = {"path": "/jobs/7/logs", "query": {"from": "${{ page.lines }}"}}
        assert everything(logs_of({"GET /jobs/7/logs": answer}, **{**PAGED, "request": request})) == stored

    def test_end_where_more_is_false(self) -> None:
        driver = logs_of(
            [{"lines": ["one"], "next": "c", "eof": False}, {"lines": ["two"], "next": "c2", "eof": True}],
            **PAGED,
            more="not body.eof",
        )
        assert everything(driver) == ["one", "two"]

    def test_end_when_an_empty_page_has_the_token_that_was_asked_for(self) -> None:
        driver = logs_of([{"lines": ["one"], "next": "c"}, {"lines": [], "next": "c"}], **PAGED)
        assert everything(driver) == ["one"]

    def test_of_the_newest_line_first_are_turned_around(self) -> None:
        driver = logs_of([{"lines": ["2", "1"], "next": "c"}, {"lines": ["4", "3"]}], **PAGED, reverse=True)
        assert everything(driver) == ["1", "2", "3", "4"]

    def test_that_fail_are_raised(self) -> None:
        with pytest.raises(PermanentError, match="answered 403"):
            logs_of({"GET /jobs/7/logs": 403}, **PAGED).logs()
        with pytest.raises(CallError, match="no JSON"):
            logs_of({"GET /jobs/7/logs": reply(200, text="plain")}, **PAGED).logs()
        with pytest.raises(CallError, match="broke off"):
            logs_of({"GET /jobs/7/logs": BROKEN}, **PAGED).logs()

    @given(stored=LINES, size=st.integers(1, 5), growth=st.lists(st.integers(1, 5), max_size=6))
    def test_of_a_growing_log_lose_nothing_and_repeat_nothing(
        self, stored: list[str], size: int, growth: list[int]
    ) -> None:
        there = 0

        def answer(request: httpx.Request) -> Any:
            nonlocal there
            there = min(len(stored), there + growth.pop()) if growth else len(stored)
            start = int(request.url.params.get("cursor", 0))
            end = min(start + size, there)
            return {"lines": stored[start:end], "next": end if end < len(stored) else None}

        assert everything(logs_of({"GET /jobs/7/logs": answer}, **PAGED)) == stored


class TestALine:
    @pytest.mark.parametrize(
        ("line", "text"),
        [
            ("text", "text"),
            ("with end\r\n", "with end"),
            ("two\n\n", "two\n"),
            ("", ""),
            (5, "5"),
            ({"a": 1}, '{"a":1}'),
            (None, "null"),
            (["x"], '["x"]'),
        ],
    )
    def test_is_text_or_else_json_without_its_line_break(self, line: Any, text: str) -> None:
        assert logs_of({"GET /jobs/7/logs": {"lines": [line], "next": None}}, **PAGED).logs()[0] == [text]

    def test_has_a_message_a_time_and_a_level(self) -> None:
        lines = [
            {"m": "hello", "t": "2024-05-01T12:00:00.5Z", "l": "INFO"},
            {"m": {"k": 1}, "t": 1714564800123, "l": 30},
            {"x": 1, "t": "noon"},
            "bare",
        ]
        driver = logs_of({"GET /jobs/7/logs": {"lines": lines}}, **PAGED, message="$.m", timestamp="$.t", level="$.l")
        assert [(line.message, line.timestamp, line.level) for line in driver.log_lines()[0]] == [
            ("hello", 1714564800.5, "INFO"),
            ('{"k":1}', 1714564800.123, "30"),
            ('{"x":1,"t":"noon"}', None, None),
            ("bare", None, None),
        ]

    @pytest.mark.parametrize("moment", ["1e400", '"9e99999"', "-1e400", "[]", '""', "NaN"])
    def test_with_a_time_that_is_none_has_no_time(self, moment: str) -> None:
        answer = reply(200, content=b'{"lines": [{"m": "x", "t": %s}]}' % moment.encode())
        driver = logs_of({"GET /jobs/7/logs": answer}, **PAGED, message="$.m", timestamp="$.t")
        assert [line.timestamp for line in driver.log_lines()[0]] == [None]

    def test_may_be_a_template_that_sees_the_line_and_the_job(self) -> None:
        driver = logs_of(
            {"GET /jobs/7/logs": {"lines": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}},
            **PAGED,
            message="${{ job.id }}:${{ line.a }}${{ line.b }}",
            keep="line.a > 1",
        )
        assert driver.logs()[0] == ["7:2y"]

    def test_that_is_not_kept_is_left_out_and_not_counted_as_given(self) -> None:
        pages = [
            {"lines": ["a", "DEBUG b", "c"], "next": 1},
            {"lines": ["DEBUG d"], "next": 2},
            {"lines": ["e"], "next": None},
        ]
        driver = logs_of(
            pages,
            **{**PAGED, "request": {"path": "/jobs/7/logs", "query": {"n": "${{ page.lines }}"}}},
            keep="not line.startswith('DEBUG')",
        )
        assert everything(driver) == ["a", "c", "e"]
        assert [call.partition("?")[2] for call in driver.api.calls] == ["n=0", "n=2", "n=2"]


class TestPagedText:
    TEXT: ClassVar[dict[str, Any]] = {
        "format": "text",
        "next": "${{ headers['x-next'] }}",
        "request": {"path": "/jobs/7/logs", "query": {"at": "${{ page.token }}"}},
    }

    @given(
        text=st.lists(st.sampled_from(["a", " b", "é", "\n", "\r\n"]), max_size=30).map("".join), size=st.integers(1, 9)
    )
    def test_joins_a_line_that_two_pages_share(self, text: str, size: int) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            start = int(request.url.params.get("at", 0))
            headers = {"X-Next": str(start + size)} if start + size < len(text) else {}
            return httpx.Response(200, text=text[start : start + size], headers=headers)

        expected = [line.removesuffix("\r") for line in text.split("\n")]
        found = everything(logs_of({"GET /jobs/7/logs": answer}, **self.TEXT))
        assert found == (expected[:-1] if text.endswith("\n") or not text else expected)

    def test_keeps_the_unfinished_line_for_the_next_page(self) -> None:
        driver = logs_of(
            [
                reply(200, text="one\ntw", headers={"X-Next": "1"}),
                reply(200, text="o\nthr", headers={"X-Next": "2"}),
                reply(200, text="ee"),
            ],
            **self.TEXT,
        )
        first, token = driver.logs()
        second, token = driver.logs(token or "")
        assert (first, second, driver.logs(token or "")) == (["one"], ["two"], (["three"], None))

    @pytest.mark.parametrize("offset", ["size", "(text | bytelen)"])
    @given(
        text=st.lists(st.sampled_from(["a", "é", "€", "\U0001f600", "\n"]), max_size=20).map("".join),
        size=st.integers(4, 9),
    )
    def test_keeps_a_character_that_is_cut_for_the_next_page(self, offset: str, text: str, size: int) -> None:
        stored = text.encode()

        def answer(request: httpx.Request) -> httpx.Response:
            start = int(request.url.params.get("at") or 0)
            return httpx.Response(200, content=stored[start : start + size], headers={"Content-Type": "text/plain"})

        following = f"${{{{ (page.token | int) + {offset} if size else none }}}}"
        found = everything(logs_of({"GET /jobs/7/logs": answer}, **{**self.TEXT, "next": following}))
        assert found == text.removesuffix("\n").split("\n") if text else not found

    def test_gives_a_character_that_stays_cut_as_one_that_is_not_valid(self) -> None:
        pages = [reply(200, content=b"one\nt\xe2\x82", headers={"X-Next": "1"}), reply(200, content=b"")]
        assert everything(logs_of(pages, **self.TEXT)) == ["one", "t\ufffd"]

    def test_does_not_keep_a_line_without_end_but_gives_what_there_is_of_it(self) -> None:
        driver = logs_of(
            [reply(200, text="one\n" + "x" * 100_000, headers={"X-Next": "1"}), reply(200, text="xx\ntwo")],
            **self.TEXT,
        )
        lines, token = driver.logs()
        assert lines == ["one", "x" * 100_000]
        assert token
        assert len(token) < 100
        assert driver.logs(token)[0] == ["xx", "two"]


def test_a_page_that_cannot_be_named_in_a_token_is_refused_with_words() -> None:
    driver = logs_of({"GET /jobs/7/logs": {"lines": ["a"], "next": "n" * 2**20}}, lines="$.lines[*]", next="$.next")
    with pytest.raises(EvaluationError, match=r"its token has 139\d{4} characters, and 1048576 are the most"):
        driver.logs()


def test_a_page_whose_name_has_half_a_character_is_not_asked_for_under_another_name() -> None:
    body = '{"lines": ["a"], "next": "\\ud800"}'
    request = {"path": "/jobs/7/logs", "query": {"page": "${{ page.token }}"}}
    driver = logs_of([reply(200, text=body)], request=request, lines="$.lines[*]", next="$.next")
    lines, token = driver.logs()
    assert lines == ["a"]
    with pytest.raises(EvaluationError, match="contains a lone surrogate"):
        driver.logs(token or "")


class TestATokenThatTheConnectorNeverGave:
    @pytest.mark.parametrize(
        "token",
        [
            "x",
            "!!",
            "ü",
            "e30x",
            base64.urlsafe_b64encode(b"[1]").decode(),
            base64.urlsafe_b64encode(b"\xff").decode(),
            *(base64.urlsafe_b64encode(deep * 50_000).decode() for deep in (b"[", b'{"a":')),
            base64.urlsafe_b64encode(b"{}" + b" " * 2**20).decode(),
            *(
                base64.urlsafe_b64encode(data).decode()
                for data in (
                    b'{"": {"r": "x"}}',
                    b'{"": {"g": []}}',
                    b'{"": {"s": 1}}',
                    b'{"": {"c": "x"}}',
                    b'{"": {"c": 7}}',
                    b'{"": 5}',
                    b'{"": {"r": -3}}',
                )
            ),
        ],
    )
    def test_is_refused(self, token: str) -> None:
        with pytest.raises(EvaluationError, match="invalid log token"):
            logs_of({"GET /jobs/7/logs": {"lines": ["a"]}}, lines="$.lines[*]").logs(token)


def test_a_secret_in_a_line_is_masked() -> None:
    driver = Driver(
        FakeApi({"POST /jobs": {"id": 7}, "GET /logs": {"l": [{"m": "key=planted-secret"}]}}),
        secrets={"k": {}},
        logs={"request": "GET /logs", "lines": "$.l[*]", "message": "$.m"},
    )
    driver.create(secrets={"k": "planted-secret"})
    assert driver.logs()[0] == ["key=***"]


def test_a_spec_without_logs_gives_none() -> None:
    assert job({}).logs() == ([], None)


LINES_OF_TEXT = ["one", "zwei é", "", "drei €", "\U0001f600 four"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("charset", "content"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16", codecs.BOM_UTF16_BE),
        ("utf-16", codecs.BOM_UTF16_LE),
        (None, codecs.BOM_UTF16_BE),
        ("latin-1", codecs.BOM_UTF16_LE),
        ("utf-16", b""),
        ("UTF-16BE", b""),
        ("u16", b"\0"),
        ("utf-32", b""),
    ],
)
def test_pages_by_offset_are_in_the_encoding_that_the_first_one_shows(
    step: int, charset: str | None, content: bytes
) -> None:
    """Only the first page has the byte order mark, and it may be cut, too."""
    text = "\r\n".join(LINES_OF_TEXT)
    big = content in (codecs.BOM_UTF16_BE, b"\0") or charset == "UTF-16BE"
    encoding = (
        "utf-8" if charset == "utf-8" else "utf-32-le" if charset == "utf-32" else "utf-16-be" if big else "utf-16-le"
    )
    document = content.rstrip(b"\0") + text.encode(encoding)

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["start"])
        kind = "text/plain" + (f"; charset={charset}" if charset else "")
        return httpx.Response(200, content=document[start : start + step], headers={"Content-Type": kind})

    request = {"path": "/jobs/${{ job.id }}/logs", "query": {"start": "${{ page.token | default(0) }}"}}
    following = "${{ (page.token or 0) + size if size else none }}"
    assert everything(logs_of(answer, request=request, format="text", next=following)) == LINES_OF_TEXT


@pytest.mark.parametrize("encoding", ["punycode", 5, ["utf-16-le"], None])
def test_a_token_does_not_choose_an_encoding(encoding: Any) -> None:
    token = base64.urlsafe_b64encode(json.dumps({"": {"e": encoding}}).encode()).decode()
    with pytest.raises(EvaluationError, match="invalid log token"):
        logs_of({"GET /jobs/7/logs": {"lines": []}}, **PAGED).logs(token)


@pytest.mark.parametrize("status", [404, 416])
def test_a_page_that_says_there_is_nothing_to_read_is_no_part_of_the_log(status: int) -> None:
    """Its text ends without a line break: it is not the start of a line that comes later."""
    driver = logs_of(
        [reply(status, text="no log yet"), reply(text="one\ntw"), reply(text="o\n"), reply(status, text="no more")],
        request={"path": "/jobs/${{ job.id }}/logs", "query": {"from": "${{ page.token | default(0, true) }}"}},
        success=["2xx", status],
        format="text",
        keep="status == 200",
        next="${{ (page.token | int) + (size if status == 200 else 0) }}",
    )
    assert everything(driver) == ["one", "two"]
    assert [call[-1] for call in driver.api.calls] == ["0", "0", "6", "8"]
