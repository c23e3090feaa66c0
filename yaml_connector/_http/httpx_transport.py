"""Transports by httpx: for HTTP/2 and SOCKS proxies over real sockets, and any other httpx transport for tests."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpcore
import httpx
from aiohttp.http import SERVER_SOFTWARE
from multidict import CIMultiDict

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._http.extras import import_extra
from yaml_connector._http.files import StreamedBody
from yaml_connector._http.hosts import FORBIDDEN_ADDRESS, is_forbidden_address, parse_url
from yaml_connector._http.messages import HttpRequest, HttpResponse, TransportError, no_answer
from yaml_connector._http.proxies import Proxies
from yaml_connector._http.tls import TlsSettings
from yaml_connector._http.transport import Transport
from yaml_connector._http.turns import next_turn
from yaml_connector._http.unpacking import ACCEPTED, pieces, reader, without_encoding
from yaml_connector._text import single_line
from yaml_connector.errors import EvaluationError

_MOST_POOLS = 1000
_PART = 4 * 1024  # bytes that are parsed at once
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
# What aiohttp adds to a request, too.
_DEFAULT_HEADERS = {"Accept": "*/*", "Accept-Encoding": ACCEPTED}
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})  # without a body, these have no length


class HttpxTransport(Transport):
    """Sends through an httpx transport: `httpx.MockTransport` in tests."""

    user_agent = SERVER_SOFTWARE
    _unreadable: tuple[type[Exception], ...] = ()

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport

    def _transport_for(self, request: HttpRequest) -> httpx.AsyncBaseTransport:
        """Return the transport for this request."""
        assert self._transport is not None
        return self._transport

    def _headers(self, request: HttpRequest) -> httpx.Headers:
        """Return the headers as aiohttp sends them."""
        headers = httpx.Headers(request.headers, encoding="utf-8")
        for name, value in (*_DEFAULT_HEADERS.items(), ("User-Agent", self.user_agent)):
            headers.setdefault(name, value)
        if not request.body and (request.body is not None or request.method not in _WITHOUT_BODY):
            headers.setdefault("Content-Length", "0")
        return headers

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        limit = timeout if request.begin is None else min(request.begin, timeout)
        outgoing = httpx.Request(
            request.method,
            _url(request.url),
            headers=self._headers(request),
            content=request.body.read() if isinstance(request.body, StreamedBody) else request.body,
            # a request without a connection is known not to have been sent, so that ends first
            extensions={"timeout": {"connect": limit * 0.95, "pool": limit * 0.95, "read": limit, "write": limit}},
        )
        transport = self._transport_for(request)
        try:
            try:
                response = await transport.handle_async_request(outgoing)
            except httpx.HTTPError:
                raise
            except self._unreadable as error:
                what = f"broke off: its answer cannot be read ({type(error).__name__})"
                raise TransportError(what, may_have_been_processed=True) from None
            try:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                headers = CIMultiDict(response.headers.multi_items())
                read = without_encoding(headers, reader(aiter(response.stream)))
                yield HttpResponse(response.status_code, headers, pieces(read))
            finally:
                await response.aclose()
        except _NOT_SENT as error:
            raise TransportError(_not_sent(error, limit), may_have_been_processed=False) from None
        except httpx.TimeoutException:
            raise no_answer(limit) from None
        except httpx.HTTPError as error:
            why = single_line(str(error)) or "the connection was closed"
            raise TransportError(f"broke off: {why}", may_have_been_processed=True) from None


def _url(text: str) -> httpx.URL:
    """Return a checked URL. Raises EvaluationError for a host that httpx does not take (`xn--` and no IDN)."""
    try:
        url = httpx.URL(text)
        url.host  # noqa: B018 - which httpx decodes, later, too
    except (ValueError, httpx.InvalidURL):
        raise EvaluationError(f"{parse_url(text).host!r} is not a valid host name") from None
    return url


def _not_sent(error: Exception, limit: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"could not connect within {limit:.3g} s"
    if isinstance(error, httpx.ProxyError):
        return f"was not sent: the proxy answered {error}"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return f"cannot be connected to: its certificate is not trusted ({cause.verify_message})"
    return f"cannot be connected to: {error}"


class HttpxSockets(HttpxTransport):
    """Sends over real sockets, with a connection pool for each host (and event loop, proxy and TLS context).

    Parameters as for AiohttpTransport; `http2`: speak HTTP/2 where a host with TLS does.
    """

    user_agent = f"httpx/{httpx.__version__}"
    _unreadable = (Exception,)  # what h2 and socksio take and httpcore does not, and SOCKS errors of socksio's own

    def __init__(
        self, *, max_connections: int, http2: bool, tls: TlsSettings | None = None, proxies: Proxies | None = None
    ) -> None:
        super().__init__()
        if http2:
            import_extra("h2", "http2")
        if proxies is not None and proxies.may_be_socks:
            import_extra("socksio", "socks")
        self._limit = max_connections
        self._http2 = http2
        self._tls = tls
        self._proxies = proxies
        self._system_tls: ssl.SSLContext | None = None
        self._pools: BoundedCache[tuple[Any, ...], httpx.AsyncHTTPTransport] = BoundedCache(_MOST_POOLS)

    def _transport_for(self, request: HttpRequest) -> httpx.AsyncBaseTransport:
        if self._tls is not None:
            context = self._tls.context()
        else:
            context = self._system_tls = self._system_tls or ssl.create_default_context()
        proxy = self._proxies.of(request.url) if self._proxies is not None else None
        loop = asyncio.get_running_loop()
        key = (loop, parse_url(request.url).origin, proxy, context)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools.put(key, self._new_pool(context, proxy))
            for old in self._pools:
                if old[0].is_closed():
                    self._pools.pop(old)
        return pool

    def _new_pool(self, context: ssl.SSLContext, proxy: str | None) -> httpx.AsyncHTTPTransport:
        transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
        through = None
        if proxy is not None:
            parts = httpx.URL(proxy)
            auth = (parts.username, parts.password) if parts.userinfo else None
            through = httpcore.Proxy(str(parts.copy_with(userinfo=b"")), auth=auth)
        # httpx has no parameter for the backend, which is where names become addresses
        transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            proxy=through,
            max_connections=self._limit,
            keepalive_expiry=15.0,  # as aiohttp
            http2=self._http2,
            network_backend=_GuardedBackend(),
        )
        return transport

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        limit = asyncio.timeout(timeout)
        try:
            async with limit, super().exchange(request, timeout) as response:
                yield response
        except TimeoutError:
            if not limit.expired():
                raise
            raise no_answer(timeout) from None

    async def close(self) -> None:
        """Close the connections of this event loop."""
        loop = asyncio.get_running_loop()
        for key in self._pools:
            if key[0] is loop and (pool := self._pools.pop(key)) is not None:
                await pool.aclose()


class PacedStream(httpcore.AsyncNetworkStream):
    """A connection that hands out what arrives in small parts, each in a turn of the event loop: h2 and h11 are written
    in Python, and take 20 us and more for each of the smallest frames and chunks."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._unread = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._unread:
            self._unread = await self._stream.read(max_bytes, timeout)
        if len(self._unread) > _PART:
            await next_turn()
        part, self._unread = self._unread[:_PART], self._unread[_PART:]
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return PacedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))


class _GuardedBackend(httpcore.AnyIOBackend):
    """Refuses names that resolve to link-local or metadata addresses, which a URL may not contain either."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(error.strerror or str(error)) from None
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if any(map(is_forbidden_address, addresses)):
            raise httpcore.ConnectError(FORBIDDEN_ADDRESS)
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError):
                return PacedStream(await super().connect_tcp(address, port, timeout, local_address, socket_options))
        return PacedStream(await super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options))
