"""Reads and writes JSON, and writes any value as text.

pydantic's JSON takes a fifth of the time of the standard library's, which is used for what pydantic refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from jinja2.exceptions import UndefinedError
from jinja2.runtime import ChainableUndefined, Undefined
from pydantic_core import PydanticSerializationError, from_json
from pydantic_core import to_json as pydantic_json

from yaml_connector.errors import EvaluationError

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)  # one that does not end fails nowhere else


def has_more_values(text: str, most: int) -> bool:
    """Tell, without parsing it, whether JSON has more than so many values."""
    if _values_in(text) <= most:
        return False
    return _values_in(_STRING.sub("", text)) > most


def _values_in(text: str) -> int:
    return 1 + text.count(",") + text.count("[") + text.count("{")


parse_usual_json = partial(from_json, cache_strings="keys")  # values may be secrets
"""Parse JSON, but for what `parse_json` leaves to the standard library. Raises ValueError."""


def parse_json(data: bytes | str) -> Any:
    """Parse JSON; integers of any size stay exact.

    Raises ValueError if the data is not JSON, RecursionError if it is nested too deeply. The standard library reads
    what pydantic's parser refuses: a lone surrogate, UTF-16, a byte order mark, more than 200 levels.
    """
    try:
        return parse_usual_json(data)
    except ValueError:
        return json.loads(data)


def write_json(value: Any) -> bytes | None:
    """Write a value as compact JSON with the order kept. Returns None for a value that the standard library has to
    write or to refuse: a lone surrogate, NaN, an object that is not data."""
    try:
        text = pydantic_json(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return None
    return None if b"NaN" in text or b"Infinity" in text else text


def to_json(value: Any) -> str:
    """Write a value as compact JSON with the order kept. Raises EvaluationError if JSON cannot hold it."""
    text = write_json(value)
    return text.decode() if text is not None else _by_standard_library(value)


def json_bytes(value: Any) -> bytes:
    """Write a value as encoded JSON. Raises EvaluationError as `to_json` does, UnicodeEncodeError for a lone
    surrogate."""
    return write_json(value) or _by_standard_library(value).encode()


def any_json(value: Any) -> bytes:
    """Write a value as JSON that `parse_json` reads as the same value: half a character is escaped, NaN is a word.
    Raises EvaluationError."""
    text = write_json(value)
    try:
        return text if text is not None else _ESCAPED(value).encode()
    except (TypeError, ValueError, RecursionError, UndefinedError) as error:
        raise EvaluationError(f"this value cannot be written as JSON: {error}") from None


def _by_standard_library(value: Any) -> str:
    try:
        return _COMPACT(value)
    except (TypeError, ValueError, RecursionError, UndefinedError) as error:
        raise EvaluationError(f"this value cannot be written as JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, ChainableUndefined):
        return None  # a field that a response does not have
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__}")


_ESCAPED = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain).encode


def as_text(value: Any) -> str:
    """Write a value into a longer string: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


_NO_TEXTS = frozenset({int, float, bool, type(None)})


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value, keys included."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(reversed(item.values()))
            yield from map(str, item)
        elif isinstance(item, list | tuple):
            waiting.extend(reversed([part for part in item if type(part) not in _NO_TEXTS]))


def map_texts(value: Any, function: Callable[[str], str]) -> Any:
    """Return a value with each of its texts, keys included, as the function returns it."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {map_texts(key, function): map_texts(item, function) for key, item in value.items()}
    return [map_texts(item, function) for item in value] if isinstance(value, list | tuple) else value
