"""An orderly end of `c0`: at SIGTERM calls under way finish and new ones are refused, then the process ends with 0.

`c0` itself leaves SIGTERM to the system, which cuts every call off: a create whose POST went through would be lost. It
also imports its modules in a thread of its own, while Python sets signal handlers in the main thread only, and that
thread waits for the service's end. So the main thread is woken once to set the handler: a pending call (part of
CPython's C API) is what it runs when a signal wakes it. Where that is not to be had, SIGTERM stays as it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

import grpc.aio

logger = logging.getLogger("yaml_connector")

GRACE = 10.0  # seconds; no call takes longer
_WAKE = signal.SIGURG  # ignored unless somebody handles it
_kept: list[Any] = []  # what C code points to must not be collected


def stop_on_sigterm() -> None:
    """From here on SIGTERM ends the gRPC servers of the running event loop in an orderly way. Without one: nothing."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return

    def handle(*_: object) -> None:
        loop.call_soon_threadsafe(lambda: _kept.append(loop.create_task(_stop_servers())))

    def install() -> None:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # somebody else's handler stays
            signal.signal(signal.SIGTERM, handle)

    if threading.current_thread() is threading.main_thread():
        install()
        return
    try:
        _in_main_thread(install)
    except (AttributeError, OSError) as error:
        logger.warning("SIGTERM will cut calls off: its handler cannot be installed here (%s)", error)


async def _stop_servers() -> None:
    # by type(): isinstance would ask objects for their __class__, which may be a property that fails
    servers = [item for item in gc.get_objects() if issubclass(type(item), grpc.aio.Server)]
    logger.info("SIGTERM: finishing the calls under way, at most %g s", GRACE)
    await asyncio.gather(*(server.stop(GRACE) for server in servers))


def _in_main_thread(call: Callable[[], None]) -> None:
    def run(_: Any) -> int:
        signal.signal(_WAKE, signal.SIG_DFL)
        call()
        return 0

    pending = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(run)
    _kept.append(pending)
    if ctypes.pythonapi.Py_AddPendingCall(pending, None) != 0:
        raise OSError("the queue of pending calls is full")
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    libc.signal(int(_WAKE), ctypes.cast(libc.abs, ctypes.c_void_p))  # any C function that takes an int and does nothing
    libc.siginterrupt(int(_WAKE), 1)
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, _WAKE)
