"""The wire (real sockets): a server with every fault that servers have."""

from __future__ import annotations

import asyncio
import gzip
import socket
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.loops import now, run_steadily
from tests.support.ports import held_port
from tests.support.wire import ask, failure, raw, serving
from yaml_connector.errors import PermanentError


class TestAServerThat:
    @pytest.mark.slow
    def test_is_silent_may_have_acted(self) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(60)

        async def main() -> None:
            async with raw(silent) as url:
                started = now()
                found = await failure(url, timeout="300ms")
                assert now() - started < 10
                assert found.may_have_been_processed is False  # of a GET
                assert "gave no complete answer within 0.3 s" in str(found)
                assert (await failure(url, "POST /", timeout="300ms")).may_have_been_processed

        run_steadily(main())

    def test_resets_the_connection_may_have_acted(self) -> None:
        async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async def main() -> None:
            async with raw(reset) as url:
                found = await failure(url, "POST /")
                assert (found.may_have_been_processed, "broke off" in str(found)) == (True, True)

        run_steadily(main())

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_closes_without_an_answer_is_sent_a_request_that_changes_something_once(self, method: str) -> None:
        connections = 0

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1

        async def main() -> None:
            async with raw(handler) as url:
                assert (await failure(url, f"{method} /jobs")).may_have_been_processed
            assert connections == 1

        run_steadily(main())

    @pytest.mark.parametrize(
        "answer",
        [
            b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": 7',
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"id": 7',
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f\x8b gzip!",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
            + gzip.compress(b"cut" * 99)[:20],
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n\x8b\x01\x80{",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 999999 What\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
            b"",
        ],
        ids=[
            "half a body",
            "half a chunk",
            "bad gzip",
            "cut gzip",
            "brotli",
            "half a head",
            "not http",
            "bad status",
            "bad header",
            "endless header",
            "nothing",
        ],
    )
    def test_breaks_its_answer_may_have_acted(self, answer: bytes) -> None:
        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            await writer.drain()

        async def main() -> None:
            async with raw(broken) as url:
                found = await failure(url, "POST /")
                assert found.may_have_been_processed
                assert str(found).startswith(f"POST {url}/ ")

        run_steadily(main())

    @pytest.mark.slow
    def test_drips_is_cut_off_at_the_timeout(self) -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                writer.write(b"x")
                await asyncio.sleep(0.02)

        async def main() -> None:
            async with raw(drip) as url:
                started = now()
                assert "gave no complete answer" in str(await failure(url, timeout="300ms"))
                assert now() - started < 10

        run_steadily(main())

    def test_is_not_there_surely_did_not_act(self) -> None:
        with held_port() as port:
            found = run_steadily(failure(f"http://127.0.0.1:{port}", "POST /"))
        assert not found.may_have_been_processed
        assert "cannot be connected to: " in str(found)

    def test_speaks_no_tls_surely_did_not_act(self) -> None:
        async def plain(request: web.Request) -> web.Response:
            return web.Response()

        async def main() -> None:
            async with serving(plain) as url:
                found = await failure(url.replace("http://", "https://"), "POST /")
                assert not found.may_have_been_processed
                assert "cannot be connected to" in str(found)

        run_steadily(main())

    def test_gives_html_with_200_gives_no_json(self) -> None:
        async def html(request: web.Request) -> web.Response:
            return web.Response(text="<h1>Sign in</h1>", content_type="text/html")

        async def main() -> None:
            async with serving(html) as url:
                found = await failure(url, "POST /", {"save": {"id": "$.id"}})
                assert "answered 200 with no JSON (text/html; charset=utf-8)" in str(found)

        run_steadily(main())

    @pytest.mark.slow
    def test_sends_a_gzip_bomb_is_read_up_to_the_most(self) -> None:
        bomb = gzip.compress(b"\0" * (50 * 2**20), 9)

        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

        async def main() -> None:
            async with serving(answer) as url:
                started = now()
                found = await failure(url, timeout="5s", max_response="1MiB")
                assert "more than 1 MiB (max_response)" in str(found)
                assert now() - started < 3

        run_steadily(main())

    def test_sends_50_mib_is_read_up_to_the_most(self) -> None:
        sent = 0

        async def answer(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(50):
                await response.write(b"x" * 2**20)
                sent += 1
            return response

        async def main() -> None:
            async with serving(answer) as url:
                assert "more than 10 MiB (max_response)" in str(await failure(url, timeout="5s"))

        run_steadily(main())
        assert sent < 40

    def test_redirects_in_a_circle_or_elsewhere_fails_for_good(self) -> None:
        elsewhere: list[str] = []

        async def other(request: web.Request) -> web.Response:
            elsewhere.append(request.path)
            return web.Response()

        async def main() -> None:
            async with serving(other) as far:

                async def answer(request: web.Request) -> web.Response:
                    raise web.HTTPFound(far if request.path == "/far" else "/circle")

                async with serving(answer) as url:
                    for path, message in (
                        ("/circle", "redirected more than 10 times"),
                        ("/far", "redirects elsewhere"),
                    ):
                        with pytest.raises(PermanentError, match=message):
                            await ask(url, f"GET {path}", follow_redirects=True, timeout="5s")

        run_steadily(main())
        assert not elsewhere


class _Resolver(AbstractResolver):
    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("address", ["169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::a9fe:a9fe"])
def test_a_name_that_resolves_to_a_metadata_address_is_refused(address: str) -> None:
    found = run_steadily(failure("http://innocent.test", "POST /", resolver=_Resolver(address)))
    assert not found.may_have_been_processed
    assert "link-local or metadata address" in str(found)
