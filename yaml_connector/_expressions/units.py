"""Durations and sizes as they are written, and what those of other tools mean, and their types."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

_LONGEST_WORD = 60  # of a type that is looked up
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATION_WORDS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "m"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
SIZE_WORDS = {
    **dict.fromkeys(("", "b", "bytes"), "B"),
    **dict.fromkeys(("k", "kb", "ki", "kib"), "KiB"),
    **dict.fromkeys(("m", "mb", "mi", "mib", "megs", "meg", "megabytes"), "MiB"),
    **dict.fromkeys(("g", "gb", "gi", "gib"), "GiB"),
}


def duration_text(seconds: float) -> str:
    """Return a duration as specs write it: 600 is `10m`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"


def size_text(size: float) -> str:
    """Return a number of bytes for a message: 10485760 is `10 MiB`."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if size >= SIZES[unit]), "B")
    return f"{round(size / SIZES[unit], 2):g} {unit}"


def meant(value: Any, words: Mapping[str, str]) -> str:
    """Return what a number with another unit probably means, for the end of a message."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = f"{value:.15g}" if isinstance(value, float) else str(value)[:40]
    match = re.fullmatch(r"\s*(\d{1,9}(?:[.,]\d{1,3})?)\s*([A-Za-z]*)\s*", text)
    unit = words.get(match[2].lower()) if match is not None else None
    if match is None or unit is None or (unit in SIZES and "." in match[1]):
        return _meant_together(text, words)
    return f"; did you mean {match[1].replace(',', '.')}{unit}?"


def _meant_together(text: str, words: Mapping[str, str]) -> str:
    """Return what a duration of several parts means (`1m30s`, `PT5M`, `00:05:00`), or a size with a fraction."""
    if words is SIZE_WORDS:
        size = re.fullmatch(r"(\d{1,6}\.\d{1,3})\s*([A-Za-z]+)", text.strip())
        unit = words.get(size[2].lower()) if size is not None else None
        smaller = {"MiB": "KiB", "GiB": "MiB"}.get(unit or "")
        return f"; did you mean {float(size[1]) * 1024:.0f}{smaller}?" if size is not None and smaller else ""
    clock = re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d)", text.strip())
    if clock is not None:
        seconds = int(clock[1]) * 3600.0 + int(clock[2]) * 60 + int(clock[3])
        return f"; did you mean {duration_text(seconds)}?" if seconds else ""
    plain = text.strip().lower()
    plain = plain[1:].replace("t", "") if plain.startswith("p") else plain  # PT5M
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+)\s*", plain)
    if parts and "".join(part for pair in parts for part in pair) == plain.replace(" ", ""):
        units = [words.get(unit) or ("w" if unit in ("w", "week", "weeks") else None) for _, unit in parts]
        if None not in units:
            total = sum(
                float(number) * (7 * 86400 if unit == "w" else UNITS[str(unit)])
                for (number, _), unit in zip(parts, units, strict=True)
            )
            return f"; did you mean {duration_text(total)}?"
    return "; leave the key out for the default" if plain in ("none", "never", "infinite", "forever", "null") else ""


# Types of other languages, by the type that is meant.
_TYPE_WORDS = {
    **dict.fromkeys(("text", "secret", "uuid", "url", "enum", "char", "varchar", "email"), "str"),
    **dict.fromkeys(("integer", "int32", "int64", "long", "bigint"), "int"),
    **dict.fromkeys(("number", "double", "decimal", "float32", "float64"), "float"),
    **dict.fromkeys(("object", "dict", "map", "struct", "mapping"), "dict[str, any]"),
    **dict.fromkeys(("array", "list", "tuple", "set", "sequence"), "list[any]"),
    **dict.fromkeys(("json", "none", "null"), "any"),
    **dict.fromkeys(("date", "timestamp", "time", "date-time"), "datetime"),
    **dict.fromkeys(("timedelta", "interval"), "duration"),
    **dict.fromkeys(("path", "blob", "bytes", "binary"), "file"),
    **dict.fromkeys(("directory", "folder"), "dir"),
}
_GENERIC = (
    (re.compile(r"(?:typing\.)?Optional\[(.+)\]|(.+?)\s*\|\s*(?:None|null)|(?:None|null)\s*\|\s*(.+)"), "{}?"),
    (re.compile(r"(?:List|Array|array|Sequence|Set|set)\[(.+)\]|list<(.+)>|(.+)\[\]|list of (.+?)s?"), "list[{}]"),
    (re.compile(r"(?:Dict|Map|map|dict)[\[<](?:str|string)(?:,\s*|\])(.+?)[\]>]?"), "dict[str, {}]"),
)


def meant_type(text: str, scalars: Collection[str]) -> str | None:
    """Return the type that one of another language means, or None."""
    if len(text) > _LONGEST_WORD:
        return None
    if text.lower() in _TYPE_WORDS:
        return _TYPE_WORDS[text.lower()]
    for pattern, form in _GENERIC:
        if (match := pattern.fullmatch(text)) is not None:
            inner = next(filter(None, match.groups())).strip()
            item = (
                inner
                if inner in scalars
                else meant_type(inner, scalars) or ("str" if inner.startswith("str") else None)
            )
            return form.format(item) if item is not None else None
    return None
