"""Makes the work of jsonpath-ng's parsed paths count, and lets them search with our own patterns.

Only `jsonpath.py` imports this, when a path is not plain: the library takes long to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsonpath_ng.ext.arithmetic import Operation
from jsonpath_ng.ext.filter import Expression, Filter
from jsonpath_ng.ext.iterable import Keys, SortedThis
from jsonpath_ng.ext.string import Str, Sub
from jsonpath_ng.jsonpath import DatumInContext, Descendants, JSONPath, Slice, Wildcard

from yaml_connector._expressions.budget import check_operator, consume, cost
from yaml_connector._expressions.regex import Pattern, compile_regex

_STEP = 2000  # nanoseconds
_MATCH = 1500


def counted_path(node: Any) -> Any:
    """Return a part of a parsed path whose work counts, with all parts in it. Raises EvaluationError for a pattern that
    is not valid."""
    if isinstance(node, list | tuple):
        return type(node)(counted_path(item) for item in node)
    if not isinstance(node, JSONPath):
        return node
    if isinstance(node, Sub):
        pattern = compile_regex(node.expr)
        pattern.replacement(node.repl)
        return _counted(_Substitute(pattern, node.repl))
    for name, value in vars(node).items():
        setattr(node, name, counted_path(value))
    if isinstance(node, Descendants):  # what it visits is looked at by its right side first
        node.right = _with_children(node.right)
    if isinstance(node, Wildcard | Slice | Filter | Keys | SortedThis):
        node = _with_children(node)
    if isinstance(node, Expression) and node.op == "=~":
        return _counted(_Matches(node.target, compile_regex(str(node.value))))
    return _counted(node)


class _Matches(JSONPath):
    """`TARGET =~ PATTERN`."""

    def __init__(self, target: Any, pattern: Pattern) -> None:
        self.target, self.pattern = target, pattern

    def find(self, datum: Any) -> list[Any]:
        found = self.target.find(DatumInContext.wrap(datum))
        return [match for match in found if isinstance(match.value, str) and self.pattern.search(match.value)]


class _Substitute(JSONPath):
    """`sub(/PATTERN/, NEW)`."""

    def __init__(self, pattern: Pattern, new: str) -> None:
        self.pattern, self.new = pattern, new

    def find(self, datum: Any) -> list[Any]:
        value = DatumInContext.wrap(datum).value
        replaced = self.pattern.replace(value, self.new)
        return [] if replaced == value else [DatumInContext.wrap(replaced)]


def _with_children(node: Any) -> Any:
    """Let a part count the items of a list or mapping before it visits them."""
    find = node.find

    def counting(datum: Any) -> Any:
        value = DatumInContext.wrap(datum).value
        if isinstance(value, dict | list):
            consume(_MATCH * len(value))
        return find(datum)

    node.find = counting
    return node


def _counted(node: Any) -> Any:
    """Let a part count itself and its matches."""
    find = node.find

    def counting(datum: Any) -> Any:
        consume(_STEP)
        if isinstance(node, Str):
            consume(cost(DatumInContext.wrap(datum).value))
        elif isinstance(node, Expression) and isinstance(node.value, JSONPath):  # it compares each with each
            wrapped = DatumInContext.wrap(datum)
            consume(_STEP * len(node.target.find(wrapped)) * len(node.value.find(wrapped)))
        found = find(datum)
        if isinstance(found, list):
            consume(_MATCH * len(found))
        return found

    if isinstance(node, Operation):
        node.op = _checked(node.op_symbol, node.op)
    node.find = counting
    return node


def _checked(symbol: str, operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(left: Any, right: Any) -> Any:
        check_operator(symbol, left, right)
        return operator(left, right)

    return checked
