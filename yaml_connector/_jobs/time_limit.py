"""The time limits of a job: `get.poll.timeout`, from create on, and the task's `timeout`, for its time in RUNNING."""

from __future__ import annotations

from math import inf

from yaml_connector._expressions.compile import Value
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import LONGEST_DURATION, duration_text, parse_duration
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError


def evaluate_timeout(timeout: Value | None, scope: Scope) -> tuple[float, str]:
    """Return `poll.timeout` in seconds, and as text; infinity if there is none. Raises EvaluationError."""
    value = timeout.evaluate(scope) if timeout is not None else None
    if value is None:
        return inf, ""
    if isinstance(value, str):
        try:
            seconds, text = parse_duration(value), value.strip()
        except EvaluationError as error:
            raise EvaluationError(f"get.poll.timeout: {error}") from None
    elif isinstance(value, int | float) and not isinstance(value, bool) and value < LONGEST_DURATION:
        seconds, text = float(value), duration_text(value)
    else:
        seconds, text = 0.0, ""
    if not seconds > 0:
        raise EvaluationError(f"get.poll.timeout is {short(value)}; it must be a duration (2h), or seconds above 0")
    return seconds, text


def find_limit(timeout: Value | None, meta: JobMeta, state: JobState, scope: Scope) -> None:
    """Set when the job's time is over, as far as this process knows: `state.expires`. Raises EvaluationError."""
    seconds, state.time_limit = evaluate_timeout(timeout, scope)
    state.expires = state.created + seconds
    limit_running(meta, state)


def limit_running(meta: JobMeta, state: JobState) -> None:
    """Apply the task's own `timeout` to a job that was seen running, if it is over before the limit that is set."""
    if meta.timeout and state.running_since is not None and state.running_since + meta.timeout < state.expires:
        state.expires = state.running_since + meta.timeout
        state.time_limit = f"{duration_text(meta.timeout)} (timeout of the task)"
