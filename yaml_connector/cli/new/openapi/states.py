"""Finds where a response has the job's state, and which states there are."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.openapi.document import Document, Node, Operation, bare
from yaml_connector.cli.new.phases import MESSAGES
from yaml_connector.cli.new.words import phase_of

# Where the API's own words about a job are: at the top, or below a part with such a name.
_OF_THE_JOB = re.compile(
    r"(?i)\$(\.(data|job|run|task|build|result|attributes|operation|status|state|reason|failure\w*|\w*error\w*))*\.\w+$"
)


def scalars_of(call: Operation) -> list[tuple[str, str]]:
    """Return the path and the name, in lower case, of each scalar in the response of a call, outer ones first."""
    return [(where, name.lower()) for where, name, about in call.fields if call.document.is_scalar(about)]


def message_place(call: Operation) -> str | None:
    """Return where the response of a call has the API's own words for how the job is doing."""
    fields: dict[str, str] = {}
    for where, name in scalars_of(call):
        if _OF_THE_JOB.match(where):
            fields.setdefault(_plain(name), where)
    return next((fields[name] for name in map(_plain, MESSAGES) if name in fields), None)


def id_place(call: Operation, names: list[str], below: str = "$") -> str | None:
    """Return where the response of a call has an id: a field with one of the names, or one that such a call has."""
    noun = bare(call.path).rstrip("/{}").rpartition("/")[2].removesuffix("s")
    words = [*names, f"{noun}_id", f"{noun}id", "id", "uuid", "uid", "name", "key"]
    fields = [(where, _plain(name)) for where, name in scalars_of(call)]
    fields = [(where, name) for where, name in fields if where.startswith(f"{below}.")]
    return next((where for word in words for where, name in fields if name == _plain(word)), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def states_of(call: Operation) -> tuple[str, dict[Any, str]] | None:
    """Return the path of the state in the response to a GET, and its values, each with the API's word for it.

    Of several fields, the one with most known words is taken.
    """
    document = call.document
    found: tuple[int, str, dict[Any, str]] | None = None
    for path, name, about in call.fields:
        if not re.search(r"status|state|phase", name, re.IGNORECASE):
            continue
        many = "array" in document.kinds(about)
        values = values_of(document, document.node(about.get("items")) if many else about)
        known = sum(phase_of(word) is not None for word in values.values())
        if known > (found[0] if found else 0):
            found = (known, path + ("[*]" if many else ""), values)
    return (found[1], found[2]) if found else None


def state_place(call: Operation) -> str:
    """Guess the path of the state if the document lists no values: the outermost field with a suitable name."""
    document = call.document
    for path, name, about in call.fields:
        is_named = name.lower() in ("status", "state", "phase")
        if is_named and document.is_scalar(about) and "boolean" not in document.kinds(about):
            return path
    return "$.status"


def values_of(document: Document, about: Node) -> dict[Any, str]:
    """Return the values of a state: from `enum` and `const`, or from a table `1: Queued` in the description."""
    values: dict[Any, str] = {}
    for form in document.options(about):
        for value in [*(form.get("enum") or []), *([form["const"]] if "const" in form else [])]:
            if isinstance(value, str):
                values[value] = value
        names = form.get("x-enum-varnames") or form.get("x-enumNames") or []
        numbers = [value for value in form.get("enum") or [] if isinstance(value, int)]
        if numbers and len(names) == len(numbers):
            values |= dict(zip(numbers, map(str, names), strict=True))
    if not values:
        told = re.findall(r"(?m)^\W*(-?\d{1,4})\W*[:=-]\W*([A-Za-z][\w -]*?)\W*$", str(about.get("description", "")))
        values = {int(number): word for number, word in told}
    return values
