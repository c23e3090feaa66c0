"""Bounds the time and the memory of any expression.

All that an expression does counts, in nanoseconds of a usual machine, before it is done: a call, an item, a character.
What can make much out of little (repeating, joining, replacing, padding, formatting) is also sized up first.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from time import perf_counter_ns
from typing import Any

from jinja2.exceptions import SecurityError

LARGEST_TEXT = 16 * 2**20  # characters or items of one result
_LARGEST_REPEATED = 1_000_000  # characters that '*' may give
_LARGEST_LIST = 100_000  # items that '*' may give, all levels together
_LARGEST_COUNT = 1_000_000  # a width, a number of items
LARGEST_RANGE = 10_000
_MOST_BITS = 20_000  # of a number that is calculated with
_TOO_LARGE = "the result would be too large"

# nanoseconds
_WORK = 1_000_000_000  # of one evaluation
_TURN = 10_000_000  # of all evaluations in one turn of the event loop, where others wait
_SHARE = 4  # one in so many of the time, for all evaluations of many turns
_LEAST = 1_000_000  # of one of them, however much the others have taken
_PARSED = 12  # a byte of JSON
DECODED = 20  # a byte of text, and what is done with it
_CONTAINER = 250  # a list or mapping in it
_CALL = 1_000
_NODE = 300  # of a walk through a value
_ITEM = 300  # that a filter goes through
_COPIED = 10  # an item that is copied
_SEARCHED = 50  # an item that `in` compares
_LOOKED_UP = 4_000  # an item that a filter looks something up in, or compares by a key

_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?")
_BRACES = re.compile(r"\{[^{}]*(?:(\{)|\})")
_NUMBER = re.compile(r"\d+")

Growth = Callable[..., int]  # from what a filter or method is given to a size that its result does not exceed


class TurnOver(BaseException):
    """The evaluations of this turn of the event loop have had their time: the work is to be done elsewhere. Not an
    Exception, since the expression may be right."""


class _Budget(threading.local):
    left = _WORK
    each = _WORK  # what an evaluation has for itself; 0: it shares what is left
    loop: asyncio.AbstractEventLoop | None = None  # whose turns have a budget of their own
    in_turn = False
    began = 0  # when the last such turn did, of `perf_counter_ns`


_budget = _Budget()


def share_turns(loop: asyncio.AbstractEventLoop) -> None:
    """Let all evaluations in one turn of this thread's event loop share one small budget from now on; beyond it they
    raise TurnOver."""
    if _budget.loop is not loop:
        _budget.loop, _budget.each, _budget.in_turn, _budget.left = loop, 0, False, _TURN


def allow(nanoseconds: int) -> None:
    """Set the budget of each evaluation of this thread from now on."""
    _budget.each = nanoseconds


def reset() -> None:
    """Give an evaluation that begins its budget."""
    if _budget.each:
        _budget.left = _budget.each
    elif _budget.loop is not None:
        _begin_turn(_budget.loop)
        _budget.left = max(_budget.left, _LEAST)


def _begin_turn(loop: asyncio.AbstractEventLoop) -> None:
    if not _budget.in_turn:
        now = perf_counter_ns()
        _budget.left = min(_TURN, _budget.left + (now - _budget.began) // _SHARE)
        _budget.in_turn, _budget.began = True, now
        loop.call_soon(_end_turn)


def _end_turn() -> None:
    _budget.in_turn = False


@contextmanager
def limited(nanoseconds: int = _WORK) -> Iterator[None]:
    """Give all evaluations inside one budget together, whatever the turn has left."""
    before = _budget.left, _budget.each, _budget.loop
    _budget.left, _budget.each, _budget.loop = nanoseconds, 0, None
    try:
        yield
    finally:
        _budget.left, _budget.each, _budget.loop = before


def consume(nanoseconds: int) -> None:
    """Take work off the budget. Raises SecurityError if that is too much for one evaluation, TurnOver if the turn is
    over."""
    _budget.left -= nanoseconds
    if _budget.left < 0:
        if _budget.loop is not None:
            _budget.left += nanoseconds  # it is done elsewhere
            raise TurnOver
        raise SecurityError("this takes too much work for one expression")


def consume_parsing(content: bytes | str) -> None:
    """Count the parsing of JSON, if turns have a budget: the expression is not to blame for it."""
    if _budget.loop is not None:
        if _PARSED * len(content) > _TURN:  # then nothing needs to be counted
            raise TurnOver
        count: Any = content.count
        containers = count("[") + count("{") if isinstance(content, str) else count(b"[") + count(b"{")
        consume_reading(_PARSED * len(content) + _CONTAINER * containers)


def consume_reading(nanoseconds: int) -> None:
    """Count what is done beside the expressions, if turns have a budget."""
    if _budget.loop is not None:
        _begin_turn(_budget.loop)
        consume(nanoseconds)


def cost(value: Any) -> int:
    """Return the characters and items of a value, all levels together; it stops counting soon after LARGEST_TEXT."""
    total, waiting = 0, [value]
    while waiting and total <= LARGEST_TEXT:
        item = waiting.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            consume(2 * _NODE * len(item))
            waiting.extend(item.values())
            total += sum(map(len, map(str, item)))
        elif isinstance(item, list | tuple | set | range):
            consume(_NODE * len(item))
            waiting.extend(item)
        elif isinstance(item, int):
            bits = item.bit_length()
            consume(bits * bits // 1000)  # its digits take that long
            total += bits // 3
        total += 4
    return total


def check_size(size: int) -> None:
    """Raise SecurityError if a result of this size would be too large."""
    if size > LARGEST_TEXT:
        raise SecurityError(_TOO_LARGE)
    consume(size)


def small_range(*args: int) -> range:
    """Return a `range` of a bounded length."""
    numbers = range(*args)
    if len(numbers) > LARGEST_RANGE:
        raise SecurityError(f"range() may not give more than {LARGEST_RANGE} numbers")
    return numbers


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Raise SecurityError if an arithmetic operation would take too long or give too much."""
    consume(_CALL)
    if isinstance(left, int) and isinstance(right, int):
        if max(left.bit_length(), right.bit_length()) > _MOST_BITS:
            raise SecurityError("a number has too many digits to calculate with")
        if operator == "**" and left.bit_length() * abs(right) > 10_000:
            raise SecurityError("the result of '**' would be too large")
    elif operator == "%" and isinstance(left, str):
        check_size(_percent(left, right))
    elif operator == "+" and isinstance(left, str | list | tuple):
        size = _length(left) + _length(right)
        check_size(size)
        consume(_COPIED * size)
    elif operator == "*":
        for value, count in ((left, right), (right, left)):
            if isinstance(count, int) and isinstance(value, str | bytes | list | tuple):
                text = isinstance(value, str | bytes)
                size = count * (len(value) if text else cost(value) // 4)
                if size > (_LARGEST_REPEATED if text else _LARGEST_LIST):
                    raise SecurityError("the result of '*' would be too large")
                consume(max(size, 0))


def check_slice(value: Any) -> None:
    """Count a slice of a value."""
    consume(_CALL + _COPIED * _length(value))


def bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that is sized up before it runs, and whose result counts."""
    growth = _FILTERS.get(name)
    speed = _CHARACTERS.get(name, 0)
    item = _LOOKED_UP if name in _PER_ITEM else _ITEM
    skip = 1 if getattr(function, "jinja_pass_arg", None) else 0

    @wraps(function)  # keeps Jinja's mark of what the filter is given first
    def guarded(*args: Any, **kwargs: Any) -> Any:
        consume(_CALL)
        if len(args) > skip:
            value = args[skip]
            if growth is not None:
                args = (*args[:skip], *map(_listed, args[skip:]))
                check_size(growth(*args[skip:], **kwargs))
                value = args[skip]
            elif isinstance(value, Iterator):
                args = (*args[:skip], _counted(value, item), *args[skip + 1 :])
            if speed:
                consume(cost(value) * speed)
            elif isinstance(value, str | bytes | Mapping | list | tuple | set | range):
                consume(len(value) * item)
        return count_result(function(*args, **kwargs))

    return guarded


def bounded_test(name: str, function: Any) -> Callable[..., Any]:
    """Return a test that counts, also as many times as a filter asks it."""

    @wraps(function)  # keeps Jinja's mark of what the test is given first
    def guarded(*args: Any, **kwargs: Any) -> Any:
        consume(_CALL)
        if name == "in" and len(args) == 2:
            value, container = args
            if isinstance(container, str | bytes):
                consume(_length(value) + len(container))
            elif isinstance(container, list | tuple | range):
                consume(len(container) * _SEARCHED)
        elif name in ("lower", "upper") and args:
            consume(cost(args[0]))
        return function(*args, **kwargs)

    return guarded


def check_method(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Size a call up; returns the arguments to call it with."""
    consume(_CALL + sum(map(_length, args)) * _ITEM)
    owner = getattr(getattr(method, "__wrapped__", method), "__self__", None)
    if isinstance(owner, str):
        name = getattr(method, "__name__", "")
        consume(len(owner) * _CHARACTERS.get(name, 1))
        growth = _METHODS.get(name)
        if growth is not None:
            args = tuple(_listed(arg) for arg in args)
            check_size(growth(owner, *args, **kwargs))
    elif isinstance(owner, Mapping | list | tuple):
        consume(len(owner) * _ITEM)
    return args


def count_result(result: Any) -> Any:
    """Count the result of a call, and return it."""
    check_size(_length(result))
    return result


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple | Mapping) else 0


def _listed(value: Any) -> Any:
    return list(islice(_counted(value, _ITEM), LARGEST_TEXT)) if isinstance(value, Iterator) else value


def _counted(items: Iterator[Any], nanoseconds: int) -> Iterator[Any]:
    for item in items:
        consume(nanoseconds)
        yield item


# --- how large a result can become: one function for each filter or method that can make much of little ---------------


def _width(value: Any, width: Any = 0, *rest: Any, **named: Any) -> int:
    count = abs(width) if isinstance(width, int) else 0
    return LARGEST_TEXT + 1 if count > _LARGEST_COUNT else cost(value) + count


def _joined(value: Any, separator: Any = "", *rest: Any, d: Any = "", **named: Any) -> int:
    count = len(value) if hasattr(value, "__len__") else 0
    return cost(value) + count * len(str(separator or d))


def _replaced(value: Any, old: Any, new: Any, count: Any = None, **named: Any) -> int:
    consume(2 * cost([value, old, new]))
    text, old, new = str(value), str(old), str(new)
    return len(text) + text.count(old) * len(new)


def _indented(value: Any, width: Any = 4, *rest: Any, **named: Any) -> int:
    text = str(value)
    lines = text.count("\n") + 1
    consume(lines * _ITEM)
    return len(text) + lines * (len(width) if isinstance(width, str) else abs(int(width)))


def _grouped(value: Any, count: Any = 1, fill_with: Any = None) -> int:
    consume(abs(int(count)) * _ITEM)
    return cost(value) + abs(int(count)) * cost(fill_with)


def _dumped(value: Any, indent: Any = None) -> int:
    return cost(value) * (1 + abs(int(indent or 0)))


def _rounded(value: Any, precision: Any = 0, *rest: Any, **named: Any) -> int:
    return LARGEST_TEXT + 1 if abs(int(precision)) > 1000 else 1


def _squared(value: Any, *rest: Any, **named: Any) -> int:
    """For what takes time that grows with the square of a text."""
    size = cost(value)
    consume(size * size // 16)
    return size


def _percent(text: Any, *args: Any, **named: Any) -> int:
    text = str(text)
    consume(len(text) * 10 + text.count("%") * _CALL)
    found = _PERCENT.findall(text)
    if any("*" in widths for widths in found):
        return LARGEST_TEXT + 1
    widths = sum(_sum(width) + _sum(precision) for width, precision in found)
    return len(text) + widths + len(found) * cost([*args, named])


def _formatted(text: str, *args: Any, **named: Any) -> int:
    consume(len(text) * 10 + text.count("{") * 5 * _CALL)
    found = list(_BRACES.finditer(text))
    if any(match[1] for match in found):  # a width that is a value
        return LARGEST_TEXT + 1
    widths = sum(_sum(match[0].partition(":")[2]) for match in found)
    return len(text) + widths + len(found) * cost([*args, named])


def _sum(text: str) -> int:
    return sum(int(number) if len(number) < 8 else LARGEST_TEXT for number in _NUMBER.findall(text))


_FILTERS: dict[str, Growth] = {
    "center": _width,
    "join": _joined,
    "replace": _replaced,
    "indent": _indented,
    "batch": _grouped,
    "slice": _grouped,
    "tojson": _dumped,
    "round": _rounded,
    "shell": lambda value, *rest, **named: 5 * cost(value),  # a quote in a word becomes five characters
    "format": _percent,
    **dict.fromkeys(("striptags", "urlize", "wordwrap"), _squared),
    **dict.fromkeys(
        ("json", "string", "kvjoin", "escape", "e", "forceescape", "list", "pprint", "xmlattr"),
        lambda value, *rest, **named: cost(value),
    ),
}
_METHODS: dict[str, Growth] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _width),
    "join": lambda owner, items: _joined(items, owner),
    "replace": _replaced,
    "expandtabs": lambda owner, tabsize=8: len(owner) + owner.count("\t") * abs(int(tabsize)),
    "format": _formatted,
    "format_map": _formatted,
    "striptags": _squared,
}
# nanoseconds of a character, for filters and methods of texts; they write anything else as text first
_CHARACTERS: dict[str, int] = {
    **dict.fromkeys(("b64decode", "b64encode", "basename", "bytelen", "capitalize", "lower", "trim", "truncate"), 5),
    "upper": 5,
    **dict.fromkeys(("escape", "e", "forceescape", "regex", "regex_replace", "sha256", "timestamp", "fingerprint"), 10),
    "resolve": 10,
    **dict.fromkeys(("fromjson", "quote", "slug", "title", "tojson", "unescape", "urlencode", "wordcount"), 60),
    "pprint": 400,
}
# filters that look up something in each item, or compare items
_PER_ITEM = frozenset(
    (
        *("batch", "dictsort", "find", "groupby", "list", "map", "max", "min", "reject", "rejectattr"),
        *("select", "selectattr", "slice", "sort", "sum", "unique", "xmlattr"),
    )
)
