"""Finds the encoding of a text, and decodes it as a whole or as it comes."""

from __future__ import annotations

import codecs

from multidict import CIMultiDict, CIMultiDictProxy

Headers = CIMultiDict[str] | CIMultiDictProxy[str]

MARK = "\ufeff"  # what a byte order mark is decoded to
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # it begins as that of UTF-16 does
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
)
_PARTS_OF_MARKS = {mark[:end] for mark, _ in _MARKS for end in range(1, len(mark))} - {mark for mark, _ in _MARKS}
WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})  # the start of a text may be all that tells them
# They take quadratic time, or cannot replace what is not valid.
_NOT_FOR_TEXT = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-8-sig"})


def encoding_of(headers: Headers, start: bytes = b"") -> str:
    """Return the encoding of a text that begins so: that of its byte order mark, else the one that the headers name,
    else UTF-8. The mark is decoded as well, to `MARK`."""
    return _marked(start) or _named(headers, start)


def _marked(start: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "")


def _named(headers: Headers, start: bytes) -> str:
    _, _, charset = headers.get("Content-Type", "").lower().partition("charset=")
    charset = charset.split(";")[0].strip(" \"'")
    if charset in ("", "utf-8"):
        return "utf-8"
    try:
        codec = codecs.lookup(charset)
        b"a".decode(charset, "replace")  # not every codec is one of text
    except (LookupError, ValueError):
        return "utf-8"
    name = codec.name.replace("_", "-")
    if name in ("utf-16", "utf-32"):  # the first character is most likely ASCII
        return f"{name}-be" if start.startswith(b"\0") else f"{name}-le"
    return "utf-8" if name in _NOT_FOR_TEXT or codec.incrementaldecoder is None else name


class TextDecoder:
    """Decodes a text that comes in parts, without its byte order mark.

    Decoding can go on where another decoder ended, with the two values that this one had then: `cut` is a character
    that is not whole yet, and `known` the encoding, if only the start of the text tells it.
    """

    def __init__(self, headers: Headers, cut: bytes = b"", known: str = "") -> None:
        self.known = known
        self._headers = headers
        self._cut = cut
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def cut(self) -> bytes:
        return self._cut if self._decoder is None else self._decoder.getstate()[0]

    def decode(self, part: bytes, *, final: bool = False) -> str:
        """Return the next part of the text. `final`: it ends here."""
        if self._decoder is not None:
            return self._decoder.decode(part, final)
        joined = self._cut + part
        if not joined or (joined in _PARTS_OF_MARKS and not self.known and not final):
            self._cut = joined
            return ""
        marked = "" if self.known and self._cut else _marked(joined)  # no text begins within a character
        encoding = marked or self.known or _named(self._headers, joined)
        if encoding == "utf-8" and part and part[0] & 0xC0 != 0x80:
            joined = part  # the character is sent again, as a whole
        self.known = encoding if encoding in WIDE else ""
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        return self._decoder.decode(joined, final).removeprefix(MARK)
