"""Answers that are read as they come."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator

from yaml_connector._clock import clock
from yaml_connector._http.messages import Response
from yaml_connector._http.transport import HttpRequest, HttpResponse


class StreamedResponse(Response):
    """An answer whose content is read as it comes: `texts` gives it decoded, until the time is over."""

    def __init__(self, sent: HttpRequest, response: HttpResponse, until: float) -> None:
        super().__init__(sent.method, sent.url, response.status, response.headers, b"")
        self._chunks = aiter(response.chunks)
        self._first = b""
        self._until = until

    async def begin(self) -> None:
        """Wait for the first piece, if the answer announces any: a stream that stays open may be quiet."""
        if self.headers.get("Content-Length", "0") != "0":
            self._first = await anext(self._chunks, b"")

    async def texts(self) -> AsyncIterator[str]:
        """The content as text, piece by piece; a stream that stays open ends when the time is over."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        yield decoder.decode(self._first)
        while (left := self._until - clock().monotonic()) > 0:
            try:
                chunk = await asyncio.wait_for(anext(self._chunks), left)
            except StopAsyncIteration:
                yield decoder.decode(b"", final=True)
                return
            except TimeoutError:
                return
            yield decoder.decode(chunk)


async def read_up_to(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """The content, or its first `limit` bytes."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > limit:
            break
    return bytes(content[:limit])
