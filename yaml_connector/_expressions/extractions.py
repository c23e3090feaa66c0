"""Extractions: where a value is read from an answer (section 3): a JSONPath, a template, or a literal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2.runtime import Undefined

from yaml_connector._expressions.compile import OPEN, Value, compile_text, compile_tree
from yaml_connector._expressions.jinja import Reference, Scope
from yaml_connector._expressions.jsonpath import compile_path


@dataclass(frozen=True)
class Extraction:
    """A compiled extraction.

    `value` is what it means where one value or a list may stand, `first` where one value is expected, `every` where a
    list is; each gives plain data (None, or an empty list, for nothing). `path` is the JSONPath, for messages.
    """

    value: Callable[[Scope], Any]
    first: Callable[[Scope], Any]
    every: Callable[[Scope], list[Any]]
    names: frozenset[Reference]
    text: str
    is_path: bool = False


def is_path(raw: Any) -> bool:
    """Is this extraction a JSONPath?"""
    return isinstance(raw, str) and raw.startswith("$") and not raw.startswith(OPEN)


def compile_extraction(raw: Any, *, root: str = "body") -> Extraction:
    """Compile an extraction; a JSONPath reads the value named `root` of the scope. Raises EvaluationError."""
    if not is_path(raw):
        value = compile_text(raw, answer=True) if isinstance(raw, str) else compile_tree(raw, answer=True)
        evaluate = value.evaluate
        return Extraction(
            evaluate,
            evaluate,
            lambda scope: _as_list(evaluate(scope)),
            value.names,
            raw if isinstance(raw, str) else "",
        )
    path = compile_path(raw)
    find, find_first = path.find, path.first

    def every(scope: Scope) -> list[Any]:
        document = scope[root]
        return [] if isinstance(document, Undefined) else find(document)

    def first(scope: Scope) -> Any:
        document = scope[root]
        return None if isinstance(document, Undefined) else find_first(document)

    value_of = every if path.many else first
    return Extraction(value_of, first, every, frozenset([(root,)]), raw, is_path=True)


def compile_extractions(raw: Any) -> Value:
    """Compile a mapping of extractions (`save`, `info`), or one template that gives the whole mapping."""
    if isinstance(raw, str):
        return compile_text(raw, answer=True)

    def leaf(text: str) -> Value:
        extraction = compile_extraction(text)
        return Value(extraction.value, extraction.names, constant=not extraction.names and not extraction.is_path)

    return compile_tree(raw, answer=True, leaf=leaf)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
