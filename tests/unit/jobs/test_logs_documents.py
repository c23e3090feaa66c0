"""Logs: an API that always gives the whole document, in JSON and in lines of text, also in a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.support.fake_api import BASE, BROKEN, Driver, job, reply, run
from yaml_connector._http.messages import HttpRequest, HttpResponse, StreamedResponse
from yaml_connector._jobs.line_formats import FORMATS
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.errors import CallError, TransientError
from yaml_connector.testing.clock import FakeClock

TEXT: dict[str, Any] = {"format": "text"}
# Two ways through the connector: line by line as it comes, and (with `more`) the whole answer at once.
WAYS = pytest.mark.parametrize("way", [{}, {"more": "true == true"}], ids=["streamed", "whole"])


TEXTS = st.lists(st.sampled_from(["a", "b ", "é", "\u2028", "\n", "\r\n"]), max_size=30).map("".join)


def lines_of(text: str) -> list[str]:
    """The lines of a text, the last one also if it is not finished."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


class Stream(httpx.AsyncByteStream):
    """A body in pieces; an exception among them breaks it off, a number waits so many seconds."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, int | float):
                await asyncio.sleep(piece)
            else:
                yield piece.encode() if isinstance(piece, str) else piece


def stream(*pieces: Any) -> Any:
    return lambda request: httpx.Response(200, stream=Stream(*pieces))


def logs_of(answers: Any, **logs: Any) -> Driver:
    return job({"GET /logs": answers}, logs={"request": "GET /logs", **logs})


def read_all(driver: Driver) -> list[list[str]]:
    """What each call gives to a reader who goes on as long as there is a token."""
    calls = []
    token: str | None = ""
    while token is not None:
        lines, token = driver.logs(token)
        calls.append(lines)
        assert len(calls) < 50
    return calls


class TestAJsonDocument:
    def test_gives_only_what_is_new_until_nothing_is(self) -> None:
        documents = [["a"], ["a", "b", "c"], ["a", "b", "c"]]
        driver = logs_of([reply(json={"l": lines}) for lines in documents], lines="$.l[*]")
        assert read_all(driver) == [["a"], ["b", "c"], []]

    def test_of_the_newest_line_first_does_so_too(self) -> None:
        documents = [["b", "a"], ["c", "b", "a"], ["c", "b", "a"]]
        driver = logs_of([reply(json=lines) for lines in documents], lines="$[*]", reverse=True)
        assert read_all(driver) == [["a", "b"], ["c"], []]

    def test_may_name_its_list_itself(self) -> None:
        assert read_all(logs_of({"l": ["a", "b"]}, lines="$.l")) == [["a", "b"], []]
        assert read_all(logs_of({"l": ["a"]}, lines="${{ body.l }}")) == [["a"], []]

    def test_keeps_a_single_line_that_is_a_list_together(self) -> None:
        driver = logs_of(
            {"v": [["1714564800", "text"]]}, lines="$.v[*]", message="${{ line[1] }}", timestamp="${{ line[0] }}"
        )
        assert [(line.message, line.timestamp) for line in driver.log_lines()[0]] == [("text", 1714564800)]

    def test_that_is_empty_ends_at_once(self) -> None:
        assert read_all(logs_of({"l": []}, lines="$.l[*]")) == [[]]

    @given(
        st.lists(st.lists(st.text(st.sampled_from("ab {é"), max_size=3), min_size=1, max_size=4), max_size=6),
        st.booleans(),
    )
    def test_loses_nothing_and_repeats_nothing(self, growth: list[list[str]], kept_only: bool) -> None:
        there: list[str] = []

        def answer(request: httpx.Request) -> Any:
            there.extend(growth.pop(0) if growth else [])
            return {"l": list(there)}

        driver = logs_of(answer, lines="$.l[*]", **({"keep": "line != ''"} if kept_only else {}))
        found = [line for call in read_all(driver) for line in call]
        assert found == [line for line in there if line or not kept_only]


@WAYS
class TestATextDocument:
    def test_gives_its_unfinished_line_at_the_end(self, way: dict[str, Any]) -> None:
        texts = ["one\ntw", "one\ntwo\r\nthr", "one\ntwo\r\nthree", "one\ntwo\r\nthree"]
        driver = logs_of([reply(text=text) for text in texts], **TEXT, **way)
        assert read_all(driver) == [["one"], ["two"], [], ["three"]]

    def test_without_a_line_break_is_one_line(self, way: dict[str, Any]) -> None:
        assert [line for call in read_all(logs_of(reply(text="only"), **TEXT, **way)) for line in call] == ["only"]

    def test_that_is_empty_ends_at_once(self, way: dict[str, Any]) -> None:
        assert read_all(logs_of(reply(text=""), **TEXT, **way)) == [[]]

    def test_knows_only_lf_and_crlf(self, way: dict[str, Any]) -> None:
        assert read_all(logs_of(reply(text="a\rb\u2028c\x0bd\r\ne\n"), **TEXT, **way))[0] == ["a\rb\u2028c\x0bd", "e"]

    def test_that_fails_is_raised(self, way: dict[str, Any]) -> None:
        for failure in (403, 500, BROKEN):
            with pytest.raises(CallError, match=r"GET https://api\.test/logs"):
                logs_of(failure, **TEXT, **way).logs()

    def test_is_asked_for_again_when_the_answer_is_passing(self, way: dict[str, Any]) -> None:
        driver = logs_of([503, BROKEN, reply(text="a\n")], **TEXT, **way)
        assert driver.logs()[0] == ["a"]

    @given(text=TEXTS, sizes=st.lists(st.integers(1, 9), max_size=6))
    def test_loses_nothing_and_repeats_nothing(self, way: dict[str, Any], text: str, sizes: list[int]) -> None:
        there = 0

        def answer(request: httpx.Request) -> httpx.Response:
            nonlocal there
            there += sizes.pop() if sizes else len(text)
            return httpx.Response(200, text=text[:there])

        found = [line for call in read_all(logs_of(answer, **TEXT, **way)) for line in call]
        assert found == lines_of(text)


@WAYS
class TestAFile:
    """A document that is shorter than before, such as the log of a container whose file was rotated."""

    def test_that_was_replaced_is_read_from_its_start(self, way: dict[str, Any]) -> None:
        driver = logs_of([reply(text="1\n2\n3\n"), *[reply(text="4\n5\n")] * 3], **TEXT, **way)
        assert [line for lines in read_all(driver) for line in lines] == ["1", "2", "3", "4", "5"]

    def test_that_is_not_whole_for_once_is_not_given_again(self, way: dict[str, Any]) -> None:
        driver = logs_of([*[reply(text=text) for text in ("1\n2\n3\n", "1\n", "", "1\n2\n3\n4\n")]], **TEXT, **way)
        lines, token = driver.logs()
        assert lines == ["1", "2", "3"]
        assert [driver.logs(token or "")[0] for _ in range(3)] == [[], [], ["4"]]


@pytest.mark.parametrize("line", ['{"step":1,"loss":NaN}', '{"loss":-Infinity,"m":null}', "NaN"])
def test_a_line_may_hold_what_json_has_not(line: str) -> None:
    """Python's own library writes it, and so do the logs of many trainings."""
    assert logs_of(reply(text=f"{line}\nnext\n"), format="ndjson").logs()[0] == [line, "next"]
    assert logs_of(reply(text=f'{{"lines": [{line}, "next"]}}'), lines="$.lines").logs()[0] == [line, "next"]
    assert logs_of(reply(text=f"{line}\nnext\n"), format="ndjson", message="$.m").logs()[0] == [line, "next"]


def test_a_line_that_cannot_be_written_does_not_keep_the_others_back() -> None:
    text = '{"lines": ["one", ' + "[" * 900 + "]" * 900 + ', "two"]}'
    assert logs_of(reply(text=text), lines="$.lines").logs()[0][::2] == ["one", "two"]


@pytest.mark.parametrize("first", ["text", 5, None, [1], {"a": 1}])
def test_a_list_may_hold_anything(first: Any) -> None:
    rest = ["text", 5, None, [1], {"m": "object"}, True, 1.5]
    lines = read_all(logs_of({"lines": [first, *rest]}, lines="$.lines", message="$.m"))[0]
    assert lines[1:] == ["text", "5", "null", "[1]", "object", "true", "1.5"]
    assert read_all(logs_of({"lines": [first, *rest]}, lines="$.lines"))[0][1:4] == ["text", "5", "null"]


def test_a_list_that_was_replaced_is_read_from_its_start() -> None:
    answers = [{"lines": ["1", "2"]}, *[{"lines": ["3"]}] * 3]
    assert [line for lines in read_all(logs_of(answers, lines="$.lines[*]")) for line in lines] == ["1", "2", "3"]


def test_a_token_does_not_depend_on_a_secret_in_the_log() -> None:
    """Else who has the token could try passwords."""
    tokens = set()
    for password in ("hunter22-hunter22", "other-password"):
        driver = job(
            {"GET /logs": reply(text=f"password={password}\n2\n")},
            environment={"PASSWORD": password},
            secrets={"password": {"env": "PASSWORD"}},
            connection={"base_url": BASE, "headers": {"X-Password": "${{ secrets.password }}"}},
            logs={"request": "GET /logs", **TEXT},
        )
        tokens.add(driver.logs()[1])
    assert len(tokens) == 1


def test_where_more_is_false_the_unfinished_line_is_given_too() -> None:
    driver = logs_of(reply(text="one\ntwo", headers={"X-Done": "1"}), **TEXT, more="headers['x-done'] is not defined")
    assert read_all(driver) == [["one", "two"]]


class TestLinesOfJson:
    @WAYS
    def test_are_parsed_and_what_is_none_is_text(self, way: dict[str, Any]) -> None:
        text = '{"m": "one"}\n\nnot json\r\n5\n{"m": "tw'
        assert read_all(logs_of(reply(text=text), format="ndjson", message="$.m", **way))[0] == ["one", "not json", "5"]

    def test_may_be_kept_by_a_condition_on_the_line(self) -> None:
        text = '{"m": "a", "n": 1}\n{"m": "b", "n": 2}\nplain\n'
        assert logs_of(reply(text=text), format="ndjson", message="$.m", keep="line.n == 2").logs()[0] == ["b"]


class TestAStream:
    def test_of_events_gives_their_data(self) -> None:
        text = ': hello\nevent: log\ndata: one\n\ndata: {"m": 2}\nid: 4\n\ndata: a\ndata:b\r\n\r\ndata: unfinished'
        assert read_all(logs_of(stream(text), format="sse", message="${{ line.m if line is mapping else line }}"))[
            0
        ] == ["one", "2", "a\nb"]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32-be"])
    def test_that_drips_is_in_the_encoding_that_its_start_shows(self, encoding: str) -> None:
        content = "one\r\né\n".encode(encoding)
        answer = reply(stream=Stream(*(content[i : i + 1] for i in range(len(content)))))
        charset = "utf-8" if "8" in encoding else encoding[:6]
        kind = {"Content-Type": f"text/plain; charset={charset}"}
        driver = logs_of(lambda request: httpx.Response(200, headers=kind, stream=answer(request).stream), **TEXT)
        assert driver.logs()[0] == ["one", "é"]

    def test_cut_anywhere_gives_the_same(self) -> None:
        text = "data: é one\n\ndata: two\r\n\r\n".encode()
        for size in range(1, 9):
            pieces = [text[start : start + size] for start in range(0, len(text), size)]
            assert logs_of(stream(*pieces), format="sse").logs()[0] == ["é one", "two"]

    @pytest.mark.slow
    @pytest.mark.parametrize("format_", ["text", "sse", "ndjson"])
    def test_that_stays_open_ends_after_its_time(self, format_: str) -> None:
        text = "data: one\n\ndata: two\n\n" if format_ == "sse" else "one\ntwo\n"
        driver = logs_of(stream(text, 60), format=format_, max_time="400ms")

        async def read() -> list[str]:
            pages = [page async for page in driver.connector.logs(JobMeta.decode(driver.kept), "")]
            assert pages[-1].token is not None
            return [line.message for page in pages for line in page.lines]

        assert run(asyncio.wait_for(read(), 20)) == ["one", "two"]

    def test_that_breaks_off_gives_what_came_and_goes_on_from_there(self) -> None:
        driver = logs_of([stream("one\ntwo\nthr", BROKEN), stream("one\ntwo\nthree\nfour\n")], **TEXT)
        assert read_all(driver) == [["one", "two"], ["three", "four"], []]

    def test_that_breaks_off_before_anything_new_is_raised(self) -> None:
        driver = logs_of([stream("one\n"), *[stream("one\ntw", BROKEN)] * 3], **TEXT)
        _, token = driver.logs()
        with pytest.raises(TransientError, match="broke off"):
            driver.logs(token or "")

    @pytest.mark.slow
    def test_that_is_quiet_up_to_the_deadline_is_no_failure(self) -> None:
        connection = {"base_url": "https://api.test", "deadline": "2s"}  # it ends 0.1 s earlier
        driver = job(
            {"GET /logs": stream(60)},
            connection=connection,
            logs={"request": "GET /logs", "format": "text", "max_time": "30s"},
        )

        async def read() -> list[Any]:
            return [page async for page in driver.connector.logs(JobMeta.decode(driver.kept), "")]

        pages = run(asyncio.wait_for(read(), 20))
        assert [(page.lines, page.token) for page in pages] == [([], None)]

    def test_with_a_line_longer_than_any_answer_may_be_is_raised(self) -> None:
        connection = {"base_url": "https://api.test", "max_response": "64KiB"}
        for format_ in ("text", "sse", "ndjson"):
            driver = job(
                {"GET /logs": stream("data: ok\n\n", *["x" * 10_000] * 100)},
                connection=connection,
                logs={"request": "GET /logs", "format": format_},
            )
            with pytest.raises(CallError, match="max_response"):
                driver.logs(driver.logs()[1] or "")

    def test_of_many_lines_comes_in_pages(self) -> None:
        driver = logs_of(stream("".join(f"{number}\n" for number in range(2500))), **TEXT)

        async def sizes() -> list[int]:
            return [len(page.lines) async for page in driver.connector.logs(JobMeta.decode(driver.kept), "")]

        assert run(sizes()) == [1000, 1000, 500, 0]

    @given(text=TEXTS, cuts=st.lists(st.integers(0, 40), max_size=5))
    def test_that_breaks_off_again_and_again_loses_nothing_and_repeats_nothing(
        self, text: str, cuts: list[int]
    ) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if cuts:
                return httpx.Response(200, stream=Stream(text.encode()[: cuts.pop()], BROKEN))
            return httpx.Response(200, text=text)

        driver = logs_of(answer, **TEXT)
        found: list[str] = []
        token: str | None = ""
        while token is not None:
            try:
                lines, token = driver.logs(token)
            except TransientError:
                continue
            found += lines
        assert found == lines_of(text)


class TestEachDocument:
    EACH: ClassVar[dict[str, Any]] = {
        "steps": [{"name": "pods", "request": "GET /pods"}],
        "each": "$[*]",
        "request": "GET /pods/${{ item }}",
        "format": "text",
    }

    def test_grows_by_itself_until_it_has_no_more(self) -> None:
        a = [reply(text=text) for text in ("1\n", "1\n2\n", "1\n2\n")]
        b = [reply(text=text) for text in ("x", "x", "xy")]
        driver = job({"GET /pods": reply(json=["a", "b"]), "GET /pods/a": a, "GET /pods/b": b}, logs=self.EACH)
        driver.end()
        assert read_all(driver) == [["1"], ["2", "x"], []]
        assert driver.api.calls.count("GET /pods/b") == 2

    def test_that_is_quiet_is_read_again_until_the_job_is_over(self) -> None:
        a = [reply(text=text) for text in ("1\n", "1\n", "1\n2\nend")]
        driver = job({"GET /pods": reply(json=["a"]), "GET /pods/a": a}, logs=self.EACH)
        lines, token = driver.logs()
        assert lines == ["1"]
        quiet, token = driver.logs(token or "")
        assert quiet == []
        assert token
        lines, token = driver.logs(token)
        assert lines == ["2"]
        driver.end()
        assert driver.logs(token or "") == (["end"], None)

    def test_sees_the_steps_before_it(self) -> None:
        logs = {
            **self.EACH,
            "request": {"path": "/pods/${{ item }}", "query": {"n": "${{ steps.pods.body | length }}"}},
        }
        for way in ({}, {"more": "steps.pods.status == 200"}):
            driver = job({"GET /pods": reply(json=["a"]), "GET /pods/a": reply(text="1\n")}, logs={**logs, **way})
            assert driver.logs()[0] == ["1"]
            assert driver.api.calls[-1] == "GET /pods/a?n=1"

    def test_that_is_skipped_now_may_come_later(self) -> None:
        logs = {**self.EACH, "if": "steps.pods.headers['x-ready'] == '1'"}
        pods = [reply(json=["a"]), reply(json=["a", "b"], headers={"X-Ready": "1"})]
        driver = job({"GET /pods": pods, "GET /pods/a": reply(text="1\n"), "GET /pods/b": reply(text="2\n")}, logs=logs)
        lines, token = driver.logs()
        assert lines == []
        assert driver.logs(token or "")[0] == ["1", "2"]


@pytest.mark.parametrize("format_", ["text", "ndjson", "sse"])
def test_a_log_whose_reading_takes_all_its_time_goes_on_though_it_gave_nothing_new(format_: str) -> None:
    """Blank lines, comments and lines that are given already take time, too."""
    clock = FakeClock()
    response = StreamedResponse(
        HttpRequest("GET", "https://api.test/log"),
        HttpResponse(200, CIMultiDict(), _pieces_of(b"\n", b"\n")),
        keep=False,
    )
    decoder = FORMATS[format_]()

    async def read() -> list[str]:
        await response.begin(clock.monotonic() + 5)
        lines = []
        async for text in response.texts():
            lines += decoder.feed(text)
            clock.move(6)
        return lines

    run(read(), clock)
    assert response.is_cut
    assert not response.is_whole


async def _pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
