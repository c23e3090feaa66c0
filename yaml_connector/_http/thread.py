"""Runs what takes some milliseconds in one other thread, so that it does not hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import sleep, thread_time
from typing import Any, TypeVar

from yaml_connector._http.turns import calls

T = TypeVar("T")

LARGE = 16 * 1024  # bytes: what is done with a message of more is done in the thread
_thread = ThreadPoolExecutor(1, "large-messages")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run what takes some milliseconds and does not read a response. It happens in one other thread, which rests after
    it for a multiple of that time while there are calls: a thread that computes takes turns with the event loop."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    _thread.submit(_run_and_rest, loop, [done, function, args])
    try:
        return await done
    finally:
        del done  # its error refers to this frame, and to those that hold what was worked on


async def in_thread_if(large: bool, function: Callable[..., T], *args: Any) -> T:
    """Run what takes some milliseconds with something `large` in the thread; at once with anything else."""
    return await in_thread(function, *args) if large else function(*args)


def _run_and_rest(loop: asyncio.AbstractEventLoop, work: list[Any]) -> None:
    done, function, args = work
    work.clear()  # the frames of an error refer to it, and they would keep each other
    began = thread_time()
    with suppress(RuntimeError):  # the loop is closed
        try:
            result = function(*args)
        except BaseException as error:
            loop.call_soon_threadsafe(_settle, done, None, error)
        else:
            loop.call_soon_threadsafe(_settle, done, result, None)
            del result
    del args, done
    sleep(calls.pause_after(thread_time() - began))


def _settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():  # nobody waits any more
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)
