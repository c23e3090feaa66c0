"""catalog/ray.yaml against a real Ray that asks for a bearer token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.real.backends import Backend, backend, ended, processes_of
from tests.support.flyte_side import state
from tests.support.real_processes import WRONG_KEY

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend("ray", tmp_path_factory.mktemp("ray_token"), Backend, RAY_AUTH_MODE="token") as running:
        running.flyte.store = {"nonsense": WRONG_KEY, "mine": running.variables["RAY_AUTH_TOKEN"]}
        yield running


def test_the_connectors_own_token_opens_the_cluster(ray: Backend) -> None:
    job = ray.start(ray.task(), "own", entrypoint="echo hello")
    assert state(ray.end(job)) == "SUCCEEDED"
    assert "hello" in ray.log(job)


def test_so_does_the_tasks_which_a_job_cannot_put_into_its_log(ray: Backend) -> None:
    job = ray.start(ray.task(secrets={"token": "mine"}), "mine", entrypoint="echo token $RAY_AUTH_TOKEN")
    assert state(ray.end(job)) == "SUCCEEDED"
    assert "token ***" in ray.log(job)


def test_a_wrong_token_fails_at_once_in_the_servers_words(ray: Backend) -> None:
    job = ray.start(ray.task(secrets={"token": "nonsense"}), "wrong", entrypoint="true")
    phase, message = ended(ray.end(job))
    assert phase == "FAILED"
    assert message.endswith("answered 403: Forbidden: Invalid authentication token")


def test_check_tells_a_right_token_from_a_wrong_one(ray: Backend) -> None:
    assert ray.check()[0] == 0
    code, said = ray.check(RAY_AUTH_TOKEN=WRONG_KEY)
    assert code == 1
    assert "answered 403: Forbidden: Invalid authentication token" in said


def test_a_job_waits_to_be_submitted_while_the_agent_is_away(ray: Backend) -> None:
    (agent,) = [process for process in processes_of("ray") if "ray::DashboardAgent" in process.cmdline()[0]]
    agent.kill()
    phase, message = ended(ray.flyte.get(ray.start(ray.task(), "away", entrypoint="true")))
    assert phase == "QUEUED"
    assert message.startswith("not submitted yet")
    assert "Cannot connect to host 127.0.0.1" in message
