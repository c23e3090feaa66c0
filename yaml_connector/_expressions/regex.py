"""Regular expressions in RE2's syntax: each takes time that is linear in the text, whatever the text is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import re2

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._expressions.budget import check_size, consume
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

LONGEST_PATTERN = 20_000  # characters
_LARGE = 2**20  # bytes of a result
_REPLACED = 4000  # nanoseconds of a match
_MEMORY = 256 * 2**10  # bytes that RE2 may take for a usual pattern
_MORE_MEMORY = 8 * 2**20  # and for a large one
_CACHED = 64 * 2**20  # bytes that all compiled patterns may take together

# what Jinja reads where a pattern says `\b`, or `\1` to `\7`
_CONTROLS = {8: r"\b", **{number: f"\\{number}" for number in range(1, 8)}}
_REFERENCE = re.compile(r"\\(?:g<(\w+)>|([1-9][0-9]?)|(.))|([\x01-\x07])", re.DOTALL)
_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_NOT_LINEAR = re.compile(r"\(\?(?:<?[=!]|\(|>|P=)|\\[1-9]")
_ASCII_ONLY = re.compile(r"(?<!\\)(?:\\\\)*(\\[wWbB])")


class Match:
    """What a pattern matched."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def group(self, group: int | str) -> str | None:
        """Return the text of a group, or None if it took no part; raises IndexError if there is none of that name."""
        data = self._found[group.encode("utf-8", "surrogatepass") if isinstance(group, str) else group]
        return None if data is None else data.decode("utf-8", "replace")


class Pattern:
    """A compiled regular expression."""

    def __init__(self, text: str) -> None:
        source = text.translate(_CONTROLS)
        self.text = text
        if len(source) > LONGEST_PATTERN:
            raise EvaluationError(
                f"{short(text)} is not a valid regular expression: it is longer than {LONGEST_PATTERN} characters"
            )
        data = source.encode("utf-8", "surrogatepass")
        try:
            try:
                self.size, self._compiled = _MEMORY, compile_re2(data, _MEMORY)
            except re2.error:
                self.size, self._compiled = _MORE_MEMORY, compile_re2(data, _MORE_MEMORY)
        except re2.error as error:
            raise EvaluationError(f"{short(text)} is not a valid regular expression: {_why(source, error)}") from None
        self.groups: int = self._compiled.groups

    def search(self, text: str) -> Match | None:
        """Return the first match in a text."""
        found = self._compiled.search(text.encode("utf-8", "surrogatepass"))
        return None if found is None else Match(found)

    def replacement(self, new: str) -> list[str | int]:
        """Return what replaces a match: texts and the numbers of groups. Raises EvaluationError for a group that is
        not there."""
        parts: list[str | int] = []
        position = 0
        for found in _REFERENCE.finditer(new):
            name, number, escape, control = found.groups()
            parts.append(new[position : found.start()])
            position = found.end()
            if escape is not None:
                if escape not in _ESCAPES and escape.isalnum():
                    raise EvaluationError(f"{short(new)} cannot replace a match: it has no meaning for '\\{escape}'")
                parts.append(_ESCAPES.get(escape, "\\" + escape))
                continue
            if name is not None and not name.isdecimal():
                group = self._compiled.groupindex.get(name.encode(), -1)
            else:
                group = int(name or number or ord(control))
            if not 0 <= group <= self.groups:
                raise EvaluationError(f"{short(self.text)} has no group {name or group!r}")
            parts.append(group)
        parts.append(new[position:])
        return parts

    def pieces(self, data: bytes) -> Iterator[Any]:
        """Yield every match in a text as UTF-8; after one of nothing the search goes on with the next character."""
        position = 0
        while position <= len(data) and (found := self._compiled.search(data, position)) is not None:
            yield found
            position = found.end()
            if found.start() == position:
                position += 1
                while position < len(data) and data[position] & 0xC0 == 0x80:
                    position += 1

    def replace(self, text: str, new: str) -> str:
        """Return the text with every match replaced; `new` may name groups: `\\1` to `\\99`, `\\g<name>`.

        Raises SecurityError if the result would be too large, before it is put together.
        """
        data = text.encode("utf-8", "surrogatepass")
        parts = [
            part if isinstance(part, int) else part.encode("utf-8", "surrogatepass") for part in self.replacement(new)
        ]
        written: list[bytes] = []
        position, size = 0, len(data)
        for found in self.pieces(data):
            consume(_REPLACED)
            pieces = [found[part] or b"" if isinstance(part, int) else part for part in parts]
            written += [data[position : found.start()], *pieces]
            size += sum(map(len, pieces))
            if size > _LARGE:
                check_size(size)
                size = 0
            position = found.end()
        check_size(size)
        written.append(data[position:])
        return b"".join(written).decode("utf-8", "surrogatepass")


def ascii_only(text: str) -> str | None:
    """Return the part of a pattern that knows ASCII letters only, such as `\\w`, or None."""
    found = _ASCII_ONLY.search(text.translate(_CONTROLS))
    return None if found is None else found[1]


def compile_regex(text: str) -> Pattern:
    """Compile a regular expression; raises EvaluationError that says what is wrong with it."""
    return _patterns.get(text) or _patterns.put(text, Pattern(text))


_patterns: BoundedCache[str, Pattern] = BoundedCache(heaviest=_CACHED, weight=lambda text, pattern: pattern.size)


def compile_re2(pattern: bytes, memory: int, *, is_binary: bool = False) -> Any:
    """Compile a pattern for RE2, which may take so many bytes for it; `is_binary`: of bytes, without groups. Raises
    re2.error."""
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    if is_binary:
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_capture = True
    try:
        return re2.compile(pattern, options)
    finally:
        re2.purge()  # it would keep patterns of any size


def _why(source: str, error: Exception) -> str:
    said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    unknown = _NOT_LINEAR.search(source)
    if unknown is not None and not said.startswith("missing"):
        return (
            f"{short(unknown[0])[1:-1]} (look-around, back references and the like) is not in RE2's syntax, "
            "whose patterns take linear time"
        )
    return short(said)[1:-1]
