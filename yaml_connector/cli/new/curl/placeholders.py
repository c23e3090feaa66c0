"""Placeholders of documentation in the commands: `<JOB_ID>`, `{job_id}`, `{{token}}`, `:id`, `YOUR_API_KEY`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.tokens import Leaf, Tokens, Variable, joined
from yaml_connector.cli.new.sketch import each_leaf

_ANY = (
    r"<([A-Za-z][\w .-]*)>|\{\{\s*\$?([A-Za-z_][\w.-]*)\s*\}\}|\[([A-Z][A-Z0-9_]{2,})\]|"
    r"\b(YOUR_[A-Z0-9_]+)\b|\b(your-[a-z-]+)\b"
)
_IN_URL = re.compile(_ANY + r"|\{([A-Za-z_][\w-]*)\}|(?<=/):([A-Za-z_]\w*)(?=/|$)")
_IN_HEADER = re.compile(_ANY + r"|\{([A-Za-z_][\w-]*)\}")
_WHOLE = re.compile(
    r"<([A-Za-z][\w .-]*)>|\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}|(YOUR_[A-Z0-9_]+)|(your-[a-z-]+)|"
    r"\{([A-Z_]+|[a-z]+_[a-z_]+)\}"
)
_INSIDE = re.compile(r"<([A-Z][A-Z0-9_]+)>")


def name_placeholders(calls: Iterable[Call]) -> None:
    """Make variables of the placeholders in all calls of a page."""
    for call in calls:
        call.origin = _replaced(call.origin, _IN_URL)
        call.path = _replaced(call.path, _IN_URL)
        call.query = [(name, _replaced(tokens, _IN_HEADER)) for name, tokens in call.query]
        call.headers = [(name, _replaced(tokens, _IN_HEADER)) for name, tokens in call.headers]
        call.user = _replaced(call.user, _IN_HEADER) if call.user is not None else None
        call.body = each_leaf(call.body, _in_leaf)


def _replaced(tokens: Tokens, pattern: re.Pattern[str]) -> Tokens:
    return joined(piece for part in tokens for piece in (_pieces(part, pattern) if isinstance(part, str) else (part,)))


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[str | Variable]:
    end = 0
    for found in pattern.finditer(text):
        yield text[end : found.start()]
        yield Variable(next(name for name in found.groups() if name))
        end = found.end()
    yield text[end:]


def _in_leaf(value: Any) -> Any:
    if isinstance(value, str):
        tokens = _of_text(value)
        return value if tokens == (value,) or tokens == () else Leaf(tokens)
    if isinstance(value, Leaf):
        parts = [piece for part in value.tokens for piece in (_of_text(part) if isinstance(part, str) else (part,))]
        return Leaf(joined(parts) or ("",), value.bare)
    return value


def _of_text(text: str) -> Tokens:
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return (Variable(next(name for name in whole.groups() if name)),)
    return joined(_pieces(text, _INSIDE))
