"""Reading answers: how they are judged, the API's own words in them, and those that are read as they come."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from yaml_connector.clock import clock
from yaml_connector.http.answer import Answer
from yaml_connector.http.transport import WireRequest, WireResponse
from yaml_connector.values.expressions import Expression


@dataclass(frozen=True)
class Judge:
    """How the answers to a request are judged (section 6). `needs_json`: a 2xx that is no JSON is a broken answer."""

    success: frozenset[str] = frozenset({"2xx"})
    error: Expression | None = None
    retry_if: Expression | None = None
    needs_json: bool = False
    not_found: Expression | None = None

    def is_success(self, status: int) -> bool:
        return status in _statuses(self.success)


@lru_cache(maxsize=1024)
def _statuses(patterns: frozenset[str]) -> frozenset[int]:
    """The statuses that patterns as `2xx` and `404` mean."""
    return frozenset(code for code in range(1000) if f"{code // 100}xx" in patterns or str(code) in patterns)


@dataclass
class Exchange:
    """One request and what came of it, for those who show it (`run --verbose`, `record`)."""

    request: WireRequest
    answer: Answer | None
    failure: str | None


class StreamedAnswer(Answer):
    """An answer whose content is read as it comes: `texts` gives it decoded, until the time is over."""

    def __init__(self, sent: WireRequest, response: WireResponse, until: float) -> None:
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


def usual_message(body: Any) -> Any:
    """The first of the places where APIs put their words."""
    if not isinstance(body, dict):
        return None
    error, errors = body.get("error"), body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    places = (
        body.get("message"),
        error.get("message") if isinstance(error, dict) else None,
        error if isinstance(error, str) else None,
        body.get("detail"),
        first.get("message") if isinstance(first, dict) else None,
    )
    return next((place for place in places if isinstance(place, str) and place), None)


def retry_after(answer: Answer) -> float | None:
    """The seconds that an answer asks to wait, from both forms of `Retry-After`."""
    text = answer.headers.get("Retry-After")
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text.strip(), re.ASCII):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock().time())
    except (TypeError, ValueError):
        return None
