"""Expressions: Jinja2's expression syntax in a bounded sandbox, compiled once, with the names they use.

Two dialects differ in what a missing field is. In a *request* it is an error that says what does exist. In what is read
from an *answer* it is undefined: false, comparisons with it are false, and so is every further field of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, cast

from jinja2 import nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from yaml_connector._expressions.budget import (
    bounded_filter,
    bounded_test,
    check_method,
    check_operator,
    check_slice,
    consume,
    count_result,
    reset,
    small_range,
)
from yaml_connector._expressions.filters import FILTERS, FUNCTIONS, REPLACED, PathText
from yaml_connector._expressions.lint import all_nodes
from yaml_connector._expressions.regex import compile_regex
from yaml_connector._expressions.scope import MISSING, LenientUndefined, Scope, SkippedStep, StrictUndefined
from yaml_connector._text import did_you_mean
from yaml_connector.errors import EvaluationError

Reference = tuple[str | int, ...]

_DEEPEST_RESULT = 4  # how deep an expression's own lists and mappings are looked through
_MOST_SETTLED = 100_000  # items of them
_SETTLED = 500  # nanoseconds of one
_NULL = re.compile(r"""['"]NoneType['"](?: object)?|NoneType""")
_NO_DATA = frozenset({"encode", "translate", "maketrans", "to_bytes"})  # bytes, which no value is, and their tables
_DATA = frozenset({str, int, float, bool, list, dict, PathText})


class _ScopeContext(Context):
    """Looks names up in the scope itself (which may make values on demand), then among the functions."""

    def resolve_or_missing(self, key: str) -> Any:
        value = self.parent.get(key)
        return self.environment.globals.get(key, MISSING) if value is MISSING else value


def _is_defined(value: Any) -> bool:
    return not isinstance(value, Undefined | SkippedStep)


class Sandbox(ImmutableSandboxedEnvironment):
    context_class = _ScopeContext
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "**", "%"])

    def __init__(self, undefined: type[Undefined]) -> None:
        super().__init__(undefined=undefined, autoescape=False, cache_size=0)
        filters = {**self.filters, **REPLACED, **FILTERS}
        self.filters = {name: bounded_filter(name, function) for name, function in filters.items()}
        tests = {**self.tests, "defined": _is_defined, "undefined": lambda value: not _is_defined(value)}
        self.tests = {name: bounded_test(name, function) for name, function in tests.items()}
        keep = ("dict", "namespace", "cycler", "joiner")
        self.globals = {name: self.globals[name] for name in keep} | FUNCTIONS | {"range": small_range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument)
        if isinstance(obj, Undefined):
            return obj[argument]
        if isinstance(argument, str):
            return super().getattr(obj, argument)
        if isinstance(argument, slice):
            check_slice(obj)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _NO_DATA and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        return count_result(super().call(context, obj, *check_method(obj, args, kwargs), **kwargs))


REQUEST = Sandbox(StrictUndefined)
ANSWER = Sandbox(LenientUndefined)


def to_plain(value: Any) -> Any:
    """Return a result as plain data: lazy sequences become lists, marked-up text plain text, undefined null.

    Raises EvaluationError for a value that is not data, such as a function.
    """
    if value is None or type(value) in _DATA:
        return value
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Iterator | range | tuple | set | frozenset | KeysView | ValuesView | ItemsView):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    raise EvaluationError(f"a value must be data, not a {type(value).__name__}")


def _settled_items(value: Any) -> Any:
    """Return what an expression put together, without undefined items: null in an answer, an error in a request.

    Only as deep as expressions nest, not down into the data, and no more than so many items (what is left is found when
    it is written as JSON); the same object if there is nothing to change.
    """
    left = _MOST_SETTLED

    def settled(item: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        consume(_SETTLED)
        if isinstance(item, StrictUndefined):
            item._fail_with_undefined_error()
        if isinstance(item, Undefined):
            return None
        if isinstance(item, Iterator):
            item = list(item)
        if not isinstance(item, dict | list | tuple):
            return to_plain(item)
        if depth == _DEEPEST_RESULT or len(item) > left:
            return item
        if isinstance(item, dict):
            items = {str(key): settled(inner, depth + 1) for key, inner in item.items()}
            return items if any(items.get(key, items) is not inner for key, inner in item.items()) else item
        found = [settled(inner, depth + 1) for inner in item]
        return (
            found
            if isinstance(item, tuple) or any(new is not old for new, old in zip(found, item, strict=True))
            else item
        )

    return settled(value, 0)


def parse(environment: Sandbox, source: str) -> nodes.Expr:
    """Parse an expression, and check its filters, tests and patterns. Raises EvaluationError."""
    try:
        parser = Parser(environment, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError(f"unexpected {parser.stream.current.value!r} after the end of the expression", 1)
        tree.set_environment(environment)
    except TemplateSyntaxError as error:
        raise EvaluationError(
            f"syntax error in the expression {source.strip()!r}: {_friendly(error.message)}{_instead(source)}"
        ) from None
    except ValueError:  # of `int`, which takes only so many digits
        raise EvaluationError("a number in the expression has too many digits") from None
    for node, known, kind in (
        *((found, environment.filters, "filter") for found in all_nodes(tree, nodes.Filter)),
        *((found, environment.tests, "test") for found in all_nodes(tree, nodes.Test)),
    ):
        if node.name not in known:
            raise EvaluationError(f"there is no {kind} {node.name!r}{did_you_mean(node.name, sorted(known))}")
    for pattern in patterns(tree):
        compile_regex(pattern)
    return cast(nodes.Expr, _with_counted_operators(tree).set_environment(environment))


def _with_counted_operators(tree: nodes.Node) -> nodes.Node:
    """Write `~` as the filter `join` and `in` as the test of that name: they count, and these operators do not."""
    for node in [*tree.iter_child_nodes()]:
        counted = _with_counted_operators(node)
        if counted is not node:
            _replace_child(tree, node, counted)
    if isinstance(tree, nodes.Concat):
        return nodes.Filter(nodes.List(tree.nodes, lineno=1), "join", [], [], None, None, lineno=1)
    if isinstance(tree, nodes.Compare) and any(operand.op in ("in", "notin") for operand in tree.ops):
        left, parts = tree.expr, list[nodes.Expr]()
        for operand in tree.ops:
            if operand.op in ("in", "notin"):
                part: nodes.Expr = nodes.Test(left, "in", [operand.expr], [], None, None, lineno=1)
                part = nodes.Not(part, lineno=1) if operand.op == "notin" else part
            else:
                part = nodes.Compare(left, [operand], lineno=1)
            parts.append(part)
            left = operand.expr
        whole = parts[0]
        for part in parts[1:]:
            whole = nodes.And(whole, part, lineno=1)
        return whole
    return tree


def _replace_child(tree: nodes.Node, old: nodes.Node, new: nodes.Node) -> None:
    for name, value in tree.iter_fields():
        if value is old:
            setattr(tree, name, new)
        elif isinstance(value, list):
            value[:] = [new if item is old else item for item in value]


def patterns(tree: nodes.Expr) -> Iterator[str]:
    """Yield the regular expressions of a tree that are written in it."""
    for node in all_nodes(tree, nodes.Filter):
        name, arguments = node.name, [*node.args]
        if name == "map" and arguments and isinstance(arguments[0], nodes.Const):
            name = arguments.pop(0).value
        if name in ("regex", "regex_replace"):
            named = [pair.value for pair in node.kwargs if pair.key == "pattern"]
            for argument in [*arguments[:1], *named][:1]:
                if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
                    yield argument.value


def _friendly(message: str | None) -> str:
    text = message or "not an expression"
    if re.match(r"unexpected char [\"']{3} at", text):
        return "a quote is not closed"
    if text == "Expected an expression, got 'end of print statement'":
        return "there is nothing between ${{ and }}, or after an operator"
    return text.replace("end of print statement", "end of the expression").replace(
        "end of template", "end of the expression"
    )


# What other languages write, and what it is here.
_ELSEWHERE = (
    (re.compile(r"[\u2018\u2019\u201c\u201d]"), "' for a curly quote"),
    (re.compile(r"&&"), "`and`"),
    (re.compile(r"\|\|"), "`or`"),
    (re.compile(r"\bAND\b"), "`and` in small letters"),
    (re.compile(r"\bOR\b"), "`or` in small letters"),
    (re.compile(r"\bNOT\b"), "`not` in small letters"),
    (re.compile(r"=~"), "`| regex('...')`"),
    (re.compile(r"\bfor\b.*\bin\b"), "`| selectattr(...)` or `| map(...)`, as there are no loops"),
    (re.compile(r"\$\."), "`body.` for `$.`"),
    (re.compile(r"\?\?"), "`| default(...)`"),
    (re.compile(r"\?\."), "`.`: a name that is missing is null"),
    (re.compile(r"\?.*:"), "`A if CONDITION else B`"),
    (re.compile(r"==="), "`==` for `===`"),
    (re.compile(r"!(?!=)"), "`not`"),
    (re.compile(r"(?<![=!<>])=(?![=~])"), "`==`"),
    (re.compile(r"`|\bf[\"']"), "`'...' ~ name`"),
)
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")


def _instead(source: str) -> str:
    """Return the end of the message about a syntax error: what to write for the words of other languages."""
    code = _STRINGS.sub("''", source[:1000])
    meant = [words for pattern, words in _ELSEWHERE if pattern.search(code)]
    return f"; write {', and '.join(meant)}" if meant else ""


def compile_parsed(environment: Sandbox, tree: nodes.Expr, source: str) -> Callable[[Scope], Any]:
    """Return a function that evaluates a parsed expression, and raises EvaluationError if it has no value."""
    render: Callable[[Context], Iterator[str]] | None = None

    def evaluate(scope: Scope) -> Any:
        nonlocal render
        reset()
        try:
            if render is None:  # generated at the first use: a thousand specs load without it
                body = nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)
                render = environment.from_string(nodes.Template([body], lineno=1)).root_render_func
            context = _ScopeContext(environment, scope, None, {})  # type: ignore[arg-type]  # only `get` is used
            for _ in render(context):
                pass
            value = context.vars["result"]
            if isinstance(value, Iterator):
                value = list(value)
            if isinstance(value, StrictUndefined):
                value._fail_with_undefined_error()
            if isinstance(value, list | tuple | dict):
                value = _settled_items(value)
            return (
                str(value)
                if isinstance(value, str) and type(value) is not str and not hasattr(value, "is_path")
                else value
            )
        except EvaluationError:
            raise
        except JinjaError as error:
            raise EvaluationError(f"${{{{ {source.strip()} }}}}: {error.message or error}") from None
        except RecursionError:
            raise EvaluationError(f"${{{{ {source.strip()} }}}}: nested too deeply") from None
        except Exception as error:  # whatever a filter or an operator says of a value of the wrong type
            raise EvaluationError(f"${{{{ {source.strip()} }}}}: {_in_our_words(error)}") from None

    return evaluate


def _in_our_words(error: Exception) -> str:
    """Return what Python says of a value of the wrong type, with the language's name of null."""
    return _NULL.sub("null", str(error))


def references(node: nodes.Node) -> Iterator[Reference]:
    """Yield the chains of names in an expression: `("inputs", "name")` for `inputs.name`."""
    chain: list[str | int] = []
    inner = node
    while True:
        if isinstance(inner, nodes.Getattr):
            chain.append(inner.attr)
        elif isinstance(inner, nodes.Getitem) and isinstance(inner.arg, nodes.Const):
            chain.append(inner.arg.value)
        elif isinstance(inner, nodes.Getitem):
            chain.clear()  # a computed key: all of the mapping is used
            yield from references(inner.arg)
        else:
            break
        inner = inner.node
    if isinstance(inner, nodes.Name):
        yield (inner.name, *reversed(chain))
        return
    for child in inner.iter_child_nodes():
        yield from references(child)
