"""The turns of an event loop: long work is done in parts, and the others have turns in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from math import inf
from time import perf_counter, thread_time

import pytest

from yaml_connector._expressions.budget import TurnOver, consume_reading, share_turns
from yaml_connector._http.thread import in_thread
from yaml_connector._http.turns import calls, next_turn


class Loop:
    """Counts the turns of the running event loop, and who did a part of long work in which."""

    def __init__(self) -> None:
        self.turn = 0
        self.parts: list[tuple[int, str]] = []
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            self.turn += 1
            await asyncio.sleep(0)

    async def work(self, name: str, parts: int) -> None:
        for _ in range(parts):
            await next_turn()
            self.parts.append((self.turn, name))

    def stop(self) -> None:
        self._counting.cancel()


def test_however_many_have_long_work_one_part_is_done_in_several_turns_and_all_get_on() -> None:
    async def main() -> None:
        loop = Loop()
        await asyncio.gather(*(loop.work(name, 5) for name in "abcdefgh"))
        loop.stop()
        turns = [turn for turn, _ in loop.parts]
        assert all(later - earlier >= 3 for earlier, later in pairwise(turns))
        for first in range(1, 33, 8):  # from the second part on, everybody has one before anybody has another
            assert Counter(name for _, name in loop.parts[first : first + 8]) == Counter("abcdefgh")

    asyncio.run(main())


def test_a_part_begins_at_once_if_nobody_else_has_long_work() -> None:
    async def main() -> None:
        loop = Loop()
        before = loop.turn
        await next_turn()
        assert loop.turn == before
        loop.stop()

    asyncio.run(main())


def test_who_is_cancelled_while_waiting_leaves_the_turn_to_the_others() -> None:
    async def main() -> None:
        loop = Loop()
        await next_turn()
        gone = asyncio.create_task(loop.work("gone", 1))
        other = asyncio.create_task(loop.work("other", 3))
        await asyncio.sleep(0)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        await asyncio.wait_for(other, 5)
        loop.stop()
        assert [name for _, name in loop.parts] == ["other"] * 3

    asyncio.run(main())


def _compute(seconds: float) -> None:
    end = thread_time() + seconds
    while thread_time() < end:
        pass


@pytest.fixture
def busy() -> Iterator[None]:
    """A service that gets calls all the time."""
    before, calls.began = calls.began, inf
    yield
    calls.began = before


@pytest.mark.usefixtures("busy")
def test_while_there_are_calls_the_loop_is_free_for_three_times_as_long_after_each_part() -> None:
    async def main() -> float:
        began = perf_counter()
        for _ in range(6):
            await next_turn()
            _compute(0.004)
        return perf_counter() - began

    assert asyncio.run(main()) >= 6 * 0.004 + 5 * 0.012


@pytest.mark.usefixtures("busy")
def test_while_there_are_calls_the_thread_rests_after_its_work_and_tells_the_result_before() -> None:
    async def main() -> list[float]:
        began = perf_counter()
        ended = []
        for _ in range(3):
            await in_thread(_compute, 0.008)
            ended.append(perf_counter() - began)
        return ended

    ended = asyncio.run(main())
    assert ended[2] >= 3 * 0.008 + 2 * 0.024


def test_what_is_done_in_the_thread_may_fail_and_nobody_need_wait_for_it() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await in_thread(divmod, 1, 0)
        gone = asyncio.create_task(in_thread(_compute, 0.01))
        await asyncio.sleep(0)
        gone.cancel()
        assert await in_thread(divmod, 7, 2) == (3, 1)

    asyncio.run(main())


def test_readings_take_a_quarter_of_the_time_of_many_turns() -> None:
    async def main() -> int:
        share_turns(asyncio.get_running_loop())
        began, done = perf_counter(), 0
        while not done or perf_counter() < began + 0.2:
            with suppress(TurnOver):
                consume_reading(1_000_000)
                done += 1
            await asyncio.sleep(0)
        return round(done / (perf_counter() - began))

    with ThreadPoolExecutor(1) as thread:  # a thread's turns stay bounded
        assert 0 < thread.submit(asyncio.run, main()).result() <= 300  # milliseconds of a second, and 10 at the start
