"""One log line for each connector call, at debug."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from traceback import format_tb
from typing import Any, TypeVar

from yaml_connector._clock import clock
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.metrics import PHASES, logger
from yaml_connector._text import loggable
from yaml_connector.errors import EvaluationError

T = TypeVar("T")


@contextmanager
def logged(call: str, task_type: str, meta: JobMeta, outcome: list[str] | None = None) -> Iterator[None]:
    """Log a call when it is over: with its outcome in one word, or the type of what it raised."""
    began = clock().monotonic()
    raised: str | None = None
    try:
        yield
    except BaseException as error:
        raised = type(error).__name__
        raise
    finally:
        seconds = clock().monotonic() - began
        logger.debug(
            "call=%s task_type=%s execution=%s job=%s outcome=%s ms=%.1f",
            call,
            task_type,
            meta.name,
            meta.id,
            raised or (outcome[0] if outcome else "done"),
            seconds * 1000,
        )


async def run_logged(
    call: str, task_type: str, meta: JobMeta, work: Coroutine[Any, Any, T], outcome: Callable[[T], str]
) -> T:
    """Await the work of a call, and log it; `outcome` makes one word of the result."""
    if not logger.isEnabledFor(logging.DEBUG):
        return await work
    words: list[str] = []
    with logged(call, task_type, meta, words):
        result = await work
        words.append(outcome(result))
    return result


def create_outcome(meta: JobMeta) -> str:
    """Make one word of what came of a create."""
    if meta.create_error is not None:
        return "failed"
    return "pending" if meta.pending is not None else "adopted" if meta.adopted else "submitted"


def phase_changed(task_type: str, meta: JobMeta, state: JobState, phase: str) -> None:
    """Log and count that a job has another phase, and remember it."""
    PHASES.labels(task_type, phase).inc()
    logger.info("phase task_type=%s execution=%s job=%s %s -> %s", task_type, meta.name, meta.id, state.phase, phase)
    state.phase = phase


def internal_error(call: str, meta: JobMeta, failure: Exception) -> EvaluationError:
    """Log a bug, and return the error for it."""
    where = "".join(format_tb(failure.__traceback__))  # without the message: it may hold a secret
    logger.error("%s of %s failed unexpectedly: %s\n%s", call, loggable(meta.name), type(failure).__name__, where)
    return EvaluationError(f"internal error ({type(failure).__name__})")
