"""The running event loop, for what belongs to one: connections, and requests under way."""

from __future__ import annotations

import asyncio
import os
from threading import get_ident

_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by the thread that ran them last


def running_loop() -> asyncio.AbstractEventLoop:
    """As `asyncio.get_running_loop`, which before Python 3.12 asks the system for the process each time."""
    loop = _loops.get(get_ident())
    if loop is None or not loop.is_running():
        loop = _loops[get_ident()] = asyncio.get_running_loop()
    return loop


os.register_at_fork(after_in_child=_loops.clear)
