"""The lines of a log: made of the items that a source has, without secrets, and as many as one call returns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from yaml_connector._expressions.compile import Expression, Extraction
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.redact import redactor_for
from yaml_connector._jobs.line_formats import json_or_text, level_of, line_text, time_of
from yaml_connector._jobs.logs import LogsPlan

MOST = 4 * 2**20  # characters that one call returns, about; the next one goes on
_PER_LINE = 16  # characters that a line counts besides its text


class LogLine(NamedTuple):
    """One line: its text, its time in epoch seconds, its level."""

    message: str
    timestamp: float | None = None
    level: str | None = None


text_of = attrgetter("message")  # of a line


def that_fit(items: list[Any], most: int) -> list[Any]:
    """Return the first items, as many as have so many characters; one at least. Only texts count."""
    if str not in set(map(type, items)):
        return items
    sizes = accumulate(len(item) if isinstance(item, str) else 0 for item in items)
    return items[: max(1, bisect_right(list(sizes), most))]


def with_texts(lines: list[LogLine], texts: list[str]) -> list[LogLine]:
    """Return the lines with other texts."""
    return [LogLine(text, line.timestamp, line.level) for text, line in zip(texts, lines, strict=True)]


def characters(lines: list[LogLine]) -> int:
    """Return how long the texts of lines are together."""
    return sum(map(len, map(text_of, lines)))


def weight(lines: list[LogLine]) -> int:
    """Return what lines count of the characters that one call returns."""
    return characters(lines) + _PER_LINE * len(lines)


def are_none(plan: LogsPlan, items: list[Any]) -> bool:
    """Tell whether there are items, and none is a line: see `LineDecoder.feed`."""
    return plan.parses_items and bool(items) and items.count(None) == len(items)


def lines_of(plan: LogsPlan, items: list[Any], scope: Scope, secrets: frozenset[str]) -> list[LogLine]:
    """Make lines of items, without those that are not kept; their messages are not redacted."""
    on_line = scope.with_names(line=None)
    if plan.parses_items:
        items = [json_or_text(item) for item in items if item is not None]
    if plan.keep is not None:
        items = list(_kept(plan.keep, items, on_line))
    found = items if plan.message is None else _read(plan.message, items, on_line)
    texts = [line_text(item if text is None else text) for text, item in zip(found, items, strict=True)]
    times: list[Any] = [None] * len(items)
    levels: list[Any] = [None] * len(items)
    if plan.timestamp is not None:
        times = list(map(time_of, _read(plan.timestamp, items, on_line)))
    if plan.level is not None:
        redact = redactor_for(secrets).redact
        levels = [level_of(level, redact) for level in _read(plan.level, items, on_line)]
    return list(map(LogLine, texts, times, levels))


def _kept(keep: Expression, items: list[Any], on_line: Scope) -> Iterator[Any]:
    for item in items:
        on_line.line = item
        if keep.evaluate(on_line):
            yield item


def _read(part: Extraction, items: list[Any], on_line: Scope) -> list[Any]:
    """Return what a part of the plan reads in each item; None where there is nothing."""
    if part.first_in is not None:
        return list(map(part.first_in, items))
    values = []
    for item in items:
        on_line.line = item
        values.append(part.first(on_line))
    return values
