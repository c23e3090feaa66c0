"""Helpers over answers: data with values at paths, URLs with ids in them, the lines of a log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.tokens import Tokens, joined, start_of
from yaml_connector.cli.new.jsonpaths import data_at, member, value_at
from yaml_connector.cli.new.sketch import quoted

_TEXTS = ("message", "text", "line", "log", "msg", "content", "body", "event")
_TIMES = ("timestamp", "time", "created_at", "ts", "date", "at", "createdAt", "@timestamp", "created")


def from_url(url: str, text: str, source: str) -> str | None:
    """Return the template that takes an id out of a URL in an answer; None if it is not a segment of it."""
    found = re.search(rf"([^/]*)/{re.escape(text)}(?=[/?#]|$)(.*)", url)
    if found is None:
        return None
    if found[2] in ("", "/") and not url.endswith("/"):
        return f"${{{{ {source} | basename }}}}"
    before = re.escape(found[1]).replace("\\-", "-")
    return f"${{{{ {source} | regex({quoted(f'/{before}/([^/?#]+)')}) }}}}"


def lines_of(answer: Answer) -> tuple[dict[str, Any], dict[str, Any], list[str]] | None:
    """Return the fields of `logs` for an answer, a response like it, and its lines; None for plain text."""
    if not answer.is_json:
        lines = [line for line in answer.text.split("\n") if line.strip()]
        if lines and all(line.lstrip().startswith("data:") for line in lines):
            return {"format": "sse"}, {"text": "data: one\n\ndata: two\n\n"}, ["one", "two"]
        if len(lines) < 2 or not all(line.startswith("{") for line in lines):
            return None
        try:
            items = [json.loads(line) for line in lines]
        except ValueError:
            return None
        fields, rows, shown = _rows_like(items[0])
        return {"format": "ndjson"} | fields, {"text": "".join(f"{_compact(row)}\n" for row in rows)}, shown
    if isinstance(answer.data, str):
        return None
    for path, items in _lists_in(answer.data):
        if all(isinstance(item, str) for item in items):
            rows = ["one", "two"]
            return {"lines": f"{path}[*]"}, {"json": data_at({f"{path}[0]": "one", f"{path}[1]": "two"})}, rows
        if items and isinstance(items[0], dict):
            fields, rows, shown = _rows_like(items[0])
            times = [value_at(item, fields["timestamp"]) for item in items] if "timestamp" in fields else []
            if len(times) > 1 and type(times[0]) is type(times[-1]) and times[0] > times[-1]:
                fields["reverse"] = True
                rows.reverse()
            response = {"json": data_at({f"{path}[0]": rows[0], f"{path}[1]": rows[1]})}
            return {"lines": f"{path}[*]"} | fields, response, shown
    texts = [(path, value) for path, value in answer.values() if isinstance(value, str)]
    places = [path for path, value in texts if "\n" in value]
    places += [path for path, _ in texts if re.search(r"(?i)\.(logs?|output|stdout|text|content)$", path)]
    if not places:
        return None
    lines_in = f"${{{{ (body{places[0][1:]} or '').splitlines() }}}}"
    return {"lines": lines_in}, {"json": data_at({places[0]: "one\ntwo\n"})}, ["one", "two"]


def _lists_in(data: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the answer itself, if it is a list, and the lists in it that are not empty, with their paths."""
    if isinstance(data, list):
        yield "$", data
    queue: list[tuple[str, Any]] = [("$", data)]
    while queue:
        path, value = queue.pop(0)
        for key, item in value.items() if isinstance(value, dict) else ():
            if isinstance(item, list) and item:
                yield path + member(key), item
            elif isinstance(item, dict):
                queue.append((path + member(key), item))


def _rows_like(item: Any) -> tuple[dict[str, Any], list[Any], list[str]]:
    """Return where a line has its text and its time, two lines like it, and how the log shows these."""
    first = item if isinstance(item, dict) else {}
    message = next((key for key in _TEXTS if isinstance(first.get(key), str)), None)
    time = next((key for key in _TIMES if isinstance(first.get(key), str | int | float)), None)
    fields: dict[str, Any] = {"message": f"$.{message}"} if message else {}
    fields |= {"timestamp": "$" + member(time)} if time else {}
    rows = [{message or "text": word} | ({time: first[time]} if time else {}) for word in ("one", "two")]
    return fields, rows, ["one", "two"] if message else [_compact(row) for row in rows]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def is_own(text: str) -> bool:
    """Return whether a literal can only be an id: a number, a UUID, or letters with digits."""
    return re.fullmatch(r"(?i)[0-9a-f-]{16,}|\d{3,}|(?=.*\d)(?=.*[a-z])[\w.:-]{6,}", text) is not None


def step_name(call: Call) -> str:
    """Return a name for the step that a call becomes."""
    words = [
        word for word in call.words if word.isalpha() and len(word) > 2 and word not in ("api", "rest", "json", "text")
    ]
    return f"{call.method.lower()}_{words[-1]}" if words else f"step_{call.number + 1}"


def without_user(origin: Tokens) -> Tokens:
    """Return an origin without the user and password in it."""
    bare = re.sub(r"^((?:[a-z]+://)?)[^/@]*@", r"\1", start_of(origin))
    return joined([bare, *origin[1:]]) if start_of(origin) else origin


def host_of(origin: Tokens) -> str:
    """Return the host of an origin, as far as it is known."""
    text = "".join(part if isinstance(part, str) else part.value or f"${part.name}" for part in without_user(origin))
    return re.sub(r"^https?://", "", text).rstrip("/").lower()
