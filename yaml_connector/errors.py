"""What can go wrong, as one tree.

::

    YamlConnectorError
    ├── SpecError            spec files that cannot be used: carries all their problems
    ├── ConfigError          a task was built with a wrong config, input, output or secret name
    ├── EvaluationError         a template, path or conversion could not give its value
    └── CallError            a call to the API did not give what was asked for
        ├── PermanentError    no retry mends it
        └── TransientError          it may work the next time; `may_have_been_processed` says what the API may have seen

Every message is one sentence or more for the person who must act: what is wrong, where, what to do.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

_LONGEST_NAME = 60  # characters of a name or value in a message
_MOST_COMPARED = 100  # names that an unknown one is compared with: comparing is slow


class YamlConnectorError(Exception):
    """Base of all errors of this package."""


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One thing that is wrong in a spec file (section 2 of the language page).

    `file` as the user gave it, `line` and `column` from 1, `path` of the field (`get.phase.map`), `message` a sentence,
    `severity` `error` or `warning`.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        label = "warning: " if self.severity == "warning" else ""
        return where + label + (f"{self.path}: {self.message}" if self.path else self.message)


class SpecError(YamlConnectorError):
    """One or more spec files cannot be used; `problems` holds all that is wrong, in the order of the files."""

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(YamlConnectorError, ValueError):
    """A task cannot be built so: names the field, the value and the rule."""


class EvaluationError(YamlConnectorError):
    """A template, an extraction or a conversion has no value to give; the message says which and why."""


class CallError(YamlConnectorError):
    """A call to the API failed. `status` is the answer's, if there was one; `unknown_job` if `not_found` was true of
    it; `retry_after` are the seconds that the API asked to wait."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, unknown_job: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.unknown_job = unknown_job


class PermanentError(CallError):
    """The API answered, and sending the same again would change nothing."""


class TransientError(CallError):
    """The call may work the next time. `may_have_been_processed` is False if the API surely did not act on it."""

    def __init__(
        self,
        message: str,
        *,
        may_have_been_processed: bool,
        status: int | None = None,
        retry_after: float | None = None,
        unknown_job: bool = False,
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after, unknown_job=unknown_job)
        self.may_have_been_processed = may_have_been_processed


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that `name` was probably meant to be, or None."""
    wanted = name.casefold()
    if len(wanted) > _LONGEST_NAME:
        return None
    compared = islice(allowed, _MOST_COMPARED)
    names = {candidate.casefold(): candidate for candidate in compared if len(candidate) <= _LONGEST_NAME}
    found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def did_you_mean(name: str, allowed: Iterable[str], *, what: str = "allowed") -> str:
    """The tail of a message about an unknown name: the closest valid one and what is allowed."""
    names = list(islice(allowed, _MOST_COMPARED))
    if not names:
        return f"; {what}: none"
    guess = closest(name, names)
    shown = ", ".join(map(short_name, names[:40])) + (", ..." if len(names) > 40 else "")
    return (f"; did you mean {guess}?" if guess else ";") + f" {what}: {shown}"


def short_name(name: str) -> str:
    """A name as messages write it: as it is, unless it is very long or would steer a terminal."""
    return name if len(name) <= _LONGEST_NAME and name.isprintable() else short(name)


def short(value: Any) -> str:
    """A value as messages quote it: the text of its `repr`, cut to 60 characters, in bounded time."""
    text = _brief.repr(value)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 3] + "..."


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxlong = _brief.maxother = 2 * _LONGEST_NAME  # what is longer is cut by `short`
_brief.maxlist = _brief.maxdict = _brief.maxtuple = _LONGEST_NAME
