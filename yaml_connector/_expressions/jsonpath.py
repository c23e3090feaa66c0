"""JSONPath, compiled once.

The plain paths that nearly every spec uses (`$.a.b[0]`, `$['a-b']`, `$.items[*].id`) become a loop over keys;
everything else goes to jsonpath-ng's extended parser, which takes milliseconds to build and is imported only then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2.exceptions import SecurityError

from yaml_connector._expressions.budget import consume
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

LONGEST_EXTENDED = 2000  # characters of a path that is not plain
EVERY = object()  # the step `[*]`
_NOTHING = object()
_ITEM = 100  # nanoseconds
_PLAIN_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>\d+)\]|\[(?P<every>\*)\]|\['(?P<quoted>[^'\\]+)'\]"
)
_PLACE = re.compile(r"Error on line (\d+), col (\d+)|Parse error at (\d+):(\d+)")
_RESERVED = {"parent", "where", "wherenot", "len", "sub", "split", "sorted", "str", "path", "keys"}


@dataclass(frozen=True)
class Path:
    """A compiled JSONPath: `find` returns all matches in a document, `first` the first one, or None; `many` if it can
    match several places, `counts` if its work counts."""

    text: str
    many: bool
    counts: bool
    find: Callable[[Any], list[Any]]
    first: Callable[[Any], Any]

    def value(self, document: Any) -> Any:
        """Return what the path means where either one value or a list may be: a list if it can match several places,
        else the match, or None."""
        return self.find(document) if self.many else self.first(document)


@lru_cache(maxsize=16384)
def compile_path(text: str) -> Path:
    """Compile a JSONPath; raises EvaluationError that says where in the text it is wrong."""
    steps = _plain_steps(text)
    if steps is not None:
        return _plain(text, steps)
    return _extended(text)


@lru_cache(maxsize=128)
def compile_given_path(text: str) -> Path:
    """Compile a JSONPath of a template, which need not be the spec's own; raises EvaluationError as `compile_path`."""
    if len(text) > LONGEST_EXTENDED:
        raise EvaluationError(f"jsonpath: a path has at most {LONGEST_EXTENDED} characters, and this one {len(text)}")
    return compile_path.__wrapped__(text)


def _plain_steps(text: str) -> tuple[Any, ...] | None:
    """Return the steps of a path that is plain as a whole, else None."""
    if not text.startswith("$"):
        return None
    *steps, rest = _steps(text)
    return None if rest else tuple(steps)


def leading_steps(text: str) -> tuple[Any, ...]:
    """Return the plain steps with which a path begins: names, indices, and EVERY for `[*]`."""
    return tuple(_steps(text))[:-1]


def _steps(text: str) -> Iterator[Any]:
    """Yield the plain steps of a path, and at last the rest of it, which is empty if all steps are plain."""
    position = 1
    while (match := _PLAIN_STEP.match(text, position)) is not None:
        name = match["name"] or match["quoted"]
        if name in _RESERVED or name == "*":
            break
        yield EVERY if match["every"] else int(match["index"]) if match["index"] else name
        position = match.end()
    yield text[position:]


def _plain(text: str, steps: tuple[Any, ...]) -> Path:
    if EVERY in steps:
        return _path(text, True, _every_finder(steps))

    first = _at_key(steps[0]) if len(steps) == 1 and type(steps[0]) is str else _at(steps)

    def find(document: Any) -> list[Any]:
        found = first(document, _NOTHING)
        return [] if found is _NOTHING else [found]

    return Path(text, False, False, find, first)


def _at_key(key: str) -> Callable[..., Any]:
    """Return a function that reads one field, as for every line of a log."""

    def first(document: Any, default: Any = None) -> Any:
        return document.get(key, default) if isinstance(document, dict) else default

    return first


def _at(steps: tuple[Any, ...]) -> Callable[..., Any]:
    def first(document: Any, default: Any = None) -> Any:
        for step in steps:
            if type(step) is str:
                if not isinstance(document, dict) or step not in document:
                    return default
            elif not isinstance(document, list) or step >= len(document):
                return default
            document = document[step]
        return document

    return first


def _path(text: str, many: bool, find: Callable[[Any], list[Any]]) -> Path:
    def first(document: Any) -> Any:
        found = find(document)
        return found[0] if found else None

    return Path(text, many, True, find, first)


def _every_finder(steps: tuple[Any, ...]) -> Callable[[Any], list[Any]]:
    def find_all(document: Any) -> list[Any]:
        found = [document]
        for step in steps:
            consume(_ITEM * len(found))
            if step is EVERY:
                found = [item for value in found for item in _items(value)]
            elif type(step) is str:
                found = [value[step] for value in found if isinstance(value, dict) and step in value]
            else:
                found = [value[step] for value in found if isinstance(value, list) and step < len(value)]
        return found

    return find_all


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


def _extended(text: str) -> Path:
    if len(text) > LONGEST_EXTENDED:
        raise EvaluationError(f"{short(text)} is not a valid JSONPath: it is longer than {LONGEST_EXTENDED} characters")

    from jsonpath_ng import jsonpath
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext.parser import parse

    from yaml_connector._expressions.counted_jsonpath import counted_path

    try:
        parsed = parse(text)
    except JSONPathError as error:
        raise EvaluationError(f"{text!r} is not a valid JSONPath: {_why(text, error)}") from None
    except Exception as error:  # the parser lets IndexError, AttributeError and the like escape on odd input
        raise EvaluationError(f"{text!r} is not a valid JSONPath: {_one_line(error)}") from None

    single = (jsonpath.Root, jsonpath.This, jsonpath.Child, jsonpath.Index)

    def may_match_many(node: Any) -> bool:
        if isinstance(node, jsonpath.Fields):
            return len(node.fields) != 1 or node.fields[0] == "*"
        if isinstance(node, jsonpath.Index):
            return len(getattr(node, "indices", (0,))) != 1
        if isinstance(node, jsonpath.Child):
            return may_match_many(node.left) or may_match_many(node.right)
        if type(node).__module__.endswith((".string", ".arithmetic", ".iterable")) and hasattr(node, "find"):
            return False  # functions over one value: `len`, `sub`, `split` ...
        return not isinstance(node, single)

    try:
        many = may_match_many(parsed)
        counted = counted_path(parsed)
    except RecursionError:
        raise EvaluationError(f"{short(text)} is not a valid JSONPath: it is nested too deeply") from None
    except EvaluationError as problem:
        raise EvaluationError(f"{text!r} is not a valid JSONPath: {problem}") from None

    def find(document: Any) -> list[Any]:
        try:
            return [match.value for match in counted.find(document)]
        except SecurityError as error:
            raise EvaluationError(f"{text}: {error}") from None
        except Exception:  # an extended operator on a value of another type: nothing matches
            return []

    return _path(text, many, find)


def _why(text: str, error: Exception) -> str:
    """Say what the parser dislikes in a path, which its own messages tell in the terms of parsers."""
    said = _one_line(error)
    if said.endswith("end of string!"):
        return "something is missing at its end"
    if "EOF" in said:
        return "a quote in it is not closed"
    place = _PLACE.search(said)
    if place is None:
        return said
    line, column = int(place[1] or place[3]), int(place[2] or place[4])  # from 1 and from 0
    at = sum(map(len, text.split("\n")[: line - 1])) + line - 2 + column if line > 1 else column
    return f"{short(text[at:])} cannot follow {short(text[:at])}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
