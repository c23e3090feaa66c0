"""Reads a statement as PowerShell or cmd do."""

from __future__ import annotations

import re

from yaml_connector.cli.new.curl.bash import NAME, Shell, ShellError, flat
from yaml_connector.cli.new.curl.tokens import Command, Part, Substitution, Variable, Word, joined


class PowerShell(Shell):
    escape = "`"

    def _single(self, parts: list[Part]) -> None:
        found = self.take(r"((?:[^']|'')*)'")
        if found is None:
            raise ShellError("the quote ' is not closed")
        parts.append(found[1].replace("''", "'").replace('\\"', '"'))

    def _piece(self, parts: list[Part]) -> None:
        if found := self.take(r"@(['\"])[ \t]*\n(.*?)\n\1@|@(['\"])(?!)"):
            text = found[2]
            parts += (text,) if found[1] == "'" else self.inside_quotes(text)
            return
        super()._piece(parts)

    def _double(self, parts: list[Part], *, end: str) -> None:
        while not self._ends(end):
            if found := self.take(r'\\?`"|\\"|""(?!$)' if end else r'`"'):
                parts.append('"')
            elif end and self.char == end:
                self.position += 1
                return
            elif found := self.take(r"`(.)"):
                parts.append({"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]))
            elif not self._expansion(parts, quoted=True):
                parts.append(self.char)
                self.position += 1

    def _expansion(self, parts: list[Part], *, quoted: bool = False) -> bool:
        if found := self.take(rf"\$(?:\{{env:({NAME})\}}|(?:env|global|script):({NAME}))"):
            parts.append(Variable(found[1] or found[2]))
            return True
        if found := self.take(rf"\$\(\$({NAME})(?:\.{NAME})*\)"):
            parts.append(Variable(found[1]))
            return True
        return super()._expansion(parts, quoted=quoted)

    def _command(self, end: str) -> Command:
        if found := self.take(rf"\$(?:env:)?({NAME})[ \t]*=[ \t]*"):
            if self.char in "'\"@":
                return Command((), ((found[1], self._word()),), line=self.line)
            line = self.line
            inner = self.statement(end) if self.char != "(" else [list(self._parenthesis())]
            return Command((), ((found[1], (Substitution(flat(inner)),)),), line=line)
        return super()._command(end)

    def _parenthesis(self) -> tuple[Command, ...]:
        self.position += 1
        commands = self._nested()
        found = self.take(rf"((?:\.{NAME})+)")
        return (*commands, Command((("member",), (found[1],)))) if found else commands


class Cmd(Shell):
    """Windows' cmd, with the rules by which programs split their command line: `^` escapes outside of quotes, and `\\"`
    is a quote inside them."""

    escape = "^"

    def _command(self, end: str) -> Command:
        line = self.line
        if found := self.take(r'[sS][eE][tT]\s+("?)(\w+)=([^\n]*)'):
            value = found[3].rstrip()
            value = value.removesuffix('"') if found[1] else value
            return Command((), ((found[2], _percent(value)),), line=line)
        words: list[Word] = []
        while True:
            self.take(r"(?:[ \t]|\^[ \t]*\n)+")
            if not self.char or self.char in "\n|&" or (end and self.char == end):
                break
            if self.take(r"\d?>>?[ \t]*\S+"):
                continue
            words.append(self._cmd_word())
        return Command(tuple(words), line=line)

    def _cmd_word(self) -> Word:
        text = ""
        quoted = shielded = False  # as the program sees it; as cmd sees it
        if found := self.take(r"'([^'\n]*)'(?=\s|\^|$)"):
            return _percent(found[1])
        while self.char:
            if not shielded and (found := self.take(r"\^[ \t]*\n(\n?)")):
                text += found[1]
                if found[1] or quoted:
                    continue
                self.take(r"[ \t]*")
                break
            escaped = not shielded and self.take(r"\^") is not None
            if not quoted and not escaped and self.char in "\n|& \t":
                break
            if found := self.take(r'\\(\^?)"'):
                text += '"'
                shielded ^= not found[1] and not escaped
            elif self.take('"'):
                shielded ^= not escaped
                if quoted and (found := self.take(r'(\^?)"')):
                    text += '"'
                    shielded ^= not found[1]
                else:
                    quoted = not quoted
            else:
                text += self.char
                self.position += 1
        if quoted:
            raise ShellError('the quote " is not closed')
        return _percent(text)


def _percent(text: str) -> Word:
    parts: list[Part] = []
    end = 0
    for found in re.finditer(r"%([A-Za-z_]\w*)%|!([A-Za-z_]\w*)!", text):
        parts += (text[end : found.start()], Variable(found[1] or found[2]))
        end = found.end()
    return joined([*parts, text[end:]])
