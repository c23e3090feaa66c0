"""What large responses take of the memory: room is waited for in turn, and nothing of a call stays when it is over."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from tests.support import readings
from tests.support.fake_api import BROKEN, FakeApi, reply, run
from tests.support.loops import Turns
from tests.support.sending import Sender
from yaml_connector._http.memory import NoRoomError, ResponseMemory, read_whole, response_memory
from yaml_connector._http.worker import Worker
from yaml_connector.errors import CallError

LONG = {"max_response": "64KiB", "retry": {"max_attempts": 1}}


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What is left must not need the garbage collector, which seldom comes to a process with few objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("answer", [reply(200, content=b"x" * 2**17), BROKEN], ids=["too long", "broken"])
@pytest.mark.parametrize("callers", [1, 3])
def test_an_error_of_a_call_does_not_stay_in_memory(no_collection: None, answer: Any, callers: int) -> None:
    sender = Sender(FakeApi({"GET /": answer}), **LONG)
    errors: list[weakref.ref[CallError]] = []

    async def call() -> None:
        try:
            await sender.send_now(coalesces=True)
        except CallError as error:
            errors.append(weakref.ref(error))

    async def main() -> None:
        await asyncio.gather(*(call() for _ in range(callers)))

    run(main(), sender.clock)
    assert len(errors) == callers
    assert [error() for error in errors] == [None] * callers


@pytest.mark.slow
def test_an_error_of_a_reading_in_the_worker_does_not_stay_in_memory(no_collection: None) -> None:
    async def main() -> weakref.ref[CallError]:
        worker = Worker()
        try:
            await worker.run(readings.fail, "away", remaining=20, backend="a")
        except CallError as error:
            return weakref.ref(error)
        finally:
            await worker.close()
        raise AssertionError

    assert asyncio.run(main())() is None


def test_those_who_wait_for_room_get_it_in_turn_and_not_after_their_time() -> None:
    async def main() -> None:
        memory = ResponseMemory(100)
        first = await memory.room_for(80)
        second = asyncio.create_task(memory.room_for(60))
        third = asyncio.create_task(memory.room_for(10))
        await asyncio.sleep(0)
        assert not third.done()  # there would be room, but the second one came before
        with pytest.raises(NoRoomError):
            await memory.room_for(10, timeout=0.01)
        first.shrink(50)
        assert not second.done()
        first.shrink(0)
        rooms = await asyncio.gather(second, third)
        assert memory.used == 70
        for room in rooms:
            room.shrink(0)
        assert memory.used == 0

    asyncio.run(main())


def test_a_large_response_is_read_in_turns() -> None:
    async def main() -> None:
        chunks = [b"x" * 2**16] * 32

        async def at_once() -> bytes:
            return chunks.pop() if chunks else b""

        async with Turns() as others:
            content = await read_whole(at_once, b"", 2**22)
        assert content == b"x" * 2**21
        assert others.count > 28  # a chunk in a turn, but for the first ones

    asyncio.run(main())


@pytest.mark.slow
def test_a_call_that_ends_before_it_has_its_response_gives_the_room_back(no_collection: None) -> None:
    chunks = [b"x" * 2**18] * 4

    async def read() -> bytes:
        return chunks.pop() if chunks else b""

    async def call() -> None:
        await read_whole(read, b"", 2**22)
        is_read.set()
        await asyncio.sleep(60)  # while the connection is closed, say

    is_read = asyncio.Event()

    async def main() -> None:
        task = asyncio.create_task(call())
        await is_read.wait()
        assert response_memory().used
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)
        assert response_memory().used == 0

    asyncio.run(main())


@pytest.mark.slow
def test_a_content_that_is_always_there_and_never_ends_is_read_no_longer_than_its_time() -> None:
    async def read() -> bytes:
        return b"x"

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await read_whole(read, b"x" * 2**18, 2**40, monotonic() + 0.1)

    asyncio.run(main())


@pytest.mark.parametrize(("expected", "taken"), [(400_000, 400_000), (None, 2**20), (2**30, 2**20)])
def test_a_response_takes_the_room_that_it_needs_as_far_as_that_is_known(expected: int | None, taken: int) -> None:
    used: list[int] = []

    async def main() -> None:
        pieces = [b"x" * 100_000] * 4

        async def read() -> bytes:
            used.append(response_memory().used)
            return pieces.pop() if pieces else b""

        await read_whole(read, b"", 2**20, None, expected)

    asyncio.run(main())
    assert used == [0, 0, 0, taken, taken]


@pytest.mark.slow
def test_room_that_garbage_holds_is_given_to_the_next_response(no_collection: None) -> None:
    async def main() -> None:
        memory = ResponseMemory(10)
        ring: list[Any] = [await memory.room_for(10)]
        ring.append(ring)
        del ring
        await memory.room_for(10, timeout=0)

    asyncio.run(main())
