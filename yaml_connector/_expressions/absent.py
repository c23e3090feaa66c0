"""Finds what an extraction or an expression looked for in vain: where, and which names are there instead.

Only for messages: it is called once something was not found, and its work is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jinja2.runtime import Undefined

from yaml_connector._expressions.compile import Extraction
from yaml_connector._expressions.jinja import ANSWER, Reference
from yaml_connector._expressions.jsonpath import EVERY, leading_steps
from yaml_connector._expressions.scope import MISSING, RESPONSE_NAMES, Scope
from yaml_connector._text import did_you_mean, short_name

MOST_NAMES = 100
_MOST_LOOKED_AT = 2000  # values
_PLAIN_TEXTS = {str, int, float, bool, type(None)}


@dataclass(frozen=True)
class Absent:
    """A name or index that is not at `place` (`$.data`, `body.data`); "": nothing there matches the path.

    `names` are those that are there, `elsewhere` is where the name is instead, if it is anywhere. `instead` says what
    is at the place if it has no names.
    """

    place: str
    name: str
    names: list[str]
    instead: str = ""
    elsewhere: str = ""

    def __str__(self) -> str:
        if not self.name:
            return f"nothing in {self.place}, {self.instead}, matches the rest of the path;{self._there()}"
        wanted = f"there is no {short_name(self.name)}" + (f" in {self.place}" if self.place else "")
        if self.elsewhere:
            return f"{wanted}; did you mean {self.elsewhere}?{self._there()}"
        if self.names:
            return wanted + did_you_mean(self.name, self.names, what="there is")
        return f"{wanted}, {self.instead}" if self.instead else wanted

    def _there(self) -> str:
        names = ", ".join(map(short_name, self.names[:40]))
        return f" there is: {names}" if names else " there are no names"


def absent_in(extraction: Extraction, scope: Scope) -> Absent | None:
    """Return what an extraction that gave nothing looked for in vain; None if that cannot be told."""
    if extraction.is_path:
        ((root,),) = extraction.names
        return absent_at(extraction.text, scope.get(str(root)))
    return absent_of(extraction.names, scope)


def absent_at(path: str, document: Any) -> Absent | None:
    """Return what a JSONPath looked for in vain in a document; None if that cannot be told."""
    if document is MISSING or isinstance(document, Undefined):
        return None
    found, place = [document], "$"
    for step in leading_steps(path):
        if step is EVERY:
            inner = [item for value in found for item in islice(_items(value), MOST_NAMES)]
        else:
            children = (_child(value, step) for value in found if isinstance(value, list) == isinstance(step, int))
            inner = [child for child in children if child is not MISSING]
        if not inner:
            return _absent(place, str(step) if step is not EVERY else "item", found, document)
        found = inner[:MOST_NAMES]
        place += "[*]" if step is EVERY else f"[{step}]" if isinstance(step, int) else _key(step)
    return _absent(place, "", [*found, *(item for value in found for item in islice(_items(value), MOST_NAMES))], None)


def absent_of(names: Iterable[Reference], scope: Scope) -> Absent | None:
    """Return the first reference of an expression that is not there, and what is there instead."""
    for reference in sorted(names, key=repr):
        root, *keys = reference
        value = scope.get(str(root))
        if value is MISSING:
            return None
        if isinstance(value, Undefined):
            return Absent("", str(root), [], "the response is not JSON" if root == "body" else "")
        place = str(root)
        for key in keys:
            inner = _child(value, key)
            if inner is MISSING:
                return _absent(place, str(key), [value], scope.get("body") if root == "body" else None)
            value = inner
            place += f"[{key}]" if isinstance(key, int) else _key(str(key))
    return None


def unknown_name(names: Iterable[Reference], scope: Scope) -> Absent | None:
    """Return the first name that expressions on a response do not know; None if they know all."""
    unknown = sorted(str(name[0]) for name in names if scope.get(str(name[0])) is MISSING)
    unknown = [name for name in unknown if name not in ANSWER.globals]
    if not unknown:
        return None
    return Absent("", unknown[0], list(RESPONSE_NAMES), elsewhere=_elsewhere(unknown[0], scope.get("body"), "body"))


def _child(value: Any, key: str | int) -> Any:
    """Return what a mapping or list has at a key, else MISSING."""
    if isinstance(value, Mapping):
        return value.get(key, MISSING)
    is_index = isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value)
    return value[key] if is_index else MISSING


def _absent(place: str, name: str, found: list[Any], document: Any) -> Absent:
    names = list(islice(dict.fromkeys(str(key) for value in found for key in _keys(value)), MOST_NAMES))
    root = "$" if place.startswith("$") else "body"
    return Absent(place, name, names, _kind(found[0]), _elsewhere(name, document, root))


def _keys(value: Any) -> Iterator[Any]:
    return islice(iter(value), MOST_NAMES) if isinstance(value, Mapping) else iter(())


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "a mapping" if value else "which is empty"
    return "which is null" if value is None else f"which is a {'text' if isinstance(value, str) else 'single value'}"


def _key(name: str) -> str:
    return f".{name}" if name.isidentifier() and name.isascii() else f"[{name!r}]"


def _elsewhere(name: str, document: Any, root: str) -> str:
    """Return the path of the first value of this name in a document, level by level; "" if there is none."""
    level = [(root, document)]
    left = _MOST_LOOKED_AT
    while level and left > 0:
        below = []
        for place, value in level:
            children: Iterable[tuple[str, Any]] = ()
            if isinstance(value, Mapping):
                if name in value:
                    return place + _key(name)
                children = ((place + _key(str(key)), item) for key, item in islice(value.items(), MOST_NAMES))
            elif isinstance(value, list):
                children = ((f"{place}[{index}]", item) for index, item in enumerate(value[:MOST_NAMES]))
            below += [pair for pair in children if type(pair[1]) not in _PLAIN_TEXTS]
            left -= MOST_NAMES if isinstance(value, Mapping | list) else 1
            if left <= 0:
                break
        level = below
    return ""
