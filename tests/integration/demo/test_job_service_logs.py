"""The logs of the demo's job service, page by page."""

from __future__ import annotations

import re
import sys

import pytest

from tests.integration.demo.job_service import Service, message, running, sh


def test_logs_come_in_pages_with_the_time_of_each_line(service: Service) -> None:
    job = service.run("seq", "12")
    first, cursor = service.page(job["id"])
    second, cursor = service.page(job["id"], cursor)
    third, end = service.page(job["id"], cursor)
    assert [len(first), len(second), len(third), end] == [5, 5, 2, None]
    lines = first + second + third
    assert [line["text"] for line in lines] == [str(number) for number in range(1, 13)]
    times = [line["time"] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)
    assert job["created"] < times[0] <= times[-1] < job["ended"]


def test_a_full_last_page_has_no_next(service: Service) -> None:
    lines, cursor = service.page(service.run("seq", "5")["id"])
    assert (len(lines), cursor) == (5, None)


def test_a_log_is_read_while_the_job_runs(service: Service) -> None:
    job_id = service.submit(*sh("seq 6; sleep 60"))
    service.logged(job_id, "6")
    _, cursor = service.page(job_id)
    assert [line["text"] for line in service.page(job_id, cursor)[0]] == ["6"]
    service.http.post(f"/jobs/{job_id}/cancel")


def test_a_job_that_printed_nothing_has_an_empty_log(service: Service) -> None:
    assert service.page(service.run("true")["id"]) == ([], None)


def test_stdout_and_stderr_are_told_apart(service: Service) -> None:
    job = service.run(*sh("echo a; sleep 0.1; echo b >&2"))
    assert [(line["stream"], line["text"]) for line in service.log(job["id"])] == [("stdout", "a"), ("stderr", "b")]


def test_a_huge_line_is_cut_and_the_next_one_is_whole(service: Service) -> None:
    job = service.run(sys.executable, "-c", "print('x' * 1_000_000); print('after')")
    huge, after = service.log(job["id"])
    assert huge["text"].endswith("x [cut]")
    assert len(huge["text"]) < 10_000
    assert after["text"] == "after"


def test_a_job_that_prints_without_end_fills_no_memory() -> None:
    with running("--page-size", "1000") as service:
        job = service.run(sys.executable, "-c", "for _ in range(300): print('x' * 7000)\nprint('end')")
        assert (job["state"], job["result"]) == ("done", "end")
        texts = [line["text"] for line in service.log(job["id"])]
    assert texts[-1] == "[the log is full]"
    assert sum(map(len, texts)) <= 2**20


def test_output_that_is_no_utf_8_is_logged_all_the_same(service: Service) -> None:
    job = service.run(*sh(r"printf '\377\000ok\r\nlast'"))
    assert [line["text"] for line in service.log(job["id"])] == ["\ufffd\0ok", "last"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1", "3", "999999", "9" * 40, "²", "../1", "\0"])
def test_a_cursor_that_was_never_given_is_refused(service: Service, cursor: str) -> None:
    job = service.run("echo", "one")
    answer = service.http.get(f"/jobs/{job['id']}/logs", params={"cursor": cursor})
    assert answer.status_code == 400
    assert "is not a valid cursor of this log" in message(answer)
