"""Calls a function again whenever a file changes: `test --watch`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

_PAUSE = 0.3  # seconds between two looks


def whenever_changed(paths: Callable[[], Iterable[str]], do: Callable[[], object]) -> None:
    """Call `do` now, and again after every change of a file or folder in `paths()`, until Ctrl-C."""
    try:
        while True:
            before = stamps(paths())
            do()
            while stamps(paths()) == before:
                time.sleep(_PAUSE)
    except KeyboardInterrupt:
        return


def stamps(paths: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return the number, the time of the last change and the size of each file or folder that exists."""
    found = {}
    for path in paths:
        try:
            about = os.stat(path)
        except OSError:
            continue
        found[path] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found
