"""Reads a statement as bash does: quotes, variables, `$(...)`, pipes, here documents. Nothing is run."""

from __future__ import annotations

import re

from yaml_connector.cli.new.curl.tokens import Command, Part, Substitution, Variable, Word, joined, plain
from yaml_connector.cli.new.names import word_set

_DEEPEST = 20  # `$(` in `$(`
_BEFORE_COMMANDS = word_set(
    """export local readonly declare typeset set time sudo then do else if while until exec command eval env let"""
)
_ESCAPES = dict(zip("ntrabefv", "\n\t\r\a\b\x1b\f\v", strict=True))

NAME = r"[A-Za-z_][A-Za-z0-9_]*"


class ShellError(Exception):
    """A text that is not a command, for example because a quote is never closed."""


class Shell:
    """Reads one statement from the beginning of a text; `position` is then behind it. Raises ShellError."""

    escape = "\\"
    _special = " \t\n;|&()<>"

    def __init__(self, text: str, line: int, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise ShellError("the commands are nested too deeply")
        self.text = text
        self.position = 0
        self.first_line = line
        self.depth = depth
        self.heres: list[tuple[re.Match[str], Command]] = []  # here documents that are still to be read

    # --- the text ---

    def at(self, what: str) -> bool:
        return self.text.startswith(what, self.position)

    @property
    def char(self) -> str:
        return self.text[self.position : self.position + 1]

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(pattern).match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    @property
    def line(self) -> int:
        return self.first_line + self.text.count("\n", 0, self.position)

    # --- statements ---

    def statement(self, end: str = "") -> list[list[Command]]:
        """Read pipelines up to the end of the line (with `end`: up to that character)."""
        pipelines: list[list[Command]] = []
        pipeline: list[Command] = []
        while True:
            self._blanks(lines=bool(end))
            if not self.char or self.char == "\n" or (end and self.char == end):
                break
            if found := self.take(r"\|\||&&|;;?|&(?!>)|\(|\)|\{(?=\s)|\}(?=[\s;]|$)|!(?=\s)"):
                if found[0] == ")" and not end:
                    break
                if pipeline:
                    pipelines.append(pipeline)
                pipeline = []
                continue
            if self.take(r"\|&?"):
                self._blanks(lines=True)
                continue
            before = self.position
            command = self._command(end)
            if self.position == before:
                raise ShellError(f"unexpected {self.char!r}")
            if command.words or command.assignments:
                pipeline.append(command)
                if not self._pipes_on():
                    pipelines.append(pipeline)
                    pipeline = []
        if pipeline:
            pipelines.append(pipeline)
        if self.heres and self.take(r"\n"):
            self._read_heres()
        return pipelines

    def _pipes_on(self) -> bool:
        saved = self.position
        self._blanks()
        if self.char == "\n" and re.compile(r"\s*\|(?!\|)").match(self.text, self.position):
            self._blanks(lines=True)
        if self.at("|") and not self.at("||"):
            return True
        self.position = saved
        return False

    def _blanks(self, *, lines: bool = False) -> None:
        while True:
            if self.take(r"[ \t]+") or self.take(re.escape(self.escape) + r"[ \t]*\n"):
                continue
            if self.char == "#" and (self.position == 0 or self.text[self.position - 1] in " \t\n;"):
                self.take(r"[^\n]*")
                continue
            if lines and self.char == "\n":
                self.position += 1
                self._read_heres()
                continue
            return

    def _command(self, end: str) -> Command:
        words: list[Word] = []
        assignments: list[tuple[str, Word]] = []
        stdin: Word | None = None
        writes: str | None = None
        line = self.line
        here: re.Match[str] | None = None
        while True:
            self._blanks()
            if not self.char or self.char in "\n;|)" or (self.char == "&" and not self.at("&>")):
                break
            if end and self.char == end:
                break
            if found := self.take(r"<<(?!<)(-?)[ \t]*(['\"\\]?)([\w.-]+)['\"]?"):
                here = found
                continue
            if self.take(r"<<<[ \t]*"):
                stdin = self._word()
                continue
            if found := self.take(r"(?:\d|&)?>[>|&]?&?[ \t]*"):
                target = self._word() if self.char not in "\n;" else ()
                writes = plain(target) or writes
                continue
            if self.take(r"<(?!\()[ \t]*"):
                stdin = ("@" + (plain(self._word()) or ""),)
                continue
            if self.char == "(":
                self.position += 1
                continue
            if not words and (found := self.take(rf"({NAME})\+?=")):
                assignments.append((found[1], self._word()))
                continue
            before = self.position
            word = self._word()
            if self.position == before:
                break
            text = plain(word) or ""
            if not words and text in _BEFORE_COMMANDS:
                continue
            words.append(word)
        command = Command(tuple(words), tuple(assignments), stdin, writes, line)
        if here is not None:
            self.heres.append((here, command))
        return command

    def _read_heres(self) -> None:
        """Read the here documents below the line, for their commands."""
        for here, command in self.heres:
            strip, literal, end = here.groups()
            lines = []
            while self.position < len(self.text):
                found = self.take(r"([^\n]*)(?:\n|$)")
                assert found is not None
                text = found[1].lstrip("\t") if strip else found[1]
                if text.strip() == end:
                    break
                lines.append(text)
            body = "".join(f"{text}\n" for text in lines)
            command.stdin = (body,) if literal else self.inside_quotes(body)
        self.heres = []

    def inside_quotes(self, text: str) -> Word:
        """Return a text with its variables, as between double quotes."""
        inner = type(self)(text, self.line, self.depth + 1)
        parts: list[Part] = []
        inner._double(parts, end="")
        return joined(parts)

    # --- words ---

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.char and self.char not in self._special:
            if self.char == "<":
                break
            self._piece(parts)
        if self.char == "<" and (found := self.take(r"<([A-Za-z][\w .:-]*)>")):  # <JOB_ID> of documentation
            parts.append(Variable(found[1]))
            return joined([*parts, *self._word()])
        return joined(parts)

    def _piece(self, parts: list[Part]) -> None:
        char = self.char
        if run := self.take(r"[A-Za-z0-9_./:=?%,+-]+"):
            parts.append(run[0])
        elif char == "'":
            self.position += 1
            self._single(parts)
        elif char == '"':
            self.position += 1
            self._double(parts, end='"')
        elif char in "“”„‘’":
            self.position += 1
            found = self.take(r"([^“”‘’]*)[“”‘’]")
            if found is None:
                raise ShellError(f"the quote {char} is not closed")
            parts += self.inside_quotes(found[1]) if char in "“”„" else (found[1],)
        elif char in "–—" and not parts:
            self.position += 1
            parts.append("--" if self.take(r"(?=[A-Za-z]{2})") else "-")
        elif not self._expansion(parts):
            if char == self.escape:
                self.position += 1
                if self.take(r"[ \t]*\n"):
                    return
                char = self.char
            self.position += 1
            parts.append(char)

    def _single(self, parts: list[Part]) -> None:
        found = self.take(r"([^']*)'")
        if found is None:
            raise ShellError("the quote ' is not closed")
        parts.append(found[1])

    def _ends(self, quote: str) -> bool:
        """Tell whether this is the end of the text; raises ShellError if a quote is still open there."""
        if not self.char and quote:
            raise ShellError('the quote " is not closed')
        return not self.char

    def _double(self, parts: list[Part], *, end: str) -> None:
        while not self._ends(end):
            if end and self.char == end:
                self.position += 1
                return
            if found := self.take(r'[^"\\$`]+' if end else r"[^\\$`]+"):
                parts.append(found[0])
            elif found := self.take(r'\\([$`"\\])' if end else r"\\([$`\\])"):
                parts.append(found[1])
            elif self.take(r"\\\n"):
                continue
            elif not self._expansion(parts, quoted=True):
                parts.append(self.char)
                self.position += 1

    def _expansion(self, parts: list[Part], *, quoted: bool = False) -> bool:
        """Read `$...` or a command in back quotes; return false if there is none."""
        if self.at("$(") and not self.at("$(("):
            self.position += 2
            parts.append(Substitution(self._nested()))
        elif self.at("$((") and (found := self.take(r"\$\(\(.*?\)\)")):
            parts.append(Variable("NUMBER"))
        elif not quoted and self.take(r"\$'"):
            parts.append(self._ansi())
        elif not quoted and self.take(r'\$(?=")'):
            pass
        elif found := self.take(rf"\$\{{({NAME})\}}|\$({NAME})"):
            parts.append(Variable(found[1] or found[2]))
        elif found := self.take(rf"\$\{{({NAME})(:?[-=?+])([^}}]*)\}}"):
            default = self.inside_quotes(found[3]) if found[2][-1] in "-=" else None
            parts.append(Variable(found[1], default=default))
        elif found := self.take(rf"\$\{{({NAME})[^}}]*\}}"):
            parts.append(Variable(found[1]))
        elif found := self.take(r"\$([0-9@*?])"):
            parts.append(Variable(f"ARG{found[1]}" if found[1].isdigit() else "ARGS"))
        elif self.escape != "`" and (found := self.take(r"`([^`]*)`")):
            inner = type(self)(found[1].replace("\\`", "`"), self.line, self.depth + 1)
            parts.append(Substitution(flat(inner.statement())))
        else:
            return False
        return True

    def _nested(self) -> tuple[Command, ...]:
        inner = type(self)(self.text[self.position :], self.line, self.depth + 1)
        pipelines = inner.statement(")")
        if inner.char != ")":
            raise ShellError("$( is not closed")
        self.position += inner.position + 1
        return flat(pipelines)

    def _ansi(self) -> str:
        found = self.take(r"((?:[^'\\]|\\.)*)'")
        if found is None:
            raise ShellError("the quote $' is not closed")

        def value(match: re.Match[str]) -> str:
            text = match[0]
            if text[1] in "xuU":
                return chr(min(int(text[2:], 16), 0x10FFFF))
            if text[1] in "01234567":
                return chr(int(text[1:], 8) & 0xFF)
            return text[1] if text[1] in "\\'\"?" else _ESCAPES.get(text[1], text)

        escape = r"(?s)\\(?:x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|.)"
        text = re.sub(escape, value, found[1])
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def flat(pipelines: list[list[Command]]) -> tuple[Command, ...]:
    return tuple(command for pipeline in pipelines for command in pipeline)
