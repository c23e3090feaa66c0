"""The words of a command, with what the shell would put into them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    """Text of a word."""

    text: str


@dataclass(frozen=True)
class Variable:
    """`$NAME`, `${NAME:-default}`, `%NAME%`, `$env:NAME`, and placeholders of documentation: `<NAME>`, `{{NAME}}`."""

    name: str
    default: Word | None = None


@dataclass(frozen=True)
class Substitution:
    """`$(...)`: the output of a pipeline."""

    pipeline: tuple[Command, ...]


Part = Literal | Variable | Substitution
Word = tuple[Part, ...]


@dataclass(frozen=True)
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
    texts = [part.text for part in word if isinstance(part, Literal)]
    return "".join(texts) if len(texts) == len(word) else None


def joined_word(parts: list[Part]) -> Word:
    """Return the parts as a word: neighbouring texts are one, and a word of no parts is an empty text."""
    word: list[Part] = []
    for part in parts:
        if isinstance(part, Literal) and word and isinstance(word[-1], Literal):
            word[-1] = Literal(word[-1].text + part.text)
        else:
            word.append(part)
    return tuple(word)


def flat(pipelines: list[list[Command]]) -> tuple[Command, ...]:
    return tuple(command for pipeline in pipelines for command in pipeline)
