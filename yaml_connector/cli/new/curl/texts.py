"""Helpers over answers: data with values at paths, URLs with ids in them, the lines of a log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer, member
from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.tokens import Leaf, Tokens
from yaml_connector.cli.new.data import data_at

TEST_HOST = "https://api.test"
_TEXTS = ("message", "text", "line", "log", "msg", "content", "body", "event")
_TIMES = ("timestamp", "time", "created_at", "ts", "date", "at", "createdAt", "@timestamp", "created")


def response_for(extraction: str, value: Any) -> dict[str, Any]:
    """Return a response in which an extraction other than a JSONPath finds a value."""
    if found := re.search(r"headers\['([^']+)'\](?: \| regex\('([^']*)'\))?", extraction):
        text = f"{TEST_HOST}/{value}" if not found[2] else TEST_HOST + filled(found[2], str(value))
        return {"headers": {found[1]: text}}
    if found := re.search(r"body((?:\.\w+)+) \| (?:basename|regex\('([^']*)'\))", extraction):
        text = f"{TEST_HOST}/{value}" if not found[2] else TEST_HOST + filled(found[2], str(value))
        return {"json": data_at({"$" + found[1]: text})}
    if found := re.search(r"text \| regex\('(.*)'\)", extraction):
        return {"text": re.sub(r"\(\[\^.*?\)", lambda _: str(value), found[1].replace("\\\\", "\\")).replace("\\", "")}
    return {"text": str(value)}


def filled(pattern: str, value: str) -> str:
    return re.sub(r"\(\[\^/\]?[^)]*\)", lambda _: value, pattern).replace("\\", "")


def from_url(url: str, text: str, source: str) -> str | None:
    """Return the template that takes an id out of a URL in an answer; None if it is not a segment of it."""
    found = re.search(rf"([^/]*)/{re.escape(text)}(?=[/?#]|$)(.*)", url)
    if found is None:
        return None
    if found[2] in ("", "/") and not url.endswith("/"):
        return f"${{{{ {source} | basename }}}}"
    before = re.escape(found[1]).replace("\\-", "-")
    return f"${{{{ {source} | regex('/{quoted(before)}/([^/?#]+)') }}}}"


def lines_of(answer: Answer) -> tuple[dict[str, Any], dict[str, Any], list[str]] | None:
    """Return the fields of `logs` for an answer, a response like it, and its lines; None for plain text."""
    if not answer.is_json:
        lines = [line for line in answer.text.split("\n") if line.strip()]
        if lines and all(line.lstrip().startswith("data:") for line in lines):
            return {"format": "sse"}, {"text": "data: one\n\ndata: two\n\n"}, ["one", "two"]
        if len(lines) > 1 and all(line.startswith("{") for line in lines):
            try:
                rows = [json.loads(line) for line in lines]
            except ValueError:
                return None
            return _ndjson(rows)
        return None
    data = answer.data
    if isinstance(data, str):
        return None
    lists = [("$", data)] if isinstance(data, list) else []
    queue: list[tuple[str, Any]] = [("$", data)]
    while queue:
        path, value = queue.pop(0)
        for key, item in value.items() if isinstance(value, dict) else ():
            if isinstance(item, list) and item:
                lists.append((path + member(key), item))
            elif isinstance(item, dict):
                queue.append((path + member(key), item))
    for path, items in lists:
        if all(isinstance(item, str) for item in items):
            return (
                {"lines": f"{path}[*]"},
                {"json": data_at({f"{path}[0]": "one", f"{path}[1]": "two"})},
                ["one", "two"],
            )
        first = items[0] if items else None
        if isinstance(first, dict):
            message = next((key for key in _TEXTS if isinstance(first.get(key), str)), None)
            time = next((key for key in _TIMES if key in first and isinstance(first[key], str | int | float)), None)
            fields: dict[str, Any] = {"lines": f"{path}[*]"} | ({"message": f"$.{message}"} if message else {})
            fields |= {"timestamp": "$" + member(time)} if time else {}
            times: list[Any] = [item.get(time) for item in items if isinstance(item, dict)] if time else []
            if len(times) > 1 and type(times[0]) is type(times[-1]) and times[0] > times[-1]:
                fields["reverse"] = True
            rows = [{message or "text": word} | ({time: first[time]} if time else {}) for word in ("one", "two")]
            given = list(reversed(rows)) if fields.get("reverse") else rows
            response = {"json": data_at({f"{path}[0]": given[0], f"{path}[1]": given[1]})}
            return (
                fields,
                response,
                ["one", "two"] if message else [json.dumps(row, separators=(",", ":")) for row in rows],
            )
    text = next((path for path, value in answer.values() if isinstance(value, str) and "\n" in value), None)
    text = text or next(
        (
            path
            for path, value in answer.values()
            if isinstance(value, str) and re.search(r"(?i)\.(logs?|output|stdout|text|content)$", path)
        ),
        None,
    )
    if text is not None:
        inner = "body" + text[1:]
        return (
            {"lines": f"${{{{ ({inner} or '').splitlines() }}}}"},
            {"json": data_at({text: "one\ntwo\n"})},
            ["one", "two"],
        )
    return None


def _ndjson(rows: list[Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    first = rows[0] if isinstance(rows[0], dict) else {}
    message = next((key for key in _TEXTS if isinstance(first.get(key), str)), None)
    time = next((key for key in _TIMES if isinstance(first.get(key), str | int | float)), None)
    fields = (
        {"format": "ndjson"}
        | ({"message": f"$.{message}"} if message else {})
        | ({"timestamp": "$" + member(time)} if time else {})
    )
    made = [{message or "text": word} | ({time: first[time]} if time else {}) for word in ("one", "two")]
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in made)
    return fields, {"text": text}, ["one", "two"] if message else text.splitlines()


def scalars(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from scalars(
                item[1] if isinstance(item, tuple) else item, item[0] if isinstance(item, tuple) else name
            )
    elif isinstance(value, Leaf):
        yield name, "".join(part for part in value.tokens if isinstance(part, str))
    else:
        yield name, value


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def is_own(text: str) -> bool:
    """Return whether a literal can only be an id: a number, a UUID, or letters with digits."""
    return re.fullmatch(r"(?i)[0-9a-f-]{16,}|\d{3,}|(?=.*\d)(?=.*[a-z])[\w.:-]{6,}", text) is not None


def step_name(call: Call, number: int) -> str:
    words = [
        word for word in call.words if word.isalpha() and len(word) > 2 and word not in ("api", "rest", "json", "text")
    ]
    return f"{call.method.lower()}_{words[-1]}" if words else f"step_{number + 1}"


def without_user(origin: Tokens) -> Tokens:
    first = origin[0] if origin and isinstance(origin[0], str) else None
    if first is None:
        return origin
    bare = re.sub(r"^((?:[a-z]+://)?)[^/@]*@", r"\1", first)
    return tuple(part for part in (bare, *origin[1:]) if part != "")


def host_of(origin: Tokens) -> str:
    text = "".join(part if isinstance(part, str) else part.value or f"${part.name}" for part in without_user(origin))
    return re.sub(r"^https?://", "", text).rstrip("/").lower()
