"""A log that grows is read again and again, and each line is given once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from tests.support.fake_api import FakeClock, run
from yaml_connector._jobs.follower import JobFollower, LogFollower, cancel_job
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.log_reader import LogPage
from yaml_connector._jobs.status import Status
from yaml_connector.errors import TransientError

Answers = Callable[[str], list[LogPage] | TransientError]


def page(*texts: str, token: str | None = None, unfinished: bool = False) -> LogPage:
    """The last page of a call."""
    return LogPage([LogLine(text) for text in texts], token=token, unfinished=unfinished, last=True)


class Followed:
    """A followed log, and which tokens it asked for. `answers` can be exchanged as the log grows."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.clock = FakeClock()
        self.log = LogFollower(self._read)

    async def _read(self, token: str, *, read_on: bool) -> AsyncIterator[LogPage]:
        self.asked.append(token)
        found = self.answers(token)
        if isinstance(found, TransientError):
            raise found
        for each in found:
            yield each

    def news(self, *, last: bool = False) -> list[str]:
        async def every() -> list[str]:
            return [line.message async for line in self.log.read_new_lines(last=last)]

        return run(every(), self.clock)


def test_a_page_without_a_next_token_is_read_again_and_only_what_it_has_more_is_given() -> None:
    followed = Followed(lambda token: [page("one", "two")])
    assert followed.news() == ["one", "two"]
    followed.answers = lambda token: [page("one", "two", "three")]
    assert followed.news() == ["three"]
    assert followed.news() == []
    assert followed.asked == ["", "", ""]


def test_the_next_token_is_followed_until_a_page_is_empty_and_asked_for_the_next_time() -> None:
    followed = Followed(
        {"": [page("one", token="a")], "a": [page("two", token="b")], "b": [page(token="c")]}.__getitem__
    )
    assert followed.news() == ["one", "two"]
    assert followed.asked == ["", "a", "b"]
    followed.answers = {"c": [page("three", token=None)]}.__getitem__
    assert followed.news() == ["three"]


def test_an_unfinished_line_is_given_when_it_is_finished() -> None:
    followed = Followed(lambda token: [page("one"), page("tw", unfinished=True)])
    assert followed.news() == ["one"]
    followed.answers = lambda token: [page("one", "two")]
    assert followed.news() == ["two"]


def test_an_unfinished_line_is_given_as_it_is_when_the_job_is_over() -> None:
    followed = Followed(lambda token: [page("one"), page("tw", unfinished=True)])
    assert followed.news(last=True) == ["one", "tw"]


def test_an_api_that_promises_more_for_ever_is_left_after_some_empty_pages() -> None:
    followed = Followed(lambda token: [page(token=token + "x")])
    assert followed.news(last=True) == []
    assert 2 <= len(followed.asked) <= 20


def test_a_log_that_cannot_be_read_is_asked_for_again_the_next_time() -> None:
    followed = Followed(lambda token: TransientError("broke off", may_have_been_processed=True))
    assert followed.news() == []
    followed.answers = lambda token: [page("one")]
    assert followed.news() == ["one"]


def test_what_is_left_at_the_end_is_asked_for_again_at_once() -> None:
    failures = iter([TransientError("broke off", may_have_been_processed=True)])
    followed = Followed(lambda token: next(failures, None) or [page("one")])
    assert followed.news(last=True) == ["one"]


@pytest.mark.slow
def test_what_is_left_at_the_end_and_cannot_be_read_is_an_error() -> None:
    followed = Followed(lambda token: TransientError("broke off", may_have_been_processed=True))
    with pytest.raises(TransientError, match="broke off"):
        followed.news(last=True)
    assert len(followed.asked) == 4
    assert followed.clock.slept == [1, 2, 3]


class FollowedJob:
    """A followed job that goes through these statuses, one at a poll, and stays in the last one."""

    def __init__(self, *statuses: Status, min_interval: float = 0.0) -> None:
        self.statuses = list(statuses)
        self.clock = FakeClock(0.0)
        self.polls: list[float] = []
        self.told: list[str] = []
        self.stop_at = 0  # the number of the poll during which a stop is asked for
        self.job = JobFollower(get=self._get, logs=self._logs, tell=self._tell, min_interval=min_interval)

    async def _get(self) -> Status:
        self.polls.append(round(self.clock.now, 2))
        if len(self.polls) == self.stop_at:
            self.stop.set()
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    async def _logs(self, token: str, *, read_on: bool) -> AsyncIterator[LogPage]:
        yield page(*(f"line {number}" for number in range(len(self.polls))))

    def _tell(self, kind: str, text: str) -> None:
        self.told.append(f"{kind} {text}")

    def follow(self) -> Status:
        async def follow() -> Status:
            self.stop = asyncio.Event()
            return await self.job.follow(self.stop)

        return run(follow(), self.clock)


RUNNING, DONE = Status("RUNNING"), Status("SUCCEEDED", "all good")


def test_a_job_is_polled_ever_more_slowly_until_it_ends_and_the_end_is_told_last() -> None:
    followed = FollowedJob(*[RUNNING] * 9, DONE)
    assert followed.follow() == DONE
    pauses = [later - earlier for earlier, later in pairwise(followed.polls)]
    assert pauses == pytest.approx([0.2, 0.3, 0.45, 0.675, 1.01, 1.52, 2.28, 3.0, 3.0], abs=0.02)
    lines = [f"log line {number}" for number in range(10)]
    assert followed.told == ["phase RUNNING", *lines, "phase SUCCEEDED: all good"]


def test_the_least_interval_is_kept() -> None:
    followed = FollowedJob(RUNNING, RUNNING, DONE, min_interval=2.5)
    followed.follow()
    assert followed.polls == [0.0, 2.5, 5.0]


def test_links_and_information_are_told_when_they_are_new() -> None:
    first, second = ("log", "https://a.test/1"), ("page", "https://a.test/2")
    followed = FollowedJob(
        Status("RUNNING", info={"done": 1}, links=[first]),
        Status("RUNNING", info={"done": 1}, links=[first]),
        Status("RUNNING", info={"done": 2}, links=[first, second]),
        DONE,
    )
    followed.follow()
    assert [text for text in followed.told if text.startswith(("info", "link"))] == [
        "info done: 1",
        "link log: https://a.test/1",
        "info done: 2",
        "link page: https://a.test/2",
    ]


def test_a_stop_ends_the_following_before_the_next_poll_and_it_can_be_resumed() -> None:
    followed = FollowedJob(RUNNING)
    followed.stop_at = 2
    assert followed.follow() == RUNNING
    assert len(followed.polls) == 2
    followed.statuses = [DONE]
    assert followed.follow() == DONE
    assert followed.told.count("phase RUNNING") == 1
    assert followed.told.count("log line 0") == 1


class GrowingLog(FollowedJob):
    """A followed job that is over; its log grows at these times, in seconds after the end."""

    def __init__(self, *times: float, settle: float) -> None:
        super().__init__(DONE)
        self.times = times
        self.reads: list[float] = []
        self.job = JobFollower(get=self._get, logs=self._logs, tell=self._tell, settle=settle)

    async def _logs(self, token: str, *, read_on: bool) -> AsyncIterator[LogPage]:
        self.reads.append(round(self.clock.now, 2))
        yield page(*(f"line at {time:g}" for time in self.times if time <= self.clock.now))
        yield page("unfinish" if self.clock.now < 1 else "unfinished", unfinished=True)


@pytest.mark.parametrize(
    ("settle", "times", "told", "until"),
    [
        (3.0, (0, 2, 4.5, 8.5), (0, 2, 4.5), 8.0),
        (0.0, (0, 0.5), (0,), 0.0),
        (1.5, (0, 1.4, 4), (0, 1.4), 3.0),
        (10.0, range(100), range(31), 30.0),
    ],
)
def test_the_log_of_an_ended_job_is_read_until_it_is_quiet_for_so_long(
    settle: float, times: tuple[float, ...], told: tuple[float, ...], until: float
) -> None:
    followed = GrowingLog(*times, settle=settle)
    assert followed.follow() == DONE
    rest = "unfinished" if until >= 1 else "unfinish"
    assert followed.told == [*(f"log line at {time:g}" for time in told), f"log {rest}", "phase SUCCEEDED: all good"]
    assert followed.reads[-1] == pytest.approx(until, abs=1.0)


def cancelled(failures: int) -> tuple[int, list[str], float]:
    """How often a delete that fails so many times was made, what was told, and how long it all took."""
    clock, told, made = FakeClock(), list[str](), 0

    async def delete() -> None:
        nonlocal made
        made += 1
        if made <= failures:
            raise TransientError("the run is starting", may_have_been_processed=False)

    began = clock.monotonic()
    with suppress(TransientError):
        run(cancel_job(delete, told.append), clock)
    return made, told, clock.monotonic() - began


def test_a_cancel_that_the_api_refuses_is_made_again_for_a_while_as_flyte_does() -> None:
    assert cancelled(0) == (1, [], 0.0)
    made, told, took = cancelled(2)
    assert (made, took) == (3, 4.0)
    assert told == ["cannot be cancelled yet, tried again every 2 s: the run is starting"] * 2
    assert cancelled(99)[0::2] == (8, 14.0)
