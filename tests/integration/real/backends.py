"""Real backends, started and stopped by the scripts of scripts/backends, and a connector service in front of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import psutil
import pytest
from flyteidl2.connector.connector_pb2 import Resource

from tests.support.flyte_side import FlyteSide, Job, outputs_of, state
from tests.support.paths import ROOT
from tests.support.real_processes import connector_service, script, wait_until
from yaml_connector import task_from_spec

CATALOG = ROOT / os.environ.get("CATALOG", "yaml_connector/catalog")
SCRIPTS = ROOT / "scripts" / "backends"
FOLDER = Path(os.environ.get("YAML_CONNECTOR_BACKENDS") or Path(tempfile.gettempdir()) / "yaml-connector-backends")
CANNOT_INSTALL = 3
PATIENCE = 90.0  # seconds; a busy machine takes a while to start a job
B = TypeVar("B", bound="Backend")


@dataclass
class Backend:
    """A backend that runs, and Flyte's side of a connector service with the one spec that drives it.

    `variables` are what the script gave for the connector's environment: the address, the credentials.
    """

    spec: Path
    variables: dict[str, str]
    flyte: FlyteSide
    folder: Path
    runs: str = field(default_factory=lambda: f"real-{uuid.uuid4().hex[:8]}")

    def task(self, **values: Any) -> Any:
        """A task of the spec; `values` as for `task_from_spec`."""
        return task_from_spec(self.spec, **values)

    def start(self, task: Any, run: str, /, **inputs: Any) -> Job:
        """Submit the task in a run of this name, which is another one in each run of the tests."""
        return self.flyte.create(task, f"{self.runs}-{run}", **inputs)

    def end(self, job: Job) -> Resource:
        """How the job ended."""
        return self.flyte.until(job, patience=PATIENCE)

    def until(self, job: Job, *phases: str) -> Resource:
        """The job as soon as it is in one of these phases; fails if it ends before."""
        return self.flyte.until(job, *phases, patience=PATIENCE)

    def log(self, job: Job) -> list[str]:
        """All lines that the log has now."""
        lines, token = self.log_page(job)
        while token:
            more, token = self.log_page(job, token)
            lines += more
        return lines

    def log_page(self, job: Job, token: str = "") -> tuple[list[str], str]:
        """The lines of one log call, and the next token. A call that fails is made again: the backend may be busy."""

        def page() -> tuple[list[str], str] | None:
            try:
                lines, following = self.flyte.logs(job, token)
            except grpc.RpcError:
                return None
            return [line.message for line in lines], following

        return wait_until(page, "a page of the log", PATIENCE)

    def cancel(self, job: Job) -> list[str]:
        """Cancel as Flyte does: again and again until it works. Returns what was said when it did not."""
        refusals = []

        def cancelled() -> bool:
            try:
                self.flyte.delete(job)
            except grpc.RpcError as error:
                refusals.append(str(error))
                return False
            return True

        wait_until(cancelled, "the cancel to be accepted", PATIENCE)
        return refusals

    def restart(self) -> None:
        """End the server as a lost machine does, and start it anew at the same address."""
        restarted = script_of(self.spec.stem)("restart")
        assert restarted.returncode == 0, restarted.stderr

    @contextmanager
    def another_service(self, **variables: str) -> Iterator[FlyteSide]:
        """A connector service that knows no job yet; its environment differs in `variables`."""
        env = {**self.variables, **variables}
        with connector_service(self.folder, self.spec, **env) as (_, port), FlyteSide(port) as flyte:
            yield flyte

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `yaml-connector` with these variables instead of the right ones."""
        env = {**os.environ, **self.variables, **variables}
        command = [script("yaml-connector"), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def check(self, **variables: str) -> tuple[int, str]:
        """The exit code of `yaml-connector check` with these variables instead of the right ones, and what it says of
        the credentials."""
        run = self.command("check", str(self.spec), **variables)
        return run.returncode, next((line for line in run.stdout.splitlines() if "credentials" in line), run.stderr)

    def call(self, what: str, job_id: str, *options: str) -> dict[str, Any]:
        """What `yaml-connector call` reports of one call, which is made in a process of its own, and works."""
        run = self.command("call", what, str(self.spec), "--job-id", job_id, *options, "--json")
        assert run.returncode == 0, run.stdout + run.stderr
        found: dict[str, Any] = json.loads(run.stdout)
        return found


def script_of(name: str, **variables: str) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """What runs a verb of the backend's script; `variables` are added to its environment."""
    env = {**os.environ, "PYTHON": sys.executable, "YAML_CONNECTOR_BACKENDS": str(FOLDER), **variables}
    program = str(SCRIPTS / f"{name}.sh")
    return lambda verb: subprocess.run([program, verb], env=env, capture_output=True, text=True, check=False)


@contextmanager
def backend(name: str, folder: Path, kind: type[B], **variables: str) -> Iterator[B]:
    """A backend and a connector service with its spec, unmodified; both are stopped when the block ends, come what may.

    `kind` is what the tests get, `variables` are for the script. Skips if the backend cannot be installed on this
    machine.
    """
    run = script_of(name, **variables)
    run("down")  # what an interrupted run left
    try:
        up = run("up")
        if up.returncode == CANNOT_INSTALL:
            pytest.skip(up.stderr.splitlines()[-1])
        assert up.returncode == 0, up.stderr
        assert run("ready").returncode == 0, "it is up and not ready"
        outside = reachable_from_outside(name)
        assert not outside, f"others can reach {outside}"
        given = dict(line.split("=", 1) for line in up.stdout.splitlines())
        spec = CATALOG / f"{name}.yaml"
        with connector_service(folder, spec, **given) as (_, port), FlyteSide(port) as flyte:
            yield kind(spec, given, flyte, folder)
    finally:
        down = run("down")
    assert down.returncode == 0, down.stderr
    assert run("ready").returncode == 1, "it is down and ready"
    left = [process.cmdline() for process in processes_of(name)]
    assert not left, f"still running: {left}"


def processes_of(name: str) -> list[psutil.Process]:
    """The processes that have to do with the backend's folder."""
    folder = str(FOLDER / name)
    found = []
    for process in psutil.process_iter():
        try:
            texts = [process.exe(), process.cwd(), *process.cmdline(), *process.environ().values()]
        except psutil.Error:  # it ended, or is another user's
            continue
        if process.pid != os.getpid() and any(folder in text for text in texts):
            found.append(process)
    return found


def reachable_from_outside(name: str) -> list[Any]:
    """The addresses that the backend listens on and others can reach."""
    listening = [
        connection.laddr
        for process in processes_of(name)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    return [address for address in listening if address.ip.removeprefix("::ffff:") not in ("127.0.0.1", "::1")]


def gone(pid: int) -> None:
    """Wait until a process has ended."""
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", f"the end of {pid}")


def plain(resource: Resource) -> dict[str, Any]:
    """The outputs of a job as Python has them."""
    values = {}
    for name, literal in outputs_of(resource).items():
        primitive = literal.scalar.primitive
        values[name] = getattr(primitive, primitive.WhichOneof("value"))
    return values


def ended(resource: Resource) -> tuple[str, str]:
    """The phase and the message."""
    return state(resource), resource.message
