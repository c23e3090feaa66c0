"""Bounds the memory of all responses that are being read: a large one waits until there is room for it, and what it
took is given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import io
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from yaml_connector._http.turns import next_turn

MOST = 40 * 2**20  # bytes of all large responses of an event loop
SMALL = 256 * 1024  # bytes of a response that needs no room
_LATER = 0.1  # seconds after the transport's own time limit, which does not hold while there is something to read
_BETWEEN_COLLECTIONS = 10_000  # objects
_MALLOPT = {-3: 256 * 1024, -1: 4 * 2**20}  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h


class NoRoomError(TimeoutError):
    """There was no room for a response within its time."""


class Room:
    """Room for one response. It is given back when the last reference to it is gone."""

    def __init__(self, memory: ResponseMemory, size: int) -> None:
        self._memory = memory
        self._size = size

    def shrink(self, size: int) -> None:
        """Give back what is more than `size` bytes."""
        self._memory.give_back(max(0, self._size - size))
        self._size = min(self._size, size)

    def __del__(self) -> None:
        self._memory.give_back(self._size)


class ResponseMemory:
    """The room that the large responses of one event loop share. Those that wait for it are served in turn."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def room_for(self, size: int, timeout: float | None = None) -> Room:
        """Wait for room for so many bytes; a response larger than all of it waits until it is alone. Raises
        NoRoomError."""
        size = min(size, self.most)
        if self._is_full(size):
            gc.collect(1)  # the error of a call may still hold its response
        if self._is_full(size):
            granted = asyncio.get_running_loop().create_future()
            self._waiting.append((size, granted))
            try:
                await asyncio.wait_for(granted, timeout)
            except BaseException as error:
                if granted.done() and not granted.cancelled():  # just now
                    self.give_back(size)
                if isinstance(error, TimeoutError):
                    raise NoRoomError from None
                raise
        else:
            self.used += size
        return Room(self, size)

    def _is_full(self, size: int) -> bool:
        return bool(self._waiting) or self.used + size > self.most

    def give_back(self, size: int) -> None:
        """Note that room is free again, and let those in that wait for it."""
        self.used -= size
        while self._waiting:
            wanted, granted = self._waiting[0]
            if not granted.done():
                if self.used + wanted > self.most:
                    return
                self.used += wanted
                granted.set_result(None)
            self._waiting.popleft()


_memories: WeakKeyDictionary[asyncio.AbstractEventLoop, ResponseMemory] = WeakKeyDictionary()


def response_memory() -> ResponseMemory:
    """Return the memory of the running event loop."""
    return _memories.setdefault(asyncio.get_running_loop(), ResponseMemory())


async def read_whole(
    read: Callable[[], Awaitable[bytes]],
    first: bytes,
    limit: int,
    ends: float | None = None,
    expected: int | None = None,
) -> bytes | None:
    """Return a content whole: `first` and what `read` returns until that is empty; None if it is longer than `limit`.
    Room is made for the bytes that are `expected`, if that is known, else for as many as there may be.

    Raises NoRoomError if there is no room for it by `ends`, and TimeoutError if it is read no faster (of `monotonic`).
    """
    most = limit if expected is None else min(limit, expected)
    written = io.BytesIO(first)
    size = written.seek(0, io.SEEK_END)
    room: Room | None = None
    async with asyncio.timeout(None if ends is None else ends + _LATER - monotonic()):
        while size <= limit and (content := await read()):
            size += len(content)
            written.write(content)
            if size > SMALL and room is None:
                room = await response_memory().room_for(most, None if ends is None else ends - monotonic())
            # what is decompressed may be there at once, for as long as it is read; parsing it takes long
            await next_turn()
    if size > limit:
        return None
    whole = written.getvalue()  # without a copy
    if room is not None:
        room.shrink(size)
        _unclaimed[_this_task()] = id(whole), room
    return whole


# by the task that has read it: a call that ends before it claims the room frees it with its task
_unclaimed: WeakKeyDictionary[asyncio.Task[Any], tuple[int, Room]] = WeakKeyDictionary()


def claim_room(content: bytes) -> Room | None:
    """Return the room of a content that this task has just read whole; every reference to the content holds it."""
    if not _unclaimed:
        return None
    identity, room = _unclaimed.pop(_this_task(), (0, None))
    return room if identity == id(content) else None


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def spare_collections() -> None:
    """Keep all objects that there are out of garbage collections, and make these rarer: as often as Python starts them,
    with the specs in them, they take a tenth of a call."""
    gc.freeze()
    gc.set_threshold(_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


def give_back_what_is_freed() -> None:
    """Let the C library give large blocks back to the system when they are freed. By itself, glibc keeps more and more
    of them the larger they are: hundreds of megabytes after a few large responses."""
    with suppress(OSError, AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOPT.items():
            mallopt(parameter, value)
