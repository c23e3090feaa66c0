"""Servers on real sockets that do what a test says, and one request to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.support.sending import Sender
from yaml_connector._clock import Clock
from yaml_connector._http.messages import Response
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector.errors import TransientError

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
    connection = {"retry": {"max_attempts": 1}, "timeout": "20s", "deadline": "20s", **connection}
    try:
        return await Sender(transport, base_url=url, clock=Clock(), **connection).send_now(request, step)
    finally:
        await transport.close()


async def failure(url: str, *args: Any, **connection: Any) -> TransientError:
    with pytest.raises(TransientError) as raised:
        await ask(url, *args, **connection)
    return raised.value
