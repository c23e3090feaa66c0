"""Turns the text of a log into lines: a class for each format, and a line in the table at the end."""

from __future__ import annotations

from typing import Any, Protocol

from yaml_connector._expressions.json_text import parse_json


class LineDecoder(Protocol):
    """Takes text as it comes and returns the lines that are complete."""

    @property
    def rest(self) -> str:
        """The start of the next line."""

    @property
    def buffered(self) -> int:
        """The number of characters that wait for the rest of their line."""

    def feed(self, text: str) -> list[Any]:
        """Return the lines that this text completes."""

    def finish(self) -> Any:
        """Return the unfinished line, as the last one."""


class TextLines:
    """Lines that end with LF or CRLF."""

    def __init__(self) -> None:
        self._parts: list[str] = []  # joined once: a line that does not end would be copied with each piece of text
        self.buffered = 0

    @property
    def rest(self) -> str:
        return "".join(self._parts)

    def feed(self, text: str) -> list[Any]:
        first, *others = text.split("\n")
        if not others:
            self._keep(text)
            return []
        lines = [self.rest + first, *others]
        self._parts, self.buffered = [], 0
        self._keep(lines.pop())
        return [line.removesuffix("\r") for line in lines]

    def _keep(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self.buffered += len(text)

    def finish(self) -> Any:
        line = self.rest
        self._parts, self.buffered = [], 0
        return line.removesuffix("\r")


def json_or_text(text: str) -> Any:
    """Return parsed JSON if the text is JSON, else the text."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return text


class JsonLines(TextLines):
    """A JSON value on each line."""

    def feed(self, text: str) -> list[Any]:
        return [line for each in super().feed(text) if (line := json_or_text(each)) != ""]

    def finish(self) -> Any:
        return json_or_text(super().finish())


class ServerSentEvents:
    """Server-sent events: the data of each event is a line."""

    def __init__(self) -> None:
        self._lines = TextLines()
        self._data: list[str] = []
        self._size = 0

    @property
    def buffered(self) -> int:
        return self._size + self._lines.buffered

    @property
    def rest(self) -> str:
        return ""  # an event that has not ended does not count

    def feed(self, text: str) -> list[Any]:
        events = []
        for line in self._lines.feed(text):
            if line == "" and self._data:
                events.append(json_or_text("\n".join(self._data)))
                self._data, self._size = [], 0
            elif line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
                self._size += len(line)
        return events

    def finish(self) -> Any:
        return ""


FORMATS: dict[str, type[Any]] = {"json": TextLines, "text": TextLines, "ndjson": JsonLines, "sse": ServerSentEvents}
