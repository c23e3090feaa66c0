"""The lines of a log: made of the items that a source has, without secrets, and as many as one call returns."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any, NamedTuple

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


def that_fit(items: list[Any], most: int) -> list[Any]:
    """Return the first items, as many as have so many characters; one at least. Only texts count."""
    sizes = accumulate(len(item) if isinstance(item, str) else 0 for item in items)
    return items[: max(1, bisect_right(list(sizes), most))]


def with_texts(lines: list[LogLine], texts: list[str]) -> list[LogLine]:
    """Return the lines with other texts."""
    return [LogLine(text, line.timestamp, line.level) for text, line in zip(texts, lines, strict=True)]


def weight(lines: list[LogLine]) -> int:
    """Return what lines count of the characters that one call returns."""
    return sum(len(line.message) for line in lines) + _PER_LINE * len(lines)


def are_none(plan: LogsPlan, items: list[Any]) -> bool:
    """Tell whether there are items, and none is a line: see `LineDecoder.feed`."""
    return plan.parses_items and bool(items) and items.count(None) == len(items)


def lines_of(plan: LogsPlan, items: list[Any], scope: Scope, secrets: frozenset[str]) -> list[LogLine]:
    """Make lines of items, without those that are not kept; their messages are not redacted."""
    lines = []
    redact = redactor_for(secrets).redact
    on_line = scope.with_names(line=None)
    if plan.parses_items:
        items = [json_or_text(item) for item in items if item is not None]
    for item in items:
        on_line.line = item
        if plan.keep is not None and not plan.keep.evaluate(on_line):
            continue
        message = plan.message.first(on_line) if plan.message is not None else None
        lines.append(
            LogLine(
                line_text(item if message is None else message),
                time_of(plan.timestamp.first(on_line)) if plan.timestamp is not None else None,
                level_of(plan.level.first(on_line), redact) if plan.level is not None else None,
            )
        )
    return lines
