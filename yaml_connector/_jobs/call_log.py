"""One log line for each connector call, at debug."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from traceback import format_tb
from typing import Any, TypeVar

from yaml_connector._clock import clock
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.metrics import PHASES, logger
from yaml_connector.errors import YamlConnectorError

T = TypeVar("T")


class logged:  # lower case: used like a function; a class, since a generator costs every call more
    """Log a call when it is over: with its `outcome` in one word, or the type of what it raised."""

    __slots__ = ("_began", "_call", "_meta", "_task_type", "outcome")

    def __init__(self, call: str, task_type: str, meta: JobMeta) -> None:
        self._call, self._task_type, self._meta = call, task_type, meta
        self._began = clock().monotonic()
        self.outcome = "done"

    def __enter__(self) -> logged:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "call=%s task_type=%s execution=%s job=%s outcome=%s ms=%.1f",
                self._call,
                self._task_type,
                self._meta.name,
                self._meta.id,
                self.outcome if kind is None else kind.__name__,
                (clock().monotonic() - self._began) * 1000,
            )


async def run_logged(
    call: str, task_type: str, meta: JobMeta, work: Coroutine[Any, Any, T], outcome: Callable[[T], str]
) -> T:
    """Await the work of a call, and log it; `outcome` makes one word of the result."""
    if not logger.isEnabledFor(logging.DEBUG):
        return await work
    with logged(call, task_type, meta) as line:
        result = await work
        line.outcome = outcome(result)
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


def tellable(what: str, error: BaseException) -> YamlConnectorError:
    """Return an error whose words a caller may see: a bug, whose message may hold a secret, is logged with where it
    happened, and told by its type alone. `what` failed."""
    if isinstance(error, YamlConnectorError):
        return error
    where = "".join(format_tb(error.__traceback__))
    logger.error("%s failed unexpectedly: %s\n%s", what, type(error).__name__, where)
    return YamlConnectorError(f"internal error ({type(error).__name__})")
