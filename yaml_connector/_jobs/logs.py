"""Compiles and reads `logs`: pages of lines, and a token that says where the next page starts.

A *source* is one place that lines come from: the section's request, or one item of `each`. With `next` the API pages;
without it, the whole document is read (streamed, if it is text) and only new lines are returned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from yaml_connector._expressions.compile import Expression, Extraction, compile_condition, compile_extraction
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.times import epoch_seconds
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import Json, needed_by
from yaml_connector._jobs.line_formats import FORMATS, LineDecoder
from yaml_connector._jobs.log_cursor import LogCursor, decode_token, encode_token
from yaml_connector._jobs.steps import (
    Outcome,
    StepPlan,
    StepsPlan,
    compile_step,
    compile_steps,
    run_steps,
)
from yaml_connector._spec.sections import Logs
from yaml_connector.errors import CallError, EvaluationError, TransientError

_PAGE = 1000  # lines returned at a time
_LONGEST_REST = 8 * 1024  # characters of a line that is cut by the end of a page, and kept in the token
_SEEN = 0  # in a token: a source that has no more lines


class LogLine(NamedTuple):
    """One line: its text, its time in epoch seconds, its level."""

    message: str
    timestamp: float | None = None
    level: str | None = None


@dataclass
class LogPage:
    """Lines, and on the last page of a call the token for the next one: None if there are no more for now. The line of
    an `unfinished` page has no end yet: reading from the same token returns it again, with the rest of it."""

    lines: list[LogLine] = field(default_factory=list)
    token: str | None = None
    last: bool = False
    unfinished: bool = False


@dataclass(frozen=True)
class LogsPlan:
    """The compiled `logs` section. `source` is what is read (with `each`, for each item), `before` finds the items."""

    source: StepsPlan
    before: StepsPlan | None
    each: Extraction | None
    item: StepPlan | None
    format: str
    lines: Extraction | None
    keep: Expression | None
    message: Extraction | None
    timestamp: Extraction | None
    level: Extraction | None
    next: Extraction | None
    more: Expression | None
    reverse: bool
    max_time: float
    streams: bool
    names: frozenset[Reference]


# --- compiling --------------------------------------------------------------------------------------------------------


def compile_logs(logs: Logs, *, whole: bool = False) -> LogsPlan:
    """Compile a `logs` section. `whole`: every response is read whole, since its body may say that a token is
    refused."""
    lines = compile_extraction(logs.lines) if logs.lines is not None else None
    each = compile_extraction(logs.each) if logs.each is not None else None
    before: StepsPlan | None = None
    item: StepPlan | None = None
    if each is not None:
        model = logs.item_step()
        item = compile_step(model, json=_json_of(logs, lines, model.name))
        source = StepsPlan((item,), None, item.names)
        before = _compile_before(logs, each)
    else:
        read = logs.read or logs.as_steps()[-1].name
        source = compile_steps(logs, json=_json_of(logs, lines, read))
    parts: dict[str, Any] = {
        "lines": lines,
        "each": each,
        "message": _on_line(logs.message),
        "timestamp": _on_line(logs.timestamp),
        "level": _on_line(logs.level),
        "next": compile_extraction(logs.next) if logs.next is not None else None,
        "keep": compile_condition(logs.keep) if logs.keep is not True else None,
        "more": compile_condition(logs.more) if logs.more is not True else None,
    }
    used = [part.names for part in parts.values() if part is not None]
    return LogsPlan(
        source=source,
        before=before,
        item=item,
        format=logs.format,
        reverse=logs.reverse,
        max_time=logs.max_time,
        streams=not whole and _can_stream(logs, source),
        names=frozenset().union(source.names, before.names if before else frozenset(), *used),
        **parts,
    )


def _json_of(logs: Logs, lines: Extraction | None, step: str | None) -> Json | None:
    return needed_by(lines, step) if logs.format == "json" else None


def _compile_before(logs: Logs, each: Extraction) -> StepsPlan:
    models = logs.steps_before()
    read = logs.read or (models[-1].name if models else None)
    json = needed_by(each, read)
    steps = tuple(
        compile_step(model, json=json if (model.name == logs.read if logs.read else model is models[-1]) else "none")
        for model in models
    )
    return StepsPlan(steps, logs.read, frozenset().union(*(step.names for step in steps)))


def _can_stream(logs: Logs, source: StepsPlan) -> bool:
    """Tell whether the log is one document of text whose lines need nothing but the text."""
    last = source.steps[-1]
    return (
        logs.format != "json"
        and logs.lines is None
        and logs.next is None
        and not logs.reverse
        and logs.more is True
        and source.read in (None, last.name)
        and last.criteria.by_status
        and last.each is None
        and last.follow is None
        and last.save is None
        and not last.optional
    )


def _on_line(raw: Any) -> Extraction | None:
    return compile_extraction(raw, root="line") if raw is not None else None


# --- reading ----------------------------------------------------------------------------------------------------------


async def read_logs(plan: LogsPlan, context: CallContext, scope: Scope, token: str) -> AsyncIterator[LogPage]:
    """Read the log from a token on ("": from the start), in pages; the last one has the next token. Raises CallError or
    EvaluationError."""
    cursors = decode_token(token)
    reader = LogReader(plan, context)
    if plan.before is None or plan.each is None:
        cursor = LogCursor.unpack(cursors.get(""))
        async for page in reader.read(scope, cursor):
            yield page
        yield LogPage(token=encode_token({"": cursor.pack()}) if reader.more else None, last=True)
        return
    outcome = await run_steps(plan.before, context, scope)
    any_more = has_lines = has_failed = False
    following: dict[str, Any] = {}
    for item in plan.each.every(outcome.scope(scope)):
        on_item = scope.with_names(steps=outcome.steps, item=item)
        key = _item_key(plan, on_item)
        if cursors.get(key) == _SEEN:
            following[key] = _SEEN
            continue
        cursor = LogCursor.unpack(cursors.get(key))
        if has_failed:
            following[key] = cursor.pack()
            continue
        try:
            async for page in reader.read(on_item, cursor):
                has_lines = has_lines or bool(page.lines)
                yield page
        except CallError:
            if not has_lines:
                raise
            has_failed = any_more = True  # the lines so far must not come again: the next call starts with this item
            following[key] = cursor.pack()
            continue
        any_more = any_more or reader.more
        following[key] = cursor.pack() if reader.more or reader.skipped else _SEEN
    yield LogPage(token=encode_token(following) if any_more else None, last=True)


def _item_key(plan: LogsPlan, scope: Scope) -> str:
    """Return what identifies an item in the token: the path of its request, as it is on its first page."""
    assert plan.item is not None
    try:
        path = plan.item.request.locate(scope.with_names(page={"token": None, "lines": 0}))
    except EvaluationError:
        path = json.dumps(scope.item, sort_keys=True, default=str)
    return hashlib.sha256(path.encode()).hexdigest()[:12]


class LogReader:
    """Reads one page of a source. Afterwards, `more` tells whether there are more lines, `skipped` whether the request
    was not made."""

    def __init__(self, plan: LogsPlan, context: CallContext) -> None:
        self.plan = plan
        self.context = context
        self.more = False
        self.skipped = False
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
        items = self._new_items(scope, cursor)
        for start in range(0, len(items), _PAGE):
            lines = await self._lines(items[start : start + _PAGE], scope)
            cursor.lines += len(lines)
            yield LogPage(lines)
        if self._rest is not None:
            lines = await self._lines([self._rest], scope)
            cursor.lines += len(lines)
            yield LogPage(lines, unfinished=self._unfinished)

    def _new_items(self, scope: Scope, cursor: LogCursor) -> list[Any]:
        """Return the items of this page that were not returned yet, and move the cursor."""
        plan = self.plan
        whole = plan.next is None
        following = None if plan.next is None else plan.next.first(scope)
        ends = plan.more is not None and not plan.more.evaluate(scope)
        if plan.format == "json" or plan.lines is not None:
            assert plan.lines is not None
            found = plan.lines.value(scope)  # so `$.lines` means the same as `$.lines[*]`
            items = found if isinstance(found, list) else [] if found is None else [found]
            rest = ""
        else:
            decoder = FORMATS[plan.format]()
            items = decoder.feed(("" if whole else cursor.rest) + str(scope.response.text))
            rest = decoder.rest
            if len(rest) > _LONGEST_REST and not whole:
                self._rest, self._unfinished, rest = decoder.finish(), False, ""
        if plan.reverse:
            items = items[::-1]
        if whole:
            fresh = items[cursor.items :]
            cursor.items += len(fresh)
            unfinished = bool(rest) and cursor.tail != len(rest)
            if rest and (ends or (not fresh and not unfinished)):
                self._rest, self._unfinished = decoder.finish(), not ends
                self.more = False
            else:
                self.more = (bool(fresh) or unfinished) and not ends
                cursor.tail = len(rest) if rest else -1
            return fresh
        nothing_new = following is None or (following == cursor.token and not items and rest == cursor.rest)
        self.more = not nothing_new and not ends
        if not self.more and rest:
            self._rest, self._unfinished = decoder.finish(), not ends
        if self.more:
            cursor.token, cursor.rest = following, rest
        return items

    async def _stream(self, scope: Scope, cursor: LogCursor) -> AsyncIterator[LogPage]:
        """Read a whole document of text line by line, in constant memory."""
        plan, context, last = self.plan, self.context, self.plan.source.steps[-1]
        first_steps = StepsPlan(plan.source.steps[:-1], None, plan.source.names)
        outcome = await run_steps(first_steps, context, scope, Outcome(steps=dict(scope.steps)))
        scope = outcome.scope(scope)
        if last.when is not None and not last.when.evaluate(scope):
            self.skipped = True
            return
        decoder: LineDecoder = FORMATS[plan.format]()
        skip, batch, new = cursor.items, [], 0
        limit = context.connection.spec.max_response
        broke_off = False
        context.events.step(last.name)
        try:
            async with client.stream(context, last.request, scope, last.criteria, max_time=plan.max_time) as response:
                scope = scope.with_response(response)
                async for text in response.texts():
                    items = decoder.feed(text)
                    if skip:
                        skip, items = max(0, skip - len(items)), items[skip:]
                    batch += items
                    while len(batch) >= _PAGE:
                        yield await self._page(batch[:_PAGE], scope, cursor)
                        new += _PAGE
                        del batch[:_PAGE]
                    if decoder.buffered > limit:
                        what = f"has a line of more than {limit / 2**20:.3g} MiB (max_response)"
                        raise TransientError(f"{response.method} {response.url} {what}", may_have_been_processed=False)
        except CallError:
            if not new and not batch:
                raise
            broke_off = True  # the lines so far are returned, and the next call goes on from there
        if batch:
            yield await self._page(batch, scope, cursor)
            new += len(batch)
        rest = decoder.rest
        changed = cursor.tail != len(rest)
        if rest and not new and not changed and not broke_off:
            yield LogPage(await self._lines([decoder.finish()], scope), unfinished=True)
            cursor.tail = -1
            return
        self.more = bool(new) or broke_off or (bool(rest) and changed)
        cursor.tail = len(rest) if rest and not broke_off else -1

    async def _page(self, items: list[Any], scope: Scope, cursor: LogCursor) -> LogPage:
        lines = await self._lines(items, scope)
        cursor.lines += len(lines)
        cursor.items += len(items)
        return LogPage(lines)

    async def _lines(self, items: list[Any], scope: Scope) -> list[LogLine]:
        plan = self.plan
        if all(part is None for part in (plan.keep, plan.message, plan.timestamp, plan.level)):
            return [
                LogLine(text)
                for text in await self.context.redact_lines([_without_end(as_text(item)) for item in items])
            ]
        texts, times, levels = [], [], []
        on_line = scope.with_names(line=None)
        for item in items:
            on_line.line = item
            if plan.keep is not None and not plan.keep.evaluate(on_line):
                continue
            message = plan.message.first(on_line) if plan.message is not None else None
            texts.append(_without_end(as_text(item if message is None else message)))
            times.append(_time(plan.timestamp.first(on_line)) if plan.timestamp is not None else None)
            levels.append(_level(plan.level.first(on_line)) if plan.level is not None else None)
        return list(map(LogLine, await self.context.redact_lines(texts), times, levels))


def _without_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _time(value: Any) -> float | None:
    try:
        return None if value is None else epoch_seconds(value)
    except EvaluationError:
        return None


def _level(value: Any) -> str | None:
    return None if value is None or value == "" else as_text(value)
