"""Classifies responses as success, transient or permanent failure, and extracts the API's error message."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import Expression, compile_condition
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import UNDEFINED, Scope
from yaml_connector._expressions.times import epoch_seconds
from yaml_connector._http.connection import Connection
from yaml_connector._http.context import CallContext, redact_error
from yaml_connector._http.json_need import Json, lacks_json, not_json
from yaml_connector._http.messages import Response
from yaml_connector._text import without_controls
from yaml_connector.errors import CallError, EvaluationError, PermanentError, TransientError

_NOT_PROCESSED = frozenset({425, 429, 503})  # with these statuses the API says that it did not act
_NUMBER = re.compile(r"\s*\d{1,12}(\.\d{1,12})?\s*", re.ASCII)
_FIRST_EPOCH = 1e9  # a number from here on is a time, any other a number of seconds


SUCCESS = frozenset({"2xx"})
"""The statuses of a success, if the spec does not say otherwise."""


@dataclass(frozen=True)
class SuccessCriteria:
    """When a response is a success: `success` are statuses, as `2xx` or `404`, or a condition.

    `error`: it failed permanently. `retry_if`: it failed for now. `json`: whether a 2xx must be JSON. `not_found`: the
    API does not know the job.
    """

    success: frozenset[str] | Expression = SUCCESS
    error: Expression | None = None
    retry_if: Expression | None = None
    json: Json = "none"
    not_found: Expression | None = None
    statuses: frozenset[int] = field(init=False)
    by_status: bool = field(init=False)  # nothing but the status tells a success

    @property
    def conditions(self) -> list[Expression]:
        """The conditions on a response that decide whether it is a success."""
        given = (self.error, self.retry_if, self.success)
        return [condition for condition in given if isinstance(condition, Expression)]

    def __post_init__(self) -> None:
        is_condition = isinstance(self.success, Expression)
        object.__setattr__(self, "statuses", frozenset() if is_condition else _statuses(self.success))
        object.__setattr__(self, "by_status", not is_condition and self.error is None and self.retry_if is None)


def compile_success(success: list[Any] | str | None, default: frozenset[str]) -> frozenset[str] | Expression:
    """Compile what a spec says of success: statuses, or a condition."""
    if success is None:
        return default
    return compile_condition(success) if isinstance(success, str) else frozenset(map(str, success))


@lru_cache(maxsize=1024)
def _statuses(patterns: frozenset[str]) -> frozenset[int]:
    """Return the statuses that patterns like `2xx` and `404` mean."""
    return frozenset(code for code in range(1000) if f"{code // 100}xx" in patterns or str(code) in patterns)


def raise_for_response(
    context: CallContext,
    response: Response,
    scope: Scope,
    criteria: SuccessCriteria,
) -> None:
    """Raise PermanentError or TransientError unless the response is a success.

    `scope` is what the criteria's expressions see, besides the response. Raises TurnOver if that takes long: then
    `judge` does the work elsewhere, and `conclude` does the rest.
    """
    if (
        context.connection.retry_after is None
        and criteria.by_status
        and response.status in criteria.statuses
        and "Retry-After" not in response.headers
        and (criteria.json == "none" or response.body is not UNDEFINED)
    ):
        return
    conclude(context, *judge(context, response, scope, criteria))


def judge(
    context: CallContext, response: Response, scope: Scope, criteria: SuccessCriteria
) -> tuple[float | None, CallError | None]:
    """Return the seconds that a response asks to wait, and why it is not a success (None: it is one)."""
    connection = context.connection
    read = scope.with_response(response)
    wait: float | None = None
    if connection.retry_after is not None or "Retry-After" in response.headers:
        wait = requested_wait(connection, response, read)
    failure = _failure(context, response, read, criteria)
    if failure is not None:
        failure.status, failure.retry_after = response.status, wait
    return wait, failure


def conclude(context: CallContext, wait: float | None, failure: CallError | None) -> None:
    """Heed the wait that a response asks for, and raise its failure, if there is one."""
    if wait:
        context.not_before = max(context.not_before, clock().monotonic() + wait)
    if failure is None:
        return
    if wait:
        context.events.asked_to_wait(wait)
    try:
        raise failure
    finally:
        del failure  # else its traceback and it hold each other, and all that is in the frames, the job too


def _failure(context: CallContext, response: Response, read: Scope, criteria: SuccessCriteria) -> CallError | None:
    """Judge a response; the first that holds of what follows counts."""
    status, connection, success = response.status, context.connection, criteria.success
    if lacks_json(response, criteria.json):
        failure = not_json(response)
        redact_error(context, failure)
        return failure
    if criteria.error is not None and (error := criteria.error.evaluate(read)):
        text = api_message(context, response, read) if error is True else as_text(error)
        return _permanent(context, response, text, read, criteria)
    refused = criteria.retry_if is not None and bool(criteria.retry_if.evaluate(read))
    if not refused:
        if success.evaluate(read) if isinstance(success, Expression) else status in criteria.statuses:
            return None
        refused = connection.retry_if is not None and bool(connection.retry_if.evaluate(read))
    text = api_message(context, response, read)
    if refused or status in connection.retry_statuses:
        return TransientError(
            context.describe(response, _answered(status, text)),
            may_have_been_processed=not refused and status not in _NOT_PROCESSED,
            unknown_job=_is_unknown_job(criteria, read),
        )
    return _permanent(context, response, text, read, criteria)


def _permanent(
    context: CallContext, response: Response, text: str, read: Scope, criteria: SuccessCriteria
) -> PermanentError:
    message = context.describe(response, _answered(response.status, text))
    return PermanentError(message, unknown_job=_is_unknown_job(criteria, read))


def _answered(status: int, text: str) -> str:
    return f"answered {status}: {text}" if text else f"answered {status}"


def _is_unknown_job(criteria: SuccessCriteria, read: Scope) -> bool:
    try:
        return criteria.not_found is not None and bool(criteria.not_found.evaluate(read))
    except EvaluationError:
        return False


def api_message(context: CallContext, response: Response, read: Scope) -> str:
    """Return the API's own message in a response, redacted and cut: where `error_message` says, or in one of the usual
    places; without one, the start of the text."""
    text: Any = None
    if context.connection.error_message is not None:
        try:
            text = context.connection.error_message.first(read)
        except EvaluationError:
            text = None
    else:
        text = default_error_message(response.body)
    return (
        context.single_line(response.text)
        if text is None or text == ""
        else without_controls(context.truncate(as_text(text)))
    )


def default_error_message(body: Any) -> Any:
    """Return the message from the first of the places where APIs usually put it; None if there is none."""
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


def requested_wait(connection: Connection, response: Response, read: Scope) -> float | None:
    """Return the seconds that a response asks to wait, where the spec says or in `Retry-After`; None if it does not."""
    value = None
    if connection.retry_after is not None:
        with suppress(EvaluationError):
            value = connection.retry_after.first(read)
    if value is None:
        value = response.headers.get("Retry-After")
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value >= _FIRST_EPOCH:
        try:
            value = epoch_seconds(value) - _time_of(response)
        except EvaluationError:
            return None
    return min(max(0.0, value), connection.spec.retry.max_retry_after)


def _time_of(response: Response) -> float:
    """Return when a response was sent, by the server's own clock if it says so."""
    with suppress(EvaluationError):
        return epoch_seconds(response.headers.get("Date"))
    return clock().time()
