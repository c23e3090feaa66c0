"""The language's own filters and functions. Each returns null for null and undefined."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import quote as url_quote
from urllib.parse import urljoin

from jinja2 import Environment, pass_context, pass_environment
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, Undefined

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import check_operator, consume, cost
from yaml_connector._expressions.json_text import as_text, parse_json, to_json
from yaml_connector._expressions.jsonpath import compile_given_path
from yaml_connector._expressions.regex import compile_regex
from yaml_connector._expressions.scope import StrictUndefined
from yaml_connector._expressions.times import epoch_seconds
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError


class PathText(str):
    """Text that keeps its slashes when it is written into a path (filter `path`)."""

    __slots__ = ()
    is_path = True


def _b64decode(value: Any) -> str:
    text = as_text(value)
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise EvaluationError("b64decode: this is not base64 of UTF-8 text") from None


def _fromjson(value: Any) -> Any:
    try:
        return parse_json(value)
    except (TypeError, ValueError, RecursionError):
        raise EvaluationError("fromjson: this is not valid JSON") from None


def _regex(value: Any, pattern: str, group: int | str = 1) -> str | None:
    compiled = compile_regex(as_text(pattern))
    found = compiled.search(as_text(value))
    if found is None:
        return None
    try:
        return found.group(group if compiled.groups else 0)
    except (IndexError, TypeError):
        raise EvaluationError(f"regex: {pattern!r} has no group {group!r}") from None


def _regex_replace(value: Any, pattern: str, new: str) -> str:
    return compile_regex(as_text(pattern)).replace(as_text(value), as_text(new))


_NO_SLUG = re.compile(r"[^a-z0-9]+")


def slug(value: Any, n: int = 63) -> str:
    """Return a text as a-z0-9-, at most `n` characters."""
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
        raise EvaluationError("fingerprint: this is not a private key in PEM") from None
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


def _basename(value: Any) -> str:
    return as_text(value).split("?")[0].rstrip("/").rsplit("/", 1)[-1]


def _find(items: Any, attribute: str, value: Any) -> Any:
    """Return the first item of a list whose attribute is the value, both as a template writes them; else null."""
    if not isinstance(items, list | tuple):
        raise EvaluationError(f"find: a list is needed, not {type(items).__name__}")
    wanted = _comparable(value)
    if wanted is None:
        return None
    keys = as_text(attribute).split(".")
    return next((item for item in items if _comparable(_inside(item, keys)) == wanted), None)


def _inside(item: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(item, Mapping):
            item = item.get(key)
        elif isinstance(item, list | tuple) and key.isdecimal() and len(key) < 10 and int(key) < len(item):
            item = item[int(key)]
        else:
            return None
    return item


def _comparable(value: Any) -> str | None:
    if isinstance(value, StrictUndefined):
        value._fail_with_undefined_error()
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping | list | tuple):
        consume(cost(value))
    return as_text(value)


_TABS = re.compile(r"[\t\r\n]")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_NOT_IN_URLS = re.compile(r"[^!#-;=?-~]+")  # blanks, quotes, angle brackets, and all that is not ASCII
_SCHEME = re.compile(r"(https?):(?!//)", re.IGNORECASE)


@pass_context
def resolve(context: Context, value: Any, base: Any = None) -> str | None:
    """Return the absolute URL of a relative one as a browser does; `base` is the URL that answered, if not given."""
    if value is None or isinstance(value, Undefined):
        return None
    base = context.parent.get("url") if base is None else base
    if not isinstance(base, str):
        raise EvaluationError("resolve: nothing has answered here; give the base: resolve(base_url)")
    path, mark, rest = _TABS.sub("", as_text(value)).strip().partition("?")
    url = path.replace("\\", "/") + mark + rest
    scheme = _SCHEME.match(url)
    if scheme and base.lower().startswith(f"{scheme[1].lower()}:"):
        url = url[scheme.end() :]  # `https:path` is relative where the base has the same scheme
    try:
        joined = urljoin(base, url)
        origin = _ORIGIN.match(joined)
        start = origin.end() if origin else 0
        return joined[:start] + _NOT_IN_URLS.sub(lambda found: url_quote(found[0], errors="replace"), joined[start:])
    except ValueError:
        raise EvaluationError(f"resolve: {short(value)} is not a valid URL") from None


def _shell(value: Any) -> str:
    """Return a list of words, or a string, quoted for a POSIX shell."""
    if isinstance(value, Mapping):
        raise EvaluationError("shell: a list of words or a string is needed, not a mapping")
    words = value if isinstance(value, list | tuple) else [value]
    texts = [_comparable(word) for word in words]
    if None in texts:
        raise EvaluationError("shell: a word is null")
    text = shlex.join(word for word in texts if word is not None)
    if "\0" in text:
        raise EvaluationError("shell: a word holds a null character, which no shell takes")
    return text


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """Jinja's `default`, which counts null as missing, too."""
    is_missing = value is None or isinstance(value, Undefined) or (boolean and not value)
    return default_value if is_missing else value


def _null_safe(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(value: Any, /, *args: Any, **kwargs: Any) -> Any:
        return None if value is None or isinstance(value, Undefined) else function(value, *args, **kwargs)

    return guarded


@pass_environment
def total(environment: Environment, items: Any, attribute: Any = None, start: Any = 0) -> Any:
    """Jinja's `sum`, in linear time also for lists."""
    value: Any = start
    is_new = False
    for item in items if attribute is None else map(make_attrgetter(environment, attribute), items):
        if is_new and isinstance(item, list):
            consume(len(item))
            value += item
            continue
        check_operator("+", value, item)
        value = value + item
        is_new = type(value) is list
    return value


_OWN: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "fromjson": _fromjson,
    "b64encode": lambda value: base64.b64encode(as_text(value).encode()).decode(),
    "b64decode": _b64decode,
    "regex": _regex,
    "regex_replace": _regex_replace,
    "jsonpath": lambda value, path: compile_given_path(path).value(value),
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
    "find": _find,
    "shell": _shell,
}
FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _null_safe(function) for name, function in _OWN.items()},
    "resolve": resolve,
}
REPLACED: dict[str, Callable[..., Any]] = {"default": default, "d": default, "sum": total}
"""What is used instead of Jinja's own."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "now": lambda: clock().time(),
    "uuid5": lambda text: str(uuid.uuid5(uuid.NAMESPACE_URL, as_text(text))),
}

_ABOUT = r"""
json: The value as compact JSON text; the order is kept.
fromjson: JSON text, parsed.
b64encode: The text in base64.
b64decode: The text that base64 stands for.
regex(pattern, group=1): The group of the first match, or null. Patterns are RE2's.
regex_replace(pattern, new): The text with every match replaced; \1 to \9 are its groups.
jsonpath(path): What a JSONPath reads; a list if it can match several places.
basename: The last part of a path or URL.
slug(n): The text in a-z, 0-9 and -, at most n characters.
sha256: The SHA-256 of the text, in hex.
kv(name, value): A mapping as a list: {a: 1} becomes [{name: a, value: 1}].
kvjoin(sep): A mapping as strings: {a: 1} becomes ["a=1"].
merge(other): Two mappings as one; the other wins.
timestamp: A time (RFC 3339, an HTTP date, epoch seconds or milliseconds) as epoch seconds.
bytelen: The length of the text in UTF-8.
quote: The text, URL-encoded, slashes too.
fingerprint: The SHA-256 of a private key's public part, in base64.
path: In `path`: the slashes of the text are kept, the rest is encoded.
find(attribute, value): The first item of a list whose attribute is the value, as text; else null.
shell: A list of words, or a string, quoted for a POSIX shell.
resolve(base): A relative URL made absolute, against the URL that answered if there is no base.
default(x): x if the value is missing or null.
now(): The time in epoch seconds.
uuid5(text): A UUID that is always the same for the same text.
"""


def explained() -> dict[str, tuple[str, str]]:
    """Return how each filter and function is written, by name, and what it returns; all return null for null."""
    found = (line.split(": ", 1) for line in _ABOUT.strip().splitlines())
    return {written.partition("(")[0]: (written, text) for written, text in found}
