"""The life of jobs through `c0` and a real job service: what Flyte sends, and what it gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
import pytest
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.logs.dataplane.payload_pb2 import LogLineOriginator

from tests.support.flyte_side import FlyteSide, Job, outputs_of, state
from tests.support.real_processes import USER_KEYS, wait_until

Make = Callable[..., Any]


def jobs_of(url: str, user: str) -> list[dict[str, Any]]:
    """A user's jobs, as the job service itself says."""
    answer = httpx.get(f"{url}/jobs", headers={"Authorization": f"Bearer {USER_KEYS[user]}"})
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


def kept_id(job: Job) -> str:
    return str(json.loads(job.kept)["id"])


def test_list_connectors_names_every_spec_of_the_folder(calls: FlyteSide) -> None:
    assert calls.connectors() == {
        "Batch Job": [("batch_job", 0)],
        "Scripted API": [("scripted", 0)],
        "any_inputs": [("any_inputs", 0)],
        "keyless": [("keyless", 0)],
        "nowhere": [("nowhere", 3)],
        "once": [("once", 0)],
    }


def test_a_job_runs_to_its_end_and_gives_its_output_as_declared(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="alice"), "success", name="world")
    seen = {state(calls.get(job))}
    resource = calls.until(job)
    assert seen <= {"QUEUED", "RUNNING", "SUCCEEDED"}
    assert state(resource) == "SUCCEEDED"
    assert outputs_of(resource) == {"result": Literal(scalar=Scalar(primitive=Primitive(string_value="Hello, world!")))}


def test_the_job_gets_the_config_and_the_inputs_of_the_task(
    calls: FlyteSide, batch_job: Make, job_service_url: str
) -> None:
    job = calls.create(batch_job(user="bob", config={"timeout_seconds": 77}), "values", name="Zoë & co: ${{ 1 }}")
    mine = next(item for item in jobs_of(job_service_url, "bob") if item["id"] == kept_id(job))
    assert (mine["name"], mine["timeout"]) == ("Zoë & co: ${{ 1 }}", 77)


def test_a_job_that_fails_is_failed_with_the_api_s_own_words(calls: FlyteSide, batch_job: Make) -> None:
    resource = calls.run(batch_job(user="alice"), "failure", name="fail")
    assert (state(resource), resource.message) == ("FAILED", "exit code 3: the input table is empty")
    assert outputs_of(resource) == {}


def test_delete_cancels_a_running_job_and_is_no_error_after_the_end(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="alice"), "cancel", name="sleep-60")
    calls.until(job, "RUNNING")
    calls.delete(job)
    resource = calls.until(job, "ABORTED")
    assert resource.message == "cancelled"
    calls.delete(job)
    assert state(calls.get(job)) == "ABORTED"


def test_the_log_comes_in_pages_each_line_once_until_there_is_no_token(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="alice"), "logs", name="logs")
    calls.until(job)
    pages, token = [], ""
    for _ in range(10):
        lines, token = calls.logs(job, token)
        pages.append(lines)
        if not token:
            break
    assert [len(page) for page in pages] == [5, 3]
    lines = [line for page in pages for line in page]
    assert [line.message[:6] for line in lines] == [f"[{number}/8] " for number in range(1, 9)]
    assert {line.originator for line in lines} == {LogLineOriginator.USER}
    times = [line.timestamp.ToDatetime(tzinfo=UTC) for line in lines]
    assert times == sorted(times)
    assert abs((datetime.now(UTC) - times[0]).total_seconds()) < 120


def test_a_running_job_s_log_grows_and_its_first_page_can_be_asked_for_again(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="bob"), "growing", name="sleep-60")
    try:
        first = wait_until(lambda: calls.logs(job)[0], "a first line")
        assert first[0].message == "slept 0 s"
        more = wait_until(lambda: len(found := calls.logs(job)[0]) > 1 and found, "a second line")
        assert [line.message for line in more[:2]] == ["slept 0 s", "slept 1 s"]
    finally:
        calls.delete(job)


def test_a_log_token_that_nobody_gave_is_an_error(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="alice"), "bad-token", name="x")
    with pytest.raises(grpc.RpcError, match="invalid log token"):
        calls.logs(job, "nonsense!")


def test_each_user_runs_jobs_with_a_secret_of_their_own(
    calls: FlyteSide, batch_job: Make, job_service_url: str
) -> None:
    hers = calls.create(batch_job(user="alice"), "hers", name="sleep-60")
    his = calls.create(batch_job(user="bob"), "his", name="sleep-60")
    try:
        ids = {user: {item["id"] for item in jobs_of(job_service_url, user)} for user in USER_KEYS}
        assert kept_id(hers) in ids["alice"] - ids["bob"]
        assert kept_id(his) in ids["bob"] - ids["alice"]

        spy = Job(his.task, his.kept, hers.connection)  # alice's key, bob's job
        resource = calls.get(spy)
        assert state(resource) == "QUEUED"  # as one that the API does not know, yet
        assert f"answered 404: there is no job '{kept_id(his)}'" in resource.message
        calls.delete(spy)  # a 404 is no error, and nothing is cancelled
        assert state(calls.until(his, "RUNNING")) == "RUNNING"
    finally:
        calls.delete(hers)
        calls.delete(his)


def test_the_log_of_a_running_job_is_read_with_its_own_user_s_secret(calls: FlyteSide, batch_job: Make) -> None:
    job = calls.create(batch_job(user="bob"), "his-log", name="sleep-60")
    try:  # Flyte sends no secrets with a log request, and the connector's own key is alice's, who would not see it
        assert wait_until(lambda: calls.logs(job)[0], "a line")[0].message == "slept 0 s"
    finally:
        calls.delete(job)


def test_the_connector_s_own_secret_is_used_when_the_task_gives_none(
    calls: FlyteSide, batch_job: Make, job_service_url: str
) -> None:
    job = calls.create(batch_job(), "own-secret", name="world")
    assert kept_id(job) in {item["id"] for item in jobs_of(job_service_url, "alice")}
    assert state(calls.until(job)) == "SUCCEEDED"


def test_a_secret_that_nobody_gives_fails_the_job_and_the_message_says_how_to_give_it(
    calls: FlyteSide, task: Make
) -> None:
    resource = calls.get(calls.create(task("keyless"), "keyless"))
    assert state(resource) == "FAILED"
    assert resource.message == (
        'the secret \'api_key\' is missing: give it with the task (secrets={"api_key": "name-in-flytes-store"}), '
        "or set KEYLESS_API_KEY in the connector's environment, "
        "or put it into /nowhere/at/all/api_key in the connector's container"
    )


def test_the_same_attempt_makes_one_job_however_often_it_is_created(
    calls: FlyteSide, batch_job: Make, job_service_url: str
) -> None:
    task = batch_job(user="alice")
    before = len(jobs_of(job_service_url, "alice"))
    first, again = (kept_id(calls.create(task, "twice", name="once-only")) for _ in range(2))
    assert first == again
    assert len(jobs_of(job_service_url, "alice")) == before + 1


@pytest.mark.parametrize(
    "other",
    [{"attempt": 1}, {"action": "a1"}],
    ids=["another attempt", "another action of the same run"],
)
def test_another_execution_makes_a_job_of_its_own(calls: FlyteSide, batch_job: Make, other: dict[str, Any]) -> None:
    task = batch_job(user="alice")
    run = f"other-{next(iter(other))}"
    assert kept_id(calls.create(task, run, name="x")) != kept_id(calls.create(task, run, name="x", **other))


def test_another_run_makes_a_job_of_its_own(calls: FlyteSide, batch_job: Make) -> None:
    task = batch_job(user="alice")
    assert kept_id(calls.create(task, "run-one", name="x")) != kept_id(calls.create(task, "run-two", name="x"))
