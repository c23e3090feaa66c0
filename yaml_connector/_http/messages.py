"""Requests as they are sent, and responses: read whole, or as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pickle import PickleBuffer
from typing import Any

from multidict import CIMultiDict

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import DECODED, consume_parsing, consume_reading
from yaml_connector._expressions.json_text import parse_json, parse_usual_json, to_json
from yaml_connector._expressions.scope import UNDEFINED
from yaml_connector._http.files import StreamedBody
from yaml_connector._http.memory import SMALL, claim_room, read_whole
from yaml_connector._http.text_encoding import MARK, Headers, TextDecoder, encoding_of
from yaml_connector._http.turns import next_turn

Body = bytes | StreamedBody | None
_SMALL = 8 * 1024  # bytes that are parsed without counting
_LARGE = 64 * 1024  # bytes that are not kept parsed
_PIECE = 32 * 1024  # bytes of a stream that are read at a time


@dataclass(slots=True, repr=False)
class HttpRequest:
    """A request. Any part of it may hold secrets, so its repr shows nothing.

    `url` is complete and, once it is sent, checked. A streamed `body` is read anew for a retry.
    `at_base`: the URL is the connection's base URL with a quoted path, so its host needs no check. `begin`: the seconds
    within which a streamed response must begin. `token`: the fetched token that it was signed with. `redirected`: an
    API has chosen its URL, and not the spec.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = None
    at_base: bool = False
    begin: float | None = None
    token: Any = None
    redirected: bool = False

    def set_headers(self, headers: Mapping[str, str]) -> None:
        """Set headers, instead of those of the same name in any case."""
        if self.headers:
            replaced = {name.lower() for name in headers}
            self.headers = {name: value for name, value in self.headers.items() if name.lower() not in replaced}
        self.headers.update(headers)


@dataclass(slots=True)
class HttpResponse:
    """The status and headers of a response, and its decompressed content as it comes."""

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]

    async def read(self, limit: int) -> bytes | None:
        """Read the whole content; None if it is longer than `limit` bytes."""
        return await read_whole(lambda: anext(self.chunks, b""), b"", limit)


class TransportError(Exception):
    """There is no response. `may_have_been_processed` is False if the request surely did not reach the API; `reason`
    says what happened."""

    def __init__(self, reason: str, *, may_have_been_processed: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_been_processed = may_have_been_processed


def no_answer(seconds: float) -> TransportError:
    """Return the error for a response that was not whole after so many seconds."""
    return TransportError(f"gave no complete answer within {seconds:.3g} s", may_have_been_processed=True)


class JoinedHeaders(Mapping[str, str]):
    """The headers of a response as expressions see them: equal ones joined, but of `Set-Cookie` the first."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        values = self._headers.getall(name)
        return values[0] if len(values) == 1 or name.lower() == "set-cookie" else ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        names: dict[str, str] = {}
        for name in self._headers:
            names.setdefault(name.lower(), name)
        return iter(names.values())

    def __len__(self) -> int:
        return len({name.lower() for name in self._headers})


class Response(Mapping[str, Any]):
    """The response to a request, parsed when it is asked for.

    As a mapping it has the names that expressions see. `body` is parsed JSON, whatever the content type says, and
    undefined if the content is not JSON; `saved` are the values that its step saved. `token` is the fetched token that
    the request carried.
    """

    __slots__ = ("_text", "body", "content", "headers", "method", "room", "saved", "status", "token", "url")
    body: Any

    def __init__(self, method: str, url: str, status: int, headers: Headers, content: bytes) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.headers = headers
        self.content = content
        self.saved: Any = {}
        self.token: Any = None
        self.room = claim_room(content) if len(content) > SMALL else None
        self._text: str | None = None

    def __getattr__(self, name: str) -> Any:
        if name != "body":  # the slot is empty until it is asked for
            raise AttributeError(name)
        if len(self.content) > _SMALL:
            consume_parsing(self.content)
        try:
            self.body = parse_usual_json(self.content)
        except ValueError:
            self.body = self._unusual_json()
        return self.body

    def _unusual_json(self) -> Any:
        """Parse JSON that the fast parser refuses, and JSON in an encoding that it must not have, if the headers name
        that."""
        try:
            return parse_json(self.content)
        except RecursionError:
            return UNDEFINED
        except ValueError:
            pass
        if encoding_of(self.headers, self.content[:4]) == "utf-8":
            return UNDEFINED
        try:
            return parse_json(self.text)
        except (ValueError, RecursionError):
            return UNDEFINED

    def copy(self) -> Response:
        """Return the response for another call: parsed once for both, with saved values of its own."""
        copied = Response(self.method, self.url, self.status, self.headers, self.content)
        copied.room, copied.token = self.room, self.token
        if len(self.content) <= _SMALL:
            copied.body = self.body
        return copied

    def forget_body(self) -> None:
        """Free what was parsed, if it is large: it takes many times the content, and is parsed again if it is asked
        for."""
        if len(self.content) > _LARGE:
            with suppress(AttributeError):  # it was not parsed
                del self.body

    @property
    def is_json(self) -> bool:
        return self.body is not UNDEFINED

    @property
    def text(self) -> str:
        if self._text is None:
            if len(self.content) > _SMALL:
                consume_reading(DECODED * len(self.content))
            text = self.content.decode(encoding_of(self.headers, self.content[:4]), "replace")
            self._text = text.removeprefix(MARK)
        return self._text

    def decode_after(self, cut: bytes, known: str) -> tuple[bytes, str]:
        """Decode the text as the next part of one, with the values of TextDecoder; return them for the next part."""
        if len(self.content) > _SMALL:
            consume_reading(DECODED * len(self.content))
        decoder = TextDecoder(self.headers, cut, known)
        self._text = decoder.decode(self.content)
        return decoder.cut, decoder.known

    @property
    def size(self) -> int:
        """The bytes of the content."""
        return len(self.content)

    @property
    def joined_headers(self) -> JoinedHeaders:
        return JoinedHeaders(self.headers)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the response sets, by name; the last of equal ones counts."""
        pairs = (cookie.partition(";")[0].partition("=") for cookie in self.headers.getall("Set-Cookie", ()))
        return {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}

    def __getitem__(self, key: str) -> Any:
        if key in ("status", "headers", "body", "text", "url", "saved"):
            return self.joined_headers if key == "headers" else getattr(self, key)
        raise KeyError(key)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle it for another process, which parses it anew; the headers of a transport cannot be pickled."""
        kind = Response if isinstance(self, StreamedResponse) else type(self)
        content = PickleBuffer(self.content) if protocol >= 5 else self.content
        values = (kind, self.method, self.url, self.status, CIMultiDict(self.headers), content, self.saved)
        return _restored, values if self.content else (*values, self.body)

    def __iter__(self) -> Iterator[str]:
        return iter(("status", "headers", "body", "text", "url", "saved"))

    def __len__(self) -> int:
        return 6


class DerivedResponse(Response):
    """A response whose body was made of another's: one item of a batch."""

    __slots__ = ()

    def __init__(self, last: Response, body: Any) -> None:
        super().__init__(last.method, last.url, last.status, last.headers, b"")
        self.body = body

    @property
    def text(self) -> str:
        return to_json(self.body)

    def decode_after(self, cut: bytes, known: str) -> tuple[bytes, str]:
        return b"", ""


class CollectedResponse(Response):
    """What many pages have together: a response like the last one, whose content is their list, as JSON in UTF-8."""

    __slots__ = ()

    def __init__(self, last: Response, content: bytes, room: Any = None) -> None:
        super().__init__(last.method, last.url, last.status, last.headers, content)
        self.room = room

    @property
    def text(self) -> str:
        consume_reading(DECODED * len(self.content))
        return self.content.decode()


class StreamedResponse(Response):
    """A response whose content is read as it comes: either `read`, or `begin` and then `texts`.

    `until` is when `texts` ends, of the clock's `monotonic`; `last_read` is when something came last. Afterwards,
    `is_cut` tells whether there was more to read, and `is_whole` whether the content had ended. `keep`: `content` holds
    what was streamed.
    """

    __slots__ = ("_first", "_keep", "_source", "_streamed", "is_cut", "is_whole", "last_read", "until")

    def __init__(self, request: HttpRequest, source: HttpResponse, *, keep: bool) -> None:
        super().__init__(request.method, request.url, source.status, source.headers, b"")
        self._source = source
        self._keep = keep
        self._first = b""
        self.until = self.last_read = 0.0
        self.is_cut = self.is_whole = False
        self._streamed = 0

    @property
    def size(self) -> int:
        """The bytes of the content, as far as it has come."""
        return self._streamed or len(self.content)

    async def read(self, limit: int) -> bool:
        """Read the whole content; False if it is longer than `limit` bytes."""
        content = await self._source.read(limit)
        self.content = content or b""
        self.room = claim_room(self.content)
        return content is not None

    async def begin(self, until: float) -> None:
        """Wait for the first bytes, if there will be any: a stream that stays open may be silent."""
        self.until = until
        if self.headers.get("Content-Length", "0") != "0":
            self._first = await anext(self._source.chunks, b"")

    async def texts(self) -> AsyncIterator[str]:
        """Yield the content as text, piece by piece, each in a turn of the event loop, until it ends or the time is
        over."""
        decoder = TextDecoder(self.headers)
        chunk = self._first
        while True:
            for start in range(0, len(chunk), _PIECE):
                await next_turn()
                if clock().monotonic() >= self.until:
                    self.is_cut = True
                    return
                yield self._decode(decoder, chunk[start : start + _PIECE])
            left = self.until - clock().monotonic()
            if left <= 0:
                self.is_cut = True
                return
            try:
                chunk = await asyncio.wait_for(anext(self._source.chunks), left)
            except StopAsyncIteration:
                self.is_whole = True
                yield decoder.decode(b"", final=True)
                return
            except TimeoutError:
                return

    def _decode(self, decoder: TextDecoder, chunk: bytes) -> str:
        self._streamed += len(chunk)
        self.last_read = clock().monotonic()
        if self._keep:
            self.content += chunk
        return decoder.decode(chunk)


def _restored(
    kind: type[Response], method: str, url: str, status: int, headers: Headers, content: Any, saved: Any, *body: Any
) -> Response:
    response = kind.__new__(kind)
    Response.__init__(response, method, url, status, headers, bytes(content))
    response.saved = saved
    if body:
        response.body = body[0]
    return response
