"""Two services behind a client that takes turns, as an executor in front of two replicas does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from flyteidl2.core.security_pb2 import Connection

from tests.support.flyte_side import FlyteSide, Job, outputs_of, state
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import connector_service
from tests.support.serving import Serving, serving
from yaml_connector import task_from_spec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import Signer

KEY = "the-key-of-both-0123456789-0123456789"
SHARED = "YAML_CONNECTOR_SHARED_TYPE"
SPEC = """
spec_version: 1
task_type_name: %s
connection: {base_url: "${{ env.REAL_API }}/%s"}
inputs: {name: str}
outputs: {result: $.result}
create:
  request: {method: POST, path: /jobs, json: {name: "${{ inputs.name }}", type: "${{ task.type }}"}}
  job_id: $.id
  idempotent: true
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done], ABORTED: [cancelled]}}
delete: {request: "DELETE /jobs/${{ job.id }}"}
logs: {request: "GET /jobs/${{ job.id }}/logs", format: text}
"""


class Replicas:
    """Two services, each with a folder of specs of its own, and the API behind them."""

    def __init__(self, tmp_path: Path, api: RealApi) -> None:
        self.states: dict[str, str] = {}
        self.created: list[Any] = []
        self.is_away = False  # the API takes no new jobs
        self.case = f"replicas-{tmp_path.name}"
        api.case(self.case, self._answer)
        self.folders = [tmp_path / name / "connectors.d" for name in ("here", "there")]
        self.services: list[Serving] = []
        self.sides: list[FlyteSide] = []
        self._turn = 0
        for folder in self.folders:
            folder.mkdir(parents=True)
            self.write(folder, "alpha")

    def _answer(self, received: Received) -> Any:
        if received.method == "POST" and self.is_away:
            return 503
        if received.method == "POST":
            self.created.append(received.json)
            job = f"j{len(self.created)}"
            self.states[job] = "running"
            return {"id": job}
        job = received.parts[1]
        if received.method == "DELETE":
            self.states[job] = "cancelled"
        if received.parts[-1] == "logs":
            return web.Response(text=f"log of {job}\n")
        return {"state": self.states[job], "result": f"{job} is done"}

    def write(self, folder: Path, name: str) -> Path:
        """Put a spec into a folder."""
        file = folder / f"{name}.yaml"
        file.write_text(SPEC % (name, self.case))
        return file

    def reload(self, number: int, said: str) -> None:
        """Let a service read its folder again, and wait until it says this."""
        self.services[number].process.send(signal.SIGHUP)
        self.services[number].process.wait_for(said)

    @property
    def next(self) -> FlyteSide:
        """The service whose turn it is."""
        self._turn += 1
        return self.sides[self._turn % len(self.sides)]


@contextmanager
def running(replicas: Replicas, api: RealApi, count: int = 2, **variables: str) -> Iterator[None]:
    """Both services, with one key, or only the first."""
    replicas.services, replicas.sides = [], []
    own = {"REAL_API": api.url, "YAML_CONNECTOR_SIGNING_KEY": KEY, **variables}
    with ExitStack() as stack:
        for folder in replicas.folders[:count]:
            replicas.services.append(stack.enter_context(serving(folder.parent, folder, **own)))
            replicas.sides.append(stack.enter_context(FlyteSide(replicas.services[-1].port)))
        yield
        assert not [one for one in replicas.services if "Traceback" in one.process.output]


@pytest.fixture
def replicas(tmp_path: Path, api: RealApi) -> Replicas:
    return Replicas(tmp_path, api)


def lines_of(side: FlyteSide, job: Job) -> list[str]:
    return [line.message for line in side.logs(job)[0]]


def signed(task: Any, meta: JobMeta) -> Job:
    """A job as another service with the same key keeps it."""
    return Job(task, meta.encode(Signer((KEY.encode(),))), Connection())


def test_whichever_service_is_asked_serves_a_job_and_no_get_is_an_error_in_a_rolling_update(
    replicas: Replicas, api: RealApi
) -> None:
    with running(replicas, api):
        task = task_from_spec(replicas.folders[0] / "alpha.yaml")
        for _ in range(3):
            job = replicas.next.create(task, "run", name="x")
            assert [state(replicas.next.get(job)) for _ in range(2)] == ["RUNNING"] * 2
            assert [lines_of(replicas.next, job) for _ in range(2)] == [[f"log of j{len(replicas.created)}"]] * 2
            replicas.next.delete(job)
            assert [state(replicas.next.get(job)) for _ in range(2)] == ["ABORTED"] * 2
        job = replicas.next.create(task, "run", name="x")
        replicas.states["j4"] = "done"
        results = [outputs_of(replicas.next.get(job))["result"] for _ in range(2)]
        assert [result.scalar.primitive.string_value for result in results] == ["j4 is done"] * 2
        assert len(replicas.created) == 4

        # a rolling update: one service has a new spec, the other does not yet, and then an old spec is removed
        here, there = replicas.sides
        beta = task_from_spec(replicas.write(replicas.folders[0], "beta"))
        replicas.reload(0, "reloaded: added: beta (0)")
        job = here.create(beta, "new", name="x")
        for _ in range(8):
            assert state(replicas.next.get(job)) == "RUNNING"
        assert "unreadable since" in there.get(job).message
        assert "this service has no spec beta in version 0" in there.get(job).message
        for act in (lambda: there.create(beta, "no", name="x"), lambda: there.logs(job)):
            with pytest.raises(grpc.RpcError, match="Cannot find connector for task type: beta"):
                act()
        with pytest.raises(grpc.RpcError, match="this service has no spec beta in version 0; nothing was sent"):
            there.delete(job)
        replicas.write(replicas.folders[1], "beta")
        replicas.reload(1, "reloaded: added: beta (0)")
        assert there.get(job).message == ""

        later = replace(job, kept=job.kept.replace(b'"v":2', b'"v":3'))
        assert state(there.get(later)) == "RUNNING"
        (replicas.folders[0] / "alpha.yaml").unlink()
        alpha = task_from_spec(replicas.folders[1] / "alpha.yaml")
        job = there.create(alpha, "removed", name="x")
        replicas.reload(0, "reloaded: removed: alpha (0)")
        with pytest.raises(grpc.RpcError, match="Cannot find connector for task type: alpha") as raised:
            here.create(alpha, "refused", name="x")
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        assert here.get(job).message == ""
        assert lines_of(here, job) == [f"log of {JobMeta.decode(job.kept).id}"]
        here.delete(job)
        assert [state(replicas.next.get(job)) for _ in range(2)] == ["ABORTED"] * 2
        assert len(replicas.created) == 6


def test_a_removed_spec_serves_what_it_signed_until_the_restart(replicas: Replicas, api: RealApi) -> None:
    with running(replicas, api, 1, YAML_CONNECTOR_ACCEPT_UNSIGNED="1"):
        here = replicas.sides[0]
        alpha = task_from_spec(replicas.folders[1] / "alpha.yaml")
        job = here.create(alpha, "removed", name="x")
        replicas.is_away = True
        waiting, cancelled = (here.create(alpha, run, name="x") for run in ("waiting", "cancelled"))
        replicas.write(replicas.folders[0], "beta")
        (replicas.folders[0] / "alpha.yaml").unlink()
        replicas.reload(0, "reloaded: removed: alpha (0)")
        assert list(here.connectors()) == ["beta"]
        assert here.get(job).message == ""
        assert here.get(waiting).message.startswith("not submitted yet")
        here.delete(cancelled)
        assert state(here.get(cancelled)) == "ABORTED"
        replicas.is_away = False
        assert state(here.get(waiting)) == "RUNNING"
        forged = Job(alpha, JobMeta("alpha", id="j1", created_at=1.0).encode(), Connection())
        assert "this service has no spec alpha" in here.get(forged).message
        with pytest.raises(grpc.RpcError, match="this service has no spec alpha in version 0; nothing was sent"):
            here.delete(forged)
        replicas.write(replicas.folders[0], "alpha")
        replicas.reload(0, "reloaded: added: alpha (0)")
        assert state(here.get(here.create(alpha, "again", name="x"))) == "RUNNING"
        assert here.get(job).message == ""
        (replicas.folders[0] / "alpha.yaml").unlink()
    with running(replicas, api, 1):
        for kept in (job, waiting, cancelled):
            assert "unreadable since" in replicas.next.get(kept).message
            assert "this service has no spec alpha" in replicas.next.get(kept).message


def test_with_a_shared_type_every_spec_is_served_by_both_under_one_name(
    replicas: Replicas, api: RealApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha_by_its_own_type = task_from_spec(replicas.folders[0] / "alpha.yaml")
    monkeypatch.setenv(SHARED, "yaml_connector")
    with running(replicas, api, **{SHARED: "yaml_connector"}):
        here, there = replicas.sides
        alpha = task_from_spec(replicas.folders[0] / "alpha.yaml")
        for folder, number in zip(replicas.folders, (0, 1), strict=True):
            beta = task_from_spec(replicas.write(folder, "beta"))
            replicas.reload(number, "reloaded: added: beta (0)")
        assert here.connectors()["YAML connector"] == [("yaml_connector", 0)]
        jobs = []
        for task in (alpha, beta, alpha_by_its_own_type):
            jobs.append(replicas.next.create(task, "run", name="x"))
            assert [state(replicas.next.get(jobs[-1])) for _ in range(2)] == ["RUNNING"] * 2
        assert [item["type"] for item in replicas.created] == ["alpha", "beta", "alpha"]
        assert [JobMeta.decode(job.kept).task_type for job in jobs] == ["alpha", "beta", "alpha"]
        assert alpha.task_type == beta.task_type == "yaml_connector"
        assert lines_of(here, jobs[1]) == lines_of(there, jobs[1]) == ["log of j2"]

        (replicas.folders[0] / "beta.yaml").unlink()
        replicas.reload(0, "reloaded: removed: beta (0)")
        with pytest.raises(grpc.RpcError, match="no spec beta; served: alpha") as raised:
            here.create(beta, "refused", name="x")
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        assert here.get(jobs[1]).message == ""
        here.delete(jobs[1])
        assert state(there.get(jobs[1])) == "ABORTED"
        assert len(replicas.created) == 3

        elsewhere = signed(alpha, JobMeta("gamma", id="j1", created_at=1.0))
        assert "this service has no spec gamma" in replicas.next.get(elsewhere).message
        for act in (here.delete, here.logs):
            with pytest.raises(grpc.RpcError, match="nothing was sent"):
                act(elsewhere)


def test_c0_serves_the_shared_type_too(
    replicas: Replicas, api: RealApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED, "yaml_connector")
    alpha = task_from_spec(replicas.folders[0] / "alpha.yaml")
    beta = task_from_spec(replicas.write(tmp_path, "beta"))
    own = {"REAL_API": api.url, SHARED: "yaml_connector"}
    with connector_service(tmp_path, replicas.folders[0], **own) as (process, port), FlyteSide(port) as calls:
        job = calls.create(alpha, "run", name="x")
        assert state(calls.get(job)) == "RUNNING"
        assert lines_of(calls, job) == ["log of j1"]
        with pytest.raises(grpc.RpcError, match="this service has no spec beta; served: alpha; nothing was submitted"):
            calls.create(beta, "run", name="x")
        assert "Traceback" not in process.output
