"""Undoes what APIs do to text on its way, and tells where each part of the result comes from.

One pass takes time that is linear in the text: regular expressions only cut it into tokens, each of a bounded length.
A text that was encoded several times takes several passes, each over a shorter text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from html.entities import html5
from itertools import accumulate

_WINDOW = 2**16  # bytes that are decoded at once; other threads run in between
_REACH = 1024  # bytes: more than any token has
_MOST_PASSES = 4
_MOST_MEANINGS = 20_000  # tokens whose meaning is remembered

_HEX = "[0-9a-fA-F]"


def _one_of(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


# A prefix may be encoded once more: `%2541`, `&amp;quot;`, `\\\\n`. Each branch of _ESCAPES begins with a literal: so
# `re` skips everything else at once.
_PERCENT, _BACKSLASH, _AMPERSAND = "%(?:25){0,8}", r"\\\\{0,127}", "&(?:amp;){0,8}"
# The bytes of a character of several bytes in UTF-8, exactly as many as it has: `%C3%80%2580` is one with `%80` behind.
_LEADS, _FOLLOWING = (f"(?:[cC][2-9a-fA-F]|[dD]{_HEX})", f"[eE]{_HEX}", "[fF][0-4]"), f"[89abAB]{_HEX}"
_OCTAL_LEADS, _OCTAL_FOLLOWING = ("3(?:0[2-7]|[123][0-7])", "3[45][0-7]", "36[0-4]"), "2[0-7]{2}"


def _character_of(leads: tuple[str, ...], following: str) -> str:
    return _one_of(*(f"{lead}(?:{following}){{{number}}}" for number, lead in enumerate(leads, 1)))


_ESCAPES = re.compile(
    (
        f"({_PERCENT}"
        + _one_of(_character_of(_LEADS, f"{_PERCENT}{_FOLLOWING}"), _HEX * 2, f"u{_HEX}{{4}}")
        + f"|{_BACKSLASH}"
        + _one_of(
            "[bfnrt]",
            f"u[dD][89abAB]{_HEX}{{2}}{_BACKSLASH}u[dD][c-fC-F]{_HEX}{{2}}",
            f"u{_HEX}{{4}}",
            f"U{_HEX}{{8}}",
            rf"[xu]\{{{_HEX}{{1,8}}\}}",
            "x" + _character_of(_LEADS, f"{_BACKSLASH}x{_FOLLOWING}"),
            f"x{_HEX}{{2}}",
            _character_of(_OCTAL_LEADS, f"{_BACKSLASH}{_OCTAL_FOLLOWING}"),
            "[0-3][0-7]{2}",
            "",
        )
        + "|&"
        + _one_of(
            "(?:amp;){0,8}"
            + _one_of("#0{0,16}[0-9]{1,7}", f"#[xX]0{{0,16}}{_HEX}{{1,6}}", "[a-zA-Z][a-zA-Z0-9]{1,31}")
            + ";",
            "(?:amp;){1,8}",
        )
        + ")"
    ).encode()
)
_QUOTED_CHARACTER = _character_of(_LEADS, f"(?:=\r?\n)?={_FOLLOWING}")
_QUOTED_PRINTABLE = re.compile(f"(=(?:\r?\n|{_QUOTED_CHARACTER}|{_HEX}{{2}}))".encode())
_IS_QUOTED_PRINTABLE = re.compile(f"=(?:\r?\n|0[9aAdD]|[2-9a-fA-F]{_HEX})".encode())
LAYOUT = b" \t\r\n:"
_LAYOUTS = re.compile(b"([" + LAYOUT + b"]+)")

_PERCENT_BYTES = re.compile(f"{_PERCENT}({_HEX}{{2}})".encode())
_QUOTED_BYTES = re.compile(f"=({_HEX}{{2}})".encode())
_ESCAPED_BYTES = re.compile(f"{_BACKSLASH}x({_HEX}{{2}})".encode())
_OCTAL_BYTES = re.compile(f"{_BACKSLASH}([0-7]{{3}})".encode())
_AMPERSANDS = re.compile(_AMPERSAND.encode())
_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class View:
    """A text as it is."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def origin(self, start: int, end: int, *, wide: bool = False) -> tuple[int, int]:
        """Return where a part of the text, which is not empty, is in the text that this one was made of at first.

        `wide`: with the backslashes around it.
        """
        return start, end


class Decoded(View):
    """A view without those of its parts that are tokens, or with what they mean in their place."""

    def __init__(self, encoded: View, tokens: re.Pattern[bytes]) -> None:
        self._parent = encoded
        self._encoded = encoded.text
        self._tokens = tokens
        self._starts: list[int] = []  # of the windows, in the encoded text
        self._at: list[int] = []  # and in the decoded one
        self._pieces: tuple[int, list[int], list[int]] | None = None  # of the window looked at last
        self._meaning = (lambda token: b"") if tokens is _LAYOUTS else _MEANINGS.__getitem__
        decoded = []
        length = start = 0
        while start < len(self._encoded):
            end = self._window_end(start)
            window = self._encoded[start:end]
            self._starts.append(start)
            self._at.append(length)
            if tokens is _LAYOUTS:
                window = window.translate(None, LAYOUT)
            else:
                pieces = tokens.split(window)
                if len(pieces) > 1:
                    pieces[1::2] = map(self._meaning, pieces[1::2])
                    window = b"".join(pieces)
            decoded.append(window)
            length += len(window)
            start = end
        self._starts.append(len(self._encoded))
        self.text = decoded[0] if len(decoded) == 1 else b"".join(decoded)

    def _window_end(self, start: int) -> int:
        """Return the end of the window, which cuts no token."""
        end = start + _WINDOW
        if end >= len(self._encoded):
            return len(self._encoded)
        for token in self._tokens.finditer(self._encoded, end - _REACH, end + _REACH):
            if token.start() >= end:
                break
            if token.end() > end:
                return token.start()
        return end

    def origin(self, start: int, end: int, *, wide: bool = False) -> tuple[int, int]:
        backslashes = wide and self._tokens is not _LAYOUTS
        return self._parent.origin(self._start(start, backslashes), self._end(end, backslashes), wide=wide)

    def _start(self, at: int, wide: bool) -> int:
        starts, decoded, at = self._window_of(at)
        piece = bisect_left(decoded, at) if wide else bisect_right(decoded, at) - 1
        if decoded[piece] > at:
            piece -= 1
        return starts[piece] if piece % 2 else starts[piece] + at - decoded[piece]

    def _end(self, end: int, wide: bool) -> int:
        starts, decoded, at = self._window_of(end - 1)
        piece = bisect_right(decoded, at) - 1
        if wide and decoded[piece + 1] == at + 1:
            return starts[bisect_right(decoded, at + 1) - 1]
        return starts[piece + 1] if piece % 2 else starts[piece] + at + 1 - decoded[piece]

    def _window_of(self, at: int) -> tuple[list[int], list[int], int]:
        """Return where the pieces begin, encoded and decoded, of the window in which this place is, and its offset."""
        number = bisect_right(self._at, at) - 1
        if self._pieces is None or self._pieces[0] != number:
            first, end = self._starts[number : number + 2]
            pieces = self._tokens.split(self._encoded[first:end])
            starts = list(accumulate(map(len, pieces), initial=first))
            pieces[1::2] = map(self._meaning, pieces[1::2])
            self._pieces = number, starts, list(accumulate(map(len, pieces), initial=0))
        return *self._pieces[1:], at - self._at[number]


def views(text: bytes) -> tuple[list[View], list[View]]:
    """Return what a text may be read as, and what of that is looked through for encoded binary data: the text as it is,
    without escapes, and without those of quoted-printable."""
    raw = View(text)
    plain = _without_escapes(raw)
    readable = [raw] if plain is raw else [raw, plain]
    if b"=" in plain.text and _IS_QUOTED_PRINTABLE.search(plain.text):
        # apart from the others, because `token=ab12` is seldom quoted-printable
        readable.append(_without_escapes(Decoded(plain, _QUOTED_PRINTABLE)))
    return readable, readable[1:] if plain is not raw else readable


def without_layout(view: View) -> Decoded:
    """Return a view without blanks and line breaks, which encoded binary data may have anywhere."""
    return Decoded(view, _LAYOUTS)


def canonical(text: bytes) -> bytes:
    """Return a text without escapes."""
    return _without_escapes(View(text)).text


def _without_escapes(view: View) -> View:
    for _ in range(_MOST_PASSES):
        text = view.text
        if not (b"%" in text or b"\\" in text or b"&" in text) or not _ESCAPES.search(text):
            break
        further = Decoded(view, _ESCAPES)
        if further.text == text:
            break
        view = further
    return view


class _Meanings(dict[bytes, bytes]):
    """What a token means; bounded."""

    def __missing__(self, token: bytes) -> bytes:
        if len(self) >= _MOST_MEANINGS:
            self.clear()
        meaning = self[token] = _meaning(token)
        return meaning


_MEANINGS = _Meanings()


def _meaning(token: bytes) -> bytes:
    kind = token[:1]
    if kind == b"&":
        return _entity(token)
    if kind == b"%":
        if b"u" in token:
            return _character(int(token[-4:], 16))
        return _raw(bytes.fromhex(b"".join(_PERCENT_BYTES.findall(token)).decode()))
    if kind == b"=":
        return b"" if token[-1:] == b"\n" else _raw(bytes.fromhex(b"".join(_QUOTED_BYTES.findall(token)).decode()))
    escape = token.lstrip(b"\\")
    kind = escape[:1]
    if kind in _CONTROLS:
        return _CONTROLS[kind]
    if escape[1:2] == b"{":
        return _character(int(escape[2:-1], 16), token)
    if kind == b"x":
        return _raw(bytes.fromhex(b"".join(_ESCAPED_BYTES.findall(token)).decode()))
    if kind in b"uU" and escape:
        if escape.count(b"u") == 2:  # two halves of a character
            pair = bytes.fromhex((escape[1:5] + escape[-4:]).decode())
            return pair.decode("utf-16-be").encode()
        return _character(int(escape[1:], 16), token)
    return _raw(bytes(int(digits, 8) for digits in _OCTAL_BYTES.findall(token)))  # or none: it was before a quote, say


def _entity(token: bytes) -> bytes:
    name = _AMPERSANDS.sub(b"", token, count=1).decode()
    if name.startswith("#"):
        return _character(int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1]), token)
    return html5[name].encode() if name in html5 else b"&" + name.encode()


def _character(code: int, token: bytes = b"") -> bytes:
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else token


def _raw(data: bytes) -> bytes:
    """Return bytes that stand for text: in UTF-8, else in Latin-1."""
    try:
        data.decode("utf-8", "surrogatepass")
        return data
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
