"""Says what is wrong with a file that is not YAML: where it really is, and what to write instead.

The parser's words are those of its own states, and its position is often a line late, or the end of the file.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

from yaml_connector._loading.yaml_lines import KEY, LONGEST, MOST_LINES, Hint, Lines, indent_of

_QUOTED = re.compile(r"""(?<![^\s\[{,])(?:'[^']*(?:'|\Z)|"[^"]*(?:"|\Z))""")  # what quotes surround already
_OPEN_TEMPLATE = re.compile(r"\$\{\{(?!.*\}\})")
_NO_BLANK = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_]\w*):(?P<value>[^\s:/][^:]*)$")
_KNOWN = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_]\w*):(?P<value>\S.*)$")  # of a field that there is
_FLOW_NO_BLANK = re.compile(r"[{,]\s*(?P<key>[A-Za-z_]\w*):(?=[\"'$\[{])")
_LINE_BREAKS = {"\x85": "U+0085", "\u2028": "U+2028", "\u2029": "U+2029"}
_LOOKALIKES = {
    "\u2018\u2019\u201c\u201d\u201e\u201f\u00ab\u00bb": "{} is not a quote in YAML; write \" or '",
    "\u00a0\u2007\u202f\u3000": "this blank is not a normal one (it was pasted, maybe); write it anew",
    "\uff1a": "{} is not a colon in YAML; write :",
    "\u200b\u2060\ufeff\u00ad": "there is an invisible character here; delete it, or write the line anew",
}
_ENDS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ODD_ENDS = re.compile("[\x85\u2028\u2029]")
_ODD = re.compile(f"[{''.join(_LOOKALIKES)}]")
_IN_BRACES = re.compile(r"[{,]\s*[\w-]+:\s+(?P<value>[^\s'\"\[{,][^'\"{},]*?\[[^\]]*\][^'\",}]*)")


def explain(error: yaml.MarkedYAMLError, text: str) -> Hint:
    """Return where the text is wrong, and what was probably meant, as far as the text up to the error shows."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    line = min(line, text.count("\n") + 1)  # at the end of the file the parser counts one more
    words = " ".join(part for part in (error.context, error.problem) if part)
    ends = [match[0] for match in _ENDS.finditer(text)] if _ODD_ENDS.search(text) else []
    hint = _Hints(lines, line, column, words, error, dict(enumerate(ends, 1))).hint()
    return hint._replace(message=f"not YAML: {hint.message}")


class _Hints(Lines):
    """Finds what is wrong with the lines of a file."""

    def hint(self) -> Hint:
        shown = self.at(self.line)
        if "\t" in shown[: indent_of(shown)] or "'\\t'" in self.words:
            return self.here("there is a tab; YAML allows only spaces for indenting")
        checks = (
            *(self.quote, self.odd_character, self.escape, self.block_text, self.blank, self.first, self.brackets),
            *(self.surplus, self.bare, self.rest, self.indentation, self.item),
        )
        for check in checks:
            if (found := check()) is not None:
                return found
        return self.here(self.advice() or _in_plain_words(self.words))

    def quote(self) -> Hint | None:
        """A quote that is never closed: the parser takes all lines up to the next quote, or the end, for one string."""
        if self.opened and "quoted scalar" in self.words and "end of stream" in self.words:
            return self.flow_blank(self.opened[0]) or self.unclosed(*self.opened)
        for number in range(max(1, self.line - MOST_LINES), min(self.line, len(self.lines)) + 1):
            column = _open_quote(self.at(number))
            if column and not self.is_in_block_text(number) and self.spans(number):
                return self.unclosed(number, column)
        return None

    def spans(self, number: int) -> bool:
        """Tell whether what opens on a line goes on over a line that looks like a key: nobody means that."""
        following = self.at(number + 1)
        return bool(KEY.match(following)) or number == self.line

    def unclosed(self, line: int, column: int) -> Hint:
        mark = self.at(line)[column - 1 : column] or '"'
        return Hint(line, column, f"the quote {mark} that opens here is not closed; close it on this line")

    def escape(self) -> Hint | None:
        """A backslash in double quotes that begins no escape of YAML."""
        if "unknown escape character" not in self.words or self.opened is None:
            return None
        line, column = self.opened
        found = re.match(r'"([^"]*)"', self.at(line)[column - 1 :])
        instead = f"write '{found[1]}'" if found is not None and "'" not in found[1] else "write \\\\ for one"
        return Hint(line, column, f"in double quotes a backslash begins an escape; {instead}")

    def surplus(self) -> Hint | None:
        """A bracket that closes nothing."""
        mark = self.at(self.line)[self.column - 1 : self.column]
        before = _QUOTED.sub("", self.at(self.line)[: self.column - 1])
        pair = {"]": "[", "}": "{"}.get(mark)
        if pair is None or before.count(mark) < before.count(pair):
            return None
        return self.here(f"this {mark} closes nothing; delete it")

    def odd_character(self) -> Hint | None:
        """A character that looks like one of YAML's own."""
        for number in {self.line - 1, self.opened[0] - 1 if self.opened else 0}:
            if (name := _LINE_BREAKS.get(self.lines_end.get(number, ""))) is not None:
                told = f"{name} ends a line in YAML; delete it, or write a blank"
                return Hint(number, len(self.at(number)) + 1, told)
        for number in dict.fromkeys((self.line, self.opened[0] if self.opened else self.line, self.above(self.line))):
            found = _ODD.search(_QUOTED.sub(lambda match: " " * len(match[0]), self.at(number)))
            if found is not None:
                what = next(words for characters, words in _LOOKALIKES.items() if found[0] in characters)
                return Hint(number, found.start() + 1, what.format(found[0]))
        return None

    def blank(self) -> Hint | None:
        """A key without a blank after its colon: the parser notices at the next line."""
        for number in dict.fromkeys((self.line, self.opened[0] if self.opened else 0, self.above(self.line))):
            found = _NO_BLANK.match(self.at(number)) or _KNOWN.match(self.at(number)) if number else None
            if found is not None and (found.re is _NO_BLANK or found["key"] in field_names()):
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
        if re.match(r"\s*[*\u2022\u2013]\s", shown[: at + 2]) and not shown[:at].strip():
            return Hint(
                self.line, at + 1, f"{shown[at]} does not begin an item of a list; write - {shown[at + 1 :].strip()}"
            )
        value = re.split(r"[,\]}]" if re.search(r"[\[{]", shown[:at]) else r"\s#", shown[at:])[0].strip()
        return Hint(self.line, at + 1, f"a string that begins with {value[:1]} needs quotes; write {_quoted(value)}")

    def bare(self) -> Hint | None:
        """A line that is neither a key nor an item."""
        if self.opened is not None and "could not find expected ':'" in self.words:
            line = self.opened[0]
        elif "mapping values are not allowed" in self.words and KEY.match(self.at(self.line)):
            line = self.above(self.line)
        else:
            return None
        text = self.at(line).strip()
        if not text or KEY.match(text) or text.startswith(("- ", "{", "[")) or self.is_in_block_text(line):
            return None
        given = re.fullmatch(r"([\w-]+)\s*[:=]?[=-]>?\s*(\S.*)", text) or re.fullmatch(r"(\w+)()|(\w+)\s+(\S.*)", text)
        instead = ""
        if given is not None:
            key, value = (part or "" for part in (given.groups()[-2:] if given[1] is None else given.groups()[:2]))
            if "=" in text or "->" in text or key in field_names():
                instead = f"; write {key}: {value}".rstrip()
        return Hint(line, indent_of(self.at(line)) + 1, f"this is neither `key: value` nor `- item`{instead}")

    def rest(self) -> Hint | None:
        """Something behind the quote that closes a string."""
        found = re.search(r":\s+((?P<mark>[\"'])(?:(?!(?P=mark)).)*(?P=mark))\s*(?=[^\s#,}\]])", self.at(self.line))
        if found is None or not found.end("mark") < self.column <= found.end() + 1:
            return None
        return self.here(f"the quote {found['mark']} before this closes the string; put other quotes around all of it")

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

    def advice(self) -> str:
        """Return what the line at the error suggests; "" if that is nothing."""
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


# A comment, or a string in quotes; the group matches if the string is not closed on its line.
_STRING = re.compile(r"""(?<![^ \t])\#.*|(?<![^ \t\[{,:-])(?:'(?:[^']|'')*(?:'|(\Z))|"(?:[^"\\]|\\.?)*(?:"|(\Z)))""")


def _open_quote(line: str) -> int:
    """Return the column (from 1) of a quote that the line opens and does not close; 0 if there is none."""
    return next((found.start() + 1 for found in _STRING.finditer(line) if found.lastindex is not None), 0)


@cache
def field_names() -> frozenset[str]:
    """Return the names of all fields that a spec or a contract test may have."""
    from yaml_connector._spec import ConnectorSpec  # these have all models imported
    from yaml_connector._spec.fields import Model, fields_of

    names, kinds = set(ConnectorSpec.model_fields), [Model]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        names |= fields_of(kind).keys()
    return frozenset(names)


def without_blank(value: Any) -> tuple[str, str] | None:
    """Return key and value of a string that is a key without a blank after its colon; None if it is not."""
    found = _NO_BLANK.fullmatch(value) if isinstance(value, str) and len(value) <= LONGEST else None
    return (found["key"], found["value"]) if found is not None else None
