"""One log line for each connector call, at debug."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from yaml_connector._clock import clock
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.metrics import logger

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
