"""The demo's job service in a process of its own, and a client of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.paths import ROOT

MODULE = "yaml_connector.demo.jobservice"
OVER = {"done", "error", "cancelled"}
PATIENCE = 30.0  # seconds; a busy machine takes a while


class Service:
    """A job service in a process of its own, and a client of it."""

    def __init__(self, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--port", "0", *options],
            cwd=ROOT,
            env={**os.environ, "DEMO_STEP_SECONDS": "0.01", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.ready_line = self.process.stdout.readline()
        self.url = self.ready_line.split()[-1]
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal the service; gives its exit code and what else it wrote to stdout and stderr."""
        self.http.close()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def submit(self, *command: str, name: str = "world", timeout: float = 30, key: str | None = None) -> str:
        """Submit a job (without a command: the demo program) and give its id."""
        body: dict[str, Any] = {"name": name, "timeout": timeout}
        if command:
            body["command"] = list(command)
        answer = self.http.post("/jobs", json=body, headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "queued"
        job_id = answer.json()["id"]
        assert isinstance(job_id, str)
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job = answer.json()
        assert isinstance(job, dict)
        return job

    def until(self, job_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job as soon as something holds of it."""
        deadline = time.monotonic() + PATIENCE
        while not holds(job := self.get(job_id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.until(job_id, lambda job: job["state"] in OVER)

    def run(self, *command: str, name: str = "world", timeout: float = 30) -> dict[str, Any]:
        return self.ended(self.submit(*command, name=name, timeout=timeout))

    def page(self, job_id: str, cursor: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        answer = self.http.get(f"/jobs/{job_id}/logs", params={"cursor": cursor} if cursor else {})
        assert answer.status_code == 200, answer.text
        return answer.json()["lines"], answer.json()["next"]

    def log(self, job_id: str) -> list[dict[str, Any]]:
        lines, cursor = self.page(job_id)
        while cursor:
            more, cursor = self.page(job_id, cursor)
            lines += more
        return lines

    def logged(self, job_id: str, text: str) -> None:
        """Wait until the job has logged this line."""
        self.until(job_id, lambda _: text in [line["text"] for line in self.log(job_id)])


@contextmanager
def running(*options: str, **environment: str) -> Iterator[Service]:
    service = Service(*options, **environment)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def message(answer: httpx.Response) -> str:
    """The message of a problem; its body holds that and nothing else."""
    body = answer.json()
    assert list(body) == ["message"]
    return str(body["message"])


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody fetched does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.startswith("Z")


def sh(script: str) -> tuple[str, str, str]:
    return ("sh", "-c", script)
