"""The types of config fields, inputs and outputs, without Flyte.

`str int float bool any datetime duration file dir dataframe list[T] dict[str, T]`, `T?` for optional.

A new scalar type is a line in `SCALARS`, and its Flyte type in `flyte/literals.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from yaml_connector._expressions.budget import consume_reading
from yaml_connector._expressions.times import epoch_seconds, rfc3339
from yaml_connector._expressions.units import DURATION_WORDS, SIZE_WORDS, SIZES, UNITS, meant, meant_type
from yaml_connector._expressions.units import duration_text as duration_text
from yaml_connector._text import did_you_mean, short, short_yaml
from yaml_connector.errors import EvaluationError

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)")
_LONGEST_TYPE = 500  # characters
LONGEST_DURATION = 1e15  # seconds: an integer of any length is not a float
_CONVERTED = 600  # nanoseconds for an item


@dataclass(frozen=True)
class ValueType:
    """One type of the language: `name` is a scalar's or `list` or `dict`, `item` what those hold."""

    name: str
    item: ValueType | None = None
    optional: bool = False

    def __str__(self) -> str:
        text = self.name
        if text in ("list", "dict"):
            text = f"list[{self.item}]" if text == "list" else f"dict[str, {self.item}]"
        return f"{text}?" if self.optional else text


def parse_duration(text: Any) -> float:
    """Return the seconds of a duration like `500ms`, `10s`, `5m`, `24h`, `7d`; raises EvaluationError."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        found = f"{short_yaml(text)} is not a valid duration"
        raise EvaluationError(f"{found}; write it as 500ms, 10s, 5m, 24h or 7d{meant(text, DURATION_WORDS)}")
    return float(match[1]) * UNITS[match[2]]


def parse_size(text: Any) -> int:
    """Return the bytes of a size like `512KiB`, `10MiB`; raises EvaluationError."""
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        found = f"{short_yaml(text)} is not a valid size"
        raise EvaluationError(f"{found}; write it as 512KiB or 10MiB{meant(text, SIZE_WORDS)}")
    return int(match[1]) * SIZES[match[2]]


def parse_type(text: str) -> ValueType:
    """Parse a type as a spec writes it; raises EvaluationError with the closest valid one."""
    stripped = text.strip()
    if len(stripped) > _LONGEST_TYPE:
        raise EvaluationError(f"there is no type of more than {_LONGEST_TYPE} characters")
    return _parsed(stripped)


@lru_cache(maxsize=1024)
def _parsed(stripped: str) -> ValueType:
    if stripped.endswith("?"):
        inner = parse_type(stripped[:-1])
        return ValueType(inner.name, inner.item, optional=True)
    if stripped in SCALARS:
        return ValueType(stripped)
    if match := re.fullmatch(r"list\[(.+)\]", stripped):
        return ValueType("list", parse_type(match[1]))
    if match := re.fullmatch(r"dict\[\s*str\s*,(.+)\]", stripped):
        return ValueType("dict", parse_type(match[1]))
    raise UnknownType(stripped)


class UnknownType(EvaluationError):
    """A text that does not name a type. The message is made when it is read: looking for the closest type is slow, and
    a file may name thousands."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        allowed = (*SCALARS, "list[T]", "dict[str, T]")
        found = f"there is no type {short(self.text)}"
        if (kind := meant_type(self.text, SCALARS)) is not None:
            return f"{found}; did you mean {kind}? allowed: {', '.join(allowed)} (and T? for optional)"
        return f"{found}{did_you_mean(self.text, allowed)} (and T? for optional)"


def _wrong(value: Any, kind: ValueType | str) -> EvaluationError:
    shown = "null" if value is None else short(value, 80)
    return EvaluationError(f"{shown} is not a valid {kind}")


# --- values from an API, as a declared type ---------------------------------------------------------------------------


def convert(value: Any, kind: ValueType) -> Any:
    """Convert a response's value to exactly the declared type: a number in a string is that number, an int for a float
    is one.

    A `datetime` becomes an aware `datetime`, a `duration` a `timedelta`; files, directories and dataframes stay URIs.
    Raises EvaluationError if the value is not of that type.
    """
    if value is None:
        if kind.optional or kind.name == "any":
            return None
        raise _wrong(None, kind)
    if kind.name == "list":
        if not isinstance(value, list):
            raise _wrong(value, kind)
        consume_reading(_CONVERTED * len(value))
        return [convert(item, kind.item) for item in value] if kind.item else value
    if kind.name == "dict":
        if not isinstance(value, Mapping):
            raise _wrong(value, kind)
        consume_reading(_CONVERTED * len(value))
        return {str(key): convert(item, kind.item) if kind.item else item for key, item in value.items()}
    return SCALARS[kind.name].convert(value)


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise _wrong(value, "str (the filter `json` makes it one)")


def _to_int(value: Any) -> int:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*([+-]?\d{1,4000})(\.0*)?\s*", value)):
        return int(match[1])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(value, "int")


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or (isinstance(value, str) and "_" in value):
        raise _wrong(value, "float")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _wrong(value, "float") from None


def _to_bool(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _wrong(value, "bool")
    return value


def _to_datetime(value: Any) -> datetime:
    try:
        return datetime.fromtimestamp(epoch_seconds(value), UTC)
    except (ValueError, OverflowError, OSError):
        raise _wrong(value, "datetime") from None


def _to_duration(value: Any) -> timedelta:
    try:
        return timedelta(seconds=duration_seconds(value))
    except (ValueError, OverflowError):
        raise _wrong(value, "duration") from None


def _to_uri(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(value, "URI")
    return value


def duration_seconds(value: Any) -> float:
    """Return a duration in seconds, from a number of seconds, a timedelta, `5m`, or ISO 8601 (`PT5M`)."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LONGEST_DURATION:
        return value
    if isinstance(value, str):
        iso = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", value)
        if iso and any(iso.groups()):
            days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
            return days * 86400 + hours * 3600 + minutes * 60 + seconds
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else parse_duration(value)
    raise _wrong(value, "duration")


# --- values of a task's author ----------------------------------------------------------------------------------------


def check_config(value: Any, kind: ValueType) -> Any:
    """Check a config or input value against its type and return it as JSON can hold it.

    Nothing is converted but an int for a float, a duration (to seconds) and a datetime (to RFC 3339). Raises
    EvaluationError.
    """
    if value is None:
        if kind.optional or kind.name == "any":
            return None
        raise _wrong(None, kind)
    if kind.name == "list":
        if not isinstance(value, list | tuple):
            raise _wrong(value, kind)
        return [check_config(item, kind.item) if kind.item else item for item in value]
    if kind.name == "dict":
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise _wrong(value, kind)
        return {key: check_config(item, kind.item) if kind.item else item for key, item in value.items()}
    return SCALARS[kind.name].check(value)


def _is(kind: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _wrong(value, name)
        return value

    return check


def _is_float(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(number := _to_float(value)):
        raise _wrong(value, "float")
    return number


def _is_datetime(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if not isinstance(value, str):
        raise _wrong(value, "datetime")
    epoch_seconds(value)
    return value


def _is_duration(value: Any) -> float:
    seconds = duration_seconds(value)
    if not math.isfinite(seconds):
        raise _wrong(value, "duration")
    return seconds


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _json_value(item) for key, item in value.items()}
    raise _wrong(value, "JSON value")


@dataclass(frozen=True)
class Scalar:
    """All that is known of a scalar type.

    `convert` takes an API's value, `check` one of a task's author. `python` is the type as a task declares it, `typed`
    the same for type checkers, `given` what a config field of the type takes; `hint` says so in words. `sample` is a
    config value to show. On a command line a value of an `is_text` type is taken as it is, others are read as YAML.
    """

    convert: Callable[[Any], Any]
    check: Callable[[Any], Any]
    python: str
    typed: str
    given: str
    sample: Any
    hint: str = ""
    is_text: bool = False
    is_uri: bool = False


def _builtin(convert: Callable[[Any], Any], check: Callable[[Any], Any], name: str, sample: Any) -> Scalar:
    return Scalar(convert, check, name, name, name, sample, is_text=name == "str")


def _uri(python: str, typed: str, sample: str) -> Scalar:
    return Scalar(_to_uri, _to_uri, python, typed, "str", sample, "As a URI.", is_text=True, is_uri=True)


SCALARS: dict[str, Scalar] = {
    "str": _builtin(_to_str, _is(str, "str"), "str", "..."),
    "int": _builtin(_to_int, _is(int, "int"), "int", 1),
    "float": _builtin(_to_float, _is_float, "float", 1.0),
    "bool": _builtin(_to_bool, _is(bool, "bool"), "bool", True),
    "any": Scalar(lambda value: value, _json_value, "yaml_connector.Json", "Any", "Any", {}),
    "datetime": Scalar(
        _to_datetime,
        _is_datetime,
        "datetime.datetime",
        "datetime.datetime",
        "datetime.datetime | str",
        "2030-01-31T12:00:00Z",
        "As text (2030-01-31T12:00:00Z) or a datetime.",
        is_text=True,
    ),
    "duration": Scalar(
        _to_duration,
        _is_duration,
        "datetime.timedelta",
        "datetime.timedelta",
        "datetime.timedelta | str | float",
        300,
        "As text (5m), seconds or a timedelta.",
    ),
    "file": _uri("flyte.io.File", "flyte.io.File[Any]", "s3://bucket/file"),
    "dir": _uri("flyte.io.Dir", "flyte.io.Dir[Any]", "s3://bucket/folder"),
    "dataframe": _uri("flyte.io.DataFrame", "flyte.io.DataFrame", "s3://bucket/table"),
}


def python_name(kind: ValueType, form: Literal["python", "typed", "given"] = "python") -> str:
    """Return a type as Python writes it: in a task's interface, there for type checkers, or in its config."""
    item = python_name(kind.item, form) if kind.item else "Any"
    if kind.name == "list":
        text = f"list[{item}] | tuple[{item}, ...]" if form == "given" else f"list[{item}]"
    elif kind.name == "dict":
        text = f"collections.abc.Mapping[str, {item}]" if form == "given" else f"dict[str, {item}]"
    else:
        text = getattr(SCALARS[kind.name], form)
    return f"{text} | None" if kind.optional and text != "Any" else text


def as_plain(value: Any) -> Any:
    """Return a converted output as JSON: a datetime as RFC 3339, a duration as its seconds."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, list):
        return [as_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return value
