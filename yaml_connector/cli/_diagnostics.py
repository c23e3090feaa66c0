"""Problems as the commands print them: for people, for programs, and for GitHub's annotations."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from yaml_connector.errors import Diagnostic

_WIDTH = 110  # of a source line; of a longer one the part around the problem is shown


class Sources:
    """The lines of the files that problems are in; each file is read once, when it is first needed."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self._lines = {file: text.splitlines() for file, text in (known or {}).items()}

    def line(self, file: str, number: int) -> str | None:
        """A line of a file, from 1; None if there is none."""
        if file not in self._lines:
            from yaml_connector._loading.loader import read_file

            content = read_file(file)
            text = "" if isinstance(content, OSError) else content.decode("utf-8-sig", "replace")
            self._lines[file] = text.splitlines()
        lines = self._lines[file]
        return lines[number - 1] if 0 < number <= len(lines) else None


def problem_text(problem: Diagnostic, sources: Sources) -> str:
    """`file:line:column: path: message`, then the source line with a caret below the place."""
    colour = "yellow" if problem.severity == "warning" else "red"
    where = click.style(f"{problem.file}:{problem.line}:{problem.column}:", bold=True)
    label = click.style("warning: ", fg=colour) if problem.severity == "warning" else ""
    path = f"{click.style(problem.path, fg=colour)}: " if problem.path else ""
    text = f"{where} {label}{path}{printable(problem.message)}"
    source = sources.line(problem.file, problem.line)
    if source is None or not source.strip():
        return text
    shown, before = _excerpt(source, problem.column - 1)
    number = str(problem.line)
    caret = click.style("^", fg=colour, bold=True)
    return f"{text}\n  {number} | {shown}\n  {' ' * len(number)} | {' ' * _columns(before)}{caret}"


def _excerpt(source: str, column: int) -> tuple[str, str]:
    """The part of a line to show, and what of it stands before the place."""
    width = text_width(_WIDTH, beside=14)  # the number of the line, and what shows that it is cut
    start = max(0, column - width // 2) if len(source) > width else 0
    cut = "..." if start else ""
    end = start + width
    shown = cut + printable(source[start:end]) + ("..." if end < len(source) else "")
    return shown, cut + printable(source[start:column])


def text_width(most: int, *, beside: int = 0) -> int:
    """How wide a text may be so that it fits the terminal with what stands beside it; `most` where there is none."""
    if not sys.stdout.isatty():
        return most
    return max(20, min(most, shutil.get_terminal_size().columns - beside))


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def problem_data(problem: Diagnostic) -> dict[str, Any]:
    """A problem as JSON can hold it."""
    return {name: getattr(problem, name) for name in ("file", "line", "column", "path", "message", "severity")}


def github_annotation(problem: Diagnostic) -> str:
    """A problem as GitHub shows it beside the line in a pull request."""
    level = "warning" if problem.severity == "warning" else "error"
    place = f"file={_property(problem.file)},line={problem.line},col={problem.column}"
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"::{level} {place}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def count(number: int, what: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def echo_problems(problems: Iterable[Diagnostic], sources: Sources) -> None:
    """Print problems for people."""
    for problem in problems:
        click.echo(problem_text(problem, sources))


def errors_of(problems: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Those that are no warnings."""
    return (problem for problem in problems if problem.severity == "error")
