"""Diagnostics as commands print them: as text, as JSON, and as annotations of a GitHub workflow."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from yaml_connector._text import loggable

if TYPE_CHECKING:
    from yaml_connector.errors import Diagnostic

_ALLOWED = re.compile(r"[;?] allowed: ")
_WIDTH = 110  # of a source line; of a longer one only the part around the problem is shown


class Sources:
    """The source lines of files with problems. A file is read once, when its first line is needed.

    `contents` has the text of what is not a file, such as the standard input.
    """

    def __init__(self, contents: dict[str, str] | None = None) -> None:
        self._lines = {file: text.splitlines() for file, text in (contents or {}).items()}

    def line(self, file: str, number: int) -> str | None:
        """Return a line, counted from 1; None if there is none."""
        if file not in self._lines:
            from yaml_connector._loading.loader import read_file

            content = read_file(file)
            text = "" if isinstance(content, OSError) else content.decode("utf-8-sig", "replace")
            self._lines[file] = text.splitlines()
        lines = self._lines[file]
        return lines[number - 1] if 0 < number <= len(lines) else None


def problem_text(problem: Diagnostic, sources: Sources) -> str:
    """Return `file:line:column: path: message`, then the source line with a caret below the column."""
    colour = "yellow" if problem.severity == "warning" else "red"
    where = click.style(f"{loggable(problem.file)}:{problem.line}:{problem.column}:", bold=True)
    label = f" {click.style('warning:', fg=colour)}" if problem.severity == "warning" else ""
    path = f" {click.style(problem.path, fg=colour)}:" if problem.path else ""
    before = where + label + path
    message = _wrapped(printable(problem.message), len(click.unstyle(before)) + 1)
    text = f"{before}{'' if message.startswith(chr(10)) else ' '}{message}"
    source = sources.line(problem.file, problem.line)
    if source is None or not source.strip():
        return text
    shown, before = _excerpt(source, problem.column - 1)
    number = str(problem.line)
    caret = click.style("^", fg=colour, bold=True)
    return f"{text}\n  {number} | {shown}\n  {' ' * len(number)} | {' ' * _columns(before)}{caret}"


def _wrapped(message: str, beside: int) -> str:
    """Return a message for a terminal: wrapped, and the allowed names on lines of their own. `beside`: the columns that
    are taken before it."""
    if not sys.stdout.isatty():
        return message
    width = text_width(_WIDTH)
    head, colon, names = message.rpartition(" allowed: ") if _ALLOWED.search(message) else (message, "", "")
    lines = textwrap.wrap(
        "x" * min(beside - 1, width) + " " + head, width, subsequent_indent="  ", break_on_hyphens=False
    )
    lines[0] = lines[0].lstrip("x").lstrip()
    if colon:
        lines += textwrap.wrap(
            names, width, initial_indent="  allowed: ", subsequent_indent="  ", break_on_hyphens=False
        )
    return "\n".join(lines)


def _excerpt(source: str, column: int) -> tuple[str, str]:
    """Return the part of a line to show, and the part of that before the column."""
    width = text_width(_WIDTH, beside=14)  # the line number, and the dots of a line that is cut
    start = max(0, column - width // 2) if len(source) > width else 0
    cut = "..." if start else ""
    end = start + width
    shown = cut + printable(source[start:end]) + ("..." if end < len(source) else "")
    return shown, cut + printable(source[start:column])


def text_width(most: int, *, beside: int = 0) -> int:
    """Return the width for text that shares a terminal line with `beside` columns; `most` without a terminal."""
    if not sys.stdout.isatty():
        return most
    return max(20, min(most, shutil.get_terminal_size().columns - beside))


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def printable(text: str) -> str:
    """Return the text with terminal control characters replaced by spaces."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def json_of(data: Any) -> str:
    """Return data as JSON for people and programs. NaN and infinity, which JSON does not have, are written as text."""
    return json.dumps(_finite(data), indent=2, ensure_ascii=False, default=str, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return json.dumps(data) if isinstance(data, float) and not isfinite(data) else data


def github_annotation(problem: Diagnostic) -> str:
    """Return the workflow command that makes GitHub show a problem beside its line in a pull request."""
    level = "warning" if problem.severity == "warning" else "error"
    place = f"file={_property(problem.file)},line={problem.line},col={problem.column}"
    return f"::{level} {place}::{_data(problem.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def count(number: int, noun: str) -> str:
    """Return `1 problem`, `2 problems`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def echo_problems(problems: Iterable[Diagnostic], sources: Sources) -> None:
    """Print problems as text."""
    for problem in problems:
        click.echo(problem_text(problem, sources))


def errors_of(problems: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the problems that are not warnings."""
    return (problem for problem in problems if problem.severity == "error")


def exit_with(problems: Iterable[Diagnostic]) -> None:
    """Print problems to the standard error and end the command with 1; return if there are none."""
    sources = Sources()
    shown = [problem_text(problem, sources) for problem in problems]
    if shown:
        click.echo("\n".join(shown), err=True)
        raise click.exceptions.Exit(1)
