"""The turns of an event loop: long work is done in parts, and the others have turns in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import pairwise

from yaml_connector._http.turns import next_turn


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
