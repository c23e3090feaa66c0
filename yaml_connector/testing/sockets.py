"""Plays recorded exchanges over real sockets: a server on this machine, which the connector's own transport talks to.

There is no TLS, and every name is the address of this machine. Where a recorded response is late, the connector waits
for a twentieth of its time limit.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from yaml_connector._http.files import StreamedBody
from yaml_connector._http.hosts import parse_url
from yaml_connector._http.messages import HttpRequest, HttpResponse, TransportError
from yaml_connector._http.transport import AiohttpTransport, Fetched, Transport
from yaml_connector.testing.clock import FakeClock
from yaml_connector.testing.matching import SentRequest
from yaml_connector.testing.recorded import RecordedResponse
from yaml_connector.testing.replay import (
    ExchangeBook,
    framed_headers,
    may_have_body,
    response_content,
    response_headers,
)

_FASTER = 20
_PATIENCE = 30.0  # real seconds for a response that is not late, on a busy machine
_LONGEST_HEAD = 2**20  # bytes
_ADDRESS = "127.0.0.1"
_SENT_AGAIN = ("GET", "HEAD", "OPTIONS", "TRACE")  # aiohttp sends what breaks once more, unseen
_WITHIN = re.compile(r"within [\d.e+-]+ s")


class SocketTransport(Transport):
    """Sends every request, by the transport of the service, to a server that answers from the `book`.

    A request that does not match breaks its connection.
    """

    def __init__(self, book: ExchangeBook, clock: FakeClock) -> None:
        self._book = book
        self._clock = clock
        self._inner = AiohttpTransport(max_connections=100, resolver=_ThisMachine())
        self._server: asyncio.Server | None = None
        self._schemes: dict[str, str] = {}
        self._limit = 0.0  # seconds of the clock that the request under way may take
        self._breaks_again = False
        self._open = set[asyncio.Task[None]]()
        self._nobody: socket.socket | None = None  # bound and not listening: a connection is refused

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        limit = timeout if request.begin is None else min(request.begin, timeout)
        with self._as_recorded(limit):
            outgoing, seconds = await self._outgoing(request, limit)
            async with self._inner.exchange(outgoing, seconds) as response:
                yield response

    async def fetch(self, request: HttpRequest, timeout: float, limit: int) -> Fetched:
        with self._as_recorded(timeout):
            outgoing, seconds = await self._outgoing(request, timeout)
            return await self._inner.fetch(outgoing, seconds, limit)

    async def close(self) -> None:
        """Close all sockets, those of the server, too."""
        await self._inner.close()
        if self._nobody is not None:
            self._nobody.close()
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    @contextmanager
    def _as_recorded(self, limit: float) -> Iterator[None]:
        """Tell time limits as they are, not as they are played."""
        try:
            yield
        except TransportError as error:
            reason = _WITHIN.sub(f"within {limit:.3g} s", error.reason)
            raise TransportError(reason, may_have_been_processed=error.may_have_been_processed) from None

    async def _outgoing(self, request: HttpRequest, limit: float) -> tuple[HttpRequest, float]:
        """Return the request to this machine, and for how many real seconds it may take."""
        if self._server is None or self._nobody is None:
            self._server = await asyncio.start_server(self._connected, _ADDRESS, 0, limit=_LONGEST_HEAD)
            self._nobody = socket.socket()
            self._nobody.bind((_ADDRESS, 0))
        self._limit = limit
        target = parse_url(request.url)
        self._schemes[target.authority] = target.scheme
        expected = self._book.next
        late = refused = False
        if expected is not None:
            late = _is_late(expected.response, limit)
            refused = expected.response.fault == "refused" and not late
        port = (self._nobody if refused else self._server.sockets[0]).getsockname()[1]
        if refused:
            self._book.take(
                SentRequest(request.method, request.url, httpx.Headers(request.headers), await _body(request))
            )
            self._clock.move(expected.response.after if expected is not None else 0.0)
        _, _, rest = request.url.partition("://")
        _, slash, path = rest.partition("/")
        url = f"http://replay.test:{port}/{path}" if slash else f"http://replay.test:{port}"
        headers = {"Host": target.authority, **request.headers}
        return HttpRequest(request.method, url, headers, request.body), limit / _FASTER if late else _PATIENCE

    # --- the server ---------------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._answer(await _receive(reader), writer):
                pass
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, sent: SentRequest, writer: asyncio.StreamWriter) -> bool:
        """Answer a request as it is recorded; return whether the connection stays open."""
        if self._breaks_again:
            self._breaks_again = False
            _reset(writer)
            return False
        authority = sent.headers.get("Host", "")
        url = f"{self._schemes.get(authority, 'http')}://{authority}{sent.url}"
        exchange = self._book.take(SentRequest(sent.method, url, sent.headers, sent.content))
        if exchange is None:
            _reset(writer)
            return False
        response = exchange.response
        if _is_late(response, self._limit):
            self._clock.move(self._limit)
            await asyncio.sleep(_PATIENCE)  # the connector gives up long before
            return False
        self._clock.move(response.after)
        if response.fault == "not_http":
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            await writer.drain()
            return False
        if response.fault not in (None, "truncated"):
            self._breaks_again = sent.method in _SENT_AGAIN
            _reset(writer)
            return False
        head, body = _on_the_wire(response, sent.method)
        half = len(body) // 2
        for part in (head, body[:half], b"" if response.fault else body[half:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        return response.fault is None


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off, so that the other side sees a reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _is_late(response: RecordedResponse, limit: float) -> bool:
    return response.fault == "timeout" or response.after > limit


def _on_the_wire(response: RecordedResponse, method: str) -> tuple[bytes, bytes]:
    """Return the head and the body of a response as bytes."""
    body = response_content(response)
    headers = framed_headers(response, body)
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode(), body if method != "HEAD" and may_have_body(response.status) else b""


def why_not_played(response: RecordedResponse) -> str | None:
    """Return why a response cannot be sent over a socket; None if it can."""
    if response.status < 200:
        return f"the status {response.status} is not that of a final response"
    if response_content(response) and not may_have_body(response.status):
        return f"a response with status {response.status} has no body"
    for name, value in response_headers(response):
        if re.search(r"[\r\n\0]", name + value) or not name or re.search(r"[\s:]", name):
            return f"the header {name!r} cannot be sent"
        if name.lower() == "content-length" and value != str(len(response_content(response))):
            return f"Content-Length is {value}, and the body has {len(response_content(response))} bytes"
    return None


async def _body(request: HttpRequest) -> bytes:
    body = request.body
    return b"".join([part async for part in body.read()]) if isinstance(body, StreamedBody) else body or b""


async def _receive(reader: asyncio.StreamReader) -> SentRequest:
    """Return a request, its URL as in its first line. Raises EOFError if there is no further one."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, _ = first.decode("ascii").split(" ")
    headers = httpx.Headers([(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)])
    if headers.get("Transfer-Encoding") == "chunked":
        content = b""
        while size := int(await reader.readline(), 16):
            content += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        content = await reader.readexactly(int(headers.get("Content-Length", 0)))
    return SentRequest(method, target, headers, content)


class _ThisMachine(AbstractResolver):
    """Resolves every name to this machine."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=_ADDRESS, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass
