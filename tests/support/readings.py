"""Readings for the tests of the worker process, which imports them from here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from yaml_connector.errors import TransientError


def echo(value: Any) -> Any:
    return value


def variables() -> list[str]:
    return sorted(os.environ)


def modules() -> list[str]:
    import sys

    return sorted(sys.modules)


def fail(message: str) -> None:
    raise TransientError(message, may_have_been_processed=True, status=503, retry_after=7.0)


def break_down() -> None:
    raise KeyError("a value that is secret")


def work(seconds: float) -> str:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return "done"


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


def grow(size: int) -> int:
    return len(bytearray(size))


def count(to: int) -> Iterator[int]:
    yield from range(to)


def end() -> None:
    os._exit(1)


def parent() -> int:
    return os.getppid()
