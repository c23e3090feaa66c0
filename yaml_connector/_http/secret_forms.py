"""The forms of a secret, and the patterns of RE2 that find them however their characters are encoded."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5

# A prefix may be encoded once more: `%2541`, `&amp;quot;`, `\\\\n`.
_PERCENT, _ENTITY, _BACKSLASH = r"%(?:25)*", r"&(?:amp;)*", r"\\+"
_SOFT_BREAK = r"(?:=\r?\n)?"
BREAKS = (
    rf"(?:[\r\n]+[ \t]*|=\r?\n|{_BACKSLASH}[rn]|{_BACKSLASH}u000[aAdD]|{_PERCENT}0[aAdD]"
    rf"|{_ENTITY}#(?:10|13|[xX]0*[aAdD]);)+"
)
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_NAMES: dict[str, list[str]] = {}
for _name, _char in html5.items():
    if _name.endswith(";"):
        _NAMES.setdefault(_char, []).append(_name)
_LINES = re.compile(r"\\n|[\r\n]+")


@dataclass(frozen=True)
class Form:
    """What a secret looks like before its characters are encoded, and what may stand between two of them."""

    text: bytes
    between: str
    is_hex: bool = False

    @property
    def head(self) -> bytes:
        """The start that gives the form away."""
        text = self.text.decode("utf-8", "surrogatepass")
        return text[: max(8, min(24, len(text) // 2))].encode("utf-8", "surrogatepass")

    def head_pattern(self) -> str:
        """Return the pattern of the head."""
        return self.between.join(self._written(self.head))

    def whole_pattern(self) -> str:
        """Return the pattern of the head, and of as much of the rest as there is."""
        tail = ""
        for character in reversed(self._written(self.text[len(self.head) :])):
            tail = f"(?:{self.between}{character}{tail})?"
        return self.head_pattern() + tail

    def _written(self, part: bytes) -> list[str]:
        of: Callable[[str], str] = _digit if self.is_hex else _character
        return [of(char) for char in part.decode("utf-8", "surrogatepass")]


def forms_of(secret: str) -> list[Form]:
    """Return the forms of a secret."""
    raw = secret.encode("utf-8", "surrogatepass")  # an environment variable need not be valid UTF-8
    forms = [Form(raw, _SOFT_BREAK), Form(raw.hex().encode(), ":?", is_hex=True)]
    for shift in range(3):  # inside a longer encoded text, the value may start at any of three offsets
        encoded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        # the first characters depend on the text before the value, the last one on the text after it
        inner = encoded[0 if shift == 0 else shift + 1 :]
        inner = inner if (len(raw) + shift) % 3 == 0 else inner[:-1]
        if len(inner) >= 8:
            forms += [Form(inner, BREAKS[:-1] + "*"), Form(inner.translate(_URL_SAFE), BREAKS[:-1] + "*")]
    if "\n" in secret or "\\n" in secret:  # a PEM key, or one within JSON: each line is secret
        lines = {line for line in _LINES.split(secret) if len(line) >= 16 and not line.startswith("-----")}
        forms += [Form(line.encode("utf-8", "surrogatepass"), _SOFT_BREAK) for line in sorted(lines)]
    return forms


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _digit(char: str) -> str:
    return f"[{char}{char.upper()}]" if char.isalpha() else char


def _digits(text: str) -> str:
    return "".join(map(_digit, text))


@lru_cache(maxsize=1024)
def _character(char: str) -> str:
    """Return a pattern of bytes, written in ASCII, for all the ways to write a character."""
    code, raw = ord(char), char.encode("utf-8", "surrogatepass")
    ways = [
        "".join(_PERCENT + _digits(f"{byte:02x}") for byte in raw),
        _SOFT_BREAK.join("=" + _digits(f"{byte:02x}") for byte in raw),
        f"{_ENTITY}#(?:0*{code}|[xX]0*{_digits(f'{code:x}')});",
        *(_ENTITY + re.escape(name) for name in _NAMES.get(char, ())),
        _BACKSLASH + "U" + _digits(f"{code:08x}"),
    ]
    if code < 0x10000:
        ways.append(_BACKSLASH + "u" + _digits(f"{code:04x}"))
    else:
        pair = char.encode("utf-16-be").hex()
        ways.append("".join(_BACKSLASH + "u" + _digits(half) for half in (pair[:4], pair[4:])))
    if code < 256:
        ways.append(_BACKSLASH + "x" + _digits(f"{code:02x}"))
    if char in _ESCAPES:
        ways.append(_BACKSLASH + _ESCAPES[char])
    elif char in "/\"'\\":
        ways.append(_BACKSLASH + re.escape(char))
    elif char == " ":
        ways.append(r"\+")
    ways.append("".join(f"\\x{byte:02x}" for byte in raw))  # last: what it begins may be one of those above
    return f"(?:{'|'.join(ways)})"
