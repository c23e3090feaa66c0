"""Transports: send one request and receive its response."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from time import monotonic
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from yaml_connector._http.files import StreamedBody
from yaml_connector._http.hosts import FORBIDDEN_ADDRESS, USUAL_URL, is_forbidden_address
from yaml_connector._http.memory import NoRoomError, read_whole
from yaml_connector._http.messages import HttpRequest, HttpResponse, TransportError, no_answer
from yaml_connector._http.proxies import Proxies
from yaml_connector._http.text_encoding import Headers
from yaml_connector._http.tls import TlsSettings
from yaml_connector._http.unpacking import ACCEPTED, pieces, without_encoding
from yaml_connector._http.wire_limits import LONGEST_HEADER, MOST_HEADERS, bound_what_arrives
from yaml_connector._text import single_line
from yaml_connector.errors import EvaluationError

_READ_AT_ONCE = 64 * 1024  # bytes of a response; twice as many wait to be read

_NO_TYPE = ("Content-Type",)  # aiohttp makes up none: a request without a body, or of no known type, has none

Fetched = tuple[int, Headers, bytes | None]


class Transport:
    """Sends one request. `timeout` is in seconds, for headers and content together."""

    def exchange(self, request: HttpRequest, timeout: float) -> AbstractAsyncContextManager[HttpResponse]:
        """Yield the response as it comes. Raises TransportError, also while it is read."""
        raise NotImplementedError

    async def fetch(self, request: HttpRequest, timeout: float, limit: int) -> Fetched:
        """Return status, headers and the whole content (None if it is longer than `limit` bytes).

        Raises TransportError.
        """
        async with self.exchange(request, timeout) as response:
            return response.status, response.headers, await response.read(limit)

    async def close(self) -> None:
        """Close the connections of this event loop."""


class AiohttpTransport(Transport):
    """Sends over real sockets, with a connection pool for each event loop. `max_connections` is the most that are open
    at once to one host (scheme, name and port). `tls` are settings other than the system's, `proxies` tell where a
    request goes through; `resolver` finds addresses (default: the system's)."""

    def __init__(
        self,
        *,
        max_connections: int,
        tls: TlsSettings | None = None,
        proxies: Proxies | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._limit = max_connections
        self._tls = tls
        self._proxies = proxies
        self._resolver = resolver
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    def _new_session(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        self._sessions = {known: session for known, session in self._sessions.items() if not known.is_closed()}
        connector = aiohttp.TCPConnector(
            limit=0,  # of all hosts together: one that hangs must not hold up another
            limit_per_host=self._limit,
            resolver=_GuardedResolver(self._resolver),
        )
        bound_what_arrives(connector)
        session = self._sessions[loop] = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # see `unpacking`
            headers={"Accept-Encoding": ACCEPTED},
            read_bufsize=_READ_AT_ONCE,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        return session

    def _send(self, request: HttpRequest, timeout: float) -> Awaitable[aiohttp.ClientResponse]:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._new_session(loop)
        body: Any = request.body.read() if isinstance(request.body, StreamedBody) else request.body
        return session.request(
            request.method,
            _url(request.url) if len(request.url) <= USUAL_URL else _url.__wrapped__(request.url),
            headers=request.headers,
            data=body,
            skip_auto_headers=None if body is None and request.method == "GET" else _NO_TYPE,
            allow_redirects=False,
            timeout=_timeout(timeout),
            middlewares=_SENT_ONCE if request.method in ("PUT", "DELETE") else None,
            ssl=True if self._tls is None else self._tls.context(),
            proxy=None if self._proxies is None else self._proxies.of(request.url),
        )

    async def fetch(self, request: HttpRequest, timeout: float, limit: int) -> Fetched:
        """See Transport. Written without a context manager, since every call takes this way."""
        ends = monotonic() + timeout
        try:
            response = await self._send(request, timeout)
            try:
                content = await _content(response, limit, ends)
            finally:
                if not response.closed or request.body is not None:
                    response.release()
                    await response.wait_for_close()
        except _FAILURES as error:
            raise _transport_error(error, timeout) from None
        return response.status, response.headers, content

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        """See Transport."""
        try:
            response = await self._send(request, timeout)
            try:
                read = without_encoding(response.headers, response.content.readany)
                yield HttpResponse(response.status, response.headers, pieces(read))
            finally:
                response.release()
                await response.wait_for_close()
        except _FAILURES as error:
            raise _transport_error(error, timeout) from None

    async def close(self) -> None:
        """Close the connections of this event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again when its connection breaks: the spec decides that."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(_reason(error)) from None


_SENT_ONCE = (_send_once,)


async def _content(response: aiohttp.ClientResponse, limit: int, ends: float) -> bytes | None:
    stream = response.content
    if "Content-Encoding" in response.headers:
        return await read_whole(without_encoding(response.headers, stream.readany), b"", limit, ends)
    content = await stream.readany()
    if stream.at_eof():  # most responses come in one piece
        return content if len(content) <= limit else None
    return await read_whole(stream.readany, content, limit, ends, response.content_length)


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    """Return a checked URL for aiohttp without parsing it a second time."""
    scheme, _, rest = text.partition("://")
    authority, _, rest = rest.partition("/")
    path, _, query = rest.partition("?")
    return URL.build(scheme=scheme, authority=authority, path=f"/{path}", query_string=query, encoded=True)


_FAILURES = (aiohttp.ClientError, OSError, EOFError)  # TimeoutError is an OSError


def _transport_error(error: BaseException, timeout: float) -> Exception:
    if isinstance(error.__cause__, EvaluationError):  # the file of the body could not be read
        return error.__cause__
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportError(f"could not connect within {timeout:.3g} s", may_have_been_processed=False)
    if isinstance(error, NoRoomError):
        waited = f"was not read within {timeout:.3g} s: other large responses were being read"
        return TransportError(waited, may_have_been_processed=True)
    if isinstance(error, TimeoutError):
        return no_answer(timeout)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        reason = f"was not sent: the proxy answered {error.status} {error.message}"
        return TransportError(reason, may_have_been_processed=False)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return TransportError(
            f"was not sent: the proxy cannot be connected to: {_reason(error)}", may_have_been_processed=False
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportError(f"cannot be connected to: {_reason(error)}", may_have_been_processed=False)
    return TransportError(f"broke off: {_reason(error)}", may_have_been_processed=True)


@lru_cache(maxsize=256)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    # `connect` ends before `total`, so that a request without a connection is known not to have been sent. It includes
    # the wait for a full pool: a backend that hangs must not make other requests look ambiguous.
    return aiohttp.ClientTimeout(total=seconds, connect=seconds * 0.95)


NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""What OpenSSL says of an answer that is not TLS."""
_PLAIN_REASONS = {errno.ECONNREFUSED: "connection refused", errno.ECONNRESET: "connection reset"}


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError) and cause.reason in NOT_TLS:
        return "the port does not speak TLS; if it speaks plain HTTP, write http:// in base_url"
    if isinstance(cause, OSError) and cause.errno in _PLAIN_REASONS:
        return _PLAIN_REASONS[cause.errno]
    if isinstance(cause, aiohttp.ClientResponseError):  # its own text looks like an answer with the status 400
        return f"its answer is not valid HTTP: {single_line(cause.message)}"[:200]
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return single_line(str(text))[:200]


class _GuardedResolver(AbstractResolver):
    """Refuses names that resolve to link-local or metadata addresses, which a URL may not contain either."""

    def __init__(self, resolver: AbstractResolver | None) -> None:
        self._resolver = resolver or DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(is_forbidden_address(item["host"]) for item in found):
            raise OSError(None, FORBIDDEN_ADDRESS)
        return found

    async def close(self) -> None:
        await self._resolver.close()
