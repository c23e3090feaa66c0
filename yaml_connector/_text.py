"""Words that messages share: the closest name, "did you mean", values cut to a length."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable
from itertools import islice
from typing import Any

_LONGEST_NAME = 60  # characters of a name or value in a message
_SHORTEST = 3  # characters of a name that may be the beginning of another
_LONGEST_LOGGED = 1000  # characters of a value in a log line
# C0 without tab and line breaks, C1, and what changes the direction of writing
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MOST_COMPARED = 100  # names that an unknown one is compared with: comparing is slow


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that `name` was probably meant to be, or None."""
    wanted = name.casefold()
    if len(wanted) > _LONGEST_NAME:
        return None
    compared = islice(allowed, _MOST_COMPARED)
    names = {candidate.casefold(): candidate for candidate in compared if len(candidate) <= _LONGEST_NAME}
    found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    if found:
        return names[found[0]]
    longer = [candidate for candidate in names if len(wanted) >= _SHORTEST and candidate.startswith(wanted)]
    return names[longer[0]] if len(longer) == 1 else None


def did_you_mean(name: str, allowed: Iterable[str], *, what: str = "allowed") -> str:
    """Return the end of a message about an unknown name: the closest allowed name, and all that are allowed."""
    names = list(islice(allowed, _MOST_COMPARED))
    if not names:
        return f"; {what}: none"
    guess = closest(name, names)
    shown = ", ".join(map(short_name, names[:40])) + (", ..." if len(names) > 40 else "")
    return (f"; did you mean {guess}?" if guess else ";") + f" {what}: {shown}"


def short_name(name: str) -> str:
    """Return a name as messages write it: as it is, unless it is very long or would steer a terminal."""
    return name if len(name) <= _LONGEST_NAME and name.isprintable() else short(name)


def short(value: Any, length: int = _LONGEST_NAME) -> str:
    """Return a value as messages quote it: its `repr`, cut to 60 characters, or 120 at most, in bounded time."""
    return truncate(_brief.repr(value), length)


def short_yaml(value: Any) -> str:
    """Return a value of a spec as messages quote it: as `short`, with YAML's words for null, true and false."""
    return truncate(_brief_yaml.repr(value), _LONGEST_NAME)


def truncate(text: str, length: int) -> str:
    """Cut a text to a length; what is cut ends in "..."."""
    return text if len(text) <= length else text[: length - 3] + "..."


def single_line(text: str) -> str:
    """Return a text with every run of white space as one blank, and nothing that steers a terminal."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return a text whose characters that steer a terminal, but for tabs and line breaks, are replaced."""
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", text)


def loggable(text: str) -> str:
    """Return a text of any length as a log line holds it: what would begin another line, or steers a terminal, is
    escaped."""
    return (
        text
        if len(text) <= _LONGEST_LOGGED and text.isprintable()
        else truncate(repr(text[:_LONGEST_LOGGED]), _LONGEST_LOGGED)
    )


class _Brief(reprlib.Repr):
    """Cuts a text at its end, and not in its middle: the rest of a secret that is cut off there can be recognized."""

    def repr_str(self, text: str, level: int) -> str:
        shown = repr(text[: self.maxstring])
        return shown if len(text) <= self.maxstring else f"{shown[:-1]}..."

    def repr_instance(self, value: Any, level: int) -> str:
        try:
            return truncate(repr(value), self.maxother)
        except Exception:  # whatever a value's own `repr` raises
            return f"<{type(value).__name__}>"


class _BriefYaml(_Brief):
    def repr_NoneType(self, value: None, level: int) -> str:  # the name that reprlib asks for
        return "null"

    def repr_bool(self, value: bool, level: int) -> str:
        return str(value).lower()


_brief, _brief_yaml = _Brief(), _BriefYaml()
for _each in (_brief, _brief_yaml):
    _each.maxstring = _each.maxlong = _each.maxother = 2 * _LONGEST_NAME  # what is longer is cut by `short`
    _each.maxlist = _each.maxdict = _each.maxtuple = _LONGEST_NAME
