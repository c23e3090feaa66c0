"""Classifies responses as success, transient or permanent failure, and extracts the API's error message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import Expression
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import UNDEFINED, Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.messages import Response
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

_NOT_PROCESSED = frozenset({429, 503})  # with these statuses the API says that it did not act


@dataclass(frozen=True)
class SuccessCriteria:
    """When a response is a success: `success` are statuses, as `2xx` or `404`.

    `requires_json`: a 2xx that is not JSON is a transient failure, unless it is empty and `allows_empty`.
    `not_found`: the API does not know the job.
    """

    success: frozenset[str] = frozenset({"2xx"})
    error: Expression | None = None
    retry_if: Expression | None = None
    requires_json: bool = False
    allows_empty: bool = False
    not_found: Expression | None = None
    statuses: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "statuses", _statuses(self.success))


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

    `scope` is what the criteria's expressions see, besides the response.
    """
    status, connection = response.status, context.connection
    read: Scope | None = None
    if criteria.error is not None:
        read = scope.with_response(response)
        error = criteria.error.evaluate(read)
        if error:
            text = api_message(context, response, read) if error is True else as_text(error)
            raise _permanent(context, response, text, read, criteria)
    if status in criteria.statuses:
        requires_json = criteria.requires_json and (bool(response.content) or not criteria.allows_empty)
        if requires_json and 200 <= status < 300 and response.body is UNDEFINED:
            kind = response.headers.get("Content-Type") or "no content type"
            what = f"answered {status} with {f'no JSON ({kind})' if response.content else 'nothing'}"
            raise TransientError(context.describe(response, what), may_have_been_processed=True, status=status)
        return
    read = read or scope.with_response(response)
    retry_if = any(
        condition is not None and condition.evaluate(read) for condition in (criteria.retry_if, connection.retry_if)
    )
    text = api_message(context, response, read)
    if retry_if or status in connection.retry_statuses:
        raise TransientError(
            context.describe(response, _answered(status, text)),
            may_have_been_processed=not retry_if and status not in _NOT_PROCESSED,
            status=status,
            retry_after=retry_after(response),
            unknown_job=_is_unknown_job(criteria, read),
        )
    raise _permanent(context, response, text, read, criteria)


def _permanent(
    context: CallContext, response: Response, text: str, read: Scope, criteria: SuccessCriteria
) -> PermanentError:
    return PermanentError(
        context.describe(response, _answered(response.status, text)),
        status=response.status,
        retry_after=retry_after(response),
        unknown_job=_is_unknown_job(criteria, read),
    )


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
    return context.single_line(response.text) if text is None or text == "" else context.truncate(as_text(text))


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


def retry_after(response: Response) -> float | None:
    """Return the seconds that a response asks to wait, from both forms of `Retry-After`; None if it does not."""
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text.strip(), re.ASCII):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock().time())
    except (TypeError, ValueError):
        return None
