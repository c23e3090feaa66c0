"""A connector service that is lost in the middle of jobs, and comes back with another spec: no job notices."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.flyte_side import FlyteSide, Job, outputs_of, state
from tests.support.paths import ROOT
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import OWN_KEY, STORE, USER_KEYS, Process, connector_service
from yaml_connector import task_from_spec

OLD = """
spec_version: 1
task_type_name: changing
connection: {base_url: "${{ env.REAL_API }}/changing"}
config: {queue: {type: str, default: short}, pool: {type: str, default: short}}
inputs: {name: str}
outputs: {result: $.result, rows: {type: int, value: $.rows}}
create:
  request: {method: POST, path: /old/jobs, json: {name: "${{ inputs.name }}", queue: "${{ config.queue }}"}}
  idempotent: true
  job_id: $.id
  save: {region: $.region}
get:
  request: GET /old/${{ job.region }}/${{ config.pool }}/jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [busy], SUCCEEDED: [done], FAILED: [error]}}
delete: {request: "POST /old/jobs/${{ job.id }}/cancel"}
"""
NEW = """
spec_version: 1
task_type_name: changing
connection: {base_url: "${{ env.REAL_API }}/changing"}
config: {pool: {type: str, default: short}}
inputs: {name: str}
outputs: {summary: $.summary}
create:
  request: {method: POST, path: /new/jobs, json: {title: "${{ inputs.name }}"}}
  idempotent: true
  job_id: $.id
get:
  request: GET /new/jobs/${{ job.id }}
  phase: {path: $.status, map: {RUNNING: [done], SUCCEEDED: [over], FAILED: [error]}}
delete: {request: "DELETE /new/jobs/${{ job.id }}"}
"""


def changing_api(received: Received) -> Any:
    """Both versions of the API at once."""
    if received.parts == ("old", "jobs"):
        return {"id": "old/1", "region": "eu west"}
    if received.parts == ("new", "jobs"):
        return {"id": "new-1"}
    if received.parts[0] == "old":
        return {"state": "done", "result": "r", "rows": 2**53 + 1}
    return {"status": "over", "summary": "s"}


@dataclass
class Restarted:
    """The second service, and the jobs that the first one made."""

    process: Process
    calls: FlyteSide
    batch: Job
    quick: Job
    old: Job
    first_exit: int
    specs: Path


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory, api: RealApi, job_service_url: str) -> Iterator[Restarted]:
    folder = tmp_path_factory.mktemp("restarts")
    specs = folder / "connectors.d"
    specs.mkdir()
    shutil.copy(ROOT / "connectors.d" / "batch_job.yaml", specs)
    (specs / "changing.yaml").write_text(OLD)
    api.case("changing", changing_api)
    variables = {"REAL_API": api.url, "BATCH_URL": job_service_url, "BATCH_API_KEY": OWN_KEY}
    variables["YAML_CONNECTOR_SIGNING_KEY"] = "k" * 32
    batch_task = task_from_spec(specs / "batch_job.yaml", secrets={"api_key": "bob-api-key"})
    old_task = task_from_spec(specs / "changing.yaml", config={"queue": "q", "pool": "a/b"})
    with connector_service(folder, "connectors.d", **variables) as (process, port):
        with FlyteSide(port, STORE) as calls:
            batch = calls.create(batch_task, "restart", name="sleep-60")
            quick = calls.create(batch_task, "restart-quick", name="world")
            old = calls.create(old_task, "restart-old", name="n")
            calls.until(batch, "RUNNING")
        first_exit = process.kill()
    (specs / "changing.yaml").write_text(NEW)
    with connector_service(folder, "connectors.d", **variables) as (process, port), FlyteSide(port, STORE) as calls:
        yield Restarted(process, calls, batch, quick, old, first_exit, specs)


def test_nothing_is_lost_when_the_service_is_killed_in_the_middle_of_a_job(restarted: Restarted) -> None:
    assert restarted.first_exit == -signal.SIGKILL
    calls = restarted.calls
    assert state(calls.get(restarted.batch)) == "RUNNING"
    assert calls.logs(restarted.batch)[0][0].message == "slept 0 s"
    resource = calls.until(restarted.quick)
    assert state(resource) == "SUCCEEDED"
    assert outputs_of(resource)["result"].scalar.primitive.string_value == "Hello, world!"


def test_the_same_attempt_created_again_after_the_loss_finds_its_job(restarted: Restarted) -> None:
    again = restarted.calls.create(restarted.batch.task, "restart", name="sleep-60")
    assert json.loads(again.kept)["id"] == json.loads(restarted.batch.kept)["id"]


def test_a_job_that_the_lost_service_made_can_be_cancelled(restarted: Restarted) -> None:
    restarted.calls.delete(restarted.batch)
    assert state(restarted.calls.until(restarted.batch, "ABORTED")) == "ABORTED"


def test_a_job_of_the_old_spec_goes_on_with_its_own_phases_path_and_outputs(restarted: Restarted, api: RealApi) -> None:
    before = len(api.received("changing"))
    resource = restarted.calls.get(restarted.old)
    assert state(resource) == "SUCCEEDED"
    assert outputs_of(resource)["result"].scalar.primitive.string_value == "r"
    assert outputs_of(resource)["rows"].scalar.primitive.integer == 2**53 + 1
    restarted.calls.delete(restarted.old)
    sent = [(item.method, item.raw_path) for item in api.received("changing")[before:]]
    assert sent == [
        ("GET", "/changing/old/eu%20west/a%2Fb/jobs/old%2F1"),
    ]  # the delete is for a job that is over


def test_a_job_made_after_the_change_follows_the_new_spec(restarted: Restarted, api: RealApi) -> None:
    before = len(api.received("changing"))
    new = restarted.calls.create(task_from_spec(restarted.specs / "changing.yaml"), "restart-new", name="n")
    restarted.calls.delete(new)
    resource = restarted.calls.get(new)
    assert state(resource) == "SUCCEEDED"
    assert list(outputs_of(resource)) == ["summary"]
    sent = [(item.method, item.raw_path) for item in api.received("changing")[before:]]
    assert sent == [
        ("POST", "/changing/new/jobs"),
        ("DELETE", "/changing/new/jobs/new-1"),
        ("GET", "/changing/new/jobs/new-1"),
    ]


def test_a_task_that_was_built_with_the_old_spec_fails_with_the_field_that_is_gone(restarted: Restarted) -> None:
    resource = restarted.calls.get(restarted.calls.create(restarted.old.task, "restart-late", name="n"))
    assert state(resource) == "FAILED"
    assert resource.message.startswith("changing has no config field 'queue'")


def test_what_flyte_hands_back_broken_is_said_and_does_not_raise(restarted: Restarted) -> None:
    for kept in (b"", b"\xff\x00", b"{}", b'{"v": 99, "id": "1"}', b'{"v": 1, "unheard": 1}', b"[1]"):
        resource = restarted.calls.get(Job(restarted.batch.task, kept, restarted.batch.connection))
        assert state(resource) == "RUNNING"
        assert "unreadable since" in resource.message
        assert resource.message.endswith("the job itself may still be running")


def test_sigterm_ends_the_service(restarted: Restarted) -> None:
    """The last test of this module: nobody needs the service any more."""
    restarted.process.send(signal.SIGTERM)
    assert restarted.process.wait(10) in (0, -signal.SIGTERM)
    shown = [key for key in (*USER_KEYS.values(), OWN_KEY) if key in restarted.process.output]
    assert shown == []
    assert "Traceback" not in restarted.process.output
