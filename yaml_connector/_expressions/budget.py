"""Bounds the time and the memory of any expression.

What can make much out of little (repeating, joining, replacing, padding, formatting) is sized up before it is done. All
results together count against what one evaluation may do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from itertools import islice
from typing import Any

from jinja2.exceptions import SecurityError

LARGEST_TEXT = 16 * 2**20  # characters or items of one result
_LARGEST_REPEATED = 1_000_000  # characters that '*' may give
_LARGEST_LIST = 100_000  # items that '*' may give, all levels together
_LARGEST_COUNT = 1_000_000  # a width, a number of items
LARGEST_RANGE = 10_000
_LONGEST_WRAPPED = 50_000  # characters: the time grows with their square
_WORK = 4 * LARGEST_TEXT  # characters, items and calls of one evaluation
_CALL = 64  # what a call counts for, besides its result
_SLOW = 20  # what a character counts for where it takes that much longer
_TOO_LARGE = "the result would be too large"

_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?")
_BRACES = re.compile(r"\{[^{}]*(?:(\{)|\})")
_NUMBER = re.compile(r"\d+")

Growth = Callable[..., int]  # from what a filter or method is given to a size that its result does not exceed


class _Budget(threading.local):
    left = _WORK


_budget = _Budget()


def reset() -> None:
    """An evaluation begins."""
    _budget.left = _WORK


def consume(amount: int) -> None:
    """So much was done; raises SecurityError if that is too much for one evaluation."""
    _budget.left -= amount
    if _budget.left < 0:
        raise SecurityError("this takes too much work for one expression")


def cost(value: Any) -> int:
    """The characters and items of a value, all levels together; it stops counting soon after LARGEST_TEXT."""
    total, waiting = 0, [value]
    while waiting and total <= LARGEST_TEXT:
        item = waiting.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
            total += sum(map(len, map(str, item)))
        elif isinstance(item, list | tuple | set | range):
            waiting.extend(item)
        total += 4
    return total


def check_size(size: int) -> None:
    """Raise SecurityError if a result of this size would be too large."""
    if size > LARGEST_TEXT:
        raise SecurityError(_TOO_LARGE)
    consume(size)


def small_range(*args: int) -> range:
    """`range`, of a bounded length."""
    numbers = range(*args)
    if len(numbers) > LARGEST_RANGE:
        raise SecurityError(f"range() may not give more than {LARGEST_RANGE} numbers")
    return numbers


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Raise SecurityError if `left * right`, `left ** right` or `left % right` would be too large."""
    if operator == "%":
        if isinstance(left, str):
            check_size(_percent(left, right))
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > 10_000:
            raise SecurityError("the result of '**' would be too large")
    else:
        for value, count in ((left, right), (right, left)):
            if isinstance(count, int) and isinstance(value, str | bytes | list | tuple):
                text = isinstance(value, str | bytes)
                size = count * (len(value) if text else cost(value) // 4)
                if size > (_LARGEST_REPEATED if text else _LARGEST_LIST):
                    raise SecurityError("the result of '*' would be too large")
                consume(max(size, 0))


def bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is sized up before it runs, and whose result counts."""
    growth = _FILTERS.get(name)
    skip = 1 if getattr(function, "jinja_pass_arg", None) else 0

    @wraps(function)  # keeps Jinja's mark of what the filter is given first
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if growth is not None and len(args) > skip:
            given = [_listed(arg) for arg in args[skip:]]
            args = (*args[:skip], *given)
            check_size(growth(*given, **kwargs))
        result = function(*args, **kwargs)
        _count(result)
        return result

    return guarded


def check_method(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Size a call of a text's method up; gives the arguments to call it with."""
    owner = getattr(getattr(method, "__wrapped__", method), "__self__", None)
    if isinstance(owner, str):
        growth = _METHODS.get(getattr(method, "__name__", ""))
        if growth is not None:
            args = tuple(_listed(arg) for arg in args)
            check_size(growth(owner, *args, **kwargs))
    return args


def count_result(result: Any) -> Any:
    """The result of a call, counted."""
    _count(result)
    return result


def _count(result: Any) -> None:
    size = len(result) if isinstance(result, str | bytes | list | tuple) else 0
    if size > LARGEST_TEXT:
        raise SecurityError(_TOO_LARGE)
    consume(size + _CALL)


def _listed(value: Any) -> Any:
    return list(islice(value, LARGEST_TEXT)) if isinstance(value, Iterator) else value


# --- how large a result can become: one function for each filter or method that can make much of little
# ----------------


def _width(value: Any, width: Any = 0, *rest: Any, **named: Any) -> int:
    count = abs(width) if isinstance(width, int) else 0
    return LARGEST_TEXT + 1 if count > _LARGEST_COUNT else cost(value) + count


def _joined(value: Any, separator: Any = "", *rest: Any, d: Any = "", **named: Any) -> int:
    count = len(value) if hasattr(value, "__len__") else 0
    return cost(value) + count * len(str(separator or d))


def _replaced(value: Any, old: Any, new: Any, count: Any = None, **named: Any) -> int:
    text, old, new = str(value), str(old), str(new)
    return len(text) + text.count(old) * len(new)


def _indented(value: Any, width: Any = 4, *rest: Any, **named: Any) -> int:
    text = str(value)
    return len(text) + (text.count("\n") + 1) * (len(width) if isinstance(width, str) else abs(int(width)))


def _grouped(value: Any, count: Any = 1, fill_with: Any = None) -> int:
    return cost(value) + abs(int(count)) * cost(fill_with)


def _dumped(value: Any, indent: Any = None) -> int:
    return cost(value) * (1 + abs(int(indent or 0)))


def _rounded(value: Any, precision: Any = 0, *rest: Any, **named: Any) -> int:
    return LARGEST_TEXT + 1 if abs(int(precision)) > 1000 else 1


def _wrapped(value: Any, *rest: Any, **named: Any) -> int:
    return LARGEST_TEXT + 1 if len(str(value)) > _LONGEST_WRAPPED else len(str(value))


def _slowly(value: Any, *rest: Any, **named: Any) -> int:
    return _SLOW * cost(value)


def _percent(text: Any, *args: Any, **named: Any) -> int:
    text = str(text)
    found = _PERCENT.findall(text)
    if any("*" in widths for widths in found):
        return LARGEST_TEXT + 1
    widths = sum(_sum(width) + _sum(precision) for width, precision in found)
    return len(text) + widths + len(found) * cost([*args, named])


def _formatted(text: str, *args: Any, **named: Any) -> int:
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
    "wordwrap": _wrapped,
    "format": _percent,
    **dict.fromkeys(
        ("json", "string", "kvjoin", "escape", "e", "forceescape", "list"), lambda value, *rest: cost(value)
    ),
    **dict.fromkeys(("quote", "urlencode", "title", "wordcount", "urlize", "striptags", "xmlattr", "pprint"), _slowly),
}
_METHODS: dict[str, Growth] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _width),
    "join": lambda owner, items: _joined(items, owner),
    "replace": _replaced,
    "expandtabs": lambda owner, tabsize=8: len(owner) + owner.count("\t") * abs(int(tabsize)),
    "format": _formatted,
    "format_map": _formatted,
    "title": _slowly,
}
