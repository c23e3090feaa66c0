"""Writes a sketch as YAML with comments: the spec, and its contract test."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from yaml_connector._expressions.json_text import as_text
from yaml_connector.cli.new.sketch import Exchange, Path, Play, Ref, Sketch, Text, as_sample, as_template, text_of
from yaml_connector.testing.compare import plain_strings

_WIDTH = 100  # of a mapping or list on one line
_COMMENT_WIDTH = 116
_SIMPLE = re.compile(r"[A-Za-z_$][\w./-]*")
_WORDS = frozenset(("null", "true", "false", "~"))
_BLOCK_BELOW = ("json", "form", "multipart")  # bodies: one field a line


def spec_text(sketch: Sketch) -> str:
    """Return the spec as YAML, with the questions and remarks above the fields that they are about."""
    return "\n".join(_Writer(sketch.decide, sketch.remarks).document(as_template(sketch.spec), sketch.head)) + "\n"


def contract_text(sketch: Sketch) -> str:
    """Return the contract test as YAML."""
    fixtures = {kind: values for kind, values in sketch.fixtures.items() if values}
    tests = [
        {"name": name, "calls": [_call(play, sketch) for play in plays]}
        for name, plays in sketch.tests.items()
        if plays
    ]
    data = {"spec": f"{sketch.name}.yaml", "defaults": fixtures, "tests": tests}
    head = ["Responses made from what was given. `yaml-connector record` writes such a test from a real job."]
    return "\n".join(_Writer({}, {}).document({key: value for key, value in data.items() if value}, head)) + "\n"


def _call(play: Play, sketch: Sketch) -> dict[str, Any]:
    if play.kind == "after":
        return dict(play.expect)
    call: dict[str, Any] = {"exchanges": [recorded(exchange, sketch) for exchange in play.exchanges]}
    return {play.kind: call | ({"expect": play.expect} if play.expect else {})}


def recorded(exchange: Exchange, sketch: Sketch) -> dict[str, Any]:
    """Return the exchange: the request as it is sent when every template has its sample."""
    given = exchange.request
    if not isinstance(given, dict):
        parts = text_of(given).parts
        method, _, path = str(parts[0]).partition(" ")
        given = {"method": method, "path": Text.of(path, *parts[1:])}
    url = url_sample(text_of(given["url"])) if "url" in given else ""
    if not url:
        base = str(as_sample(sketch.spec["connection"]["base_url"]))
        url = base.rstrip("/") + "/" + url_sample(text_of(given["path"])).lstrip("/")
    request: dict[str, Any] = {"method": as_sample(given.get("method", "GET")), "url": url}
    if given.get("query"):
        values = {str(as_sample(key)): as_sample(value) for key, value in given["query"].items()}
        request["query"] = {key: _form_value(value) for key, value in values.items() if value is not None}
    headers = {str(name): str(as_sample(value)) for name, value in given.get("headers", {}).items()}
    if headers:
        request["headers"] = headers
    for kind in ("json", "form", "text"):
        if kind in given:
            body = as_sample(given[kind])
            request[kind] = plain_strings(_form_text(body) if kind == "form" else body)
    return {"request": request} | ({"response": exchange.response} if exchange.response else {})


def url_sample(text: Text) -> str:
    """Return a URL or path as it is sent: the samples of its templates encoded, one segment each."""
    sent = ""
    for part in text.parts:
        if isinstance(part, Ref):
            safe = "/" if re.search(r"\|\s*path\b", part.expression) else ""
            sent += quote(as_text(part.value), safe=safe)
        else:
            sent += quote(part, safe="/:@!$&'()*+,;=-._~%?#[]")
    return sent


def _form_text(body: Any) -> Any:
    """Return a form as a test has it: every value is text."""
    if isinstance(body, Mapping):
        return {key: _form_value(value) for key, value in body.items() if value is not None}
    return body


def _form_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_form_value(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


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
