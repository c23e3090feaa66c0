"""Finds likely mistakes in an expression without a value for it: methods that nothing has, functions that are not
called, and a status that is compared with a text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from jinja2 import nodes

from yaml_connector._text import did_you_mean

_METHODS = frozenset(
    name for kind in (str, list, int, float) for name in dir(kind) if not name.startswith("_")
) - frozenset({"encode", "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})
_OWN = frozenset({"next", "reset"})  # of `cycler`
_COMMON = ("split", "strip", "upper", "lower", "replace", "startswith", "endswith", "join", "format", "title")

# Methods and functions of other languages, and what they are here.
METHODS = {
    **dict.fromkeys(("contains", "includes", "has"), "'x' in NAME"),
    **dict.fromkeys(("length", "size", "len"), "NAME | length"),
    "get": "NAME['key'] | default(...)",
    **dict.fromkeys(("keys", "values", "items", "entries"), "NAME | items, or NAME | list for the keys"),
    **dict.fromkeys(("toString", "to_s", "str"), "NAME | string"),
    **dict.fromkeys(("toLowerCase", "downcase"), "NAME | lower"),
    **dict.fromkeys(("toUpperCase", "upcase"), "NAME | upper"),
    **dict.fromkeys(("json", "text"), "body, text or headers: they are read already"),
    **dict.fromkeys(("trim", "strip"), "NAME | trim"),
    **dict.fromkeys(("substring", "substr", "slice"), "NAME[0:8]"),
    **dict.fromkeys(("match", "matches", "test", "search"), "NAME | regex('...')"),
    **dict.fromkeys(("map", "filter", "find", "first", "last", "join", "sort", "min", "max", "sum"), "NAME | FILTER"),
    **dict.fromkeys(("some", "any", "every", "all"), "NAME | selectattr('field') | list"),
    "startsWith": "NAME.startswith('...')",
    "endsWith": "NAME.endswith('...')",
    **dict.fromkeys(("isEmpty", "is_empty", "empty"), "not NAME"),
    "toISOString": "NAME",
}
FUNCTIONS = {
    **dict.fromkeys(("len", "length", "count", "size"), "NAME | length"),
    **dict.fromkeys(("str", "string", "toString", "String"), "NAME | string"),
    **dict.fromkeys(("int", "parseInt", "Number", "toInt"), "NAME | int"),
    **dict.fromkeys(("float", "parseFloat"), "NAME | float"),
    **dict.fromkeys(("exists", "defined", "has", "isset"), "NAME is defined"),
    **dict.fromkeys(("contains", "includes"), "'x' in NAME"),
    **dict.fromkeys(("any", "all", "map", "filter", "sum", "min", "max", "sorted", "list"), "NAME | FILTER"),
    **dict.fromkeys(("toJson", "to_json", "tojson", "jsonencode", "json", "dumps"), "NAME | json"),
    **dict.fromkeys(("fromJson", "from_json", "fromjson", "jsondecode", "loads"), "NAME | fromjson"),
    **dict.fromkeys(("base64", "base64encode", "b64encode"), "NAME | b64encode"),
    **dict.fromkeys(("concat", "format", "printf"), "'a' ~ NAME"),
    **dict.fromkeys(("upper", "lower", "join", "replace", "split", "default", "regex"), "NAME | FILTER"),
    **dict.fromkeys(("uuid", "uuid4", "guid", "random", "randomUUID"), "task.key, which is another for each task"),
    **dict.fromkeys(("utcnow", "timestamp", "time", "datetime", "today", "Date", "date", "today", "epoch"), "now()"),
    **dict.fromkeys(("getenv", "environ", "ENV"), "env.NAME in connection"),
    **dict.fromkeys(("secret", "vault"), "secrets.NAME"),
}


def lint(tree: nodes.Expr, functions: Collection[str]) -> Iterator[str]:
    """Yield a warning about each likely mistake in an expression."""
    called = {id(node.node) for node in all_nodes(tree, nodes.Call)}
    for node in all_nodes(tree, nodes.Name):
        if node.name in functions and id(node) not in called:
            yield uncalled_function(node.name)
    for node in all_nodes(tree, nodes.Call):
        target = node.node
        if isinstance(target, nodes.Getattr) and target.attr not in _METHODS | _OWN:
            yield f"there is no method {target.attr}{_instead(target)}"
    for text in islice(_text_statuses(tree), 1):
        yield f"a status is a number, and never equals the text {text!r}: leave the quotes out"


def uncalled_function(name: str) -> str:
    """Return the message about a function that is named and not called."""
    return f"{name} is a function: write {name}()"


def _instead(target: nodes.Getattr) -> str:
    meant = METHODS.get(target.attr)
    if meant is None:
        return did_you_mean(target.attr, _COMMON, what="among others there is")
    return f"; write {meant.replace('NAME', _source(target.node)).replace('FILTER', target.attr)}"


def _source(node: nodes.Node) -> str:
    """Return a chain of names as it is written; NAME for anything else."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and (before := _source(node.node)) != "NAME":
        return f"{before}.{node.attr}"
    return "NAME"


def _text_statuses(tree: nodes.Node) -> Iterator[str]:
    """Yield the texts that an expression compares the status of a response with, which is a number."""
    for node in all_nodes(tree, nodes.Compare):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        if any(_is_status(side) for side in sides):
            yield from (side.value for side in sides if isinstance(side, nodes.Const) and isinstance(side.value, str))
    for node in all_nodes(tree, nodes.Test):
        if node.name == "in" and _is_status(node.node):
            items = [item for argument in node.args for item in getattr(argument, "items", ())]
            yield from (item.value for item in items if isinstance(item, nodes.Const) and isinstance(item.value, str))


def _is_status(node: nodes.Node) -> bool:
    """Tell whether this is `status`, or `steps.NAME.status`."""
    if isinstance(node, nodes.Getattr):
        owner = node.node
        return node.attr == "status" and isinstance(owner, nodes.Getattr) and _source(owner.node) == "steps"
    return isinstance(node, nodes.Name) and node.name == "status"


def all_nodes(tree: nodes.Node, kind: type[nodes.Node]) -> Iterator[Any]:
    """Yield the nodes of a kind in a tree, itself included."""
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)
