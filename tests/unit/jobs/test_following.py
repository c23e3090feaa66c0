"""A log that grows is read again and again, and each line is given once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from yaml_connector._jobs.follower import LogFollower
from yaml_connector._jobs.logs import LogLine, LogPage
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
        self.log = LogFollower(self._read)

    async def _read(self, token: str) -> AsyncIterator[LogPage]:
        self.asked.append(token)
        found = self.answers(token)
        if isinstance(found, TransientError):
            raise found
        for each in found:
            yield each

    def news(self, *, last: bool = False) -> list[str]:
        async def every() -> list[str]:
            return [line.message async for line in self.log.news(last=last)]

        return asyncio.run(every())


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
