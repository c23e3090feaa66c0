"""The process of the demo's job service: starting, stopping, starting again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.demo.job_service import MODULE, Service, is_alive, running, sh
from tests.support.paths import ROOT
from yaml_connector.demo.jobservice import main


def test_jobs_go_on_while_the_service_is_down_and_are_known_afterwards(tmp_path: Path) -> None:
    go, keep = tmp_path / "go", tmp_path / "state"
    with running(keep) as before:
        over = before.run("echo", "r1")
        going = before.submit(*sh(f"echo started; until [ -e {go} ]; do sleep 0.02; done; echo r2"), key="k")
        staying = before.submit("sleep", "60")
        before.logged(going, "started")
        before.stop(signal.SIGKILL)
    go.touch()
    with running(keep) as after:
        assert after.get(over["id"]) == over
        assert after.ended(going)["result"] == "r2"
        assert [line["text"] for line in after.log(going)] == ["started", "r2"]
        again = after.http.post("/jobs", json={"name": "x", "timeout": 1}, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"]) == (200, going)
        assert [job["id"] for job in after.http.get("/jobs").json()["jobs"]] == [over["id"], going, staying]
        assert after.get(staying)["state"] == "running"
        after.http.post(f"/jobs/{staying}/cancel")
        assert after.ended(staying)["state"] == "cancelled"


def test_it_says_where_it_listens_and_ends_cleanly_when_interrupted(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert re.fullmatch(r"job service listening on http://127\.0\.0\.1:\d+\n", service.ready_line)
        assert service.http.get("/health").status_code == 200
        assert service.stop(signal.SIGINT) == (0, "", "")


def test_jobs_are_killed_on_exit_if_so_asked(tmp_path: Path) -> None:
    with running(tmp_path, "--kill-jobs-on-exit") as service:
        job_id = service.submit(*sh("echo $$; exec sleep 60"))
        service.until(job_id, lambda _: bool(service.log(job_id)))
        pid = int(service.log(job_id)[0]["text"])
        assert service.stop()[0] == 0
    assert not is_alive(pid)
    job = json.loads((tmp_path / job_id / "job.json").read_text())
    assert (job["state"], job["detail"]) == ("cancelled", "cancelled: the job service was stopped")


def test_a_state_directory_serves_one_service_at_a_time(service: Service) -> None:
    second = subprocess.run(
        [sys.executable, "-m", MODULE, "--port", "0", "--state", str(service.state)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=8,
        check=False,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == f"jobservice: another job service uses {service.state}\n"


@pytest.mark.parametrize("users", ["alice", "alice=", "=key", "alice=k,alice=l", "alice=k,bob=k"])
def test_users_that_make_no_sense_are_refused(users: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--users", users])
    assert exit.value.code == 2
    assert "users are given as NAME=KEY,NAME=KEY" in capsys.readouterr().err


def test_what_every_job_starts_imports_the_standard_library_alone() -> None:
    code = (
        "import sys, yaml_connector.demo.program, yaml_connector.demo.runner\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(roots & {'aiohttp', 'asyncio', 'flyte', 'httpx', 'jinja2', 'pydantic', 'yaml'}))"
    )
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert imported.stdout.split() == []
