"""Says what is wrong with a file that is not YAML: where it really is, and what to write instead.

The parser's words are those of its own states, and its position is often a line late, or the end of the file.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

_LONGEST = 500  # characters of a line that is looked at
_MOST_LINES = 5000  # above the place of the error
_QUOTED = re.compile(r"""(?<![^\s\[{,])(?:'[^']*(?:'|\Z)|"[^"]*(?:"|\Z))""")  # what quotes surround already
_OPEN_TEMPLATE = re.compile(r"\$\{\{(?!.*\}\})")
_KEY = re.compile(r"\s*(?:- +)*(?P<key>[\w.*/$-]+|'[^']*'|\"[^\"]*\")\s*:(?=\s|$)")
_NO_BLANK = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_]\w*):(?P<value>[^\s:/][^:]*)$")
_FLOW_NO_BLANK = re.compile(r"[{,]\s*(?P<key>[A-Za-z_]\w*):(?=[\"'$\[{])")
_LOOKALIKES = {
    "\u2018\u2019\u201c\u201d\u201e\u201f\u00ab\u00bb": "{} is not a quote in YAML; write \" or '",
    "\u00a0\u2007\u202f\u3000": "this blank is not a normal one (it was pasted, maybe); write it anew",
    "\uff1a": "{} is not a colon in YAML; write :",
}
_ODD = re.compile(f"[{''.join(_LOOKALIKES)}]")
_IN_BRACES = re.compile(r"[{,]\s*[\w-]+:\s+(?P<value>[^\s'\"\[{,][^'\"{},]*?\[[^\]]*\][^'\",}]*)")
_BLOCK_TEXT = re.compile(r"[|>][+-]?\d?[+-]?\s*(?:#.*)?$")


class Hint(NamedTuple):
    """Where a file is wrong (from 1), and what is wrong there."""

    line: int
    column: int
    message: str


def explain(error: yaml.MarkedYAMLError, text: str) -> Hint:
    """Return where the text is wrong, and what was probably meant, as far as the text up to the error shows."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    line = min(line, text.count("\n") + 1)  # at the end of the file the parser counts one more
    words = " ".join(part for part in (error.context, error.problem) if part)
    hint = _Lines(lines, line, column, words, error).hint()
    return hint._replace(message=f"not YAML: {hint.message}")


class _Lines:
    """The lines of a file, the place at which the parser gave up, and its words."""

    def __init__(self, lines: list[str], line: int, column: int, words: str, error: yaml.MarkedYAMLError) -> None:
        self.lines = lines
        self.line, self.column, self.words = line, column, words
        self.problem = error.problem or ""
        context = error.context_mark
        self.opened = (context.line + 1, context.column + 1) if context is not None else None

    def at(self, number: int) -> str:
        return self.lines[number - 1][:_LONGEST] if 0 < number <= len(self.lines) else ""

    def above(self, number: int) -> int:
        """Return the number of the last line above that has content; 0 if there is none."""
        for candidate in range(number - 1, max(0, number - _MOST_LINES), -1):
            if self.at(candidate).strip() and not self.at(candidate).lstrip().startswith("#"):
                return candidate
        return 0

    def hint(self) -> Hint:
        shown = self.at(self.line)
        if "\t" in shown[: _indent(shown)] or "'\\t'" in self.words:
            return self.here("there is a tab; YAML allows only spaces for indenting")
        checks = (
            *(self.quote, self.odd_character, self.blank, self.first, self.brackets, self.bare, self.rest),
            *(self.indentation, self.item),
        )
        for check in checks:
            if (found := check()) is not None:
                return found
        return self.here(self.advice() or _in_plain_words(self.words))

    def here(self, message: str) -> Hint:
        return Hint(self.line, self.column, message)

    def quote(self) -> Hint | None:
        """A quote that is never closed: the parser takes all lines up to the next quote, or the end, for one string."""
        if self.opened and "quoted scalar" in self.words and "end of stream" in self.words:
            return self.flow_blank(self.opened[0]) or self.unclosed(*self.opened)
        for number in range(max(1, self.line - _MOST_LINES), min(self.line, len(self.lines)) + 1):
            column = _open_quote(self.at(number))
            if column and not self.is_in_block_text(number) and self.spans(number):
                return self.unclosed(number, column)
        return None

    def spans(self, number: int) -> bool:
        """Tell whether what opens on a line goes on over a line that looks like a key: nobody means that."""
        following = self.at(number + 1)
        return bool(_KEY.match(following)) or number == self.line

    def unclosed(self, line: int, column: int) -> Hint:
        mark = self.at(line)[column - 1 : column] or '"'
        return Hint(line, column, f"the quote {mark} that opens here is not closed; close it on this line")

    def is_in_block_text(self, number: int) -> bool:
        """Tell whether a line belongs to a text that begins with `|` or `>`."""
        indent = _indent(self.at(number))
        for candidate in range(number - 1, max(0, number - _MOST_LINES), -1):
            shown = self.at(candidate)
            if shown.strip() and _indent(shown) < indent:
                if _BLOCK_TEXT.search(shown):
                    return True
                indent = _indent(shown)
        return False

    def odd_character(self) -> Hint | None:
        """A character that looks like one of YAML's own."""
        for number in dict.fromkeys((self.line, self.opened[0] if self.opened else self.line, self.above(self.line))):
            found = _ODD.search(_QUOTED.sub(lambda match: " " * len(match[0]), self.at(number)))
            if found is not None:
                what = next(words for characters, words in _LOOKALIKES.items() if found[0] in characters)
                return Hint(number, found.start() + 1, what.format(found[0]))
        return None

    def blank(self) -> Hint | None:
        """A key without a blank after its colon: the parser notices at the next line."""
        for number in dict.fromkeys((self.line, self.opened[0] if self.opened else 0, self.above(self.line))):
            found = _NO_BLANK.match(self.at(number)) if number else None
            if found is not None:
                key, value = found["key"], found["value"].strip()
                return Hint(number, found.end("key") + 1, f"a blank is missing after the colon; write {key}: {value}")
        return None

    def flow_blank(self, number: int) -> Hint | None:
        """A key without a blank after its colon inside {}."""
        found = _FLOW_NO_BLANK.search(self.at(number)) if not _open_quote(self.at(number)) else None
        if found is None:
            return None
        return Hint(number, found.end("key") + 1, f"a blank is missing after the colon; write {found['key']}: ...")

    def first(self) -> Hint | None:
        """A string that begins with a character that means something else."""
        shown, at = self.at(self.line), self.column - 1
        if self.opened and ("alias" in self.words or "anchor" in self.words):
            at = self.opened[1] - 1
        elif "cannot start any token" not in self.words:
            return None
        value = re.split(r"[,\]}]" if re.search(r"[\[{]", shown[:at]) else r"\s#", shown[at:])[0].strip()
        return Hint(self.line, at + 1, f"a string that begins with {value[:1]} needs quotes; write {_quoted(value)}")

    def bare(self) -> Hint | None:
        """A line that is neither a key nor an item."""
        if self.opened is not None and "could not find expected ':'" in self.words:
            line = self.opened[0]
        elif "mapping values are not allowed" in self.words and _KEY.match(self.at(self.line)):
            line = self.above(self.line)
        else:
            return None
        text = self.at(line).strip()
        if not text or _KEY.match(text) or text.startswith(("- ", "{", "[")) or self.is_in_block_text(line):
            return None
        given = re.fullmatch(r"([\w-]+)\s*:?=\s*(\S.*)", text)
        instead = f"; write {given[1]}: {given[2]}" if given is not None else ""
        return Hint(line, _indent(self.at(line)) + 1, f"this is neither `key: value` nor `- item`{instead}")

    def rest(self) -> Hint | None:
        """Something behind the quote that closes a string."""
        found = re.search(r":\s+((?P<mark>[\"'])(?:(?!(?P=mark)).)*(?P=mark))\s*(?=[^\s#,}\]])", self.at(self.line))
        if found is None or not found.end("mark") < self.column <= found.end() + 1:
            return None
        return self.here(f"the quote {found['mark']} before this closes the string; put other quotes around all of it")

    def item(self) -> Hint | None:
        """A key where the next item of a list is expected."""
        shown = self.at(self.line).strip()
        if "did not find expected key" in self.words and shown.startswith("- "):
            return self.here("there cannot be an item of a list here: take the dash off, or indent it below its key")
        if "expected '-' indicator" not in self.words or self.opened is None:
            return None
        number = self.opened[0]
        return self.here(f"the list that begins on line {number} goes on here: write - {shown}, or no dash there")

    def brackets(self) -> Hint | None:
        if "flow" not in self.words or self.opened is None:
            return None
        line, column = self.opened
        shown = self.at(line)
        between = shown[column - 1 :] if line != self.line else shown[column - 1 : self.column + 1]
        bare = _QUOTED.sub("", between)
        if "${" in bare or _OPEN_TEMPLATE.search(bare):
            return self.here(_TEMPLATE)
        found = _IN_BRACES.search(shown, column - 1)
        if found is not None and found.start("value") < self.column:
            value = found["value"].strip()
            if re.fullmatch(r"(?:list|dict)\[.*", value):
                return self.here(_TYPES)
            return Hint(
                line, found.start("value") + 1, f"inside {{}} a value with [ needs quotes; write {_quoted(value)}"
            )
        bracket = shown[column - 1 : column]
        if bracket not in ("[", "{"):
            return None
        if line < self.line or self.at(self.line)[self.column - 1 : self.column] in ("]", "}", ""):
            return Hint(line, column, f"the {bracket} that opens here is not closed")
        return self.flow_blank(self.line)

    def indentation(self) -> Hint | None:
        """A line that begins in no column where it could."""
        shown, number = self.at(self.line), self.above(self.line)
        key = _KEY.match(shown)
        is_item = shown.lstrip().startswith("- ")
        if (
            not number
            or not (key or is_item)
            or (_indent(shown) + 1 < self.column and ": " in shown[: self.column - 1])
        ):
            return None
        name = f"{key['key']}:" if key and not is_item else "this item"
        indent, before = _indent(shown), self.at(number)
        column = indent + 1
        if indent > _indent(before) and (above := _KEY.match(before)) and before[above.end() :].strip():
            right = _indent(before) + (len(before) - len(before.lstrip("- ")) - _indent(before) if not is_item else 0)
            has = f"{above['key']}: on line {number} has a value, so nothing can be below it"
            return Hint(
                self.line,
                column,
                f"{name} is indented by {_spaces(indent)}, but {has}; indent it by {_spaces(right)} at most",
            )
        levels = self.levels(number)
        if indent in levels or not levels:
            return None
        known = " or ".join(
            f"{_spaces(level)} (as {text} on line {at})" for level, (text, at) in sorted(levels.items())
        )
        return Hint(
            self.line, column, f"{name} is indented by {_spaces(indent)}; lines around it are indented by {known}"
        )

    def levels(self, number: int) -> dict[int, tuple[str, int]]:
        """Return the indentations that are open at a line: each with the line that has it."""
        found: dict[int, tuple[str, int]] = {}
        least: int | None = None
        while number and (least is None or least > 0):
            shown = self.at(number)
            indent = _indent(shown)
            if least is None or indent < least:
                key = _KEY.match(shown)
                if key is not None:
                    text = f"{key['key']}:"
                    found[indent] = (text, number)
                    inner = key.start("key")
                    if inner > indent:  # `- key:`
                        found.setdefault(inner, (text, number))
                least = indent
            number = self.above(number)
        return found

    def advice(self) -> str:
        """What the line at the error suggests."""
        shown, before = self.at(self.line), self.at(self.line - 1)
        bare = _QUOTED.sub("", shown[: self.column])
        if "${" in bare or _OPEN_TEMPLATE.search(_QUOTED.sub("", before)):
            return _TEMPLATE
        if re.search(r"[\[{,:]\s*\w+[\[?]\Z", bare):
            return _TYPES
        if re.search(r":\s+[^'\"#]*:\s", shown):
            return "a string that contains ': ' needs quotes"
        return ""


_TEMPLATE = "put quotes around the template: inside {} and [], and where it contains ': ', YAML needs them"
_TYPES = "put quotes around types such as 'list[str]' and 'str?' inside {} and []"


# The parser's words, as far as nothing better is known.
_PLAIN = {
    "mapping values are not allowed": "there cannot be a key here; if this is one string, put quotes around it",
    "could not find expected ':'": "a colon is missing after a key, or this line is indented by too little",
    "did not find expected key": "there must be a key here, indented as the one before",
    "did not find expected ',' or": "there must be a comma, or the bracket that closes, here",
    "expected '-' indicator": "there must be the next item of the list here",
    "scanning a block scalar": "| and > begin several lines of text: nothing may follow them on their own line",
    "scanning a directive": "a line may not begin with %",
    "scanning a tag": "a string that begins with ! needs quotes",
    "scanning a plain scalar": "a string that contains a colon needs quotes here",
    "scanning an anchor": "a string that begins with & needs quotes",
    "scanning an alias": "a string that begins with * needs quotes",
    "mapping keys are not allowed": "a string that begins with ? needs quotes",
    "block sequence entries are not allowed": "there cannot be an item of a list here; a string with - needs quotes",
    "did not find expected node content": "there must be a value here",
    "did not find expected <document start>": "nothing may follow the end of the spec",
}


def _in_plain_words(words: str) -> str:
    return next((plain for known, plain in _PLAIN.items() if known in words), words)


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _spaces(number: int) -> str:
    return f"{number} space{'' if number == 1 else 's'}"


def _open_quote(line: str) -> int:
    """Return the column (from 1) of a quote that the line opens and does not close; 0 if there is none."""
    position = 0
    while position < len(line):
        mark = line[position]
        starts = position == 0 or line[position - 1] in " \t[{,:-"
        if mark == "#" and (position == 0 or line[position - 1] in " \t"):
            return 0
        if mark in "'\"" and starts:
            end = _end_of_quote(line, position)
            if end is None:
                return position + 1
            position = end
        position += 1
    return 0


def _end_of_quote(line: str, start: int) -> int | None:
    mark, position = line[start], start + 1
    while position < len(line):
        if line[position] == "\\" and mark == '"':
            position += 2
            continue
        if line[position] == mark:
            if mark == "'" and line[position + 1 : position + 2] == "'":
                position += 2
                continue
            return position
        position += 1
    return None


def without_blank(value: Any) -> tuple[str, str] | None:
    """Return key and value of a string that is a key without a blank after its colon; None if it is not."""
    found = _NO_BLANK.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    return (found["key"], found["value"]) if found is not None else None
