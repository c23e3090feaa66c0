"""What a secret looks like in a text: its forms, and how much of each must be there at least to be one (its head)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from yaml_connector._http.decoding import LAYOUT, canonical

SHORTEST = 4  # characters; shorter values would mask parts of ordinary words
_SHORTEST_ENCODED = 8  # of base64
_SHORTEST_LINE = 16
_SHORTEST_HEAD = 8
_ARMOR = re.compile(rb"\s*-----BEGIN[A-Z0-9 ]+-----\s*")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MOST_REMEMBERED = 32  # secrets whose forms are
_LONGEST_ESCAPE = 12  # bytes, such as those of half a character in JSON
COMPARED = 256  # bytes that are compared with a secret for about the cost of one search


class SecretForms(NamedTuple):
    """What one secret looks like: its lines, and other forms of it with the lengths of their heads."""

    lines: list[bytes]
    readable: list[tuple[bytes, int]]
    compact: list[tuple[bytes, int]]


@lru_cache(maxsize=_MOST_REMEMBERED)
def forms_of(value: bytes) -> SecretForms:
    """Return what a secret looks like; worked out once for those that were seen lately."""
    return SecretForms(_lines(value), [*_readable_forms(value)], [*_compact_forms(value)])


def remember_forms(secrets: Iterable[str]) -> None:
    """Work out what some secrets look like. That takes up to 30 ms for a long one, and redactors for it less then."""
    for secret in islice(secrets, _MOST_REMEMBERED):
        forms_of(secret.encode("utf-8", "surrogatepass"))


def _lines(value: bytes) -> list[bytes]:
    """Return the lines of a secret that has several, such as a PEM key: each of them is secret."""
    lines = [line.strip() for line in re.split(rb"[\r\n]+", canonical(value))]
    if len(lines) == 1:
        return []
    return [line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith(b"-----")]


def _readable_forms(value: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the forms of a secret that people can read, each with the length of its head."""
    plain = canonical(value)
    # a form has + for a blank, and an encoded header _
    for form in {value, plain, plain.replace(b" ", b"+"), plain.replace(b" ", b"_")}:
        characters = form.decode("utf-8", "surrogatepass")
        if len(characters) >= SHORTEST:
            public = _public(form)
            length = len(characters[: head_length(len(characters), public)].encode("utf-8", "surrogatepass"))
            if form == plain != value and length > public + _SHORTEST_HEAD:
                length = min(length, max(public + _SHORTEST_HEAD, _before_escapes(value, length, form)))
            yield form, length


def _before_escapes(value: bytes, length: int, form: bytes) -> int:
    """Return how much of a form is found in a text that ends in the secret, about so many bytes behind its start, even
    if that cuts an escape of the secret's own."""
    ends = range(length, length + _LONGEST_ESCAPE)
    return min(agreement(canonical(value[:end]), 0, form) for end in ends)


def _compact_forms(value: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the forms of a secret in which blanks and line breaks do not count, each with the length of its head."""
    public = _public(value)
    for raw in {value, _in_latin_1(value)}:
        for form in (raw.hex().encode(), raw.hex().upper().encode()):
            yield form, head_length(len(form), public * 2)
        for shift in range(3):  # inside a longer encoded text, the value may start at any of three offsets
            encoded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
            # the first characters depend on the text before the value, the last one on the text after it
            inner = encoded[0 if shift == 0 else shift + 1 :]
            inner = inner if (len(raw) + shift) % 3 == 0 else inner[:-1]
            if len(inner) >= _SHORTEST_ENCODED:
                for form in (inner, inner.translate(_URL_SAFE)):
                    yield form, head_length(len(form), public * 4 // 3 + 2 if public else 0)
    plain = canonical(value)
    if b"\n" in plain:
        form = plain.translate(None, LAYOUT)
        if len(form) >= _SHORTEST_LINE:
            yield form, head_length(len(form), _public(form))


def head_length(length: int, public: int = 0) -> int:
    """Return the length of the head of a form of this length, whose beginning may be public."""
    return min(length, public + max(_SHORTEST_HEAD, min(24, (length - public) // 2)))


def _public(value: bytes) -> int:
    """Return the length of what all keys of the same kind begin with."""
    armor = _ARMOR.match(value)
    return armor.end() if armor is not None else 0


def _in_latin_1(value: bytes) -> bytes:
    try:
        return value.decode().encode("latin-1")
    except UnicodeError:
        return value


def agreement(text: bytes, start: int, form: bytes) -> int:
    """Return for how many bytes the text from here on is the form."""
    if text.startswith(form, start):
        return len(form)
    length, size = 0, COMPARED
    while True:
        one, two = form[length : length + size], text[start + length : start + length + size]
        size = min(len(one), len(two))
        difference = int.from_bytes(one[:size], "big") ^ int.from_bytes(two[:size], "big")
        if difference or not size:
            return length + size - (difference.bit_length() + 7) // 8
        length += size
        size *= 4
