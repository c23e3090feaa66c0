"""The wire (real sockets): a server with every fault that servers have."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.fake_api import run
from tests.support.ports import held_port
from tests.support.sending import Sender
from yaml_connector._clock import Clock
from yaml_connector._http.messages import Response
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A web server on a port of its own; gives its URL."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(handler: Raw) -> AsyncIterator[str]:
    """A server that speaks what it likes, after the request's head."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def ask(
    url: str, request: Any = "GET /", step: Any = None, *, resolver: Any = None, **connection: Any
) -> Response:
    """One request over real sockets, without a second attempt."""
    transport = AiohttpTransport(max_connections=10, resolver=resolver)
    connection = {"retry": {"max_attempts": 1}, "timeout": "300ms", **connection}
    try:
        return await Sender(transport, base_url=url, clock=Clock(), **connection).send_now(request, step)
    finally:
        await transport.close()


async def failure(url: str, *args: Any, **connection: Any) -> TransientError:
    with pytest.raises(TransientError) as raised:
        await ask(url, *args, **connection)
    return raised.value


def test_a_good_answer_comes_with_status_headers_and_body() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(
            {"path": request.raw_path, "x": request.headers["X"], "body": await request.json()}, headers={"Y": "z"}
        )

    async def main() -> None:
        async with serving(handler) as url:
            answer = await ask(url, {"method": "POST", "path": "/a b", "headers": {"X": "ü"}, "json": {"n": 2**53 + 1}})
            assert answer.body == {"path": "/a%20b", "x": "ü", "body": {"n": 2**53 + 1}}
            assert answer.headers["y"] == "z"

    run(main())


def test_any_text_reaches_the_server_as_one_segment_and_one_parameter() -> None:
    texts = [
        "a/b",
        "..a",
        "%2F",
        "%",
        "a?b",
        "a#b",
        "a&b=c",
        "a+b",
        "a b",
        "ü/€",
        "\\",
        "//",
        "a;b",
        ":",
        "\0\r\n\t",
        "{}",
        "é" * 50,
        "%zz",
    ]

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "segments": [unquote(part) for part in request.raw_path.partition("?")[0].split("/")],
                "q": request.query.get("q"),
            }
        )

    async def main() -> None:
        async with serving(handler) as url:
            for text in texts:
                answer = await ask(
                    url, {"path": "/x/${{ config.t }}/y", "query": {"q": "${{ config.t }}"}}, config={"t": text}
                )
                assert answer.body == {"segments": ["", "x", text, "y"], "q": text}

    run(main())


def test_a_file_is_streamed_from_its_start_for_each_attempt() -> None:
    received: list[bytes] = []
    lengths: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        received.append(await request.read())
        lengths.append(request.headers.get("Content-Length"))
        return web.Response(status=503 if len(received) == 1 else 200)

    class Contents:
        async def size(self, uri: str) -> int | None:
            return 290

        async def read(self, uri: str) -> AsyncIterator[bytes]:
            for number in range(100):
                yield b"%d," % number

    async def main() -> None:
        async with serving(handler) as url:
            transport = AiohttpTransport(max_connections=1)
            sender = Sender(transport, base_url=url, clock=Clock(), retry={"initial_delay": "1ms"})
            await sender.send_now({"method": "PUT", "path": "/", "file": "s3://f"}, files=Contents())
            await transport.close()

    run(main())
    assert len(received) == 2
    assert received[0] == received[1] == b"".join(b"%d," % number for number in range(100))
    assert lengths == ["290", "290"]


@pytest.mark.parametrize("said", [3, 9])
def test_a_file_that_has_another_size_than_was_said_is_an_error_and_does_not_hang(said: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    class Contents:
        async def size(self, uri: str) -> int | None:
            return said

        async def read(self, uri: str) -> AsyncIterator[bytes]:
            yield b"123456"

    async def main() -> None:
        async with serving(handler) as url:
            transport = AiohttpTransport(max_connections=1)
            sender = Sender(transport, base_url=url, clock=Clock(), retry={"max_attempts": 1})
            with pytest.raises(EvaluationError, match="the file s3://f changed while it was sent"):
                await sender.send_now({"method": "PUT", "path": "/", "file": "s3://f"}, files=Contents())
            await transport.close()

    run(main())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_request_without_a_body_names_no_content_type(method: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"type": request.headers.get("Content-Type")})

    async def main() -> None:
        async with serving(handler) as url:
            assert (await ask(url, f"{method} /")).body["type"] is None
            named = {"method": method, "path": "/", "headers": {"Content-Type": "application/x-own"}}
            assert (await ask(url, named)).body["type"] == "application/x-own"

    run(main())


def test_a_head_of_long_lines_and_many_fields_is_read() -> None:
    async def handler(request: web.Request) -> web.Response:
        headers = {f"X-{number}": "x" for number in range(1000)}
        return web.json_response({"id": 7}, headers={**headers, "Location": "/jobs/7?sig=" + "y" * 60_000})

    async def main() -> None:
        async with serving(handler) as url:
            answer = await ask(url, "POST /")
            assert answer.body == {"id": 7}
            assert len(answer.headers["Location"]) > 60_000

    run(main())


class TestAServerThat:
    def test_is_silent_may_have_acted(self) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(2)

        async def main() -> None:
            async with raw(silent) as url:
                started = time.monotonic()
                found = await failure(url)
                assert time.monotonic() - started < 1
                assert found.may_have_been_processed is False  # of a GET
                assert "gave no complete answer within 0.3 s" in str(found)
                assert (await failure(url, "POST /")).may_have_been_processed

        run(main())

    def test_resets_the_connection_may_have_acted(self) -> None:
        async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async def main() -> None:
            async with raw(reset) as url:
                found = await failure(url, "POST /")
                assert (found.may_have_been_processed, "broke off" in str(found)) == (True, True)

        run(main())

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

        run(main(), Clock())

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

        run(main())

    def test_drips_is_cut_off_at_the_timeout(self) -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                writer.write(b"x")
                await asyncio.sleep(0.02)

        async def main() -> None:
            async with raw(drip) as url:
                started = time.monotonic()
                assert "gave no complete answer" in str(await failure(url))
                assert time.monotonic() - started < 1

        run(main())

    def test_is_not_there_surely_did_not_act(self) -> None:
        with held_port() as port:
            found = run(failure(f"http://127.0.0.1:{port}", "POST /"))
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

        run(main())

    def test_gives_html_with_200_gives_no_json(self) -> None:
        async def html(request: web.Request) -> web.Response:
            return web.Response(text="<h1>Sign in</h1>", content_type="text/html")

        async def main() -> None:
            async with serving(html) as url:
                found = await failure(url, "POST /", {"save": {"id": "$.id"}})
                assert "answered 200 with no JSON (text/html; charset=utf-8)" in str(found)

        run(main())

    def test_sends_a_gzip_bomb_is_read_up_to_the_most(self) -> None:
        bomb = gzip.compress(b"\0" * (50 * 2**20), 9)

        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

        async def main() -> None:
            async with serving(answer) as url:
                started = time.monotonic()
                found = await failure(url, timeout="5s", max_response="1MiB")
                assert "more than 1 MiB (max_response)" in str(found)
                assert time.monotonic() - started < 3

        run(main())

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

        run(main())
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

        run(main())
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
    found = run(failure("http://innocent.test", "POST /", resolver=_Resolver(address)))
    assert not found.may_have_been_processed
    assert "link-local or metadata address" in str(found)


def test_a_pool_that_is_full_surely_sent_nothing() -> None:
    async def main() -> None:
        arrived, over = asyncio.Event(), asyncio.Event()

        async def hangs(request: web.Request) -> web.Response:
            arrived.set()
            await over.wait()
            return web.Response()

        async with serving(hangs) as url:
            transport = AiohttpTransport(max_connections=1)

            def send(timeout: str) -> Coroutine[Any, Any, Any]:
                retry = {"max_attempts": 1}
                sender = Sender(transport, base_url=url, clock=Clock(), retry=retry, timeout=timeout)
                return sender.send_now("POST /")

            first = asyncio.create_task(send("60s"))
            await arrived.wait()
            found = await asyncio.gather(send("2s"), send("2s"), return_exceptions=True)
            assert [getattr(error, "may_have_been_processed", error) for error in found] == [False, False]
            over.set()
            await first
            await transport.close()

    run(main())


def test_a_host_that_hangs_fills_only_its_own_connections() -> None:
    """The same name with another port is another host."""
    hanging_now: list[web.Request] = []
    both = asyncio.Event()

    async def hangs(request: web.Request) -> web.Response:
        hanging_now.append(request)
        if len(hanging_now) == 2:
            both.set()
        await asyncio.sleep(30)
        return web.Response()

    async def answers(request: web.Request) -> web.Response:
        return web.Response()

    async def main() -> None:
        async with serving(hangs) as hanging, serving(answers) as good:
            transport = AiohttpTransport(max_connections=2)
            sender = Sender(transport, base_url=good, allowed_hosts=["127.0.0.1"], clock=Clock(), timeout="3s")
            waiting = [asyncio.create_task(sender.send_now({"url": f"{hanging}/"})) for _ in range(5)]
            await both.wait()
            assert [(await sender.send_now()).status for _ in range(3)] == [200, 200, 200]
            assert len(hanging_now) == 2
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await transport.close()

    run(main())


def test_one_transport_serves_several_event_loops() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    transport = AiohttpTransport(max_connections=1)

    async def main() -> None:
        async with serving(answer) as url:
            await Sender(transport, base_url=url, clock=Clock()).send_now()
            await transport.close()

    for _ in range(2):
        run(main())
