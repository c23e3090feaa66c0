"""Logs (section 9): pages of lines, and an opaque token that says where the next page starts.

A *source* is one place that lines come from: the section's request, or one item of `each`. Its `Place` is what the
token
keeps of it. With `next` the API pages; without, the whole document is read (streamed, if it is text) and only what is
new is given.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from yaml_connector._expressions.compile import Expression, Extraction, compile_condition, compile_extraction
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import epoch_seconds
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._jobs.line_formats import FORMATS, LineDecoder
from yaml_connector._jobs.reading import Lacks, lacking
from yaml_connector._jobs.steps import CallPlan, Outcome, StepPlan, compile_calls, compile_step, run_calls
from yaml_connector._spec.sections import Logs
from yaml_connector.errors import CallError, EvaluationError, TransientError

_PAGE = 1000  # lines handed on at a time


class LogLine(NamedTuple):
    """One line: its text, its time in epoch seconds, its level."""

    message: str
    timestamp: float | None = None
    level: str | None = None


@dataclass
class LogPage:
    """Lines, and on the last page of a call the token for the next one: None if there is no more for now. The line of
    an `unfinished` page has no end yet: who reads on from the same token gets it again, with the rest of it."""

    lines: list[LogLine] = field(default_factory=list)
    token: str | None = None
    last: bool = False
    unfinished: bool = False


@dataclass
class Place:
    """How far one source has been read. `token` is the API's, `given` how many lines were given, `read` how many were
    read of a whole document, `rest` the unfinished last line (paged), `tail` its length (whole document)."""

    token: Any = None
    given: int = 0
    read: int = 0
    rest: str = ""
    tail: int = -1

    @classmethod
    def unpack(cls, data: Any) -> Place:
        if data is None:
            return cls()
        if not isinstance(data, dict):
            raise _strange_token()
        place = cls(data.get("t"), data.get("g", 0), data.get("r", 0), data.get("s", ""), data.get("l", -1))
        numbers = (place.given, place.read, place.tail + 1)
        if not isinstance(place.rest, str) or not all(type(number) is int and number >= 0 for number in numbers):
            raise _strange_token()
        return place

    def packed(self) -> dict[str, Any]:
        """Short names, and only what differs from the start."""
        named = {"t": self.token, "g": self.given, "r": self.read, "s": self.rest, "l": self.tail}
        start = {"t": None, "g": 0, "r": 0, "s": "", "l": -1}
        return {name: value for name, value in named.items() if value != start[name]}


@dataclass(frozen=True)
class LogsPlan:
    """The compiled `logs` section. `source` is what is read (with `each`, for each item), `before` finds the items."""

    source: CallPlan
    before: CallPlan | None
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


def compile_logs(logs: Logs) -> LogsPlan:
    """Compile a `logs` section."""
    before: CallPlan | None = None
    if logs.each is not None:
        item = compile_step(logs.item_step())
        source = CallPlan((item,), None, item.names)
        steps = logs.steps_before()
        plans = tuple(compile_step(step) for step in steps)
        before = CallPlan(plans, logs.read, frozenset().union(*(plan.names for plan in plans)))
    else:
        item = None
        source = compile_calls(logs)
    parts = {
        "lines": compile_extraction(logs.lines) if logs.lines is not None else None,
        "message": _on_line(logs.message),
        "timestamp": _on_line(logs.timestamp),
        "level": _on_line(logs.level),
        "next": compile_extraction(logs.next) if logs.next is not None else None,
        "each": compile_extraction(logs.each) if logs.each is not None else None,
        "keep": compile_condition(logs.keep) if logs.keep is not True else None,
        "more": compile_condition(logs.more) if logs.more is not True else None,
    }
    used = [part.names for part in parts.values() if part is not None]
    last = source.steps[-1]
    streams = (
        logs.format != "json"
        and logs.lines is None
        and logs.next is None
        and not logs.reverse
        and parts["more"] is None
        and source.read in (None, last.name)
        and last.judge.error is None
        and last.each is None
        and last.follow is None
        and last.save is None
        and not last.optional
    )
    return LogsPlan(
        source=source,
        before=before,
        item=item,
        format=logs.format,
        reverse=logs.reverse,
        max_time=logs.max_time,
        streams=streams,
        names=frozenset().union(source.names, before.names if before else frozenset(), *used),
        **parts,  # type: ignore[arg-type]  # each part has the type of its field
    )


def _on_line(raw: Any) -> Extraction | None:
    return compile_extraction(raw, root="line") if raw is not None else None


async def read_logs(plan: LogsPlan, session: CallContext, names: Scope, token: str) -> AsyncIterator[LogPage]:
    """Read the log from a token on, in pages; the last one carries the next token. Raises CallError or
    EvaluationError."""
    places = _decode(token)
    reader = _Reader(plan, session, names)
    if plan.before is None:
        place = Place.unpack(places.get(""))
        async for page in reader.source(names, place):
            yield page
        yield LogPage(token=_encode({"": place.packed()}) if reader.more else None, last=True)
        return
    assert plan.each is not None
    outcome = Outcome()
    if plan.before.steps:
        lacks = lacking(plan.each, plan.before.read_step)
        outcome = await run_calls(plan.before, session, names, lacks=lacks)
    scope = outcome.scope(names)
    any_more = given = broken = False
    following: dict[str, Any] = {}
    for item in plan.each.every(scope):
        item_names = names.with_names(steps=outcome.steps, item=item)
        key = _item_key(plan, session, item_names)
        if places.get(key) == 0:  # it had no more
            following[key] = 0
            continue
        place = Place.unpack(places.get(key))
        if broken:
            following[key] = place.packed()
            continue
        try:
            async for page in reader.source(item_names, place):
                given = given or bool(page.lines)
                yield page
        except CallError:
            if not given:
                raise
            broken = any_more = True  # what was given before must not come again: the next call starts with this item
            following[key] = place.packed()
            continue
        any_more = any_more or reader.more
        following[key] = place.packed() if reader.more or reader.skipped else 0
    yield LogPage(token=_encode(following) if any_more else None, last=True)


def _item_key(plan: LogsPlan, session: CallContext, names: Scope) -> str:
    """An item is recognised by the path of its request, as it is on its first page."""
    assert plan.item is not None
    scope = names.with_names(page={"token": None, "lines": 0})
    try:
        path = plan.item.request.locate(scope)
    except EvaluationError:
        path = json.dumps(names.item, sort_keys=True, default=str)
    return hashlib.sha256(path.encode()).hexdigest()[:12]


def _strange_token() -> EvaluationError:
    return EvaluationError("this log token is none that the connector gave; start again without one")


def _encode(places: dict[str, Any]) -> str:
    text = json.dumps(places, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str) -> dict[str, Any]:
    if not token:
        return {}
    try:
        places = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        places = None
    if not isinstance(places, dict):
        raise _strange_token()
    return places


class _Reader:
    """Reads one page of a source. `more` says afterwards if there is more, `skipped` if its request was not made."""

    def __init__(self, plan: LogsPlan, session: CallContext, names: Scope) -> None:
        self.plan = plan
        self.session = session
        self.more = False
        self.skipped = False
        self.rest: Any = None  # the last line of a text, as far as there is one
        self.unfinished = False  # it may go on

    async def source(self, names: Scope, place: Place) -> AsyncIterator[LogPage]:
        self.more = False
        self.skipped = False
        self.rest = None
        names = names.with_names(page={"token": place.token, "lines": place.given})
        if self.plan.streams:
            async for page in self._stream(names, place):
                yield page
            return
        outcome = await run_calls(
            self.plan.source, self.session, names, lacks=self._lacks(), before=Outcome(steps=dict(names.steps))
        )
        if outcome.answer is None:
            self.skipped = True
            return
        scope = outcome.scope(names)
        fresh = self._new_items(scope, place, outcome)
        for start in range(0, len(fresh), _PAGE):
            lines = self._lines(fresh[start : start + _PAGE], scope)
            place.given += len(lines)
            yield LogPage(lines)
        if self.rest is not None:
            lines = self._lines([self.rest], scope)
            place.given += len(lines)
            yield LogPage(lines, unfinished=self.unfinished)

    def _lacks(self) -> Lacks | None:
        lines = self.plan.lines if self.plan.format == "json" else None
        return lacking(lines, self.plan.source.read_step) if lines is not None else None

    def _new_items(self, scope: Scope, place: Place, outcome: Outcome) -> list[Any]:
        """The items of this page that were not given yet; moves the place on."""
        plan = self.plan
        whole = plan.next is None
        following = None if plan.next is None else plan.next.first(scope)
        ends = plan.more is not None and not plan.more.evaluate(scope)
        if plan.format == "json" or plan.lines is not None:
            assert plan.lines is not None
            found = plan.lines.value(scope)  # so `$.lines` is what `$.lines[*]` is
            items = found if isinstance(found, list) else [] if found is None else [found]
            rest = ""
        else:
            splitter = FORMATS[plan.format]()
            items = splitter.feed(("" if whole else place.rest) + str(outcome.answer.text))
            rest = splitter.rest
        if plan.reverse:
            items = items[::-1]
        if whole:
            fresh = items[place.read :]
            place.read += len(fresh)
            unfinished = bool(rest) and place.tail != len(rest)
            if rest and (ends or (not fresh and not unfinished)):
                self.rest, self.unfinished = splitter.finish(), not ends
                self.more = False
            else:
                self.more = (bool(fresh) or unfinished) and not ends
                place.tail = len(rest) if rest else -1
            return fresh
        nothing_new = following is None or (following == place.token and not items and rest == place.rest)
        self.more = not nothing_new and not ends
        if not self.more and rest:
            self.rest, self.unfinished = splitter.finish(), not ends
        if self.more:
            place.token, place.rest = following, rest
        return items

    async def _stream(self, names: Scope, place: Place) -> AsyncIterator[LogPage]:
        """A whole document of text, line by line, in constant memory."""
        plan, last = self.plan, self.plan.source.steps[-1]
        first_steps = CallPlan(plan.source.steps[:-1], None, plan.source.names)
        outcome = await run_calls(first_steps, self.session, names, before=Outcome(steps=dict(names.steps)))
        scope = outcome.scope(names)
        if last.when is not None and not last.when.evaluate(scope):
            self.skipped = True
            return
        splitter: LineDecoder = FORMATS[plan.format]()
        skip, batch, new = place.read, [], 0
        limit = self.session.connection.spec.max_response
        broken = False
        try:
            async with client.stream(self.session, last.request, scope, last.judge, max_time=plan.max_time) as answer:
                scope = scope.with_response(answer)
                async for text in answer.texts():
                    items = splitter.feed(text)
                    if skip:
                        skip, items = max(0, skip - len(items)), items[skip:]
                    batch += items
                    while len(batch) >= _PAGE:
                        yield self._page(batch[:_PAGE], scope, place)
                        new += _PAGE
                        del batch[:_PAGE]
                    if splitter.held > limit:
                        what = f"has a line of more than {limit / 2**20:.3g} MiB (max_response)"
                        raise TransientError(f"{answer.method} {answer.url} {what}", may_have_been_processed=False)
        except CallError:
            if not new and not batch:
                raise
            broken = True  # what came is given, and the next call reads on from there
        if batch:
            yield self._page(batch, scope, place)
            new += len(batch)
        rest = splitter.rest
        changed = place.tail != len(rest)
        if rest and not new and not changed and not broken:
            yield LogPage(self._lines([splitter.finish()], scope), unfinished=True)
            place.tail = -1
            return
        self.more = bool(new) or broken or (bool(rest) and changed)
        place.tail = len(rest) if rest and not broken else -1

    def _page(self, items: list[Any], scope: Scope, place: Place) -> LogPage:
        lines = self._lines(items, scope)
        place.given += len(lines)
        place.read += len(items)
        return LogPage(lines)

    def _lines(self, items: list[Any], scope: Scope) -> list[LogLine]:
        plan = self.plan
        if all(part is None for part in (plan.keep, plan.message, plan.timestamp, plan.level)):
            return [LogLine(text) for text in self._redacted([_unended(as_text(item)) for item in items])]
        texts, times, levels = [], [], []
        for item in items:
            on_line = scope.with_names(line=item)
            if plan.keep is not None and not plan.keep.evaluate(on_line):
                continue
            message = plan.message.first(on_line) if plan.message is not None else None
            texts.append(_unended(as_text(item if message is None else message)))
            times.append(_time(plan.timestamp.first(on_line)) if plan.timestamp is not None else None)
            levels.append(_level(plan.level.first(on_line)) if plan.level is not None else None)
        return list(map(LogLine, self._redacted(texts), times, levels))

    def _redacted(self, texts: list[str]) -> list[str]:
        """The texts without secrets. Most hold none, which one search of all of them tells."""
        together = "\n".join(texts)
        return texts if self.session.redact(together) == together else [self.session.redact(text) for text in texts]


def _unended(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _time(value: Any) -> float | None:
    try:
        return None if value is None else epoch_seconds(value)
    except EvaluationError:
        return None


def _level(value: Any) -> str | None:
    return None if value is None or value == "" else as_text(value)
