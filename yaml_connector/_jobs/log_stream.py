"""Reads the lines of a document of text as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from yaml_connector._clock import clock
from yaml_connector._expressions.units import size_text
from yaml_connector._http.context import CallContext
from yaml_connector._http.memory import SMALL, Room
from yaml_connector._http.messages import StreamedResponse
from yaml_connector._jobs.line_formats import LineDecoder
from yaml_connector.errors import TransientError

PAGE = 1000  # lines returned at a time
PART = 64 * 1024  # characters returned at a time; redacting them takes 8 ms at most
_CHARACTER = 4  # bytes that one may take
_QUIET = 1.0  # seconds after which a stream has no more for now


class StreamedLines:
    """The lines of a document that is read as it comes, without the first ones (`skip`). `first` is its first line,
    `left` are those that were not yielded yet when it ended, or broke off."""

    def __init__(self, context: CallContext, decoder: LineDecoder, skip: int) -> None:
        self.skip = skip
        self.first: str | None = None
        self.left: list[str | None] = []
        self._context = context
        self._decoder = decoder

    async def read(self, response: StreamedResponse, max_time: float) -> AsyncGenerator[list[str | None], None]:
        """Yield lines, about a page at a time, for `max_time` seconds at most from the first one on. Raises
        TransientError if a line is too long, or if the first one is not reached."""
        size = 0
        room: Room | None = None
        async for text in response.texts():
            found = self._decoder.feed(text)
            if self.first is None:
                self.first = next(filter(None, found), None)
            if self.skip:
                self.skip, found = max(0, self.skip - len(found)), found[self.skip :]
                if not self.skip:
                    response.until = min(response.until, clock().monotonic() + max_time)
            self.left += found
            size += sum(map(len, filter(None, found)))
            if size >= PART // 2 or len(self.left) >= PAGE:
                lines, self.left, size = self.left, [], 0
                yield lines
            room = await self._room(response, room)
        if self.skip and not response.is_whole and clock().monotonic() - response.last_read < _QUIET:
            what = f"was not read up to its new lines within the deadline: {self.skip} lines were missing"
            raise TransientError(self._context.describe(response, what), may_have_been_processed=False)

    async def _room(self, response: StreamedResponse, room: Room | None) -> Room | None:
        """Return the room for a line that is long; wait for it if there is none yet."""
        buffered = self._decoder.buffered
        limit = self._context.connection.spec.max_response
        if buffered > limit:
            what = f"has a line of more than {size_text(limit)} (max_response)"
            raise TransientError(self._context.describe(response, what), may_have_been_processed=False)
        if buffered <= SMALL:
            return None
        return room or await self._context.room_for(response, _CHARACTER * limit)
