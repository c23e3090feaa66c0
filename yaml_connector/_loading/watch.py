"""Doing something again whenever a file changes: `test --watch`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

_PAUSE = 0.3  # seconds between two looks


def whenever_changed(paths: Callable[[], Iterable[str]], do: Callable[[], object]) -> None:
    """Do it now, and again after every change of a file or folder that `paths` gives; until Ctrl-C."""
    try:
        while True:
            before = stamps(paths())
            do()
            while stamps(paths()) == before:
                time.sleep(_PAUSE)
    except KeyboardInterrupt:
        return


def stamps(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """When each path was changed, and how long it is; nothing of one that is not there."""
    found = {}
    for path in paths:
        try:
            about = os.stat(path)
        except OSError:
            continue
        found[path] = (about.st_mtime_ns, about.st_size)
    return found
