"""Compares expected with found values field by field. Values compare whole; a string `/.../` searches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.regex import Pattern, compile_regex
from yaml_connector._expressions.times import epoch_seconds
from yaml_connector._expressions.value_types import as_plain
from yaml_connector._http.redact import Redactor
from yaml_connector._spec.fields import Path
from yaml_connector.errors import EvaluationError


class _Nothing:
    """The value of a field that is absent."""

    def __repr__(self) -> str:
        return "(nothing)"


NOTHING = _Nothing()
_LONGEST = 300


@dataclass(frozen=True)
class Difference:
    """One field that differs: its path (`json.items[0].name`), the expected and the found value.

    NOTHING as a value: the field is absent. `is_masked`: the values differ in a secret only, and look the same.
    """

    field: str
    expected: Any
    found: Any
    is_masked: bool = False

    def masked(self, redactor: Redactor) -> Difference:
        """Return a copy with secrets masked."""
        expected, found = redactor.redact_tree(self.expected), redactor.redact_tree(as_plain(self.found))
        return replace(self, expected=expected, found=found, is_masked=_same(expected, found))


def differences(expected: Any, found: Any, field: str) -> Iterator[Difference]:
    """Yield a difference for each place in which `found` is not as `expected`.

    Numbers compare as numbers and a datetime as a point in time. An expected string `/.../` is a regular expression
    that must match somewhere in the found value's text.
    """
    if isinstance(expected, str) and _matches(expected, found):
        return
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from differences(expected.get(key, NOTHING), found.get(key, NOTHING), below(field, key))
    elif isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            pair = [items[index] if index < len(items) else NOTHING for items in (expected, found)]
            yield from differences(pair[0], pair[1], f"{field}[{index}]")
    elif not _same(expected, as_plain(found)):
        yield Difference(field, expected, found)


def below(field: str, key: Any) -> str:
    plain = isinstance(key, str) and re.fullmatch(r"[\w-]+", key)
    return f"{field}.{key}" if plain else f"{field}[{key!r}]"


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return expected == found
    return bool(expected == found)


def _matches(expected: str, found: Any) -> bool:
    if isinstance(found, datetime):
        try:
            return bool(epoch_seconds(expected) == found.timestamp())
        except EvaluationError:
            pass
    pattern = regex_of(expected)
    if pattern is None or found is None or found is NOTHING:
        return False
    return pattern.search(as_text(as_plain(found))) is not None


def regex_of(text: str) -> Pattern | None:
    """Return the regular expression in `/.../`, or None if `text` is not one."""
    if len(text) < 3 or not (text.startswith("/") and text.endswith("/")):
        return None
    try:
        return compile_regex(text[1:-1])
    except EvaluationError:
        return None


def regex_problems(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield each `/.../` in a value that is not a valid regular expression."""
    if isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from regex_problems(item, (*path, key))
    elif isinstance(value, str) and len(value) > 2 and value[0] == value[-1] == "/" and regex_of(value) is None:
        try:
            compile_regex(value[1:-1])
        except EvaluationError as problem:
            literal = plain_strings(value).replace("'", "''")
            yield path, f"{problem}; for the text itself, write '{literal}'"


def plain_strings(value: Any) -> Any:
    """Return data in which a string like `/.../` is a regular expression that matches this string alone."""
    if isinstance(value, Mapping):
        return {key: plain_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_strings(item) for item in value]
    if isinstance(value, str) and len(value) > 2 and value[0] == value[-1] == "/":
        return f"/^{re.escape(value)}$/"
    return value


def show(value: Any, other: Any = None) -> str:
    """Return a value as JSON for a report. A long one is cut around the first character that differs from `other`."""
    if value is NOTHING:
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST:
        return text
    against = json.dumps(other, ensure_ascii=False, default=str) if other is not NOTHING else ""
    same = next((at for at, (one, two) in enumerate(zip(text, against, strict=False)) if one != two), 0)
    start = max(0, min(same - _LONGEST // 3, len(text) - _LONGEST))
    return ("..." if start else "") + text[start : start + _LONGEST] + ("..." if start + _LONGEST < len(text) else "")
