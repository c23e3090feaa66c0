"""The users of the demo's job service, each with a key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.integration.demo.job_service import OVER, Service, message, running, sh


@pytest.fixture(scope="module")
def guarded() -> Iterator[Service]:
    """A service with two users, and log pages of two lines."""
    users = "alice=alice-key,bob=bob-key"
    with running("--page-size", "2", JOBSERVICE_USERS=users) as service:
        yield service


@pytest.fixture
def clients(guarded: Service) -> Iterator[dict[str, httpx.Client]]:
    """A client for each user."""
    with ExitStack() as stack:
        yield {
            user: stack.enter_context(
                httpx.Client(base_url=guarded.url, headers={"Authorization": f"Bearer {user}-key"})
            )
            for user in ("alice", "bob")
        }


def test_users_see_only_their_own_jobs(clients: dict[str, httpx.Client]) -> None:
    alice, bob = clients["alice"], clients["bob"]
    job_id = alice.post("/jobs", json={"name": "hers", "timeout": 5}).json()["id"]
    assert [job["id"] for job in alice.get("/jobs").json()["jobs"]] == [job_id]
    assert bob.get("/jobs").json() == {"jobs": []}
    for answer in (bob.get(f"/jobs/{job_id}"), bob.get(f"/jobs/{job_id}/logs"), bob.post(f"/jobs/{job_id}/cancel")):
        assert (answer.status_code, message(answer)) == (404, f"there is no job {job_id!r}")


def test_the_same_key_of_two_users_makes_two_jobs(clients: dict[str, httpx.Client]) -> None:
    made = [
        client.post("/jobs", json={"name": "x", "timeout": 5}, headers={"Idempotency-Key": "same"})
        for client in clients.values()
    ]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Bearer alice-ke", "alice-key", "Basic alice-key", b"Bearer \xff"],
)
def test_without_a_users_key_nothing_is_told(guarded: Service, authorization: str | bytes | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/jobs", "/jobs/x", "/nothing"):
        answer = guarded.http.get(path, headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, message(answer)) == (401, "a valid bearer token is needed")


def test_health_is_for_everyone(guarded: Service) -> None:
    assert guarded.http.get("/health").json() == {"status": "ok"}


def run_as(client: httpx.Client, *command: str) -> dict[str, Any]:
    """Run a job as the client's user to its end."""
    job = client.post("/jobs", json={"name": "x", "timeout": 5, "command": command}).json()
    while job["state"] not in OVER:
        time.sleep(0.02)
        job = client.get(f"/jobs/{job['id']}").json()
    assert isinstance(job, dict)
    return job


def test_a_job_cannot_read_the_users_keys_in_its_environment(clients: dict[str, httpx.Client]) -> None:
    assert run_as(clients["alice"], *sh('echo "<$JOBSERVICE_USERS>"'))["result"] == "<>"


def test_the_page_size_is_set_at_the_start(clients: dict[str, httpx.Client]) -> None:
    job = run_as(clients["alice"], "seq", "3")
    page = clients["alice"].get(f"/jobs/{job['id']}/logs").json()
    assert [line["text"] for line in page["lines"]] == ["1", "2"]
    assert page["next"]
