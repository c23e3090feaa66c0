"""The exceptions of this package.

::

    YamlConnectorError
    ├── SpecError           spec files cannot be used; `problems` holds everything that is wrong with them
    ├── ConfigError         a task was built with a wrong config, input, output or secret name (also a ValueError)
    ├── EvaluationError     a template, path or conversion has no value
    └── CallError           a call to the API failed
        ├── PermanentError  sending the same request again would change nothing
        └── TransientError  the call may succeed later; `may_have_been_processed`: the API may have acted on it
            └── LoginHeldBackError  a refused login is not sent again yet

Every message is written for the person who must act: what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class YamlConnectorError(Exception):
    """Base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it without calling its constructor."""
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[YamlConnectorError], args: tuple[Any, ...], attributes: dict[str, Any]) -> YamlConnectorError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(attributes)
    return error


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One thing that is wrong in a spec file.

    `file` as the user wrote it, `line` and `column` from 1, `path` of the field (`get.phase.map`), `message` a
    sentence, `severity` `error` or `warning`.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        file = self.file if self.file.isprintable() else repr(self.file)
        where = f"{file}:{self.line}:{self.column}: "
        return where + ("warning: " if self.severity == "warning" else "") + self.text

    @property
    def text(self) -> str:
        """The message with the path of the field before it."""
        return f"{self.path}: {self.message}" if self.path else self.message


class SpecError(YamlConnectorError):
    """One or more spec files cannot be used. `problems` are their diagnostics, in the order of the files."""

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(YamlConnectorError, ValueError):
    """A task cannot be built like this. The message names the field, the value and the rule."""


class EvaluationError(YamlConnectorError):
    """A template, an extraction or a conversion has no value. The message says which one, and why."""


class CallError(YamlConnectorError):
    """A call to the API failed.

    `status` is the status of the response, if there was one; `unknown_job`: the spec's `not_found` was true of it;
    `retry_after` are the seconds that the API asked to wait.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, unknown_job: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.unknown_job = unknown_job


class PermanentError(CallError):
    """The API refused the request; sending the same request again would change nothing."""


class TransientError(CallError):
    """The call may succeed later. `may_have_been_processed` is False if the API surely did not act on the request."""

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


class LoginHeldBackError(TransientError):
    """A login that the API refused is not sent again yet, so the request that needs its token was not sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, may_have_been_processed=False)
