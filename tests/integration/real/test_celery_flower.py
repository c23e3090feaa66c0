"""catalog/celery_flower.yaml against a real Celery worker and a real Flower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.real.backends import Backend, backend, ended, plain
from tests.support.flyte_side import Job, state
from tests.support.real_processes import WRONG_KEY, wait_until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend("celery_flower", tmp_path_factory.mktemp("celery"), Backend) as running:
        running.flyte.store = {"nonsense": WRONG_KEY}
        yield running


def task(celery: Backend, name: str, outputs: dict[str, Any] | None = None, /, **inputs: type) -> Any:
    """A task that runs this Celery task with these keyword arguments."""
    return celery.task(name=name.replace(".", "_"), config={"task": name}, inputs=inputs, outputs=outputs or {})


def working(celery: Backend, run: str, seconds: float, fail: bool = False) -> Job:
    """A job that takes this long."""
    return celery.start(task(celery, "lab.work", seconds=float, fail=bool), run, seconds=float(seconds), fail=fail)


def sent(celery: Backend, run: str) -> list[str]:
    """The ids of a run's tasks that Flower has seen."""
    auth = (celery.variables["FLOWER_USERNAME"], celery.variables["FLOWER_PASSWORD"])
    tasks = httpx.get(f"{celery.variables['FLOWER_URL']}/api/tasks", auth=auth).json()
    return [name for name in tasks if name.startswith(f"{celery.runs}-{run}")]


def test_a_dictionary_gives_the_outputs_by_name(celery: Backend) -> None:
    job = celery.start(task(celery, "lab.work", {"answer": int}, seconds=float), "success", seconds=1.5)
    celery.until(job, "RUNNING")
    resource = celery.end(job)
    assert state(resource) == "SUCCEEDED"
    assert plain(resource) == {"answer": 42}


def test_any_other_result_is_the_one_output(celery: Backend) -> None:
    resource = celery.end(celery.start(task(celery, "lab.add", {"o0": int}, x=int, y=int), "add", x=40, y=2))
    assert state(resource) == "SUCCEEDED"
    assert plain(resource) == {"o0": 42}


def test_a_failed_task_says_its_exception(celery: Backend) -> None:
    assert ended(celery.end(working(celery, "failure", 0, fail=True))) == ("FAILED", "ValueError('asked to fail')")


def test_a_cancelled_task_is_aborted(celery: Backend) -> None:
    job = working(celery, "cancel", 300)
    celery.until(job, "RUNNING")
    celery.flyte.delete(job)
    assert ended(celery.end(job)) == ("ABORTED", "TaskRevokedError('terminated')")
    celery.flyte.delete(job)  # once more is no error
    assert state(celery.flyte.get(job)) == "ABORTED"


def test_a_task_that_waits_is_queued_and_can_be_cancelled(celery: Backend) -> None:
    filling = [working(celery, f"filling-{number}", 300) for number in range(2)]
    for job in filling:
        celery.until(job, "RUNNING")
    waiting = working(celery, "waiting", 0)
    assert ended(celery.flyte.get(waiting))[0] == "QUEUED"
    celery.flyte.delete(waiting)
    assert ended(celery.end(waiting))[0] == "ABORTED"
    for job in filling:
        celery.flyte.delete(job)
        assert state(celery.end(job)) == "ABORTED"


def test_a_state_of_the_tasks_own_is_running(celery: Backend) -> None:
    job = celery.start(task(celery, "lab.progress", {"o0": str}, seconds=int), "progress", seconds=3)
    celery.until(job, "RUNNING")
    resource = celery.end(job)
    assert state(resource) == "SUCCEEDED"
    assert plain(resource) == {"o0": "ok"}


def test_a_task_that_tries_again_is_running_until_it_gives_up(celery: Backend) -> None:
    job = celery.start(task(celery, "lab.retry"), "retry")
    phases = set()

    def is_over() -> bool:
        phases.add(state(celery.flyte.get(job)))
        return "FAILED" in phases

    wait_until(is_over, "the task to give up")
    assert phases <= {"QUEUED", "RUNNING", "FAILED"}
    assert ended(celery.flyte.get(job)) == ("FAILED", "ValueError('again')")


def test_the_same_create_again_finds_the_same_task(celery: Backend) -> None:
    jobs = [working(celery, "twice", 1) for _ in range(2)]
    assert [state(celery.end(job)) for job in jobs] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(sent(celery, "twice")) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lab.nope", "Task of kind 'lab.nope' never registered, please make sure it's imported."),
        ("lab.work", "TypeError(\"work() got an unexpected keyword argument 'nope'\")"),
    ],
)
def test_a_task_or_an_argument_that_is_unknown_fails_in_celerys_words(celery: Backend, name: str, message: str) -> None:
    job = celery.start(task(celery, name, nope=int), f"unknown-{name[4:]}", nope=1)
    assert ended(celery.end(job)) == ("FAILED", message)


def test_a_wrong_password_fails_at_once_and_sends_nothing(celery: Backend) -> None:
    wrong = celery.task(config={"task": "lab.work"}, inputs={}, outputs={}, secrets={"password": "nonsense"})
    phase, message = ended(celery.end(celery.start(wrong, "wrong")))
    assert phase == "FAILED"
    assert message.endswith("answered 401")
    assert sent(celery, "wrong") == []


def test_check_tells_a_right_password_from_a_wrong_one(celery: Backend) -> None:
    assert celery.check()[0] == 0
    code, said = celery.check(FLOWER_PASSWORD=WRONG_KEY)
    assert code == 1
    assert "answered 401" in said
