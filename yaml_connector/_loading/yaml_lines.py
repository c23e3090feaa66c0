"""The lines of a file that is not YAML, and what is wrong with their indentation."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

LONGEST = 500  # characters of a line that is looked at
MOST_LINES = 5000  # above the place of the error
KEY = re.compile(r"\s*(?:- +)*(?P<key>[\w.*/$-]+|'[^']*'|\"[^\"]*\")\s*:(?=\s|$)")
_BLOCK_TEXT = re.compile(r"[|>][+-]?\d?[+-]?\s*(?:#.*)?$")


class Hint(NamedTuple):
    """Where a file is wrong (from 1), and what is wrong there."""

    line: int
    column: int
    message: str


class Lines:
    """The lines of a file, the place at which the parser gave up, and its words."""

    def __init__(
        self, lines: list[str], line: int, column: int, words: str, error: yaml.MarkedYAMLError, ends: dict[int, str]
    ) -> None:
        self.lines, self.lines_end = lines, ends
        self.line, self.column, self.words = line, column, words
        self.problem = error.problem or ""
        context = error.context_mark
        self.opened = (context.line + 1, context.column + 1) if context is not None else None

    def at(self, number: int) -> str:
        return self.lines[number - 1][:LONGEST] if 0 < number <= len(self.lines) else ""

    def above(self, number: int) -> int:
        """Return the number of the last line above that has content; 0 if there is none."""
        for candidate in range(number - 1, max(0, number - MOST_LINES), -1):
            if self.at(candidate).strip() and not self.at(candidate).lstrip().startswith("#"):
                return candidate
        return 0

    def here(self, message: str) -> Hint:
        return Hint(self.line, self.column, message)

    def is_in_block_text(self, number: int) -> bool:
        """Tell whether a line belongs to a text that begins with `|` or `>`."""
        indent = indent_of(self.at(number))
        for candidate in range(number - 1, max(0, number - MOST_LINES), -1):
            shown = self.at(candidate)
            if shown.strip() and indent_of(shown) < indent:
                if _BLOCK_TEXT.search(shown):
                    return True
                indent = indent_of(shown)
        return False

    # --- each of these returns what is wrong, if it is that ---------------------------------------------------------

    def block_text(self) -> Hint | None:
        """A line of a text that begins with | or >, and is not indented as the first."""
        line = self.line if KEY.match(self.at(self.line)) is None else self.opened[0] if self.opened else self.line
        if KEY.match(self.at(line)) or self.at(line).lstrip().startswith("- "):
            return None
        owner = self.above(line)
        first = 0
        while owner and (KEY.match(self.at(owner)) is None or not _BLOCK_TEXT.search(self.at(owner))):
            if KEY.match(self.at(owner)) is not None or line - owner > MOST_LINES:
                return None
            first, owner = owner, self.above(owner)
        key = KEY.match(self.at(owner)) if owner else None
        if key is None:
            return None
        text = f"the text of {key['key']}: on line {owner}"
        if first and indent_of(self.at(first)) <= key.start("key"):
            first = 0
        wanted = indent_of(self.at(first)) if first else key.start("key") + 2
        return Hint(
            line,
            indent_of(self.at(line)) + 1,
            f"this line is indented by {spaces(indent_of(self.at(line)))}; indent {text} by {spaces(wanted)}"
            + (f" or more, as line {first}" if first else " or more"),
        )

    def item(self) -> Hint | None:
        """A key where the next item of a list is expected."""
        shown = self.at(self.line).strip()
        if "did not find expected key" in self.words and shown.startswith("- "):
            sibling = self.item_above(self.line)
            if sibling:
                wanted = spaces(indent_of(self.at(sibling)))
                told = (
                    f"this item is indented by {spaces(indent_of(self.at(self.line)))}, and the one on line {sibling}"
                )
                return self.here(f"{told} by {wanted}; indent both alike")
            return self.here("there cannot be an item of a list here: take the dash off, or indent it below its key")
        if "expected '-' indicator" not in self.words or self.opened is None:
            return None
        number = self.opened[0]
        inner = KEY.match(self.at(number))
        if inner is not None and inner.start("key") > indent_of(self.at(number)):  # `- key:` above
            wanted = f"{spaces(inner.start('key'))}, as {inner['key']}: on line {number}"
            told = f"this is indented as the dash on line {number}; to belong to that item, indent it by {wanted}"
            return self.here(f"{told}, or write - {shown}")
        return self.here(f"the list that begins on line {number} goes on here: write - {shown}, or no dash there")

    def item_above(self, line: int) -> int:
        """Return the line of the item above that is nearest and indented differently; 0 if a key is between."""
        number = self.above(line)
        while number and indent_of(self.at(number)) > indent_of(self.at(line)):
            if self.at(number).lstrip().startswith("- "):
                return number
            number = self.above(number)
        return 0

    def indentation(self) -> Hint | None:
        """A line that begins in no column where it could."""
        shown, number = self.at(self.line), self.above(self.line)
        key = KEY.match(shown)
        is_item = shown.lstrip().startswith("- ")
        if (
            not number
            or not (key or is_item)
            or (indent_of(shown) + 1 < self.column and ": " in shown[: self.column - 1])
        ):
            return None
        name = f"{key['key']}:" if key and not is_item else "this item"
        indent, before = indent_of(shown), self.at(number)
        column = indent + 1
        if indent > indent_of(before) and (above := KEY.match(before)) and before[above.end() :].strip():
            right = indent_of(before) + (
                len(before) - len(before.lstrip("- ")) - indent_of(before) if not is_item else 0
            )
            has = f"{above['key']}: on line {number} has a value, so nothing can be below it"
            return Hint(
                self.line,
                column,
                f"{name} is indented by {spaces(indent)}, but {has}; indent it by {spaces(right)} at most",
            )
        levels = self.levels(number, items=is_item)
        if indent in levels or not levels:
            return None
        nearest = sorted(sorted(levels, key=lambda level: abs(level - indent))[:2])
        known = " or ".join(f"{spaces(level)} (as {levels[level][0]} on line {levels[level][1]})" for level in nearest)
        return Hint(
            self.line, column, f"{name} is indented by {spaces(indent)}; lines around it are indented by {known}"
        )

    def levels(self, number: int, *, items: bool) -> dict[int, tuple[str, int]]:
        """Return the indentations that are open at a line for an item, or for a key: each with the line that has it."""
        found: dict[int, tuple[str, int]] = {}
        least: int | None = None
        while number and (least is None or least > 0):
            shown = self.at(number)
            indent = indent_of(shown)
            if least is None or indent < least:
                key = KEY.match(shown)
                is_item = shown.lstrip().startswith("- ")
                if is_item and items:
                    found[indent] = ("the item", number)
                if key is not None:
                    found.setdefault(key.start("key"), (f"{key['key']}:", number))
                least = indent
            number = self.above(number)
        return found


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def spaces(number: int) -> str:
    return f"{number} space{'' if number == 1 else 's'}"
