"""The wire: one request out, one answer in. aiohttp in service; any httpx transport (`httpx.MockTransport`) for
tests."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from multidict import CIMultiDict
from yarl import URL

from yaml_connector.http.answer import Headers
from yaml_connector.http.hosts import is_forbidden_address

Body = bytes | Callable[[], AsyncIterator[bytes]] | None
_CHUNK = 64 * 1024


@dataclass
class WireRequest:
    """What is sent: `url` is complete and checked; a streamed `body` is a function that opens it (anew for a retry)."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = None


@dataclass
class WireResponse:
    """The head of an answer, and its decompressed content as it comes."""

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]


class WireError(Exception):
    """No answer. `arrived` is False if the request surely did not reach the API; `reason` says what happened."""

    def __init__(self, reason: str, *, arrived: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.arrived = arrived


class Transport(Protocol):
    """Sends one request. `timeout` is in seconds, for the head and the content together."""

    def exchange(self, request: WireRequest, timeout: float) -> Any:
        """An asynchronous context manager that gives a WireResponse, and raises WireError inside and outside."""


class AiohttpTransport:
    """Real sockets: a pool of connections for each event loop."""

    def __init__(self, *, max_connections: int, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        self._limit = max_connections
        self._tls = tls
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = (
            weakref.WeakKeyDictionary()
        )

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            connector = aiohttp.TCPConnector(
                limit=self._limit, ssl=self._tls() if self._tls else True, resolver=_GuardedResolver()
            )
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return session

    @asynccontextmanager
    async def exchange(self, request: WireRequest, timeout: float) -> AsyncIterator[WireResponse]:
        body: Any = request.body() if callable(request.body) else request.body
        try:
            async with self._session().request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=body,
                allow_redirects=False,
                timeout=_timeout(timeout),
            ) as response:
                yield WireResponse(response.status, response.headers, response.content.iter_any())
        except aiohttp.ConnectionTimeoutError:
            raise WireError(f"could not connect within {timeout:.3g} s", arrived=False) from None
        except TimeoutError:
            raise WireError(f"gave no complete answer within {timeout:.3g} s", arrived=True) from None
        except aiohttp.ClientConnectorError as error:
            raise WireError(f"cannot be connected to: {_reason(error)}", arrived=False) from None
        except (aiohttp.ClientError, OSError, EOFError) as error:
            raise WireError(f"broke off: {_reason(error)}", arrived=True) from None

    async def close(self) -> None:
        """Close the pool of this event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()


@lru_cache(maxsize=256)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    # A connection that is not there shortly before the time is over surely carried no request.
    return aiohttp.ClientTimeout(total=seconds, sock_connect=seconds * 0.95)


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message})"
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())[:200]


class _GuardedResolver(AbstractResolver):
    """Refuses names that resolve to link-local or metadata addresses: a DNS answer must not open what a URL may not."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(is_forbidden_address(item["host"]) for item in found):
            raise OSError(None, "the name resolves to a link-local or metadata address, which is refused")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class HttpxTransport:
    """Any httpx transport as ours: `httpx.MockTransport` in tests."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    @asynccontextmanager
    async def exchange(self, request: WireRequest, timeout: float) -> AsyncIterator[WireResponse]:
        content = request.body() if callable(request.body) else request.body
        outgoing = httpx.Request(
            request.method,
            request.url,
            headers=httpx.Headers(request.headers, encoding="utf-8"),  # as aiohttp sends them
            content=content,
            extensions={"timeout": {"read": timeout}},
        )
        try:
            response = await self._transport.handle_async_request(outgoing)
            try:
                yield WireResponse(
                    response.status_code, CIMultiDict(response.headers.multi_items()), response.aiter_bytes()
                )
            finally:
                await response.aclose()
        except httpx.ConnectError as error:
            raise WireError(f"cannot be connected to: {error}", arrived=False) from None
        except httpx.TimeoutException:
            raise WireError(f"gave no complete answer within {timeout:.3g} s", arrived=True) from None
        except httpx.HTTPError as error:
            raise WireError(f"broke off: {error}", arrived=True) from None
