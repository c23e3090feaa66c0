"""A step of the wall clock, forward or backward by hours, neither fails a job nor silences it."""

from __future__ import annotations

import pytest

from tests.support.fake_api import Driver, FakeApi, job, reply
from yaml_connector.testing.clock import FakeClock

HOURS = 5 * 3600.0
RUNNING, DONE = {"state": "running"}, {"state": "done"}
either_way = pytest.mark.parametrize("step", [HOURS, -HOURS], ids=["forward", "backward"])


def get_section(**poll: object) -> dict[str, object]:
    return {
        "request": "GET /jobs/${{ job.id }}",
        "phase": {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["error"]}},
        "poll": poll,
    }


@either_way
def test_an_interval_between_polls_is_as_long_as_before(step: float) -> None:
    driver = job({"GET /jobs/7": [RUNNING, DONE]}, get=get_section(min_interval="10s"))
    driver.get()
    driver.clock.step(step)
    assert [driver.get(after=9).phase, driver.get(after=1).phase] == ["RUNNING", "SUCCEEDED"]


@either_way
def test_the_wait_that_an_api_asked_for_is_as_long_as_before(step: float) -> None:
    slow_down = reply(429, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"})
    driver = job({"GET /jobs/7": [slow_down, DONE]})
    driver.get()
    driver.clock.step(step)
    assert [driver.get(after=29).phase, driver.get(after=1).phase] == ["RUNNING", "SUCCEEDED"]


@either_way
def test_the_tolerance_of_an_unreadable_job_is_as_long_as_before(step: float) -> None:
    driver = job({"GET /jobs/7": 400}, get=get_section(tolerance="10m"))
    driver.get()
    driver.clock.step(step)
    status = driver.get(after=599)
    assert status.phase == "RUNNING"
    assert "unreadable since 2026-01-01T00:00:00Z" in (status.message or "")
    status = driver.get(after=1)
    assert status.phase == "FAILED"
    assert "given up after 600 s" in (status.message or "")


@either_way
@pytest.mark.parametrize("first_get", ["before the step", "after the step"])
def test_the_grace_of_a_job_that_is_not_found_is_as_long_as_before(step: float, first_get: str) -> None:
    driver = job({"GET /jobs/7": 404}, get=get_section(not_found_grace="60s"))
    if first_get == "before the step":
        assert driver.get().phase == "QUEUED"
    driver.clock.step(step)
    assert [driver.get(after=59).phase, driver.get(after=1).phase] == ["QUEUED", "FAILED"]


def test_the_grace_of_a_job_from_the_future_ends_too() -> None:
    """After a restart the wall clock counts; it may have been set back meanwhile."""
    driver = job({"GET /jobs/7": 404}, get=get_section(not_found_grace="60s"))
    driver.clock.step(-HOURS)
    driver.restart()
    assert [driver.get().phase, driver.get(after=60).phase] == ["QUEUED", "FAILED"]


@either_way
def test_the_secrets_of_a_task_are_kept_for_an_hour_after_its_end(step: float) -> None:
    driver = job(
        {"GET /jobs/7": DONE, "GET /logs": {"l": []}},
        secrets={"k": {}},
        connection={"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}},
        create={"request": {"method": "POST", "path": "/jobs"}, "idempotent": True, "job_id": "$.id"},
        logs={"request": "GET /logs", "lines": "$.l[*]"},
    )
    driver.create(secrets={"k": "of-task"})
    driver.get(secrets={"k": "of-task"})
    driver.clock.step(step)
    driver.clock.move(3600)
    driver.logs()
    assert driver.api.sent[-1].headers["Authorization"] == "Bearer of-task"
    driver.clock.move(1)
    with pytest.raises(Exception, match="the secret 'k' is missing"):
        driver.logs()


@either_way
def test_a_token_is_used_until_it_expires(step: float) -> None:
    login = {"type": "token", "request": "POST /login", "token": "$.token", "expires_in": "$.life"}
    api = FakeApi({"POST /login": {"token": "t", "life": 100}, "POST /jobs": {"id": 7}, "GET /jobs/7": RUNNING})
    driver = Driver(api, connection={"base_url": "https://api.test", "auth": login})
    driver.create()
    driver.clock.step(step)
    driver.get(after=74)
    assert api.calls.count("POST /login") == 1
    driver.get(after=2)
    assert api.calls.count("POST /login") == 2


def test_a_step_of_the_fake_clock_lets_no_time_pass() -> None:
    clock = FakeClock()
    before = clock.monotonic()
    clock.step(HOURS)
    clock.move(2)
    assert (clock.monotonic() - before, clock.time()) == (2, FakeClock().now + HOURS + 2)
