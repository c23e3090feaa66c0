"""What a service and its children have computed: of the time that a call takes, that much is the service's doing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import psutil


def computed(pid: int) -> float:
    """Return the seconds of CPU that a process, its children, and those of them that have ended took so far."""
    service = psutil.Process(pid)
    total = 0.0
    for process in (service, *service.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # what it took is its parent's from now on
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def waited_for(pid: int, call: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that a call to a service took, and how many of them the service may have computed.

    On a busy machine, the rest is time for which neither of them had its turn.
    """
    before, began = computed(pid), monotonic()
    call()
    took = monotonic() - began
    return took, min(took, max(0.0, computed(pid) - before))
