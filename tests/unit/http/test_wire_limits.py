"""A backend that sends hardly anything but framing is cut off soon (real sockets); an honest one is read."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.loops import now, run_steadily
from tests.support.wire import ask, failure, raw

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "interim responses": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 500),
    "headers": (OK, b"".join(b"X-%d: %s\r\n" % (number, b"a" * 8000) for number in range(20))),
    "an extension of a chunk": (CHUNKED + b"2;", b"a" * 65_536),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(20))),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_framing_without_end_is_cut_off_long_before_the_timeout(flood: str) -> None:
    start, block = FLOODS[flood]

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(block)
                await writer.drain()

    async def main() -> None:
        async with raw(send) as url:
            began = now()
            found = await failure(url, timeout="20s", deadline="30s")
            assert now() - began < 10
            assert "broke off" in str(found)

    run_steadily(main())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 4000) for n in range(12)) + b"Content-Length: 2\r\n\r\n{}", {}),
        (CHUNKED + b"1\r\n[\r\n" + b"1\r\n \r\n" * 50_000 + b"1\r\n]\r\n0\r\n\r\n", []),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + OK + b"Content-Length: 2\r\n\r\n{}", {}),
        (OK + b"Content-Length: 1000000\r\n\r\n[" + b" " * 999_998 + b"]", []),
    ],
)
def test_large_heads_small_chunks_and_some_interim_responses_are_read(answer: bytes, body: object) -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async def main() -> None:
        async with raw(send) as url:
            assert (await ask(url, timeout="20s", deadline="30s")).body == body

    run_steadily(main())
