"""How a log's text becomes lines: one class for each format, and one line in the table at the end."""

from __future__ import annotations

from typing import Any, Protocol

from yaml_connector._expressions.json_text import parse_json


class LineDecoder(Protocol):
    """Takes text as it comes and gives what is complete; `rest` is what is not, yet."""

    rest: str

    @property
    def held(self) -> int:
        """How many characters wait to be completed."""

    def feed(self, text: str) -> list[Any]:
        """The lines that this text completes."""

    def finish(self) -> Any:
        """The unfinished line, as the last one."""


class TextLines:
    """Lines that end with LF or CRLF."""

    def __init__(self) -> None:
        self.rest = ""

    @property
    def held(self) -> int:
        return len(self.rest)

    def feed(self, text: str) -> list[Any]:
        *complete, self.rest = (self.rest + text).split("\n")
        return [line.removesuffix("\r") for line in complete]

    def finish(self) -> Any:
        line, self.rest = self.rest, ""
        return line.removesuffix("\r")


def json_or_text(text: str) -> Any:
    """Parsed JSON if the text is JSON, else the text."""
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
    def held(self) -> int:
        return self._size + self._lines.held

    @property
    def rest(self) -> str:
        return ""  # an event that has not ended is none

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
