"""Any httpx transport as a transport of the connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from multidict import CIMultiDict

from yaml_connector._http.messages import HttpRequest, HttpResponse, TransportError
from yaml_connector._http.transport import Transport


class HttpxTransport(Transport):
    """Sends through an httpx transport: `httpx.MockTransport` in tests."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        limit = timeout if request.begin is None else min(request.begin, timeout)
        content = request.body() if callable(request.body) else request.body
        outgoing = httpx.Request(
            request.method,
            request.url,
            headers=httpx.Headers(request.headers, encoding="utf-8"),  # as aiohttp sends them
            content=content,
            extensions={"timeout": {"read": limit}},
        )
        try:
            response = await self._transport.handle_async_request(outgoing)
            try:
                yield HttpResponse(
                    response.status_code, CIMultiDict(response.headers.multi_items()), response.aiter_bytes()
                )
            finally:
                await response.aclose()
        except httpx.ConnectError as error:
            raise TransportError(f"cannot be connected to: {error}", may_have_been_processed=False) from None
        except httpx.TimeoutException:
            raise TransportError(
                f"gave no complete answer within {limit:.3g} s", may_have_been_processed=True
            ) from None
        except httpx.HTTPError as error:
            raise TransportError(f"broke off: {error}", may_have_been_processed=True) from None
