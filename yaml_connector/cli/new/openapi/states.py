"""Finds where a response has the job's state, and which states there are."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.openapi.document import Document, Node
from yaml_connector.cli.new.words import phase_of


def states_of(document: Document, asked: str) -> tuple[str, dict[Any, str]] | None:
    """Return the path of the state in the response to a GET, and its values, each with the API's word for it.

    Of several fields, the one with most known words is taken.
    """
    found: tuple[int, str, dict[Any, str]] | None = None
    for path, name, about in document.fields(document.response(asked, "get")):
        if not re.search(r"status|state|phase", name, re.IGNORECASE):
            continue
        many = "array" in document.kinds(about)
        values = values_of(document, document.node(about.get("items")) if many else about)
        known = sum(phase_of(word) is not None for word in values.values())
        if known > (found[0] if found else 0):
            found = (known, path + ("[*]" if many else ""), values)
    return (found[1], found[2]) if found else None


def state_place(document: Document, asked: str) -> str:
    """Guess the path of the state if the document lists no values: the outermost field with a suitable name."""
    for path, name, about in document.fields(document.response(asked, "get")):
        if name.lower() in ("status", "state", "phase") and not document.kinds(about) & {"object", "array", "boolean"}:
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
