"""`flyte run --local` as a user types it, in a folder with a copy of the examples and the specs, against the real job
service."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.real_processes import USER_KEYS, Process, clean_environment, script, started, wait_until

Start = Callable[..., Process]


@pytest.fixture
def flyte_run(tmp_path: Path, job_service_url: str) -> Iterator[Start]:
    """Starts `flyte run --local ...` in a folder of its own."""
    for folder in ("examples", "connectors.d"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    # By a host's name, as real APIs are: to look it up takes more than a socket.
    url = job_service_url.replace("127.0.0.1", "localhost")
    with ExitStack() as stack:

        def start(*arguments: str, **variables: str) -> Process:
            env = clean_environment(tmp_path, BATCH_URL=url, **variables)
            command = [script("flyte"), "run", "--local", *arguments]
            return stack.enter_context(started(command, cwd=tmp_path, env=env, log=tmp_path / "output"))

        yield start


def said(process: Process) -> list[str]:
    """What was said of the job, without names and times."""
    return re.findall(r"^batch_job \[ *[\d.]+ s\] (.*?)\s*$", process.output, re.MULTILINE)


def jobs(url: str, user: str, name: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/jobs", headers={"Authorization": f"Bearer {USER_KEYS[user]}"})
    return [job for job in answer.json()["jobs"] if job["name"] == name]


def test_the_example_runs_and_shows_outputs_progress_and_each_log_line_once(
    flyte_run: Start, job_service_url: str
) -> None:
    process = flyte_run("examples/main.py", "batch_job", "--name", "the-example", ALICE_API_KEY=USER_KEYS["alice"])
    assert process.wait() == 0, process.output
    assert "Hello, the-example!" in process.output
    lines = said(process)
    assert lines[0] == f"submitted as {jobs(job_service_url, 'alice', 'the-example')[0]['id']}"
    counted = Counter(lines)
    assert set(counted.values()) == {1}
    assert [line for line in lines if line.startswith("| ")] == [
        "| [1/8] connecting to the input table",
        "| [2/8] reading 1,000 rows",
        "| [3/8] reading 1,000 rows more",
        "| [4/8] checking the rows",
        "| [5/8] computing the greeting",
        "| [6/8] checking the greeting",
        "| [7/8] writing the result",
        "| [8/8] done",
    ]
    assert [line for line in lines if not line.startswith("| ")][-1] == "SUCCEEDED"
    assert USER_KEYS["alice"] not in process.output


def test_each_example_task_runs_with_its_own_user_s_secret_by_its_variable_s_name(
    flyte_run: Start, job_service_url: str, tmp_path: Path
) -> None:
    renamed(tmp_path)
    process = flyte_run("examples/main.py", "bobs_job", "--name", "from-bob", BOB_API_KEY=USER_KEYS["bob"])
    assert process.wait() == 0, process.output
    assert "bobs_own_name [" in process.output
    assert [len(jobs(job_service_url, user, "from-bob")) for user in ("alice", "bob")] == [0, 1]


def test_ctrl_c_cancels_the_job(flyte_run: Start, job_service_url: str) -> None:
    process = flyte_run("examples/main.py", "batch_job", "--name", "sleep-55", ALICE_API_KEY=USER_KEYS["alice"])
    process.wait_for("slept 0 s")
    process.send(signal.SIGINT)
    assert process.wait(20) != 0
    lines = said(process)
    job = jobs(job_service_url, "alice", "sleep-55")[0]
    assert lines.count(f"interrupted: cancelling the job {job['id']}") == 1
    assert lines.count("cancelled") == 1
    ended = wait_until(
        lambda: next((job for job in jobs(job_service_url, "alice", "sleep-55") if job["ended"]), None), "its end"
    )
    assert ended["state"] == "cancelled"
    assert "Traceback" not in process.output


def test_ctrl_c_in_a_script_cancels_every_job_that_is_open(
    flyte_run: Start, job_service_url: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(
        "import asyncio, flyte, sys\n"
        "sys.path.insert(0, 'examples')\n"
        "from main import batch_job, bobs_job, jobs\n"
        "env = flyte.TaskEnvironment('both', depends_on=[jobs])\n"
        "@env.task\n"
        "async def both() -> None:\n"
        "    await asyncio.gather(batch_job(name='sleep-56'), bobs_job(name='sleep-56'))\n"
        "flyte.init()\n"
        "flyte.with_runcontext(mode='local').run(both)\n"
    )
    url = job_service_url.replace("127.0.0.1", "localhost")
    keys = {f"{user.upper()}_API_KEY": key for user, key in USER_KEYS.items()}
    env = clean_environment(tmp_path, BATCH_URL=url, **keys)
    with started([sys.executable, "script.py"], cwd=tmp_path, env=env, log=tmp_path / "script.log") as process:

        def both_run() -> bool:
            assert process.process.poll() is None, process.output
            return process.output.count("slept 0 s") == 2

        wait_until(both_run, "both jobs to run")
        process.send(signal.SIGINT)
        assert process.wait(20) != 0
        for user in USER_KEYS:
            job = jobs(job_service_url, user, "sleep-56")[0]
            assert f"cancelling the job {job['id']}" in process.output
            wait_until(lambda user=user: jobs(job_service_url, user, "sleep-56")[0]["ended"], "its end")
            assert jobs(job_service_url, user, "sleep-56")[0]["state"] == "cancelled"


def test_a_missing_secret_says_which_environment_variable_to_set(flyte_run: Start) -> None:
    process = flyte_run("examples/main.py", "batch_job", "--name", "hello")
    assert process.wait() != 0
    text = " ".join(process.output.split())
    assert "the secret 'api_key' is called 'alice-api-key' in Flyte's store" in text
    assert "set ALICE_API_KEY" in text


def renamed(folder: Path) -> None:
    """The example, with a task whose name is not its variable's."""
    main = folder / "examples" / "main.py"
    main.write_text(main.read_text().replace('name="bobs_job"', 'name="bobs_own_name"'))


def test_flyte_run_does_not_take_the_task_s_own_name(flyte_run: Start, tmp_path: Path) -> None:
    """A fact of Flyte's that the documentation must be right about."""
    renamed(tmp_path)
    process = flyte_run("examples/main.py", "bobs_own_name", "--name", "x", BOB_API_KEY=USER_KEYS["bob"])
    assert process.wait() != 0
    assert "bobs_own_name" in process.output
