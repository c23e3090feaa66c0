"""Strings of a YAML file that were probably meant as something else, whatever field they are the value of."""

from __future__ import annotations

import re
import unicodedata

from yaml_connector._spec.fields import Path
from yaml_connector._text import short, truncate

_ITEMS = re.compile(r"\n[ \t]*(?:- |-[A-Za-z_$\"'\u00a0])")
_BULLET = re.compile(r"[\u2013\u2014\u2022*]\s+|-\u00a0\s*")
_QUOTED = re.compile(r"([\u2018\u201c])(.*)[\u2018\u2019\u201c\u201d\"']")
_LONGEST = 60  # characters of an item in a message
_PROSE = frozenset({"description", "name", "message"})  # where a text may be anything


def odd_character(text: str) -> str | None:
    """Return the message about a character that nobody sees, or None. A blank that keeps words together may be meant in
    a text, but not at its ends."""
    for character in text:
        if unicodedata.category(character) == "Cf" and character not in "\u200c\u200d":
            return f"there is an invisible character in it (U+{ord(character):04X}); write it anew"
    if text != text.strip() or ("\u00a0" in text and " " not in text.replace("\u00a0", "")):
        return "there is a blank in it that is not a normal one (it was pasted, maybe); write it anew"
    return None


def plain_scalar(text: str, written: str, path: Path) -> str | None:
    """Return the message about a string without quotes that is probably a slip, or None. `written`: as in the file."""
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        instead = "so it would be a part of the string; write \" or '"
        return f"{quoted[1]} is not a quote in YAML, {instead}"
    if path[-1:] and path[-1] in _PROSE:
        return None
    if (bullet := _BULLET.match(text)) is not None:
        item = text[bullet.end() :].split(" - ")[0]
        return f"{short(bullet[0].strip())} does not begin an item of a list; write - {truncate(item, _LONGEST)}"
    if "\n" in written and (found := _ITEMS.search(written)) is not None:
        if text[0] == "-":
            item = truncate(text[1:].split()[0], _LONGEST)
            return f"these lines are one string, as there is no blank after the dash; write - {item}"
        if "- " in found[0]:
            return "this and the item below it are one string: they are indented differently; indent all items alike"
    if text.endswith(","):
        return f"the comma at the end is a part of the string; write {truncate(text.rstrip(', '), _LONGEST)}"
    return None


_CONTROL = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_BEGINNINGS = ((b"\x1f\x8b", "gzip"), (b"PK", "a zip archive"), (b"\x89PNG", "a picture"), (b"%PDF", "a PDF"))


def not_utf8(content: bytes, start: int) -> tuple[int, int, str]:
    """Return line, column and message about the first byte of a file that is not UTF-8."""
    line, begin = content.count(b"\n", 0, start) + 1, content.rfind(b"\n", 0, start) + 1
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return 1, 1, "the file is not UTF-8 text, but UTF-16; save it as UTF-8"
    if (kind := next((kind for head, kind in _BEGINNINGS if content.startswith(head)), None)) is not None:
        return 1, 1, f"the file is not UTF-8 text, but {kind}"
    column = len(content[begin:start].decode("utf-8", "replace")) + 1
    byte = content[start : start + 1]
    meant = byte.decode("cp1252", "replace")
    shown = f" ({meant} in Latin-1)" if meant.isprintable() and meant != "\ufffd" else ""
    return line, column, f"the file is not UTF-8 text: the byte 0x{byte.hex().upper()}{shown} is here; save it as UTF-8"


def control_character(text: str, reason: str) -> tuple[int, int, str]:
    """Return line, column and message about a file with a character that YAML does not have."""
    found = _CONTROL.search(text)
    if found is None:
        return 1, 1, f"not YAML: {reason}"
    at = found.start()
    place = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    if found[0] == "\0" and text[1::2].count("\0") * 2 >= len(text) - 1:
        return 1, 1, "not YAML: the file is UTF-16; save it as UTF-8"
    return *place, f"not YAML: the control character U+{ord(found[0]):04X} is not allowed; delete it"
