"""Judging answers (section 6): what is a success, what may pass, what failed for good, and the API's own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import Expression
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.connection import Connection
from yaml_connector._http.messages import Response
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

_SURELY_NOT_DONE = frozenset({429, 503})


@dataclass(frozen=True)
class SuccessCriteria:
    """How the answers to a request are judged (section 6). `needs_json`: a 2xx that is no JSON is a broken answer."""

    success: frozenset[str] = frozenset({"2xx"})
    error: Expression | None = None
    retry_if: Expression | None = None
    needs_json: bool = False
    not_found: Expression | None = None

    def is_success(self, status: int) -> bool:
        return status in _statuses(self.success)


@lru_cache(maxsize=1024)
def _statuses(patterns: frozenset[str]) -> frozenset[int]:
    """The statuses that patterns as `2xx` and `404` mean."""
    return frozenset(code for code in range(1000) if f"{code // 100}xx" in patterns or str(code) in patterns)


class Speaker(Protocol):
    """Who has an answer judged: a session, with its connection's rules and its way to say things without secrets."""

    connection: Connection

    def say(self, about: Response, what: str) -> str:
        """What became of a request."""

    def shorten(self, text: str) -> str:
        """A text, cut to a usual length."""

    def single_line(self, text: str) -> str:
        """The start of a text of any length, as one line."""


def raise_for_response(
    session: Speaker,
    answer: Response,
    scope: Scope,
    judge: SuccessCriteria,
    lacks: Callable[[Response], bool] | None = None,
) -> None:
    """Raise what an answer is, if it is no success: PermanentError, or TransientError. `lacks` is asked whether a 2xx
    that is no JSON is a broken answer."""
    status = answer.status
    read: Scope | None = None
    if judge.error is not None:
        read = scope.with_response(answer)
        error = judge.error.evaluate(read)
        if error:
            text = api_message(session, answer, read) if error is True else as_text(error)
            raise _failed(session, answer, text, read, judge)
    if judge.is_success(status):
        if _lacks_json(answer, judge, lacks):
            kind = answer.headers.get("Content-Type") or "no content type"
            what = f"no JSON ({kind})" if answer.content else "nothing"
            raise TransientError(
                session.say(answer, f"answered {status} with {what}"), may_have_been_processed=True, status=status
            )
        return
    read = read or scope.with_response(answer)
    retry_if = any(
        condition is not None and condition.evaluate(read)
        for condition in (judge.retry_if, session.connection.retry_if)
    )
    text = api_message(session, answer, read)
    if retry_if or status in session.connection.retry_statuses:
        raise TransientError(
            session.say(answer, _answered(status, text)),
            may_have_been_processed=not retry_if and status not in _SURELY_NOT_DONE,
            status=status,
            retry_after=retry_after(answer),
            unknown_job=_is_unknown_job(judge, read),
        )
    raise _failed(session, answer, text, read, judge)


def _lacks_json(answer: Response, judge: SuccessCriteria, lacks: Callable[[Response], bool] | None) -> bool:
    if (lacks is None and not judge.needs_json) or not 200 <= answer.status < 300 or answer.is_json:
        return False
    return judge.needs_json or lacks is None or lacks(answer)


def _failed(session: Speaker, answer: Response, text: str, read: Scope, judge: SuccessCriteria) -> PermanentError:
    return PermanentError(
        session.say(answer, _answered(answer.status, text)),
        status=answer.status,
        retry_after=retry_after(answer),
        unknown_job=_is_unknown_job(judge, read),
    )


def _answered(status: int, text: str) -> str:
    return f"answered {status}: {text}" if text else f"answered {status}"


def _is_unknown_job(judge: SuccessCriteria, read: Scope) -> bool:
    try:
        return judge.not_found is not None and bool(judge.not_found.evaluate(read))
    except EvaluationError:
        return False


def api_message(session: Speaker, answer: Response, read: Scope) -> str:
    """The API's own words in an answer (`error_message`, section 4), redacted and cut."""
    text: Any = None
    if session.connection.error_message is not None:
        try:
            text = session.connection.error_message.first(read)
        except EvaluationError:
            text = None
    else:
        text = default_error_message(answer.body)
    return session.single_line(answer.text) if text is None or text == "" else session.shorten(as_text(text))


def default_error_message(body: Any) -> Any:
    """The first of the places where APIs put their words."""
    if not isinstance(body, dict):
        return None
    error, errors = body.get("error"), body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    places = (
        body.get("message"),
        error.get("message") if isinstance(error, dict) else None,
        error if isinstance(error, str) else None,
        body.get("detail"),
        first.get("message") if isinstance(first, dict) else None,
    )
    return next((place for place in places if isinstance(place, str) and place), None)


def retry_after(answer: Response) -> float | None:
    """The seconds that an answer asks to wait, from both forms of `Retry-After`."""
    text = answer.headers.get("Retry-After")
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text.strip(), re.ASCII):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock().time())
    except (TypeError, ValueError):
        return None
