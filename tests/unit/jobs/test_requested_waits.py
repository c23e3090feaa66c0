"""The wait that an API asks for: where it says so, how long it may be, and what it never stops."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from tests.support.fake_api import BASE, Driver, FakeApi, job, reply, run
from tests.unit.jobs.test_batch import BATCH, GET
from yaml_connector.testing.clock import START

RUNNING, DONE = {"state": "running"}, {"state": "done"}
RESET = "${{ headers['x-ratelimit-reset'] }}"


def connection(**retry: Any) -> dict[str, Any]:
    return {"base_url": BASE, "retry": {"max_attempts": 1, **retry}}


def get_section(**poll: Any) -> dict[str, Any]:
    return {**{name: value for name, value in GET.items() if name != "batch"}, "poll": poll}


def pause_of(driver: Driver) -> float:
    """How long the gets after this one are answered from memory, in seconds."""
    driver.get()
    before = len(driver.api.sent)
    for waited in range(400):
        driver.get(after=1)
        if len(driver.api.sent) > before:
            return waited + 1
    raise AssertionError("it was never asked again")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("29.5", 30),
        (str(int(START) + 30), 30),
        (str((int(START) + 30) * 1000), 30),
        (f"{START + 30:.3f}", 30),
        (formatdate(START + 30, usegmt=True), 30),
        ("Thursday, 01-Jan-26 00:00:30 GMT", 30),
        ("2026-01-01T00:00:30Z", 30),
        ("2026-01-01 00:00:30 UTC", 30),
        ("0", 1),
        ("2025-12-31T00:00:30Z", 1),
        ("-5", 1),
        ("soon", 1),
        ("", 1),
        ("nan", 1),
        ("inf", 1),
        ("1e400", 1),
        ("9" * 5000, 1),
        ("Thu, " + "9" * 5000, 1),
        ("3600", 300),
        ("2027-01-01T00:00:00Z", 300),
    ],
)
@pytest.mark.parametrize("header", ["x-ratelimit-reset", "Retry-After"])
def test_a_wait_is_seconds_an_epoch_or_a_time_and_five_minutes_at_most(header: str, value: str, seconds: int) -> None:
    driver = job(
        {"GET /jobs/7": [reply(200, json=RUNNING, headers={header: value}), DONE]},
        connection=connection(retry_after=RESET),
    )
    assert pause_of(driver) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(45, 45), (45.5, 46), (True, 1), (None, 20), ([45], 1), ({}, 1), (10**30, 1), (float("nan"), 1), (START + 9, 9)],
)
def test_it_may_be_in_the_body_and_the_header_counts_if_it_is_not(body: Any, seconds: int) -> None:
    slow_down = reply(503, json={"wait": body}, headers={"Retry-After": "20"}) if body == body else None
    text = reply(503, content='{"wait": NaN}', headers={"Retry-After": "20"})
    driver = job({"GET /jobs/7": [slow_down or text, DONE]}, connection=connection(retry_after="$.wait"))
    assert pause_of(driver) == seconds


def test_a_template_that_fails_leaves_it_to_the_header() -> None:
    answer = reply(200, json=RUNNING, headers={"Retry-After": "20"})
    driver = job({"GET /jobs/7": [answer, DONE]}, connection=connection(retry_after="${{ 1 / 0 }}"))
    assert pause_of(driver) == 20


def test_the_servers_own_clock_counts_for_a_time() -> None:
    ours_is_ahead = {
        "Date": formatdate(START - 7200, usegmt=True),
        "Retry-After": formatdate(START - 7170, usegmt=True),
    }
    driver = job({"GET /jobs/7": [reply(200, json=RUNNING, headers=ours_is_ahead), DONE]})
    assert pause_of(driver) == 30


@pytest.mark.parametrize(("most", "slept"), [("1s", 1), ("8s", 8)])
def test_a_retry_within_the_call_waits_no_longer_than_the_most(most: str, slept: float) -> None:
    slow_down = reply(503, headers={"Retry-After": "3600"})
    driver = job({"GET /jobs/7": [slow_down, DONE]}, connection={"base_url": BASE, "retry": {"max_retry_after": most}})
    assert driver.get().phase == "SUCCEEDED"
    assert driver.clock.slept == [slept]


def test_every_response_of_a_get_counts_not_only_the_last() -> None:
    steps = [
        {"name": "job", "request": "GET /jobs/${{ job.id }}"},
        {"name": "more", "request": "GET /more"},
    ]
    section = {"steps": steps, "read": "job", "phase": GET["phase"]}
    first = reply(200, json=RUNNING, headers={"Retry-After": "30"})
    assert pause_of(job({"GET /jobs/7": first, "GET /more": {}}, get=section)) == 30
    assert pause_of(job({"GET /jobs/7": first, "GET /more": 400}, get=section)) == 30
    assert pause_of(job({"GET /jobs/7": first, "GET /more": 404}, get=section)) == 30


class TestAWaitNeverStopsATolerance:
    def test_the_api_is_asked_once_more_before_the_job_is_given_up(self) -> None:
        busy = reply(503, headers={"Retry-After": "240"})
        driver = job({"GET /jobs/7": busy}, connection=connection(), get=get_section(tolerance="5m"))
        asked = []
        for seconds in range(0, 310, 10):
            status = driver.get(after=10 if seconds else 0)
            asked.append((seconds, len(driver.api.sent)))
        assert status.phase == "FAILED"
        assert "given up after 300 s" in (status.message or "")
        assert [second for (second, now), (_, before) in zip(asked[1:], asked, strict=False) if now > before] == [
            240,
            300,
        ]

    def test_a_job_that_can_be_read_then_is_not_given_up(self) -> None:
        busy = reply(503, headers={"Retry-After": "300"})
        driver = job({"GET /jobs/7": [busy, RUNNING]}, connection=connection(), get=get_section(tolerance="1m"))
        driver.get()
        driver.get(after=59)
        assert len(driver.api.sent) == 1
        status = driver.get(after=1)
        assert (status.phase, status.message) == ("RUNNING", None)

    def test_nor_does_the_least_time_between_polls(self) -> None:
        driver = job({"GET /jobs/7": 400}, get=get_section(tolerance="1m", min_interval="1h"))
        assert [driver.get(after=after).phase for after in (0, 59, 1)] == ["RUNNING", "RUNNING", "FAILED"]
        assert len(driver.api.sent) == 2

    def test_nor_does_the_pause_of_a_batch(self) -> None:
        busy = reply(429, headers={"Retry-After": "300"})
        section = {**GET, "batch": BATCH, "poll": {"tolerance": "2m"}}
        driver = job({"GET /jobs": busy}, connection=connection(), get=section)
        other = replace(driver.connector.decode(driver.kept), id="8")

        async def gets() -> None:
            await driver.connector.get(driver.connector.decode(driver.kept))
            assert driver.api.calls == ["GET /jobs?ids=7"]
            assert "the batch was not sent" in ((await driver.connector.get(other)).message or "")
            driver.clock.move(119)
            assert (await driver.connector.get(other)).phase == "RUNNING"
            assert driver.api.calls == ["GET /jobs?ids=7"]
            driver.clock.move(1)
            assert "given up" in ((await driver.connector.get(other)).message or "")
            assert driver.api.calls == ["GET /jobs?ids=7", "GET /jobs?ids=8"]

        run(gets(), driver.clock)


class TestTheWaitOfCreate:
    @staticmethod
    def driver(status: int = 202, **sections: Any) -> Driver:
        created = reply(status, json={"id": 7}, headers={"Retry-After": "30"})
        driver = Driver(FakeApi({"POST /jobs": created, "GET /jobs/7": DONE}), **sections)
        driver.create()
        return driver

    def test_counts_for_the_first_get(self) -> None:
        driver = self.driver(get={**get_section(), "links": [{"name": "job", "url": "https://ui.test/${{ job.id }}"}]})
        status = driver.get(after=29)
        assert (status.phase, status.links) == ("QUEUED", [("job", "https://ui.test/7")])
        assert driver.get(after=1).phase == "SUCCEEDED"
        assert driver.api.calls == ["POST /jobs", "GET /jobs/7"]

    def test_of_an_earlier_step_counts_too(self) -> None:
        steps = [
            {"name": "a", "request": {"method": "POST", "path": "/first"}},
            {"name": "b", "request": {"method": "POST", "path": "/jobs"}},
        ]
        first = reply(200, json={}, headers={"Retry-After": "30"})
        api = FakeApi({"POST /first": first, "POST /jobs": {"id": 7}, "GET /jobs/7": DONE})
        driver = Driver(api, create={"steps": steps, "idempotent": True, "job_id": "$.id"})
        driver.create()
        assert [driver.get(after=after).phase for after in (29, 1)] == ["QUEUED", "SUCCEEDED"]

    def test_is_lost_with_a_restart(self) -> None:
        driver = self.driver()
        driver.restart()
        assert driver.get().phase == "SUCCEEDED"

    def test_means_nothing_where_nothing_is_asked(self) -> None:
        assert self.driver(get=None).get().phase == "SUCCEEDED"


def test_a_good_response_to_a_batch_that_asks_to_wait_makes_its_own_jobs_wait_only() -> None:
    answer = reply(200, json={"jobs": [{"id": 7, "state": "running"}]}, headers={"Retry-After": "30"})
    driver = job({"GET /jobs": answer, "GET /jobs/8": DONE}, get=GET)
    meta = driver.connector.decode(driver.kept)

    async def gets() -> None:
        await driver.connector.get(meta)
        driver.clock.move(1)
        assert (await driver.connector.get(replace(meta, id="8"))).phase == "SUCCEEDED"
        driver.api.sent.clear()
        driver.clock.move(28)
        await driver.connector.get(meta)
        assert driver.api.calls == []
        driver.clock.move(1)
        await driver.connector.get(meta)
        assert driver.api.calls == ["GET /jobs?ids=7"]

    run(gets(), driver.clock)


@pytest.mark.slow
def test_a_failure_leaves_no_cycle_of_references_behind() -> None:
    """A failure that held its frames would keep jobs in memory until the garbage collector comes."""
    driver = job({"GET /jobs/7": 400})

    async def ask() -> None:
        await driver.connector.get(driver.connector.decode(driver.kept))
        await asyncio.sleep(0)

    def failures() -> set[int]:
        return {id(each) for each in gc.get_objects() if type(each).__name__ == "PermanentError"}

    run(ask(), driver.clock)
    gc.collect()
    gc.disable()
    try:
        before = failures()  # of other tests
        run(ask(), driver.clock)
        assert failures() - before == set()
    finally:
        gc.enable()
