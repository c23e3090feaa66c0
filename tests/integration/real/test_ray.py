"""catalog/ray.yaml against a real Ray."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.real.backends import Backend, backend, ended, gone, plain, processes_of
from tests.support.flyte_side import state
from tests.support.real_processes import wait_until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend("ray", tmp_path_factory.mktemp("ray"), Backend) as running:
        yield running


def on_the_cluster(ray: Backend) -> list[str]:
    """The ids of this run's jobs that Ray knows."""
    jobs = httpx.get(f"{ray.variables['RAY_URL']}/api/jobs/").json()
    return [job["submission_id"] for job in jobs if job["submission_id"].startswith(ray.runs)]


def test_a_job_succeeds_with_its_exit_code_and_its_log(ray: Backend) -> None:
    job = ray.start(ray.task(), "success", entrypoint="echo one; echo; printf two")
    resource = ray.end(job)
    assert ended(resource) == ("SUCCEEDED", "Job finished successfully.")
    assert plain(resource) == {"exit_code": 0}
    lines = ray.log(job)
    start = lines.index("one")
    assert lines[start + 1] == ""
    assert lines[start + 2].startswith("two")  # Ray may write its own next line right behind
    (link,) = resource.log_links
    assert httpx.get(link.uri).status_code == 200


def test_the_lines_of_a_running_job_come_once_and_an_unfinished_one_waits(ray: Backend, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    script = f"echo one; printf unfin; until [ -e {go_on} ]; do sleep 0.1; done; echo ished; echo two"
    job = ray.start(ray.task(), "log", entrypoint=script)
    seen: list[str] = []
    token = ""

    def page() -> bool:
        """Read on from the last token that there was; is there more?"""
        nonlocal token
        lines, following = ray.flyte.logs(job, token)
        seen.extend(line.message for line in lines)
        token = following or token
        return bool(following)

    wait_until(lambda: page() and "one" in seen, "the first line")
    assert "unfin" not in seen
    go_on.touch()
    assert state(ray.end(job)) == "SUCCEEDED"
    while page():
        pass
    assert seen == ray.log(job)
    assert "two" in seen  # "unfinished" may have a line of Ray's own in it


def test_a_failed_command_says_its_exit_code_and_its_last_lines(ray: Backend) -> None:
    phase, message = ended(ray.end(ray.start(ray.task(), "failure", entrypoint="echo about to fail; exit 7")))
    assert phase == "FAILED"
    assert re.search(r"exit code 7.*about to fail", message, re.DOTALL)


def test_a_cancelled_job_is_aborted_and_its_command_ends(ray: Backend, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    job = ray.start(ray.task(), "cancel", entrypoint=f"echo $$ > {pid}; exec sleep 300")
    ray.until(job, "RUNNING")
    wait_until(lambda: pid.exists() and pid.read_text().strip(), "the command to start")
    ray.flyte.delete(job)
    assert ended(ray.end(job)) == ("ABORTED", "Job was intentionally stopped.")
    gone(int(pid.read_text()))
    ray.flyte.delete(job)  # once more is no error
    assert state(ray.flyte.get(job)) == "ABORTED"


def test_a_job_whose_supervisor_died_may_be_tried_again(ray: Backend) -> None:
    job = ray.start(ray.task(), "died", entrypoint="sleep 300")
    ray.until(job, "RUNNING")
    (supervisor,) = [process for process in processes_of("ray") if "ray::JobSupervisor" in process.cmdline()[0]]
    supervisor.kill()
    phase, message = ended(ray.end(job))
    assert phase == "RETRYABLE_FAILED"
    assert message.startswith("Job supervisor actor died")


def test_ray_takes_a_stop_of_a_job_that_waits_for_resources_and_lets_it_wait(ray: Backend) -> None:
    job = ray.start(ray.task(config={"num_gpus": 1}), "waiting", entrypoint="true")
    resource = wait_until(
        lambda: found if "resources" in (found := ray.flyte.get(job)).message else None, "the job to wait for resources"
    )
    assert state(resource) == "QUEUED"
    ray.flyte.delete(job)
    assert state(ray.flyte.get(job)) == "QUEUED"


def test_the_same_create_again_finds_the_same_job(ray: Backend) -> None:
    task = ray.task()
    first = ray.start(task, "twice", entrypoint="sleep 2")
    second = ray.start(task, "twice", entrypoint="sleep 2")
    assert [state(ray.end(job)) for job in (first, second)] == ["SUCCEEDED", "SUCCEEDED"]
    assert len([name for name in on_the_cluster(ray) if "twice" in name]) == 1


def test_what_ray_refuses_fails_at_once_with_the_exceptions_words(ray: Backend) -> None:
    phase, message = ended(ray.end(ray.start(ray.task(config={"runtime_env": "none"}), "refused", entrypoint="true")))
    assert phase == "FAILED"
    assert message.endswith("answered 400: TypeError: runtime_env must be a dict, got <class 'str'>")


def test_what_ray_accepts_and_cannot_start_fails_with_its_words(ray: Backend) -> None:
    task = ray.task(config={"runtime_env": {"working_dir": "/nonexistent"}})
    phase, message = ended(ray.end(ray.start(task, "no-start", entrypoint="true")))
    assert phase == "FAILED"
    assert "/nonexistent is not a valid path" in message


def test_a_job_that_ray_has_forgotten_is_not_known_yet_for_a_while(ray: Backend) -> None:
    job = ray.start(ray.task(), "forgotten", entrypoint="true")
    ray.end(job)
    (name,) = [name for name in on_the_cluster(ray) if "forgotten" in name]
    assert httpx.delete(f"{ray.variables['RAY_URL']}/api/jobs/{name}").json() == {"deleted": True}
    phase, message = ended(ray.flyte.get(job))
    assert phase == "QUEUED"
    assert f"Job {name} does not exist" in message
    ray.flyte.delete(job)  # cancelling what is gone is no error
