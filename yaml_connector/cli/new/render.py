"""Writes a sketch as YAML with comments: the spec, and its contract test."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from yaml_connector.cli.new.sketch import Path, Sketch, as_template

_WIDTH = 100  # of a mapping or list on one line
_COMMENT_WIDTH = 116
_SIMPLE = re.compile(r"[A-Za-z_$][\w./-]*")
_WORDS = frozenset(("null", "true", "false", "~"))
_BLOCK_BELOW = ("json", "form", "multipart")  # bodies: one field a line


def spec_text(sketch: Sketch) -> str:
    """Return the spec as YAML, with the questions and remarks above the fields that they are about."""
    return "\n".join(_Writer(sketch.decide, sketch.remarks).document(as_template(sketch.spec), sketch.head)) + "\n"


def contract_text(data: Mapping[str, Any]) -> str:
    """Return a contract test as YAML."""
    head = ["Responses made from what was given. `yaml-connector record` writes such a test from a real job."]
    return "\n".join(_Writer({}, {}).document(data, head)) + "\n"


class _Writer:
    """Writes data as YAML, block style, with comments above fields."""

    def __init__(self, decide: Mapping[Path, list[str]], remarks: Mapping[Path, list[str]]) -> None:
        self._decide = decide
        self._remarks = remarks
        self._noted = {path[:length] for path in (*decide, *remarks) for length in range(1, len(path))}

    def document(self, data: Mapping[str, Any], head: Iterable[str]) -> list[str]:
        """Return the lines of a document: an empty line before every section that is longer than a line."""
        lines = [line for text in head for line in _comment("", text)]
        above = True
        for key, value in data.items():
            section = list(self._block({key: value}, (), ""))
            if lines and (len(section) > 1 or not above):
                lines.append("")
            above = len(section) == 1
            lines += section
        return lines

    def _block(self, value: Mapping[str, Any] | list[Any], path: Path, indent: str) -> Iterator[str]:
        """Yield the lines of a mapping or list, with the comments of its fields or items."""
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            here = (*path, key)
            name = scalar(key) if isinstance(key, str) else ""
            lead = f"{indent}{name}:" if name else f"{indent}-"
            yield from self._comments(here, indent)
            flow = self._on_one_line(item, here, len(indent) + len(name))
            if flow is not None or not isinstance(item, dict | list):
                yield f"{lead} {flow if flow is not None else scalar(item)}"
                continue
            lines = list(self._block(item, here, indent + "  "))
            if name:
                yield lead
            else:  # comments of the first field stand above the dash
                first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
                lines[first] = f"{lead} {lines[first].lstrip()}"
            yield from lines

    def _comments(self, path: Path, indent: str) -> Iterator[str]:
        for text in self._remarks.get(path, ()):
            yield from _comment(indent, text)
        for question in self._decide.get(path, ()):
            yield from _comment(indent, f"DECIDE: {question}")

    def _on_one_line(self, value: Any, path: Path, before: int) -> str | None:
        """Return an empty or short mapping or list on one line; None if it is long, deep, or has comments inside."""
        if not isinstance(value, dict | list):
            return None
        if not value:
            return "{}" if isinstance(value, dict) else "[]"
        if path in self._noted or (isinstance(value, dict) and (len(path) < 2 or path[-1] in _BLOCK_BELOW)):
            return None
        inner = value.values() if isinstance(value, dict) else value
        if any(isinstance(item, dict | list) and item for item in inner) and len(path) < 4:
            return None
        if not _is_shallow(value, 2):
            return None
        text = flow(value)
        return text if before + len(text) <= _WIDTH else None


def _is_shallow(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in inner)


def flow(value: Any) -> str:
    """Return data as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key, inside=True)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value, inside=True)


def scalar(value: Any, *, inside: bool = False) -> str:
    """Return a scalar as YAML, without quotes if it needs none; `inside` a mapping or list on one line."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _SIMPLE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if not inside and _reads_back(value):
        return value
    return json.dumps(value, ensure_ascii=not value.replace("\n", "").replace("\t", "").isprintable())


@lru_cache(maxsize=10_000)
def _reads_back(value: str) -> bool:
    """Return whether a text without quotes is the same text for the reader of specs."""
    if not value or not value.isprintable() or value[0] in "!&*#|>@`%\"'[]{},?:- " or value[-1] == " ":
        return False
    from yaml_connector._loading.document import parse

    document = parse(f"a: {value}\n".encode(errors="replace"), "")
    return not document.problems and document.data == {"a": value}


def _comment(indent: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        _COMMENT_WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def decide_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the question of every DECIDE in a spec."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not (found := re.match(r"\s*# DECIDE: (.*)", line)):
            continue
        question = [found[1]]
        for more in lines[number + 1 :]:
            if not (rest := re.match(r"\s*#   (.*)", more)):
                break
            question.append(rest[1])
        yield number + 1, " ".join(question)
