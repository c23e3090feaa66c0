"""Unpacks bodies: by their Content-Encoding, and stored files that a request decodes.

The headers are not believed: many APIs name an encoding that a body does not have. Such a body is taken as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from yaml_connector._http.memory import claim_room, read_whole
from yaml_connector._http.messages import TransportError
from yaml_connector._http.text_encoding import Headers
from yaml_connector._http.turns import next_turn

Read = Callable[[], Awaitable[bytes]]

ACCEPTED = "gzip, deflate"
_ENCODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_OTHERS = ("br", "zstd", "compress", "x-compress")  # never asked for
_MOST = 4  # encodings of one body
_GZIP = b"\x1f\x8b"
_PIECE = 64 * 1024  # bytes that are unpacked at once
_ENOUGH = 512  # bytes that tell whether a body has an encoding without a signature


def without_encoding(headers: Headers, read: Read) -> Read:
    """Return a function that reads a body without the encodings that its headers name, piece by piece.

    It raises TransportError if the body breaks off, or has an encoding that was not asked for.
    """
    named = [name.strip().lower() for value in headers.getall("Content-Encoding", ()) for name in value.split(",")]
    known = [name for name in named if name in _ENCODINGS or name in _OTHERS]
    if len(known) > _MOST:
        raise _broken(f"it names {len(known)} encodings")
    for name in reversed(known):
        read = _Unpacked(read, name).read
    return read


def reader(chunks: AsyncIterator[bytes]) -> Read:
    """Return a function that returns the next piece that is not empty, and nothing at the end."""

    async def read() -> bytes:
        async for chunk in chunks:
            if chunk:
                return chunk
        return b""

    return read


async def pieces(read: Read) -> AsyncIterator[bytes]:
    """Yield what a function reads until it is empty."""
    while piece := await read():
        yield piece


async def unpack(content: bytes, limit: int, timeout: float | None = None) -> bytes | None:
    """Return a content that begins as gzip unpacked, any other as it is; None if it is longer than `limit` bytes.

    Raises TransportError if it breaks off, or is not unpacked within `timeout` seconds.
    """
    if not content.startswith(_GZIP):
        return content
    room = claim_room(content)
    try:
        ends = None if timeout is None else monotonic() + timeout
        return await read_whole(_Unpacked(reader(_in_pieces(content)), "gzip").read, b"", limit, ends)
    except TimeoutError:
        raise TransportError("was not unpacked within its time", may_have_been_processed=True) from None
    finally:
        del room


def unpack_pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a content that begins as gzip unpacked, any other as it is. Raises TransportError if it breaks off."""
    return pieces(_Unpacked(reader(chunks), "gzip").read)


class _Unpacked:
    """A body without one encoding."""

    def __init__(self, read: Read, encoding: str) -> None:
        self._read = read
        self._encoding = encoding
        self._has_begun = False
        self._decompressor: Any = None  # None: it is not encoded
        self._input = b""
        self._is_full = False  # there may be more output without further input

    async def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        if not self._has_begun:
            await self._begin()
        if self._decompressor is None:
            start, self._input = self._input, b""
            return start or await self._read()
        while True:
            if not self._input and not self._is_full:
                self._input = await self._read()
                if not self._input:
                    if self._decompressor.eof:
                        return b""
                    raise _broken(f"its {self._encoding} content is cut")
            else:
                await next_turn()
            if self._decompressor.eof and not self._next_member():
                continue
            try:
                output: bytes = self._decompressor.decompress(self._input, _PIECE)
            except zlib.error:
                raise _broken(f"its {self._encoding} content is damaged") from None
            self._input = self._decompressor.unconsumed_tail or self._decompressor.unused_data
            self._is_full = len(output) == _PIECE and not self._decompressor.eof
            if output:
                return output

    async def _begin(self) -> None:
        enough = len(_GZIP) if self._encoding.endswith("gzip") else _ENOUGH
        while len(self._input) < enough and (more := await self._read()):
            self._input += more
        self._has_begun = True
        if self._encoding in _OTHERS:
            if not _is_text(self._input):
                raise _broken(f"it is encoded as {self._encoding}, which was not asked for")
        else:
            self._decompressor = _decompressor(_ENCODINGS[self._encoding], self._input)

    def _next_member(self) -> bool:
        """Go on with the next part of a file of several; False if what follows is padding."""
        self._is_full = False
        if not self._input.startswith(_GZIP[: len(self._input)]):
            self._input = b""
            return False
        self._decompressor = zlib.decompressobj(wbits=31)
        return True


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):  # what is left of each is copied
        yield content[start : start + _PIECE]


def _decompressor(encoding: str, start: bytes) -> Any:
    """Return what unpacks a body that begins so; None if it does not have the encoding."""
    if encoding == "gzip":
        return zlib.decompressobj(wbits=31) if start.startswith(_GZIP) else None
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):  # with a header, and as some servers send it
        tried = zlib.decompressobj(wbits=wbits)
        with suppress(zlib.error):
            is_full = len(tried.decompress(start, _PIECE)) == _PIECE
            if tried.eof or is_full or len(start) >= _ENOUGH:
                return zlib.decompressobj(wbits=wbits)
    return None


def _is_text(start: bytes) -> bool:
    try:
        return "\0" not in start[:_ENOUGH].decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"


def _broken(what: str) -> TransportError:
    return TransportError(f"broke off: {what}", may_have_been_processed=True)
