"""Replays recorded exchanges: each request must be the next recorded one, and gets the recorded response."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import httpx
from multidict import CIMultiDict

from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.text_encoding import MARK, WIDE, encoding_of
from yaml_connector._http.wire_limits import head_problem
from yaml_connector.testing.clock import FakeClock
from yaml_connector.testing.compare import Difference
from yaml_connector.testing.matching import SentRequest, request_differences
from yaml_connector.testing.recorded import RecordedExchange, RecordedResponse

Watch = Callable[[SentRequest, RecordedExchange], None]


@dataclass(frozen=True)
class Mismatch:
    """A request that is not as recorded. `exchange` is the index of the recorded one; None: there are no more."""

    what: str
    exchange: int | None = None
    differences: tuple[Difference, ...] = ()
    out_of_order: bool = False


class ExchangeBook:
    """The recorded exchanges of a call, in order. A request that does not match is kept in `mismatch`.

    `watch` is told each request that was sent as recorded, and its exchange. With `any_request`, each is as recorded.
    """

    watch: Watch | None = None
    any_request = False

    def __init__(self) -> None:
        self._exchanges: Sequence[RecordedExchange] = ()
        self._next = 0  # index of the next exchange
        self._times = 0  # how often its request was sent already
        self.mismatch: Mismatch | None = None

    def open(self, exchanges: Sequence[RecordedExchange]) -> None:
        """Begin a call with these exchanges."""
        self._exchanges = exchanges
        self._next = self._times = 0
        self.mismatch = None

    def close(self) -> Mismatch | None:
        """End the call; return the mismatch, or what was recorded and not sent, or None."""
        if self.mismatch is None and self._next < len(self._exchanges):
            exchange = self._exchanges[self._next]
            later = len(self._exchanges) - self._next - 1
            times = f"; sent {self._times} of {exchange.repeat} times" if self._times else ""
            self.mismatch = Mismatch(
                f"recorded and not sent: {exchange.request.target}{times}"
                + (f", nor the {later} after it" if later else ""),
                self._next,
            )
        return self.mismatch

    @property
    def next(self) -> RecordedExchange | None:
        """The exchange that is expected next; None after the last one."""
        return self._exchanges[self._next] if self._next < len(self._exchanges) else None

    def take(self, sent: SentRequest) -> RecordedExchange | None:
        """Return the exchange of a request, which must be the next one; None if it is not."""
        if self.mismatch is not None:
            return None
        if self._next >= len(self._exchanges):
            body = f" with {sent.text!r}" if sent.content else ""
            self.mismatch = Mismatch(f"sent and not recorded: {sent.method} {sent.url}{body}")
            return None
        exchange = self._exchanges[self._next]
        found = [] if self.any_request else request_differences(exchange.request, sent)
        if found:
            self.mismatch = self._differs(sent, found)
            return None
        if self.watch is not None:
            self.watch(sent, exchange)
        self._times += 1
        if self._times == exchange.repeat:
            self._next, self._times = self._next + 1, 0
        return exchange

    def _differs(self, sent: SentRequest, found: list[Difference]) -> Mismatch:
        shown = f"{sent.method} {sent.url}"
        for later in range(self._next + 1, len(self._exchanges)):
            if not request_differences(self._exchanges[later].request, sent):
                first = self._exchanges[self._next].request.target
                what = f"out of order: {shown} was sent, which is exchange {later + 1}; {first} comes first"
                return Mismatch(what, self._next, tuple(found), out_of_order=True)
        exchange = self._exchanges[self._next]
        if self._times:
            shown += f" (number {self._times + 1} of {exchange.repeat})"
        return Mismatch(f"what was sent is not what was recorded: {shown}", self._next, tuple(found))


class ReplayTransport(ExchangeBook, httpx.AsyncBaseTransport):
    """An httpx transport that returns recorded responses.

    For a request that does not match, the connector gets a refused connection, so that it cannot take the mistake for a
    response.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the recorded response to a request."""
        sent = SentRequest(request.method, str(request.url), request.headers, await request.aread())
        exchange = self.take(sent)
        if exchange is None:
            raise httpx.ConnectError("the request is not the recorded one")
        limit = float(request.extensions["timeout"]["read"])
        return self._respond(exchange.response, request, limit)

    def _respond(self, response: RecordedResponse, request: httpx.Request, limit: float) -> httpx.Response:
        """Return the response after its time; raise its fault, or a timeout if it takes longer than `limit` seconds."""
        if response.fault == "timeout" or response.after > limit:
            self._clock.move(limit)
            raise httpx.ReadTimeout("the recorded response takes longer", request=request)
        self._clock.move(response.after)
        if response.fault == "refused":
            raise httpx.ConnectError("connection refused", request=request)
        if response.fault == "reset":
            raise httpx.ReadError("connection reset", request=request)
        if response.fault == "not_http":
            raise httpx.RemoteProtocolError("what came is not HTTP", request=request)
        fields = framed_headers(response, response_content(response))
        if (problem := head_problem(fields)) is not None:
            raise httpx.RemoteProtocolError(problem, request=request)
        headers = httpx.Headers(fields, encoding="utf-8")
        return httpx.Response(response.status, headers=headers, stream=_Body(response, request), request=request)


class _Body(httpx.AsyncByteStream):
    """The body of a recorded response, as it comes over the wire."""

    def __init__(self, response: RecordedResponse, request: httpx.Request) -> None:
        has_body = may_have_body(response.status) and request.method != "HEAD"
        self._content = response_content(response) if has_body else b""
        self._is_cut = response.fault == "truncated"
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content[: len(self._content) // 2] if self._is_cut else self._content
        if self._is_cut:
            raise httpx.ReadError("the connection was closed before the end of the body", request=self._request)


def may_have_body(status: int) -> bool:
    """Return whether a response with this status has a body, if it is not one to HEAD."""
    return status not in (204, 304)


def framed_headers(response: RecordedResponse, body: bytes) -> list[tuple[str, str]]:
    """Return the headers of a recorded response and the length of its body, which is sent unless the headers say
    otherwise."""
    headers = response_headers(response)
    if not {"content-length", "transfer-encoding"} & {name.lower() for name, _ in headers} and may_have_body(
        response.status
    ):
        headers.append(("Content-Length", str(max(len(body), response.fault == "truncated"))))
    return headers


def response_content(response: RecordedResponse) -> bytes:
    """Return the body of a recorded response."""
    if "json_body" in response.model_fields_set:
        return json.dumps(response.json_body, ensure_ascii=False).encode()
    if response.base64 is not None:
        return base64.b64decode(response.base64)
    text = response.text or ""
    headers = CIMultiDict(response_headers(response))
    encoding = encoding_of(headers)
    if encoding in WIDE and not headers["Content-Type"].lower().endswith(("le", "be")):
        text = MARK + text  # nothing else tells the byte order
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode()


def response_headers(response: RecordedResponse) -> list[tuple[str, str]]:
    """Return the headers of a recorded response, in order."""
    headers = [
        (name, "" if item is None else as_text(item))
        for name, value in response.headers.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    headers += [
        ("Set-Cookie", f"{name}={'' if value is None else as_text(value)}") for name, value in response.cookies.items()
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        if "json_body" in response.model_fields_set:
            headers.append(("Content-Type", "application/json"))
        elif response.text is not None:
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
    return headers
