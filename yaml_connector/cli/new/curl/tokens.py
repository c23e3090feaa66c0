"""Values of commands with their variables: URLs, cookies and bodies taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Capture:
    """Where a variable's value comes from: the answer of call number `call`; `path` is the JSONPath, if it is known.

    `sure` is false if only a name is known, as from grep.
    """

    call: int
    path: str | None = None
    sure: bool = True


@dataclass(frozen=True)
class Named:
    """A variable in a value: its name, and the text or the answer that it was set to, if it was."""

    name: str
    value: str | None = None
    capture: Capture | None = None


Tokens = tuple[str | Named, ...]


def text_in(tokens: Iterable[str | Named]) -> str:
    """Return the text of tokens without their variables."""
    return "".join(part for part in tokens if isinstance(part, str))


def start_of(tokens: Tokens) -> str:
    """Return the text that tokens begin with; "" if that is a variable."""
    return tokens[0] if tokens and isinstance(tokens[0], str) else ""


def shown(tokens: Iterable[str | Named]) -> str:
    """Return tokens as text, with `$NAME` for a variable."""
    return "".join(part if isinstance(part, str) else f"${part.name}" for part in tokens)


@dataclass(frozen=True)
class Leaf:
    """Text with variables in a body; `bare` if it stood in JSON without quotes, so that it is a number or the like."""

    tokens: Tokens
    bare: bool = False


@dataclass(frozen=True)
class FilePart:
    """A file that is sent: its name, the input that holds it here, and what curl says of it."""

    name: str
    filename: str | None = None
    content_type: str | None = None


def joined(parts: Iterable[str | Named]) -> Tokens:
    """Return parts as tokens: neighbouring texts are one."""
    found: list[str | Named] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def split_url(tokens: Tokens) -> tuple[Tokens, Tokens, list[tuple[str, Tokens]]]:
    """Return the origin, path and query of a URL. A variable at its beginning is (the beginning of) the origin."""
    marks: list[Named] = []
    text = ""
    for part in tokens:
        if isinstance(part, str):
            text += part
        else:
            text += chr(0xE000 + len(marks))
            marks.append(part)
    text = text.partition("#")[0] if not re.search(r"/#", text) else text
    found = re.match(r"((?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/?@]*@)?[^/?]+)?(/[^?]*)?(?:\?(.*))?$", text, re.DOTALL)
    if found is None:
        return (), (), []

    def back(piece: str | None) -> Tokens:
        return joined(
            marks[ord(char) - 0xE000] if 0xE000 <= ord(char) < 0xE000 + len(marks) else char for char in piece or ""
        )

    pairs = []
    for pair in (found[3] or "").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append(("".join(str(part) for part in back(name)), decoded(back(value)) or ("",)))
    return back(found[1]), back(found[2]), pairs


def split(tokens: Tokens, separator: str) -> list[Tokens]:
    """Return the pieces of tokens between separators."""
    pieces: list[list[str | Named]] = [[]]
    for part in tokens:
        if isinstance(part, Named):
            pieces[-1].append(part)
            continue
        first, *rest = part.split(separator)
        pieces[-1].append(first)
        pieces += [[piece] for piece in rest]
    return [joined(piece) for piece in pieces if joined(piece)]


def decoded(tokens: Tokens) -> Tokens:
    from urllib.parse import unquote_plus

    return tuple(unquote_plus(part) if isinstance(part, str) else part for part in tokens)


def cookies_of(tokens: Tokens) -> list[tuple[str, Tokens]]:
    """Return cookies by name; a text without `=` is the file that `-b` reads."""
    found = []
    for piece in split(tokens, ";"):
        name, equals, value = start_of(piece).strip().partition("=")
        if equals:
            found.append((name, joined([value, *piece[1:]])))
    return found


def read_body(tokens: Tokens, content_type: str) -> tuple[str, Any]:
    """Return a body by kind: JSON if it is, a form if the type says so or nothing does, else text."""
    if len(tokens) == 1 and isinstance(tokens[0], Named) and tokens[0].value is not None:
        tokens = (tokens[0].value,)
    kind = content_type.lower()
    if not kind or "json" in kind or "urlencoded" in kind or "text/plain" in kind:
        parsed = read_json(tokens)
        if parsed is not None and (isinstance(parsed[0], dict | list) or "json" in kind):
            return "json", parsed[0]
    text = "".join(part if isinstance(part, str) else "x" for part in tokens)
    if ("urlencoded" in kind or not kind) and re.fullmatch(r"[^=&\s{}<>]+=[^&]*(&[^=&\s]+=?[^&]*)*&?", text.strip()):
        pairs: list[tuple[str, Any]] = []
        for piece in split(tokens, "&"):
            name, _, value = start_of(piece).partition("=")
            pairs.append((str(decoded((name,))[0]), Leaf(decoded(joined([value, *piece[1:]])) or ("",))))
        return "form", pairs
    return "text", Leaf(tokens)


def read_json(tokens: Tokens) -> tuple[Any] | None:
    """Return JSON in which texts with variables are leaves, in a tuple of one; None if it is not JSON."""
    text = ""
    marks: list[Named] = []
    inside = False
    for part in tokens:
        if isinstance(part, str):
            for found in re.finditer(r'\\.|"|[^"\\]+', part, re.DOTALL):
                inside ^= found[0] == '"'
            text += part
            continue
        mark = f"\ue000{len(marks)}\ue001"
        marks.append(part)
        text += mark if inside else f'"\ue002{mark}"'
    try:
        data = json.loads(text.strip(), strict=False)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return (_with_leaves(data, marks),)


def _with_leaves(value: Any, marks: list[Named]) -> Any:
    if isinstance(value, dict):
        return {re.sub("[\ue000-\ue002]", "", key): _with_leaves(item, marks) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_leaves(item, marks) for item in value]
    if not isinstance(value, str) or "\ue000" not in value:
        return value
    bare = value.startswith("\ue002")
    pieces = re.split("\ue000(\\d+)\ue001", value.removeprefix("\ue002"))
    return Leaf(joined(marks[int(piece)] if number % 2 else piece for number, piece in enumerate(pieces)), bare)
