"""The language's own filters and functions (section 3). Each gives null for null and undefined."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import quote as url_quote

from jinja2.exceptions import UndefinedError
from jinja2.runtime import ChainableUndefined, Undefined

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import check_size
from yaml_connector._expressions.json_text import parse_json, write_json
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector.errors import EvaluationError


class PathText(str):
    """Text that keeps its slashes when it is written into a path (filter `path`)."""

    __slots__ = ()
    is_path = True


def to_json(value: Any) -> str:
    """Compact JSON text with the order kept; raises EvaluationError for what JSON has no form for."""
    text = write_json(value)
    return text.decode() if text is not None else _slowly(value)


def json_bytes(value: Any) -> bytes:
    """The same, encoded; raises UnicodeEncodeError for half a surrogate pair, too."""
    return write_json(value) or _slowly(value).encode()


def _slowly(value: Any) -> str:
    try:
        return _COMPACT(value)
    except (TypeError, ValueError, RecursionError, UndefinedError) as error:
        raise EvaluationError(f"this value has no JSON form: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, ChainableUndefined):
        return None  # a field that an answer does not have
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__}")


_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain).encode


def as_text(value: Any) -> str:
    """A value as it is written into a longer text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def epoch_seconds(value: Any) -> float | int:
    """A point in time as epoch seconds, from RFC 3339 text or epoch seconds, milli-, micro- or nanoseconds."""
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return _from_rfc3339(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e20:
        raise EvaluationError(f"{value!r} is no time: RFC 3339 or epoch seconds or milliseconds are")
    for _ in range(3):  # a number of seconds beyond the year 5138 is really one of a smaller unit
        if abs(value) < 1e11:
            break
        value = value / 1000
    return int(value) if value == int(value) else value


_NANOSECONDS = re.compile(r"(\.\d{6})\d+")


def _from_rfc3339(text: str) -> float | int:
    # nanoseconds are cut to the microseconds that Python knows
    shortened = _NANOSECONDS.sub(r"\1", text.strip().upper())
    try:
        moment = datetime.fromisoformat(shortened)
    except ValueError:
        raise EvaluationError(f"{text!r} is no time: RFC 3339 or epoch seconds or milliseconds are") from None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(seconds) if seconds == int(seconds) else seconds


def _b64decode(value: Any) -> str:
    text = as_text(value)
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise EvaluationError("b64decode: this is no base64 of a text") from None


def _fromjson(value: Any) -> Any:
    try:
        return parse_json(value)
    except (TypeError, ValueError, RecursionError):
        raise EvaluationError("fromjson: this is no JSON text") from None


def _pattern(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise EvaluationError(f"{pattern!r} is no regular expression: {error}") from None


def _regex(value: Any, pattern: str, group: int | str = 1) -> str | None:
    compiled = _pattern(pattern)
    found = compiled.search(as_text(value))
    if found is None:
        return None
    try:
        return found.group(group if compiled.groups else 0)
    except (IndexError, TypeError):
        raise EvaluationError(f"regex: {pattern!r} has no group {group!r}") from None


def _regex_replace(value: Any, pattern: str, new: str) -> str:
    compiled, text = _pattern(pattern), as_text(value)
    references = new.count("\\")
    size = len(text)
    for match in compiled.finditer(text):
        longest = max(match.end(group) - match.start(group) for group in range(compiled.groups + 1))
        size += len(new) + references * longest
    check_size(size)
    return compiled.sub(new if references else lambda match: new, text)


_NO_SLUG = re.compile(r"[^a-z0-9]+")


def slug(value: Any, n: int = 63) -> str:
    """A text as a-z0-9-, at most `n` characters."""
    text = _NO_SLUG.sub("-", as_text(value).lower()).strip("-")
    return text[:n].rstrip("-")


def _kv(mapping: Any, /, name: str = "name", value: str = "value") -> list[dict[str, Any]]:
    return [{name: key, value: item} for key, item in _mapping(mapping, "kv").items()]


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise EvaluationError(f"{name}: a mapping is needed, not {type(value).__name__}")
    return value


def _fingerprint(value: Any) -> str:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError:  # pragma: no cover - the extra is installed wherever the tests run
        raise EvaluationError("fingerprint needs: pip install 'yaml-connector[jwt]'") from None
    try:
        # The check of an RSA key takes 70 ms, and only its public part is used here; who signs with it checks it.
        key = serialization.load_pem_private_key(
            as_text(value).encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except Exception:  # many kinds, and their texts may quote the key
        raise EvaluationError("fingerprint: this is no private key in PEM") from None
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


def _basename(value: Any) -> str:
    return as_text(value).split("?")[0].rstrip("/").rsplit("/", 1)[-1]


def _null_safe(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(value: Any, /, *args: Any, **kwargs: Any) -> Any:
        return None if value is None or isinstance(value, Undefined) else function(value, *args, **kwargs)

    return guarded


_OWN: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "fromjson": _fromjson,
    "b64encode": lambda value: base64.b64encode(as_text(value).encode()).decode(),
    "b64decode": _b64decode,
    "regex": _regex,
    "regex_replace": _regex_replace,
    "jsonpath": lambda value, path: compile_path(path).value(value),
    "basename": _basename,
    "slug": slug,
    "sha256": lambda value: hashlib.sha256(as_text(value).encode()).hexdigest(),
    "kv": _kv,
    "kvjoin": lambda value, sep="=": [f"{key}{sep}{as_text(item)}" for key, item in _mapping(value, "kvjoin").items()],
    "merge": lambda value, other: {**_mapping(value, "merge"), **_mapping(other or {}, "merge")},
    "timestamp": epoch_seconds,
    "bytelen": lambda value: len(as_text(value).encode()),
    "quote": lambda value: url_quote(as_text(value), safe=""),
    "fingerprint": _fingerprint,
    "path": lambda value: PathText(as_text(value)),
}
FILTERS: dict[str, Callable[..., Any]] = {name: _null_safe(function) for name, function in _OWN.items()}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "now": lambda: clock().time(),
    "uuid5": lambda text: str(uuid.uuid5(uuid.NAMESPACE_URL, as_text(text))),
}
