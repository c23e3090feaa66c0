"""Templates `${{ expression }}` in strings and in whole trees of values (section 3).

A value is compiled once to a `Value`: a function from the scope to plain data. What has no template is a constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yaml_connector._expressions.filters import as_text
from yaml_connector._expressions.jinja import Expression, Reference, Scope, compile_expression, to_plain
from yaml_connector.errors import EvaluationError

OPEN, CLOSE = "${{", "}}"
# brackets and whole strings; a quote alone is one that is not closed
_MARK = re.compile(r"""[()\[\]{}]|'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"|['"]""", re.DOTALL)


@dataclass(frozen=True)
class Value:
    """A compiled value: `evaluate` gives plain data and raises EvaluationError when it cannot; `names` are the
    references; `constant` is True if the scope does not matter."""

    evaluate: Callable[[Scope], Any]
    names: frozenset[Reference] = frozenset()
    constant: bool = False


@dataclass(frozen=True)
class TextTemplate:
    """A string split into literal texts and expressions, in order."""

    parts: tuple[str | Expression, ...]

    @property
    def whole(self) -> Expression | None:
        """The one expression that the string consists of, if it does."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only if isinstance(only, Expression) else None

    @property
    def names(self) -> frozenset[Reference]:
        return frozenset().union(*(part.names for part in self.parts if isinstance(part, Expression)))


def has_template(text: str) -> bool:
    """Does this string hold a template?"""
    return OPEN in text


@lru_cache(maxsize=16384)
def parse_text(text: str, *, answer: bool = False) -> TextTemplate:
    """Split a string at its templates and compile them; raises EvaluationError that says where it is wrong."""
    parts: list[str | Expression] = []
    position = 0
    for start, end in find_templates(text):
        if start > position:
            parts.append(text[position:start])
        try:
            parts.append(compile_expression(text[start + len(OPEN) : end - len(CLOSE)], answer=answer))
        except EvaluationError as problem:
            raise EvaluationError(f"in the template at character {start + 1}: {problem}") from None
        position = end
    if position < len(text) or not parts:
        parts.append(text[position:])
    return TextTemplate(tuple(parts))


def find_templates(text: str) -> Iterator[tuple[int, int]]:
    """Where each template of a string starts and ends, braces included; raises EvaluationError at one without an
    end."""
    position = 0
    while (start := text.find(OPEN, position)) >= 0:
        end = _end_of_expression(text, start + len(OPEN))
        if end is None:
            if (found := text.find(CLOSE, start)) >= 0:
                yield start, found + len(CLOSE)  # something in it is not closed: its syntax error says what
            raise EvaluationError(f"the template that starts at character {start + 1} has no closing '{CLOSE}'")
        position = end + len(CLOSE)
        yield start, position


def _end_of_expression(text: str, position: int) -> int | None:
    """Where the closing braces stand that belong to the expression: not those inside strings or mappings."""
    depth = 0
    for found in _MARK.finditer(text, position):
        mark = found[0]
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            if depth == 0 and text.startswith(CLOSE, found.start()):
                return found.start()
            depth = max(0, depth - 1)
        elif len(mark) == 1:
            return None  # a quote that is not closed
    return None


def render_value(value: Any, expression: Expression) -> str:
    """A result as text inside a longer string; null is an error that names the expression."""
    value = to_plain(value)
    if value is None:
        raise EvaluationError(f"{OPEN} {expression.source.strip()} {CLOSE} is null, and stands inside a text")
    return as_text(value)


def compile_text(text: str, *, answer: bool = False) -> Value:
    """Compile one string: a whole template keeps its type, templates inside a text are written in."""
    if not has_template(text):
        return Value(lambda scope: text, constant=True)
    template = parse_text(text, answer=answer)
    if (whole := template.whole) is not None:
        evaluate = whole.evaluate

        def settled(scope: Scope) -> Any:
            value = evaluate(scope)
            return value if type(value) is str else to_plain(value)

        return Value(settled, template.names)
    parts = template.parts

    def render(scope: Scope) -> str:
        return "".join(part if isinstance(part, str) else render_value(part.evaluate(scope), part) for part in parts)

    return Value(render, template.names)


def compile_tree(tree: Any, *, answer: bool = False, leaf: Callable[[str], Value] | None = None) -> Value:
    """Compile any value: strings, and lists and mappings of them. A key whose template gives null is left out, a
    literal null is kept. `leaf` compiles the strings, when not as templates (extractions do)."""
    if isinstance(tree, str):
        return leaf(tree) if leaf else compile_text(tree, answer=answer)
    if isinstance(tree, Mapping):
        return _mapping({key: compile_tree(item, answer=answer, leaf=leaf) for key, item in tree.items()}, tree)
    if isinstance(tree, list):
        items = [compile_tree(item, answer=answer, leaf=leaf) for item in tree]
        if all(item.constant for item in items):
            return Value(lambda scope: tree, constant=True)
        return Value(lambda scope: [item.evaluate(scope) for item in items], _names(items))
    return Value(lambda scope: tree, constant=True)


def _mapping(items: dict[str, Value], tree: Mapping[str, Any]) -> Value:
    if all(item.constant for item in items.values()):
        return Value(lambda scope: tree, constant=True)
    pairs = [(key, item.evaluate, item.constant) for key, item in items.items()]

    def evaluate(scope: Scope) -> dict[str, Any]:
        result = {}
        for key, value_of, constant in pairs:
            value = value_of(scope)
            if value is not None or constant:
                result[key] = value
        return result

    return Value(evaluate, _names(items.values()))


def _names(values: Any) -> frozenset[Reference]:
    return frozenset().union(*(value.names for value in values))
