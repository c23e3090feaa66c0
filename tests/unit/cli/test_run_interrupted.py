"""Ctrl-C while `yaml-connector run` waits: once cancels and waits for the end, twice leaves at once, whatever hangs."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.real_processes import clean_environment, script
from tests.unit.cli.terminal import Terminal

pytestmark = pytest.mark.slow

SPEC = """\
spec_version: 1
task_type_name: slow
connection: {{base_url: "http://127.0.0.1:{port}", timeout: 60s, deadline: 60s}}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
get:
  request: GET /jobs/${{{{ job.id }}}}
  phase: {{path: $.state, map: {{RUNNING: [running], SUCCEEDED: [done], ABORTED: [cancelled]}}}}
delete:
  request: DELETE /jobs/${{{{ job.id }}}}
"""


class Backend(ThreadingHTTPServer):
    """One job that runs until it is deleted. `hangs`: the method whose answer never comes, until `free` is set, or the
    method `frees_on` is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hangs = self.frees_on = ""
        self.asked: list[str] = []
        self.free = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Backend

    def _answer(self) -> None:
        self.server.asked.append(self.command)
        if self.command == self.server.frees_on:
            self.server.hangs = ""
        if self.command == self.server.hangs:
            self.server.free.wait(60)
        state = "cancelled" if "DELETE" in self.server.asked and self.server.hangs != "LATER" else "running"
        content = json.dumps({"id": "j-1", "state": state}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Backend]:
    """A backend on a port of its own."""
    server = Backend()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.free.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving() as server:
        yield server


def running(backend: Backend, folder: Path) -> Terminal:
    """A run on a terminal."""
    (folder / "slow.yaml").write_text(SPEC.format(port=backend.server_address[1]), encoding="utf-8")
    return Terminal([script("yaml-connector"), "run", "slow.yaml"], folder, clean_environment(folder))


def test_once_cancels_and_waits_for_the_end(backend: Backend, tmp_path: Path) -> None:
    with running(backend, tmp_path) as terminal:
        terminal.expect("RUNNING")
        terminal.type("\x03")
        terminal.expect("cancelling the job j-1 (Ctrl-C again leaves it running)")
        terminal.expect("ABORTED")
        assert terminal.end() == 1
    assert backend.asked.count("DELETE") == 1


def test_twice_leaves_a_job_whose_cancel_takes_long(backend: Backend, tmp_path: Path) -> None:
    backend.hangs = "LATER"  # the cancel is taken, and the job goes on for a while
    with running(backend, tmp_path) as terminal:
        terminal.expect("RUNNING")
        terminal.type("\x03")
        terminal.expect("cancelling the job j-1")
        while "DELETE" not in backend.asked or backend.asked[-1] == "DELETE":
            time.sleep(0.05)
        terminal.type("\x03")
        terminal.expect("the job j-1 was asked to stop, and is left; ask for it with GET http://127.0.0.1")
        assert terminal.end() == 1
        assert "Traceback" not in terminal.text


@pytest.mark.parametrize("hangs", ["DELETE", "GET", "POST"])
def test_twice_leaves_at_once_whatever_call_hangs(backend: Backend, tmp_path: Path, hangs: str) -> None:
    backend.hangs = "" if hangs == "DELETE" else hangs
    with running(backend, tmp_path) as terminal:
        if hangs == "DELETE":
            terminal.expect("RUNNING")
            backend.hangs = hangs
            terminal.type("\x03")
        while hangs not in backend.asked:
            terminal.expect("")
            time.sleep(0.05)
        if hangs != "DELETE":
            terminal.interrupt()
        terminal.type("\x03")
        assert terminal.end() == 1
        assert "Traceback" not in terminal.text
    if hangs == "POST":
        found = (
            r"Error: it is unknown whether the job was submitted: POST \S+/jobs was not answered\s+run it again with "
        )
        found += r"--task key=run-\w+: that finds the job, or submits it"
    else:
        found = r"the job j-1 is left running" + (r"; ask for it with GET \S+/jobs/j-1" if hangs == "DELETE" else "")
    assert re.search(found, terminal.text), terminal.text


def test_a_job_whose_output_cannot_be_written_is_cancelled(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SPEC.format(port=backend.server_address[1]), encoding="utf-8")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [script("yaml-connector"), "run", "slow.yaml"],
            cwd=tmp_path,
            env=clean_environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "the output cannot be written: No space left on device" in done.stderr
    assert "cancelling the job j-1" in done.stderr
    assert "Traceback" not in done.stderr
    assert backend.asked.count("DELETE") == 1
