"""Bounds what arrives on a connection besides the bodies of responses.

aiohttp reads interim responses (103), a head, and the extensions of chunks for as long as they come, and parses each
piece at once: a backend that sends nothing else would keep the event loop busy, and everybody with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import EMPTY_PAYLOAD

LONGEST_HEADER, MOST_HEADERS = 72 * 1024, 1100  # bytes of a line, and fields: signed URLs and policies are long
_PIECE = 4 * 1024  # bytes that are parsed at once until the head is there: interim responses cost a lot
_LARGEST_HEAD = 256 * 1024  # bytes, with all interim responses: a line may have 64 KiB
_MOST_INTERIM = 100  # responses that wait to be read, where one is expected
_FRAMING = 16  # bytes that may arrive for each byte of a body: a chunk of one byte takes six


class BoundedHandler(ResponseHandler):
    """A connection that is closed when it sends hardly anything but framing."""

    _counted: object = None
    _received = 0

    def data_received(self, data: bytes) -> None:
        if self._parser is not self._counted:  # a new response
            self._counted, self._received = self._parser, 0
        self._received += len(data)
        if self._received <= _PIECE or not data:  # without data, aiohttp goes on with what it has
            super().data_received(data)
            return
        while data and not self._has_body():
            super().data_received(data[:_PIECE])
            data = data[_PIECE:]
            if self._is_too_much(len(data)):
                return
        if data:
            super().data_received(data)
            self._is_too_much(0)

    def _has_body(self) -> bool:
        return self._payload is not None and self._payload is not EMPTY_PAYLOAD and not self._payload.is_eof()

    def _is_too_much(self, unread: int) -> bool:
        body = self._payload.total_bytes if self._payload is not None and self._has_body() else 0
        if self._parser is None:
            return False
        if self._received - unread <= _LARGEST_HEAD + _FRAMING * body and len(self._buffer) <= _MOST_INTERIM:
            return False
        error = aiohttp.ClientPayloadError("it sends hardly anything but headers and the framing of chunks")
        if self._payload is not None and self._has_body():
            self._payload.set_exception(error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()  # not `close`, which forgets the exception
        return True


def head_problem(headers: Sequence[tuple[str, str]]) -> str | None:
    """Return why the head of a response with these headers is not read; None if it is."""
    sizes = [len(name.encode()) + len(value.encode()) + 4 for name, value in headers]
    if len(sizes) > MOST_HEADERS:
        return f"the head has {len(sizes)} fields, and {MOST_HEADERS} are the most"
    if max(sizes, default=0) > LONGEST_HEADER or sum(sizes) > _LARGEST_HEAD:
        return f"the head is too long: a field may have {LONGEST_HEADER} bytes, all of it {_LARGEST_HEAD}"
    return None


def bound_what_arrives(connector: aiohttp.BaseConnector) -> None:
    """Let the connections of a connector be bounded ones. aiohttp has no public way to say which class they have."""
    made: Any = partial(BoundedHandler, loop=asyncio.get_running_loop())
    connector._factory = made
