"""catalog/slurm.yaml against a real slurmrestd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from tests.integration.real.backends import Backend, backend, ended, gone, plain
from tests.support.flyte_side import state
from tests.support.real_processes import WRONG_KEY, wait_until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend("slurm", tmp_path_factory.mktemp("slurm"), Backend) as running:
        running.flyte.store = {"nonsense": WRONG_KEY}
        yield running


def batch(slurm: Backend, folder: Path, **config: Any) -> Any:
    """A task whose jobs write into this folder."""
    return slurm.task(config={"working_directory": str(folder), **config})


def on_the_cluster(slurm: Backend, run: str) -> list[dict[str, Any]]:
    """The jobs of a run that Slurm knows."""
    headers = {
        "X-SLURM-USER-NAME": slurm.variables["SLURM_USER_NAME"],
        "X-SLURM-USER-TOKEN": slurm.variables["SLURM_JWT"],
    }
    jobs = httpx.get(f"{slurm.variables['SLURM_URL']}/slurm/v0.0.38/jobs", headers=headers).json()["jobs"]
    return [job for job in jobs if job["name"].startswith(f"{slurm.runs}-{run}")]


def test_a_script_succeeds_with_its_outputs(slurm: Backend, tmp_path: Path) -> None:
    task = batch(
        slurm, tmp_path, environment={"PATH": "/usr/bin:/bin", "WHOM": "world"}, time_limit=5, partition="debug"
    )
    resource = slurm.end(slurm.start(task, "success", script="#!/bin/sh\nsleep 1\necho hello, $WHOM\n"))
    assert state(resource) == "SUCCEEDED"
    outputs = plain(resource)
    assert Path(outputs.pop("standard_output")).read_text() == "hello, world\n"
    assert outputs == {"exit_code": 0, "nodes": "node0"}
    assert MessageToDict(resource.custom_info) == {"states": ["COMPLETED"], "nodes": "node0"}


def test_a_failed_script_says_its_exit_code(slurm: Backend, tmp_path: Path) -> None:
    job = slurm.start(batch(slurm, tmp_path), "failure", script="#!/bin/sh\nexit 7\n")
    assert ended(slurm.end(job)) == ("FAILED", "NonZeroExitCode, exit code 7")


def test_a_cancelled_job_is_aborted_and_its_script_ends(slurm: Backend, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    job = slurm.start(batch(slurm, tmp_path), "cancel", script=f"#!/bin/sh\necho $$ > {pid}\nexec sleep 300\n")
    slurm.until(job, "RUNNING")
    wait_until(lambda: pid.exists() and pid.read_text().strip(), "the script to start")
    slurm.flyte.delete(job)
    assert ended(slurm.end(job)) == ("ABORTED", "the API reports state 'CANCELLED'")
    gone(int(pid.read_text()))
    slurm.flyte.delete(job)  # once more is no error
    assert state(slurm.flyte.get(job)) == "ABORTED"


def test_a_job_that_waits_says_why_and_can_be_cancelled(slurm: Backend, tmp_path: Path) -> None:
    filling = slurm.start(batch(slurm, tmp_path, cpus_per_task=2), "filling", script="#!/bin/sh\nsleep 300\n")
    slurm.until(filling, "RUNNING")
    waiting = slurm.start(batch(slurm, tmp_path), "waiting", script="#!/bin/sh\ntrue\n")
    resource = wait_until(lambda: found if (found := slurm.flyte.get(waiting)).message else None, "a reason")
    assert ended(resource) in [("QUEUED", "Resources"), ("QUEUED", "Priority")]
    slurm.flyte.delete(waiting)
    assert state(slurm.end(waiting)) == "ABORTED"
    slurm.flyte.delete(filling)
    assert state(slurm.end(filling)) == "ABORTED"


def test_a_job_array_runs_until_all_of_it_is_over_and_fails_if_one_of_it_did(slurm: Backend, tmp_path: Path) -> None:
    script = "#!/bin/sh\nsleep $SLURM_ARRAY_TASK_ID\n[ $SLURM_ARRAY_TASK_ID != 1 ] || exit 3\n"
    job = slurm.start(batch(slurm, tmp_path, array="0-3"), "array", script=script)
    resource = slurm.end(job)
    assert ended(resource) == ("FAILED", "NonZeroExitCode, exit code 3")
    states = sorted(MessageToDict(resource.custom_info)["states"])
    assert states == ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED"]


def test_a_job_array_is_cancelled_as_a_whole_also_by_who_took_it_over(slurm: Backend, tmp_path: Path) -> None:
    task = batch(slurm, tmp_path, array="0-3")
    first = slurm.start(task, "whole", script="#!/bin/sh\nsleep 300\n")
    slurm.until(first, "RUNNING")
    second = slurm.start(task, "whole", script="#!/bin/sh\nsleep 300\n")
    slurm.flyte.delete(second)
    assert [state(slurm.end(job)) for job in (first, second)] == ["ABORTED", "ABORTED"]
    assert {job["job_state"] for job in on_the_cluster(slurm, "whole")} == {"CANCELLED"}


def test_the_same_create_again_finds_the_same_job(slurm: Backend, tmp_path: Path) -> None:
    task = batch(slurm, tmp_path)
    jobs = [slurm.start(task, "twice", script="#!/bin/sh\nsleep 1\n") for _ in range(2)]
    assert [state(slurm.end(job)) for job in jobs] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(on_the_cluster(slurm, "twice")) == 1


def test_what_the_scheduler_refuses_fails_at_once_in_its_words(slurm: Backend, tmp_path: Path) -> None:
    job = slurm.start(batch(slurm, tmp_path, partition="nowhere"), "refused", script="#!/bin/sh\ntrue\n")
    phase, message = ended(slurm.end(job))
    assert phase == "FAILED"
    assert message.endswith("answered 500: Invalid partition name specified")


def test_a_job_with_a_wrong_token_waits_to_be_submitted_and_says_why(slurm: Backend, tmp_path: Path) -> None:
    task = slurm.task(config={"working_directory": str(tmp_path)}, secrets={"token": "nonsense"})
    phase, message = ended(slurm.flyte.get(slurm.start(task, "wrong", script="#!/bin/sh\ntrue\n")))
    assert phase == "QUEUED"  # slurmrestd says 500 to it, as to what passes
    assert message.startswith("not submitted yet")
    assert "Failed while looking for jobs: Unspecified error" in message
    assert on_the_cluster(slurm, "wrong") == []


def test_check_tells_a_right_token_from_a_wrong_one(slurm: Backend) -> None:
    assert slurm.check()[0] == 0
    code, said = slurm.check(SLURM_JWT=WRONG_KEY)
    assert code == 1
    assert "answered 500" in said
