"""`yaml_connector_unreadable_jobs` counts the jobs that this process cannot read now, and never any other."""

from __future__ import annotations

from itertools import count
from typing import Any

from prometheus_client import REGISTRY

from tests.support.fake_api import FakeApi, job
from yaml_connector._jobs.cache import JobCache

_names = count(1)


def unreadable(**routes: Any) -> Any:
    """A job of a task type of its own that was just found unreadable."""
    driver = job(
        FakeApi({"GET /jobs/7": [403, {"state": "running"}], "POST /jobs/7/cancel": 200, **routes}),
        task_type_name=f"gauge_{next(_names)}",
        delete={"request": "POST /jobs/${{ job.id }}/cancel"},
    )
    driver.get()
    assert gauge(driver) == 1
    return driver


def gauge(driver: Any) -> float:
    labels = {"task_type": driver.connector.spec.task_type_name}
    return REGISTRY.get_sample_value("yaml_connector_unreadable_jobs", labels) or 0.0


def test_a_job_that_is_read_again_counts_no_more() -> None:
    driver = unreadable()
    driver.get()
    assert gauge(driver) == 0


def test_a_job_that_is_cancelled_counts_no_more() -> None:
    driver = unreadable()
    driver.delete()
    assert gauge(driver) == 0


def test_a_job_that_is_given_up_counts_no_more_and_stays_given_up() -> None:
    driver = unreadable(**{"GET /jobs/7": 403})
    assert [driver.get(after=after).phase for after in (601, 1)] == ["FAILED", "FAILED"]
    assert gauge(driver) == 0


def test_a_job_that_is_forgotten_counts_no_more() -> None:
    driver = unreadable()
    driver.restart()
    assert gauge(driver) == 0


def test_a_job_that_makes_room_for_another_counts_no_more() -> None:
    driver = unreadable()
    driver.connector.cache = JobCache(most=1)
    driver.api.routes["GET /jobs/7"] = [403]
    for number in range(5):
        driver.create(task={"key": f"other-{number}"})
        driver.get()
        assert gauge(driver) == 1


def test_a_job_that_stays_unreadable_counts_once() -> None:
    driver = unreadable(**{"GET /jobs/7": 403})
    driver.get(after=5)
    driver.get(after=5)
    assert gauge(driver) == 1
