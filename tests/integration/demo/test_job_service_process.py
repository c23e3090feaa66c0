"""The process of the demo's job service: starting and stopping."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from tests.integration.demo.job_service import is_alive, running, sh
from tests.support.paths import ROOT
from yaml_connector.demo.jobservice import main


def test_it_says_where_it_listens_and_ends_cleanly_when_interrupted() -> None:
    with running() as service:
        assert re.fullmatch(r"job service listening on http://127\.0\.0\.1:\d+\n", service.ready_line)
        assert service.http.get("/health").status_code == 200
        assert service.stop(signal.SIGINT) == (0, "", "")


def test_jobs_end_with_the_service() -> None:
    with running() as service:
        job_id = service.submit(*sh("echo $$; exec sleep 60"))
        service.until(job_id, lambda _: bool(service.log(job_id)))
        pid = int(service.log(job_id)[0]["text"])
        assert service.stop()[0] == 0
    assert not is_alive(pid)


@pytest.mark.parametrize("users", ["alice", "alice=", "=key", "alice=k,alice=l", "alice=k,bob=k"])
def test_users_that_make_no_sense_are_refused(users: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--users", users])
    assert exit.value.code == 2
    assert "users are given as NAME=KEY,NAME=KEY" in capsys.readouterr().err


def test_what_every_job_starts_imports_the_standard_library_alone() -> None:
    code = (
        "import sys, yaml_connector.demo.program\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(roots & {'aiohttp', 'asyncio', 'flyte', 'httpx', 'jinja2', 'pydantic', 'yaml'}))"
    )
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert imported.stdout.split() == []
