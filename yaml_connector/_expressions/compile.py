"""Compiles what a field of a spec may hold: templates, trees of them, extractions and conditions.

Each is compiled once, to a function from a `Scope` to plain data and the names that it refers to. A plain chain of
names (`inputs.name`, `job.id`) is a loop over keys; every other expression is Jinja's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

from jinja2.exceptions import TemplateError as JinjaError
from jinja2.runtime import Undefined

from yaml_connector._expressions.budget import reset
from yaml_connector._expressions.jinja import (
    ANSWER,
    REQUEST,
    Reference,
    Sandbox,
    compile_parsed,
    parse,
    references,
    to_plain,
)
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._expressions.lint import lint, uncalled_function
from yaml_connector._expressions.scope import MISSING, Scope, StrictUndefined, reader
from yaml_connector.errors import EvaluationError

LONGEST_SOURCE = 10_000  # characters of one expression
OPEN, CLOSE = "${{", "}}"
# brackets and whole strings; a quote alone is one that is not closed
_MARK = re.compile(r"""[()\[\]{}]|'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"|['"]""", re.DOTALL)
_CHAIN = re.compile(r"\s*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\['[^'\\]+'\]|\[\d+\])*\s*")
_CHAIN_PART = re.compile(r"\[(?P<index>\d+)\]|\['(?P<quoted>[^'\\]+)'\]|(?P<name>[A-Za-z_]\w*)")
_KEYWORDS = {"true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"}


class _PickledAsSource:
    """Pickled as what it was compiled from; `origin` compiles it again."""

    origin: Callable[[], Any] | None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.origin is None:
            raise TypeError("this value is a part of another, and cannot be pickled alone")
        return self.origin, ()


@dataclass(frozen=True)
class Expression(_PickledAsSource):
    """A compiled expression. `names` are its references (`("inputs", "name")`); `evaluate` raises EvaluationError if
    the expression has no value; `warnings` are about likely mistakes in it."""

    source: str
    names: frozenset[Reference]
    evaluate: Callable[[Scope], Any]
    origin: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Value(_PickledAsSource):
    """A compiled value. `evaluate` returns plain data and raises EvaluationError if there is none; `names` are its
    references; a `constant` does not depend on the scope."""

    evaluate: Callable[[Scope], Any]
    names: frozenset[Reference] = frozenset()
    constant: bool = False
    origin: Callable[[], Any] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Extraction(_PickledAsSource):
    """A compiled extraction.

    `value` is for a place where one value or a list may be, `first` where one value is expected, `every` where a list
    is expected. Each returns plain data; None, or an empty list, if there is nothing. `text` is the extraction as
    written, for messages. `first_in` is `first`, but given the root of the scope alone, for a JSONPath whose work need
    not be counted.
    """

    value: Callable[[Scope], Any]
    first: Callable[[Scope], Any]
    every: Callable[[Scope], list[Any]]
    names: frozenset[Reference]
    text: str
    is_path: bool = False
    origin: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    first_in: Callable[[Any], Any] | None = field(default=None, repr=False, compare=False)


Compiled = Value | Extraction | Expression
Made = TypeVar("Made")


def if_given(compile_part: Callable[[Any], Made], raw: Any) -> Made | None:
    """Compile a part of a spec that may be left out; None then."""
    return None if raw is None else compile_part(raw)


def names_of(*parts: Any) -> frozenset[Reference]:
    """Return the references of all compiled parts; None is a part that is not there."""
    return frozenset().union(*(part.names for part in parts if part is not None))


def compile_field(kind: str, raw: Any, *, root: str = "body") -> Compiled:
    """Compile a field of a spec by its kind: `template` (a string or a tree of them), `extraction` (a JSONPath reads
    the name `root`), `extractions` (a mapping of them) or `condition`. Raises EvaluationError."""
    match kind:
        case "template":
            return compile_tree(raw)
        case "extraction":
            return compile_extraction(raw, root=root)
        case "extractions":
            return compile_extractions(raw)
        case "condition":
            return compile_condition(raw)
    raise ValueError(kind)


# --- expressions ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def compile_expression(source: str, *, answer: bool) -> Expression:
    """Compile an expression of the dialect for requests, or for answers, and check its syntax, filters and tests.

    Raises EvaluationError that says where the text is wrong.
    """
    environment = ANSWER if answer else REQUEST
    origin = partial(compile_expression, source, answer=answer)
    if len(source) > LONGEST_SOURCE:
        raise EvaluationError(f"an expression may not be longer than {LONGEST_SOURCE} characters")
    if _CHAIN.fullmatch(source):
        keys = tuple(int(m["index"]) if m["index"] else m["quoted"] or m["name"] for m in _CHAIN_PART.finditer(source))
        if keys[0] not in _KEYWORDS:
            read = _chain(environment, str(keys[0]), keys[1:], source)
            warned = (uncalled_function(str(keys[0])),) if keys[0] in environment.globals else ()
            return Expression(source, frozenset([keys]), read, origin, warned)
    try:
        tree = parse(environment, source)
        found = tuple(lint(tree, environment.globals))
        return Expression(source, frozenset(references(tree)), compile_parsed(environment, tree, source), origin, found)
    except RecursionError:
        raise EvaluationError("the expression is nested too deeply") from None


def compile_condition(source: str | bool) -> Expression:
    """Compile a condition: an expression of the dialect for answers whose value counts as true or false."""
    if isinstance(source, bool):
        return Expression(str(source), frozenset(), lambda scope: source, partial(compile_condition, source))
    return compile_expression(source, answer=True)


def _chain(environment: Sandbox, root: str, keys: Reference, source: str) -> Callable[[Scope], Any]:
    read = reader(root)

    def evaluate(scope: Scope) -> Any:
        try:
            value = read(scope)
            if value is MISSING:
                value = environment.undefined(name=root)
            for key in keys:
                try:
                    value = value[key]
                except (KeyError, TypeError, IndexError):
                    value = environment.getitem(value, key)
        except JinjaError as error:
            raise EvaluationError(f"${{{{ {source.strip()} }}}}: {error}") from None
        if isinstance(value, StrictUndefined):
            raise EvaluationError(f"${{{{ {source.strip()} }}}}: {value._undefined_message}")
        return value

    return evaluate


# --- templates ------------------------------------------------------------------------------------------------------


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
        return names_of(*(part for part in self.parts if isinstance(part, Expression)))


def has_template(text: str) -> bool:
    """Tell whether a string holds a template."""
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
    """Yield where each template of a string starts and ends, braces included; raises EvaluationError at one without
    an end."""
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
    """Return where the closing braces of the expression are: not those inside strings or mappings."""
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
    """Return a result as text inside a longer string; null is an error that names the expression."""
    value = to_plain(value)
    if value is None:
        raise EvaluationError(f"{OPEN} {expression.source.strip()} {CLOSE} is null, and there is text around it")
    return as_text(value)


def compile_text(text: str, *, answer: bool = False) -> Value:
    """Compile one string: a whole template keeps its type, templates inside a text are written in."""
    origin = partial(compile_text, text, answer=answer)
    if not has_template(text):
        return Value(lambda scope: text, constant=True, origin=origin)
    template = parse_text(text, answer=answer)
    if (whole := template.whole) is not None:
        evaluate = whole.evaluate

        def settled(scope: Scope) -> Any:
            value = evaluate(scope)
            return value if type(value) is str else to_plain(value)

        return Value(settled, template.names, origin=origin)
    parts = template.parts

    def render(scope: Scope) -> str:
        return "".join(part if isinstance(part, str) else render_value(part.evaluate(scope), part) for part in parts)

    return Value(render, template.names, origin=origin)


def compile_tree(tree: Any, *, answer: bool = False, leaf: Callable[[str], Value] | None = None) -> Value:
    """Compile any value: strings, and lists and mappings of them. A key whose template is null is left out, a
    literal null is kept. `leaf` compiles the strings, when not as templates (extractions do)."""
    if isinstance(tree, str):
        return leaf(tree) if leaf else compile_text(tree, answer=answer)
    if isinstance(tree, Mapping):
        return _mapping({key: compile_tree(item, answer=answer, leaf=leaf) for key, item in tree.items()}, tree)
    if isinstance(tree, list):
        items = [compile_tree(item, answer=answer, leaf=leaf) for item in tree]
        if all(item.constant for item in items):
            return Value(lambda scope: tree, constant=True)
        return Value(lambda scope: [item.evaluate(scope) for item in items], names_of(*items))
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

    return Value(evaluate, names_of(*items.values()))


# --- extractions -----------------------------------------------------------------------------------------------------


def is_path(raw: Any) -> bool:
    """Tell whether an extraction is a JSONPath."""
    return isinstance(raw, str) and raw.startswith("$") and not raw.startswith(OPEN)


def has_expression(raw: Any) -> bool:
    """Tell whether an extraction reads anything: it is a JSONPath, or holds a template."""
    if isinstance(raw, Mapping | list):
        return any(map(has_expression, raw.values() if isinstance(raw, Mapping) else raw))
    return isinstance(raw, str) and (is_path(raw) or has_template(raw))


def compile_extraction(raw: Any, *, root: str = "body") -> Extraction:
    """Compile an extraction; a JSONPath reads the value named `root` of the scope. Raises EvaluationError."""
    origin = partial(compile_extraction, raw, root=root)
    if not is_path(raw):
        value = compile_text(raw, answer=True) if isinstance(raw, str) else compile_tree(raw, answer=True)
        evaluate = value.evaluate
        return Extraction(
            evaluate,
            evaluate,
            lambda scope: _as_list(evaluate(scope)),
            value.names,
            raw if isinstance(raw, str) else "",
            origin=origin,
        )
    path = compile_path(raw)
    find, find_first, read = path.find, path.first, reader(root)

    def every(scope: Scope) -> list[Any]:
        document = read(scope)
        return [] if isinstance(document, Undefined) else find(document)

    def first(scope: Scope) -> Any:
        document = read(scope)
        return None if isinstance(document, Undefined) else find_first(document)

    read_all, read_first = (_evaluation(every), _evaluation(first)) if path.counts else (every, first)
    value_of = read_all if path.many else read_first
    first_in = None if path.counts else find_first
    names = frozenset([(root,)])
    return Extraction(value_of, read_first, read_all, names, raw, is_path=True, origin=origin, first_in=first_in)


def _evaluation(read: Callable[[Scope], Any]) -> Callable[[Scope], Any]:
    """Return the function as an evaluation of its own."""

    def evaluate(scope: Scope) -> Any:
        reset()
        return read(scope)

    return evaluate


def compile_extractions(raw: Any) -> Value:
    """Compile a mapping of extractions (`save`, `info`), or one template for the whole mapping."""
    if isinstance(raw, str):
        return compile_text(raw, answer=True)

    def leaf(text: str) -> Value:
        extraction = compile_extraction(text)
        return Value(extraction.value, extraction.names, constant=not extraction.names and not extraction.is_path)

    return replace(compile_tree(raw, answer=True, leaf=leaf), origin=partial(compile_extractions, raw))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
