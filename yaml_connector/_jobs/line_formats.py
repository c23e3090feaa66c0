"""Cuts the text of a log into lines: a class for each format, and a line in the table at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from yaml_connector._expressions.budget import consume_parsing
from yaml_connector._expressions.json_text import parse_json, to_json
from yaml_connector._expressions.times import epoch_seconds
from yaml_connector._text import truncate
from yaml_connector.errors import EvaluationError

_SMALL = 8 * 1024  # characters that are parsed without counting
_LONGEST_LEVEL = 100  # characters
_PER_STRING = 60  # bytes that a string takes besides its characters


class LineDecoder(Protocol):
    """Takes text as it comes and returns the lines that are complete, as text: parsing one takes longer than finding
    it."""

    @property
    def rest(self) -> str:
        """The start of the next line."""

    @property
    def buffered(self) -> int:
        """The number of characters that wait for the rest of their line."""

    def feed(self, text: str) -> list[str | None]:
        """Return an entry for each line that this text completes: None for one that is not a line of the log, such as
        an empty one between JSON values. They count, so that reading gets on where there are millions of them."""

    def finish(self) -> str:
        """Return the unfinished line, as the last one."""


class TextLines:
    """Lines that end with LF or CRLF."""

    def __init__(self) -> None:
        self._parts: list[str] = []  # joined once: a line that does not end would be copied with each piece of text
        self.buffered = 0

    @property
    def rest(self) -> str:
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    def feed(self, text: str) -> list[str | None]:
        first, *others = text.split("\n")
        if not others:
            self._keep(text)
            return []
        lines = [self.rest + first, *others]
        self._parts, self.buffered = [], 0
        self._keep(lines.pop())
        has_returns = "\r" in text or lines[0].endswith("\r")
        return [line.removesuffix("\r") for line in lines] if has_returns else [*lines]

    def _keep(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self.buffered += len(text)

    def finish(self) -> str:
        line = self.rest
        self._parts, self.buffered = [], 0
        return line.removesuffix("\r")


class JsonLines(TextLines):
    """A JSON value on each line; empty lines do not count."""

    def feed(self, text: str) -> list[str | None]:
        return [line or None for line in super().feed(text)]


class ServerSentEvents:
    """Server-sent events: the data of each event is a line."""

    rest = ""  # an event that has not ended does not count

    def __init__(self) -> None:
        self._lines = TextLines()
        self._data: list[str] = []
        self._size = 0

    @property
    def buffered(self) -> int:
        return self._size + self._lines.buffered

    def feed(self, text: str) -> list[str | None]:
        found: list[str | None] = []
        for line in self._lines.feed(text):
            if not line and self._data:
                found.append("\n".join(self._data))
                self._data, self._size = [], 0
                continue
            found.append(None)
            if line and line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
                self._size += len(line) + _PER_STRING
        return found

    def finish(self) -> str:
        return ""


def json_or_text(text: str) -> Any:
    """Return parsed JSON if the text is JSON, else the text."""
    if len(text) > _SMALL:
        consume_parsing(text)
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return text


def without_end(text: str) -> str:
    """Return a line without its line break."""
    return text.removesuffix("\n").removesuffix("\r")


def line_text(value: Any) -> str:
    """Return a line as text, without its line break. JSON that holds NaN is written as most libraries write it; what
    cannot be written does not keep the other lines back."""
    if isinstance(value, str):
        return without_end(value)
    try:
        return to_json(value)
    except EvaluationError:
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            return "(a line that cannot be written as JSON)"


def time_of(value: Any) -> float | None:
    """Return a line's time in epoch seconds; None if the value is not a time."""
    try:
        return None if value is None else epoch_seconds(value)
    except EvaluationError:
        return None


def level_of(value: Any, redact: Callable[[str], str]) -> str | None:
    """Return a line's level: a short word, without secrets."""
    return (
        None
        if value is None or value == ""
        else truncate(redact(line_text(value)[: _LONGEST_LEVEL * 20]), _LONGEST_LEVEL)
    )


FORMATS: dict[str, type[Any]] = {"text": TextLines, "ndjson": JsonLines, "sse": ServerSentEvents}
