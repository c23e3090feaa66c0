"""Requests over real sockets: what arrives at a server, and what a pool of connections does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

from tests.support.fake_api import run
from tests.support.loops import run_steadily
from tests.support.sending import Sender
from tests.support.wire import ask, serving
from yaml_connector._clock import Clock
from yaml_connector._http.messages import HttpRequest
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector.errors import EvaluationError


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


class MovableLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward: what is due in the meantime happens at once."""

    forward = 0.0

    def time(self) -> float:
        return super().time() + self.forward


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
                sender = Sender(transport, base_url=url, clock=Clock(), retry=retry, timeout=timeout, deadline=timeout)
                return sender.send_now("POST /")

            async def stream() -> None:
                async with transport.exchange(HttpRequest("POST", url, {}, b""), 100):
                    pass

            first = asyncio.create_task(send("600s"))
            await arrived.wait()
            others = asyncio.gather(send("100s"), send("100s"), stream(), return_exceptions=True)
            for _ in range(100):  # until they wait for the connection: nothing else holds them up
                await asyncio.sleep(0)
            loop.forward = 97  # seconds: after the wait for a connection, and before the end of the request
            found = await others
            assert [getattr(error, "may_have_been_processed", error) for error in found] == [False] * 3
            over.set()
            await first
            await transport.close()

    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, MovableLoop)
        runner.run(main())


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

    run_steadily(main())


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
