"""Long logs: what is read of them in a turn of the event loop and in the time of a call, and in which pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.fake_api import Driver, job, run
from yaml_connector._jobs.log_lines import MOST
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.errors import TransientError

SECRET = "planted-of-a-log-0123456789"
LINES = 20_000


class Ticking(httpx.AsyncByteStream):
    """A line whenever so many seconds have passed on the driver's clock."""

    def __init__(self, driver: Driver, lines: int, seconds: float, line: bytes = b"line %d\n") -> None:
        self._driver, self._lines, self._seconds, self._line = driver, lines, seconds, line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number in range(self._lines):
            self._driver.clock.move(self._seconds)
            yield self._line % number if b"%" in self._line else self._line


def logs_of(*contents: bytes, connection: dict[str, Any] | None = None, **logs: Any) -> Driver:
    answers = [httpx.Response(200, content=content) for content in contents]
    connection = {"base_url": "https://api.test", **(connection or {})}
    return job({"GET /logs": answers}, connection=connection, logs={"request": "GET /logs", **logs})


def ticking(*answers: tuple[int, float], deadline: str = "30s") -> Driver:
    """A log that is read again with each call: how many lines it has, and how many seconds each takes."""
    driver = logs_of(connection={"deadline": deadline}, format="text", max_time="5s")
    driver.api.routes["GET /logs"] = [
        lambda request, answer=answer: httpx.Response(200, stream=Ticking(driver, *answer)) for answer in answers
    ]
    return driver


DOCUMENTS = {
    "text": b"\n" * LINES,
    "ndjson": b'{"a":1}\n' * LINES,
    "sse": b"data: x\n\n" * LINES,
    "broken": b"{\n" * LINES,
    "json": json.dumps(["x"] * LINES).encode(),
}
READ_AS = {"json": {"lines": "$[*]"}, "broken": {"format": "ndjson"}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_several_long_logs_together_return_one_page_in_a_turn_of_the_event_loop(kind: str) -> None:
    driver = logs_of(DOCUMENTS[kind], **READ_AS.get(kind, {"format": kind}))
    turn = 0
    pages: list[tuple[int, int]] = []

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def read() -> None:
        async for page in driver.connector.logs(JobMeta.decode(driver.kept), ""):
            if page.lines:
                pages.append((turn, len(page.lines)))

    async def main() -> None:
        counting = asyncio.create_task(count())
        await asyncio.gather(*(read() for _ in range(4)))
        counting.cancel()

    run(main(), driver.clock)
    turns = [turn for turn, _ in pages]
    assert len(set(turns)) == len(turns)
    assert max(lines for _, lines in pages) <= 1000
    assert sum(lines for _, lines in pages) == 4 * LINES


def test_a_log_that_is_read_again_begins_its_time_where_the_last_call_ended() -> None:
    driver = ticking((35, 0.3))
    found, token = driver.logs()
    assert found == [f"line {number}" for number in range(16)]  # of five seconds
    found, token = driver.logs(token or "")
    assert found == [f"line {number}" for number in range(16, 32)]
    found, token = driver.logs(token or "")
    assert found == ["line 32", "line 33", "line 34"]


def test_a_log_whose_new_lines_are_not_reached_within_the_deadline_is_a_failure_not_an_end() -> None:
    driver = ticking((100, 0.3), (100, 0.8), (100, 0.3), deadline="9s")
    _, token = driver.logs()
    with pytest.raises(TransientError, match="not read up to its new lines within the deadline: 6 lines were missing"):
        driver.logs(token or "")
    found, _ = driver.logs(token or "")
    assert found[0] == "line 16"


def test_a_log_that_has_become_shorter_and_stays_open_has_nothing_new() -> None:
    driver = ticking((10, 0.3), (3, 0.3))
    _, token = driver.logs()
    assert driver.logs(token or "") == ([], None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "nothing", "last"),
    [("ndjson", b"\n" * 50_000, b'"end"\n'), ("sse", b": quiet\n\n" * 20_000, b"data: end\n\n")],
)
def test_a_log_of_empty_lines_gets_on(kind: str, nothing: bytes, last: bytes) -> None:
    driver = logs_of(format=kind, max_time="5s")

    async def content() -> AsyncIterator[bytes]:
        async for each in Ticking(driver, 25, 0.3, nothing):
            yield each
        yield last

    driver.api.routes["GET /logs"] = [lambda request: httpx.Response(200, content=content())]
    calls = read_on(driver)
    assert [line for lines in calls for line in lines] == ["end"]
    assert len(calls) <= 3


def read_on(driver: Driver) -> list[list[str]]:
    """What each call gives, as long as there is a token."""
    calls: list[list[str]] = []
    token: str | None = ""
    while token is not None:
        lines, token = driver.logs(token)
        calls.append(lines)
        assert len(calls) < 50
    return calls


LONG = [f"{number}-".ljust(1000, "x") for number in range(9_000)]
LONG_READ_AS: dict[str, dict[str, Any]] = {
    "text": {"format": "text"},
    "text that is read whole": {"format": "text", "more": "true == true"},
    "ndjson": {"format": "ndjson"},
    "sse": {"format": "sse"},
    "json": {"lines": "$.lines[*]"},
    "json, the last first": {"lines": "$.lines[*]", "reverse": True},
    "pages": {"lines": "$.lines[*]", "next": "$.next"},
    "pages of text": {"format": "text", "next": "${{ headers.next }}"},
    "items": {"steps": [{"name": "items", "request": "GET /items"}], "each": "$.items[*]", "lines": "$.lines[*]"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG_READ_AS)
def test_one_call_returns_a_bounded_part_of_a_log_and_the_next_goes_on(kind: str) -> None:
    logs = {"request": "GET /logs", **LONG_READ_AS[kind]}
    shape = {"sse": "data: %s\n\n", "ndjson": '"%s"\n'}.get(logs.get("format", ""), "%s\n")
    text = "".join(shape % each for each in LONG)
    lines = LONG[::-1] if logs.get("reverse") else LONG

    def answer(request: httpx.Request) -> httpx.Response:
        if "format" in logs:
            return httpx.Response(200, content=text.encode())
        return httpx.Response(200, json={"lines": lines, "next": None})

    if "next" in logs:
        logs["request"] = {"path": "/logs/${{ page.token or 'first' }}"}
    if "each" in logs:
        logs["request"] = "GET /logs/${{ item }}"
    driver = job({"GET /items": {"items": ["a", "b"]}}, logs=logs)
    for path in ("/logs", "/logs/first", "/logs/a", "/logs/b"):
        driver.api.routes[f"GET {path}"] = [answer]
    if "each" in logs:
        driver.end()
    calls = read_on(driver)
    assert [line for lines in calls for line in lines] == LONG * (2 if "each" in logs else 1)
    assert len(calls) > 2
    assert max(sum(map(len, lines)) for lines in calls) < 1.1 * MOST


@pytest.mark.parametrize("more", [{}, {"more": "true == true"}], ids=["streamed", "whole"])
def test_a_secret_in_a_long_line_is_masked(more: dict[str, str]) -> None:
    line = b"x" * 70_000 + f" {SECRET} ".encode() + b"y" * 70_000
    driver = job(
        {"GET /logs": [httpx.Response(200, content=line + b"\nshort\n")]},
        secrets={"key": {"env": "KEY"}},
        connection={"base_url": "https://api.test", "headers": {"X-Key": "${{ secrets.key }}"}},
        environment={"KEY": SECRET},
        logs={"request": "GET /logs", "format": "text", **more},
    )
    found, _ = driver.logs()
    assert found == ["x" * 70_000 + " *** " + "y" * 70_000, "short"]
