"""Reads the log of a job: pages of lines, and a token that says where the next page starts.

With `next` the API pages; without it, the whole document is read (streamed, if it is text) and only new lines are
returned.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.redact import redactor_for
from yaml_connector._http.thread import LARGE, in_thread_if
from yaml_connector._http.turns import next_turn
from yaml_connector._jobs.line_formats import FORMATS, LineDecoder, line_text
from yaml_connector._jobs.log_cursor import LogCursor, decode_token, encode_token
from yaml_connector._jobs.log_lines import (
    MOST,
    LogLine,
    are_none,
    characters,
    lines_of,
    text_of,
    that_fit,
    weight,
    with_texts,
)
from yaml_connector._jobs.log_stream import PAGE, PART, StreamedLines
from yaml_connector._jobs.logs import LogsPlan
from yaml_connector._jobs.steps import Outcome, StepsPlan, evaluate, run_steps
from yaml_connector.errors import CallError, EvaluationError, TransientError

_FEW = 100  # lines that are read at a time, if each is read
_LONGEST_REST = 8 * 1024  # characters of a line that is cut by the end of a page, and kept in the token
_START = 200  # characters by which the first line of a document is known again
_SEEN = 0  # in a token: a source that has no more lines


@dataclass
class LogPage:
    """Lines, and on the last page of a call the token for the next one: None if there are no more for now. The line of
    an `unfinished` page has no end yet: reading from the same token returns it again, with the rest of it."""

    lines: list[LogLine] = field(default_factory=list)
    token: str | None = None
    last: bool = False
    unfinished: bool = False


async def read_logs(
    plan: LogsPlan, context: CallContext, scope: Scope, token: str, *, is_over: bool = True
) -> AsyncIterator[LogPage]:
    """Read the log from a token on ("": from the start), in pages; the last one has the next token.

    `is_over`: the job has ended. Until then an item of `each` that is quiet is asked again, so there is a next token.
    Raises CallError or EvaluationError.
    """
    cursors = await in_thread_if(len(token) > LARGE, decode_token, token, context)
    reader = LogReader(plan, context, is_over=is_over)
    if plan.before is None or plan.each is None:
        cursor = LogCursor.unpack(cursors.get(""))
        async for page in reader.read(scope, cursor):
            yield page
        yield LogPage(token=await encode_token({"": cursor.pack()}, context) if reader.more else None, last=True)
        return
    outcome = await run_steps(plan.before, context, scope)
    any_more = has_lines = stops = False
    read: set[str] = set()
    following = dict(cursors)  # an item that is not listed now keeps its place
    for item in await evaluate(context, plan.each, "every", outcome.scope(scope)):
        on_item = scope.with_names(steps=outcome.steps, item=item)
        key = _item_key(plan, on_item)
        if key in read or cursors.get(key) == _SEEN:
            continue
        read.add(key)
        cursor = LogCursor.unpack(cursors.get(key))
        if stops:
            any_more, following[key] = True, cursor.pack()
            continue
        try:
            async for page in reader.read(on_item, cursor):
                has_lines = has_lines or bool(page.lines)
                yield page
        except (CallError, EvaluationError):
            if not has_lines:
                raise
            stops = any_more = True  # the lines so far must not come again: the next call starts with this item
            following[key] = cursor.pack()
            continue
        any_more = any_more or reader.more
        following[key] = cursor.pack() if reader.more or reader.skipped else _SEEN
        stops = reader.left <= 0
    if not is_over:
        any_more = any_more or any(place != _SEEN for place in following.values())
    yield LogPage(token=await encode_token(following, context) if any_more else None, last=True)


def _item_key(plan: LogsPlan, scope: Scope) -> str:
    """Return what identifies an item in the token: the path of its request, as it is on its first page; the item itself
    if all items have the same path."""
    assert plan.item is not None
    request, identity = plan.item.request, None
    if request.is_at_item:
        with contextlib.suppress(EvaluationError):
            identity = request.locate(scope.with_names(page={"token": None, "lines": 0}))
    if identity is None:
        identity = json.dumps(scope.item, sort_keys=True, default=str)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


class LogReader:
    """Reads one page of a source. Afterwards, `more` tells whether there are more lines, `skipped` whether the request
    was not made, `left` how many characters this call may still return. `is_over`: a source that has nothing new has
    ended."""

    def __init__(
        self, plan: LogsPlan, context: CallContext | None, *, is_over: bool, secrets: frozenset[str] = frozenset()
    ) -> None:
        self.plan = plan
        self.is_over = is_over
        self.context: CallContext = context  # type: ignore[assignment]  # reading one response needs none
        self.secrets = secrets if context is None else context.secrets
        self.more = False
        self.skipped = False
        self.left = MOST
        self._rest: Any = None  # the unfinished last line, if it is returned
        self._unfinished = False  # it may go on

    async def read(self, scope: Scope, cursor: LogCursor) -> AsyncIterator[LogPage]:
        """Read from a cursor on, and move the cursor."""
        self.more = False
        self.skipped = False
        self._rest = None
        scope = scope.with_names(page={"token": cursor.token, "lines": cursor.lines})
        if self.plan.streams:
            async for page in self._stream(scope, cursor):
                yield page
            return
        outcome = await run_steps(self.plan.source, self.context, scope, Outcome(steps=dict(scope.steps)))
        if outcome.response is None:
            self.skipped = True
            return
        scope = outcome.scope(scope)
        try:
            items = self._new_items(scope, after := cursor.copy())
        except TurnOver:
            async for page in self._read_elsewhere(scope, cursor):
                yield page
            return
        has_lines = False
        try:
            async for page in self._pages(items, scope, cursor):
                has_lines = True
                yield page
        except (CallError, EvaluationError):
            self._break_off(has_lines)
            return
        if self.left <= 0:
            self.more = True
            return
        vars(cursor).update(vars(after) | {"lines": cursor.lines})
        if self._rest is not None:
            page = await self._last_page(self._rest, scope, unfinished=self._unfinished)
            cursor.lines += len(page.lines)
            yield page

    async def _read_elsewhere(self, scope: Scope, cursor: LogCursor) -> AsyncIterator[LogPage]:
        """Read a large page, part by part."""
        has_lines = False
        try:
            async for part in self.context.iterate_elsewhere(
                _read_parts, self.plan, scope, cursor, self.is_over, self.context.secrets, self.left
            ):
                await next_turn()
                lines = cursor.lines + len(part.lines)
                vars(cursor).update(vars(part.cursor) | {"lines": lines})
                self.more = part.more
                self.left -= weight(part.lines)
                has_lines = has_lines or bool(part.lines)
                yield LogPage(part.lines, unfinished=part.unfinished)
        except (CallError, EvaluationError):
            self._break_off(has_lines)

    def _break_off(self, has_lines: bool) -> None:
        """Let the next call go on after the lines so far. Raises the error that is handled if there are none."""
        if not has_lines:
            raise
        self.more = True

    def _new_items(self, scope: Scope, cursor: LogCursor) -> list[Any]:
        """Return the items of this page that were not returned yet, and move the cursor."""
        plan = self.plan
        is_text = plan.format != "json" and plan.lines is None
        # A page that says there is nothing to read (a 404, a 416 of a range) is lines of its own, of which none is new.
        is_part = plan.next is None or scope.response.status // 100 == 2
        cut, encoding = (cursor.cut, cursor.encoding) if is_text else (b"", "")
        if is_text and is_part:
            cut, encoding = scope.response.decode_after(cut, encoding)
        following = None if plan.next is None else plan.next.first(scope)
        ends = plan.more is not None and not plan.more.evaluate(scope)
        # what has no next page is read again: the whole document, or the last page of an item
        again = plan.next is None or (following is None and plan.each is not None)
        if not is_text:
            assert plan.lines is not None
            found = plan.lines.value(scope)  # so `$.lines` means the same as `$.lines[*]`
            items = found if isinstance(found, list) else [] if found is None else [found]
            rest = ""
        else:
            decoder = FORMATS[plan.format]()
            items = decoder.feed(cursor.rest + str(scope.response.text) if is_part else f"{scope.response.text}\n")
            if not is_part:
                decoder.feed(cursor.rest)
            rest = decoder.rest
            if len(rest) > _LONGEST_REST and not again:
                self._rest, self._unfinished, rest = decoder.finish(), False, ""
        if plan.reverse:
            items = items[::-1]
        fresh = items[cursor.items :]
        start = next((item for item in items if item is not None), None)
        if plan.next is None and items and self._begins_anew(cursor, start, is_shorter=len(items) < cursor.items):
            self.more = not ends
            return []
        has_grown = bool(rest) and rest != cursor.rest and cursor.tail != len(rest)
        count = len(fresh) if is_part else 0
        if again:
            self.more = not ends and (count > 0 or has_grown or not self.is_over)
            cursor.tail = len(rest) if rest else -1
            if not plan.starts_after_lines:
                cursor.items += count
        else:
            has_lines = count > 0 and not are_none(plan, fresh)
            is_new = following != cursor.token or has_lines or rest != cursor.rest or cut != cursor.cut
            self.more = not ends and following is not None and (is_new or not self.is_over)
            if self.more:
                cursor.token, cursor.rest, cursor.cut, cursor.items, cursor.tail = following, rest, cut, 0, -1
                cursor.encoding = encoding
        if (rest or cut) and not self.more:
            decoder.feed("\ufffd" if cut else "")
            self._rest, self._unfinished = decoder.finish(), not ends and plan.each is None
        return fresh

    async def _stream(self, scope: Scope, cursor: LogCursor) -> AsyncIterator[LogPage]:
        """Read a whole document of text line by line, in constant memory."""
        plan, context, last = self.plan, self.context, self.plan.source.steps[-1]
        first_steps = StepsPlan(plan.source.steps[:-1], None, plan.source.names)
        outcome = await run_steps(first_steps, context, scope, Outcome(steps=dict(scope.steps)))
        scope = outcome.scope(scope)
        if last.when is not None and not await evaluate(context, last.when, "evaluate", scope):
            self.skipped = True
            return
        decoder: LineDecoder = FORMATS[plan.format]()
        lines = StreamedLines(context, decoder, 0 if plan.starts_after_lines else cursor.items)
        # `max_time` begins where the last call ended: until then the document is only read again
        max_time = plan.max_time if lines.skip == 0 else context.remaining()
        new = broke_off = False
        context.events.step(last.name)
        try:
            async with client.stream(context, last.request, scope, last.criteria, max_time=max_time) as response:
                scope = scope.with_response(response)
                async with contextlib.aclosing(lines.read(response, plan.max_time)) as batches:
                    async for batch in batches:
                        async for page in self._pages(batch, scope, cursor):
                            new = True
                            yield page
                        if self.left <= 0:
                            break
                broke_off = response.is_cut
        except (CallError, EvaluationError):
            if not new and not lines.left:
                raise
            broke_off = True  # the lines so far are returned, and the next call goes on from there
        try:
            async for page in self._pages(lines.left, scope, cursor):
                new = True
                yield page
        except (CallError, EvaluationError):
            if not new:
                raise
            broke_off = True
        rest = decoder.rest
        has_grown = bool(rest) and cursor.tail != len(rest)
        is_shorter = response.is_whole and lines.skip > 0
        if lines.first is not None and self._begins_anew(cursor, lines.first, is_shorter=is_shorter):
            broke_off = True
        self.more = new or broke_off or has_grown or not self.is_over
        if rest and not self.more:
            yield await self._last_page(decoder.finish(), scope, unfinished=plan.each is None)
        cursor.tail = len(rest) if rest and not broke_off else -1

    def _begins_anew(self, cursor: LogCursor, first: Any, *, is_shorter: bool) -> bool:
        """See LogCursor; tokens hold no trace of a secret, not even as a hash."""
        start = line_text(first)[:_START]
        return cursor.begins_anew(redactor_for(self.secrets).redact(start), is_shorter=is_shorter)

    async def _last_page(self, rest: Any, scope: Scope, *, unfinished: bool) -> LogPage:
        """Make a page of the line at the end."""
        page, _ = await self._page([rest], 0, scope, LogCursor())
        return LogPage(page.lines, unfinished=unfinished)

    async def _pages(self, items: list[Any], scope: Scope, cursor: LogCursor) -> AsyncIterator[LogPage]:
        """Make pages of items, and move the cursor with each. It ends when this call has returned enough."""
        start = 0
        while start < len(items) and self.left > 0:
            page, start = await self._page(items, start, scope, cursor)
            yield page

    async def _page(self, items: list[Any], start: int, scope: Scope, cursor: LogCursor) -> tuple[LogPage, int]:
        """Make a page of the items from `start` on, each part in a turn of the event loop, and move the cursor. Returns
        it with the position of the first item that is left."""
        plan = self.plan
        if are_none(plan, items):  # there may be millions of them
            cursor.items += 0 if plan.starts_after_lines else len(items)
            return LogPage(), len(items)
        as_they_are = plan.takes_items_as_they_are
        at_once, most = (PAGE, PART) if as_they_are else (_FEW, PART // 2)
        lines: list[LogLine] = []
        first, size, is_full = start, 0, False
        while not is_full:
            few = that_fit(items[start : start + at_once], most)
            start += len(few)
            if len(few) < len(items):  # a short page is read at once
                await next_turn()
            if self.context.remaining() <= 0:
                raise TransientError("the log was not read before the deadline", may_have_been_processed=False)
            if as_they_are:
                lines = [LogLine(line_text(item)) for item in few]
                break
            try:
                made = lines_of(plan, few, scope, self.secrets)
            except TurnOver:
                made = await self.context.read_elsewhere(lines_of, plan, few, scope, self.secrets)
            lines += made
            size += characters(made)
            is_full = size >= most or len(lines) >= PAGE or start >= len(items)
        messages = list(map(text_of, lines))
        texts = await self.context.redact_lines(messages)
        if texts is not messages:
            lines = with_texts(lines, texts)
        if not plan.starts_after_lines:
            cursor.items += start - first
        cursor.lines += len(lines)
        self.left -= weight(lines)
        return LogPage(lines), start


class _Part(NamedTuple):
    """A part of a page: its lines, and how far the source is read with it."""

    lines: list[LogLine]
    unfinished: bool
    cursor: LogCursor
    more: bool


def _read_parts(
    plan: LogsPlan, scope: Scope, cursor: LogCursor, is_over: bool, secrets: frozenset[str], left: int
) -> Iterator[_Part]:
    """Read a page in parts that can be returned at once, until they have `left` characters."""
    reader = LogReader(plan, None, is_over=is_over, secrets=secrets)
    redactor = redactor_for(secrets)
    after = cursor.copy()
    items = reader._new_items(scope, after)
    lines: list[LogLine] = []
    size = 0

    def part(here: LogCursor, *, unfinished: bool = False, more: bool = True) -> _Part:
        return _Part(with_texts(lines, redactor.redact_lines(list(map(text_of, lines)))), unfinished, here, more)

    for number, item in enumerate(items, 1):
        found = lines_of(plan, [item], scope, secrets)
        size += characters(found)
        lines += found
        if size >= PART or len(lines) >= PAGE:
            yield part(cursor if plan.starts_after_lines else replace(cursor, items=cursor.items + number))
            left -= weight(lines)
            if left <= 0:
                return
            lines, size = [], 0
    yield part(after, more=reader.more)
    if reader._rest is not None:
        lines = lines_of(plan, [reader._rest], scope, secrets)
        yield part(after, unfinished=reader._unfinished, more=reader.more)
