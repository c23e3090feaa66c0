"""What a container left in Flyte's storage counts more than what the API says of its job."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_api import Driver, FakeApi, loaded, spec_data
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.container import ContainerEnd, ContainerFailure
from yaml_connector.errors import EvaluationError

PREFIX = "s3://bucket/run/a0"
NOTHING = ContainerEnd()
OUTPUTS = ContainerEnd(has_outputs=True)


class Left:
    """A storage in which a container left something; it keeps what was asked for."""

    def __init__(self, *ends: ContainerEnd | Exception) -> None:
        self.ends = list(ends)
        self.asked: list[tuple[str, float]] = []

    async def read(self, output_prefix: str, seconds: float) -> ContainerEnd:
        self.asked.append((output_prefix, seconds))
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


def job(left: Left | None, *states: Any, outputs: bool = True, **sections: Any) -> Driver:
    """A job of a container, submitted; get answers these states."""
    answers = [
        state if isinstance(state, dict | int) else {"state": state, "detail": f"is {state}"} for state in states
    ]
    driver = Driver(FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": answers}), **{"runs": "container", **sections})
    driver.connector = JobClient(
        loaded(spec_data(**{"runs": "container", **sections})),
        environment={"KEY": "very-secret"},
        transport=driver.api.transport,
        container_files=left,
        signer=driver.signer,
    )
    driver.create(task={"key": "k", "output_prefix": PREFIX}, outputs={"o0": "any"} if outputs else {})
    return driver


def test_a_job_that_runs_costs_no_look_into_the_storage() -> None:
    left = Left(NOTHING)
    assert job(left, "running").get().phase == "RUNNING"
    assert left.asked == []


def test_outputs_that_are_there_make_a_success_and_are_not_read() -> None:
    left = Left(OUTPUTS)
    status = job(left, "done").get()
    assert (status.phase, status.message, status.outputs) == ("SUCCEEDED", "is done", {})
    ((prefix, seconds),) = left.asked
    assert prefix == PREFIX
    assert 0 < seconds <= 4


def test_declared_outputs_that_are_not_there_fail_the_task() -> None:
    status = job(Left(NOTHING), "done").get()
    assert (status.phase, status.message) == ("FAILED", "the container ended without outputs")
    assert job(Left(NOTHING), "done", outputs=False).get().phase == "SUCCEEDED"


@pytest.mark.parametrize("state", ["done", "error", 404])
@pytest.mark.parametrize(("recoverable", "phase"), [(True, "RETRYABLE_FAILED"), (False, "FAILED")])
def test_an_error_counts_at_every_end(state: Any, recoverable: bool, phase: str) -> None:
    error = ContainerEnd(ContainerFailure("ValueError: x\nTraceback", recoverable))
    driver = job(Left(error), state)
    status = driver.get(after=3600)
    assert (status.phase, status.message) == (phase, "ValueError: x\nTraceback")


def test_without_an_error_the_api_says_why_a_job_failed() -> None:
    status = job(Left(NOTHING), "error").get()
    assert (status.phase, status.message) == ("FAILED", "is error")


def test_storage_that_cannot_be_read_makes_the_job_unreadable_until_it_can() -> None:
    driver = job(Left(EvaluationError("the store says Denied"), OUTPUTS), "done")
    status = driver.get()
    assert status.phase == "RUNNING"
    assert (status.message or "").startswith("unreadable since ")
    assert (status.message or "").endswith(": the store says Denied")
    assert driver.get().phase == "SUCCEEDED"


def test_storage_that_can_never_be_read_fails_the_job_with_the_reason() -> None:
    driver = job(Left(EvaluationError("the store says Denied")), "done")
    driver.get()
    status = driver.get(after=3600)
    assert status.phase == "FAILED"
    assert "the store says Denied" in (status.message or "")


def test_a_long_error_keeps_its_beginning_and_its_end_without_secrets() -> None:
    error = ContainerFailure("ValueError: very-secret " + "x" * 900_000 + "\nthe last line, very-secret")
    secrets = {"key": {"env": "KEY"}}
    create = {
        "request": {"method": "POST", "path": "/jobs", "headers": {"X-Key": "${{ secrets.key }}"}},
        "idempotent": True,
        "job_id": "$.id",
    }
    message = job(Left(ContainerEnd(error)), "error", secrets=secrets, create=create).get().message or ""
    assert len(message) < 5000
    assert message.startswith("ValueError: *** xx")
    assert message.endswith("\nthe last line, ***")


def test_an_error_without_words_is_still_an_error() -> None:
    status = job(Left(ContainerEnd(ContainerFailure(""))), "done").get()
    assert (status.phase, status.message) == ("FAILED", "the container left an error without a message")


def test_a_delete_that_asks_whether_the_job_is_over_does_not_look_into_the_storage() -> None:
    left = Left(NOTHING)
    driver = job(left, "done", delete={"request": "DELETE /jobs/${{ job.id }}"})
    driver.restart()
    driver.clock.move(60)
    driver.delete()
    assert left.asked == []
    assert driver.api.calls[-1] == "GET /jobs/7"


def test_a_job_follows_the_kind_of_spec_that_it_was_made_by() -> None:
    driver = job(Left(NOTHING), "done")
    driver.use(spec_data())
    assert (
        driver.get().phase == "SUCCEEDED"
    )  # nobody looks here, and nothing is said of an output that a spec must have


def test_where_nobody_can_look_the_apis_word_counts() -> None:
    assert job(None, "done").get().phase == "SUCCEEDED"
