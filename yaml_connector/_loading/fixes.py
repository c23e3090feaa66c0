"""Mends what has one answer, by the message that says it: the text changes at that place only.

A change is kept if its problem is gone, and it made no other in the same place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from yaml_connector.errors import Diagnostic

_MOST = 100  # changes of one file
_CLEARLY = 0.1  # by which the closest name must be closer than the next
_CLOSE = 0.6
_END_OF_VALUE = re.compile(r"\s*(?:[,}\]#\n]|\Z)")
_NOT_YAML = "not YAML: "
_CLOSING = {"\u201c": "\u201d\u201c", "\u2018": "\u2019\u2018", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb"}


class Fix(NamedTuple):
    """One change: the line (from 1), the text that was there, and the text in its place."""

    line: int
    old: str
    new: str


class _Edit(NamedTuple):
    start: int  # in the text
    end: int
    new: str


def fix(text: str, problems_of: Callable[[str], list[Diagnostic]]) -> tuple[str, list[Fix]]:
    """Return the text with everything mended that has one answer, and the changes. `problems_of` validates a text."""
    fixes: list[Fix] = []
    problems, hopeless = problems_of(text), set[tuple[str, str]]()
    while len(fixes) < _MOST:
        for problem in problems:
            if (problem.path, problem.message) in hopeless:
                continue
            found = _first_good(text, problem, problems, problems_of)
            if found is not None:
                edit, changed, problems = found
                fixes.append(Fix(text.count("\n", 0, edit.start) + 1, text[edit.start : edit.end], edit.new))
                text = changed
                break
            hopeless.add((problem.path, problem.message))
        else:
            break
    return text, fixes


def _first_good(
    text: str, problem: Diagnostic, before: list[Diagnostic], problems_of: Callable[[str], list[Diagnostic]]
) -> tuple[_Edit, str, list[Diagnostic]] | None:
    for edit in _edits(problem, text):
        changed = text[: edit.start] + edit.new + text[edit.end :]
        after = problems_of(changed)
        if changed != text and _is_better(problem, before, after):
            return edit, changed, after
    return None


def _is_better(problem: Diagnostic, before: list[Diagnostic], after: list[Diagnostic]) -> bool:
    if problem.message.startswith(_NOT_YAML):  # what else is wrong shows only now
        broken = [other for other in after if other.message.startswith(_NOT_YAML)]
        return all((other.line, other.column) > (problem.line, problem.column) for other in broken)
    known = {(other.path, other.message) for other in before}
    new = [other for other in after if (other.path, other.message) not in known and other.severity == "error"]
    return all((other.path, other.message) != (problem.path, problem.message) for other in after) and not any(
        other.line == problem.line and other.path.startswith(problem.path) for other in new
    )


def _edits(problem: Diagnostic, text: str) -> Iterator[_Edit]:
    """Yield the changes that may be what the message of a problem asks for, the best first."""
    start = _offset(text, problem.line, problem.column)
    for pattern, edits in _RULES:
        match = pattern.search(problem.message)
        if match is not None:
            yield from edits(match, text, start, problem)


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _token(text: str, start: int) -> _Edit:
    """Return the key or value that begins at a place, with its quotes."""
    match = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s,\]}\[{:#][^\s,\]}\[{:#]*(?::[^\s,\]}]+)*").match(text, start)
    return _Edit(start, match.end() if match is not None else start, "")


def _replace(text: str, start: int, old: str, new: str) -> Iterator[_Edit]:
    """Yield a change of a text that begins at a place, maybe with quotes around it."""
    token = _token(text, start)
    found = text[start : token.end]
    if found.strip("\"'") == old:
        quote = found[0] if found[:1] in ("'", '"') and not new.startswith(("[", "'", '"')) else ""
        yield token._replace(new=f"{quote}{new}{quote}")


# --- what messages ask for -------------------------------------------------------------------------------------------


def _closest(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    token = _token(text, start)
    name, meant = text[start : token.end].strip("\"'"), match["meant"]
    if "." in meant:
        return
    allowed = re.sub(r".*allowed: ", "", problem.message).split(", ")
    ratios = {word: difflib.SequenceMatcher(None, name.casefold(), word.casefold()).ratio() for word in allowed}
    others = [ratio for word, ratio in ratios.items() if word != meant]
    own = ratios.get(meant, 0.0)
    if own < _CLOSE or own - max(others, default=0.0) >= _CLEARLY:  # a word that means the same, or the only close one
        yield from _replace(text, start, name, meant)


def _instead(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    token = _token(text, start)
    yield from _replace(text, start, text[start : token.end].strip("\"'"), match["meant"])


def _whole(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    """Change a string as a whole, with its quotes, if all of it is on one line."""
    for quote in ("", '"', "'"):
        end = start + len(match["old"]) + 2 * len(quote)
        if text[start:end] == f"{quote}{match['old']}{quote}" and _END_OF_VALUE.match(text, end):
            yield _Edit(start, end, match["meant"])


def _rest_of_line(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    yield _Edit(start, _line_end(text, start), match["meant"])


def _template(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    old, meant = match["old"], match["meant"]
    at = text.find(old, start)
    names = [meant]
    if re.fullmatch(r"\$\{\{ (id|job_id|jobId) \}\}", meant):
        names.append("${{ job.id }}")
    for new in names if 0 <= at < _line_end(text, start) else ():
        yield _Edit(at, at + len(old), new)


def _blank(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    colon = text.find(":", start, _line_end(text, start))
    if colon >= 0:
        yield _Edit(colon + 1, colon + 1, " ")


def _quote(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    quoted = match["meant"]
    if text.startswith(quoted[1:-1], start):
        yield _Edit(start, start + len(quoted) - 2, quoted)


def _curly(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    end = _line_end(text, start)
    closing = [at for mark in _CLOSING.get(text[start : start + 1], "") if (at := text.find(mark, start + 1, end)) > 0]
    if closing:
        inner = text[start + 1 : closing[0]]
        yield _Edit(start, closing[0] + 1, _in_quotes(inner))


def _close(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    line = text[text.rfind("\n", 0, start) + 1 : start]
    end = _line_end(text, start)
    if re.fullmatch(r"\s*(?:- +)*[\w.-]+:\s+", line) and text[end - 1] not in "}]":
        yield _Edit(end, end, text[start])


def _around_template(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    begin = text.rfind("\n", 0, start) + 1
    opened = text.rfind("${{", begin, start + 3)
    closed = text.find("}}", opened)
    if opened < 0 or closed < 0 or "\n" in text[opened:closed]:
        return
    first = max(text.rfind(mark, begin, opened) for mark in ("[", "{", ", ", ": ")) + 1
    while text[first] == " ":
        first += 1
    last = re.compile(r"[^,\]}\n]*").match(text, closed + 2)
    assert last is not None
    value = text[first : last.end()].rstrip()
    yield _Edit(first, first + len(value), _in_quotes(value))


def _around_type(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    begin = text.rfind("\n", 0, start) + 1
    found = re.compile(r"(?<=[:,\[{] )(?:list|dict)\[[^\]\n]*\]\??|(?<=[:,\[{] )\w+\?").finditer(
        text, begin, _line_end(text, start)
    )
    for word in sorted(found, key=lambda item: abs(item.start() - start)):
        yield _Edit(word.start(), word.end(), _in_quotes(word[0]))


def _around_value(match: re.Match[str], text: str, start: int, problem: Diagnostic) -> Iterator[_Edit]:
    begin, end = text.rfind("\n", 0, start) + 1, _line_end(text, start)
    key = re.compile(r"\s*(?:- +)*[\w.-]+:\s+").match(text, begin, end)
    if key is not None and " #" not in text[key.end() : end]:
        yield _Edit(key.end(), end, _in_quotes(text[key.end() : end].rstrip()))


def _in_quotes(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'" if '"' in value or "\\" in value else f'"{value}"'


_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str], str, int, Diagnostic], Iterator[_Edit]]]] = [
    (re.compile(r"^unknown key; did you mean (?P<meant>[\w.]+)\? allowed"), _closest),
    (re.compile(r"is not allowed; did you mean (?P<meant>[\w.]+)\? allowed"), _closest),
    (re.compile(r"^must be .*, not (?:the string )?'(?P<old>.*)'; write (?P<meant>\[.*\]|true|false)$"), _whole),
    (re.compile(r"^must be .*, not the (?:number|boolean) .*; write (?P<meant>\[.*\])$"), _instead),
    (re.compile(r"nor `- item`; write (?P<meant>.*)$"), _rest_of_line),
    (re.compile(r"is not a valid size; .*did you mean (?P<meant>\w+)\?$"), _instead),
    (re.compile(r"to read it from the response, write (?P<meant>\$\.[^\s,]+)$"), _instead),
    (re.compile(r"^'(?P<old>.* \| .*)' is the same .*, write (?P<meant>\$\.[^\s,]+)$"), _whole),
    (re.compile(r"^'(?P<old>\$.*)' (?:is not a valid JSONPath|reads a key .*); write (?P<meant>\$\S+)$"), _whole),
    (re.compile(r"is a URL; write the host alone: (?P<meant>\S+)$"), _instead),
    (re.compile(r"^'(?P<old>.*)' is sent as it is written; (?P<meant>\$\{\{ .* \}\}) was meant$"), _template),
    (re.compile(r"a blank is missing after the colon"), _blank),
    (re.compile(r"needs quotes; write (?P<meant>'.*'|\".*\")$"), _quote),
    (re.compile(r"is not a quote in YAML"), _curly),
    (re.compile(r"the quote . that opens here is not closed"), _close),
    (re.compile(r"put quotes around the template"), _around_template),
    (re.compile(r"put quotes around types"), _around_type),
    (re.compile(r"a string that contains ': ' needs quotes$"), _around_value),
]
