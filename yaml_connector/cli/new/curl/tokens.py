"""The words of commands with their variables, and the values in them: URLs, cookies and bodies taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class Capture:
    """Where a variable's value comes from: the answer of call number `call`; `path` is the JSONPath, if it is known.

    `sure` is false if only a name is known, as from grep.
    """

    call: int
    path: str | None = None
    sure: bool = True


@dataclass(frozen=True)
class Variable:
    """`$NAME`, `%NAME%`, `$env:NAME`, and placeholders of documentation: `<NAME>`, `{{NAME}}`.

    `value` is the text that it was set to, `capture` the answer that it came from; `default` is that of `${NAME:-...}`.
    """

    name: str
    value: str | None = None
    capture: Capture | None = None
    default: Word | None = None


@dataclass(frozen=True)
class Substitution:
    """`$(...)`: the output of a pipeline."""

    pipeline: tuple[Command, ...]


Part = str | Variable | Substitution
Word = tuple[Part, ...]  # as the shell reads it
Tokens = tuple[str | Variable, ...]  # once what the shell would do is done
P = TypeVar("P", "str | Variable", "str | Variable | Substitution")


@dataclass(eq=False)
class Command:
    """A simple command: its words, variables that are set before it, its standard input, and where it is.

    `writes` is the file that its output goes to; `about` the comment or prose above it.
    """

    words: tuple[Word, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    stdin: Word | None = None
    writes: str | None = None
    line: int = 1
    about: str = ""

    @property
    def name(self) -> str:
        """Return the name of the program, in lower case, without its folder and `.exe`."""
        text = plain(self.words[0]) if self.words else ""
        return re.split(r"[\\/]", text or "")[-1].lower().removesuffix(".exe")


def plain(word: Word) -> str | None:
    """Return the text of a word; None if variables are in it."""
    texts = [part for part in word if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(word) else None


def joined(parts: Iterable[P]) -> tuple[P, ...]:
    """Return parts as a word or as tokens: neighbouring texts are one."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def cut_text(word: tuple[P, ...], count: int) -> tuple[P, ...]:
    """Return a word without its first characters, which are text."""
    return joined([str(word[0])[count:], *word[1:]])  # type: ignore[list-item]  # a part, whichever kind the others are


def text_in(tokens: Iterable[str | Variable]) -> str:
    """Return the text of tokens without their variables."""
    return "".join(part for part in tokens if isinstance(part, str))


def start_of(tokens: Word) -> str:
    """Return the text that tokens begin with; "" if that is a variable."""
    return tokens[0] if tokens and isinstance(tokens[0], str) else ""


def shown(tokens: Iterable[str | Variable]) -> str:
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


def split_url(tokens: Tokens) -> tuple[Tokens, Tokens, list[tuple[str, Tokens]]]:
    """Return the origin, path and query of a URL. A variable at its beginning is (the beginning of) the origin."""
    marks: list[Variable] = []
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
    pieces: list[list[str | Variable]] = [[]]
    for part in tokens:
        if isinstance(part, Variable):
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
    if len(tokens) == 1 and isinstance(tokens[0], Variable) and tokens[0].value is not None:
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
    marks: list[Variable] = []
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


def _with_leaves(value: Any, marks: list[Variable]) -> Any:
    if isinstance(value, dict):
        return {re.sub("[\ue000-\ue002]", "", key): _with_leaves(item, marks) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_leaves(item, marks) for item in value]
    if not isinstance(value, str) or "\ue000" not in value:
        return value
    bare = value.startswith("\ue002")
    pieces = re.split("\ue000(\\d+)\ue001", value.removeprefix("\ue002"))
    return Leaf(joined(marks[int(piece)] if number % 2 else piece for number, piece in enumerate(pieces)), bare)
