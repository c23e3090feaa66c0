"""`yaml-connector record`: which ids are replaced, and why a request is relaxed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command, Done
from tests.support.real_api import Received, running_api
from tests.support.yaml_data import yaml_data
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import load
from yaml_connector.cli._live.interactive_run import CallRecord
from yaml_connector.cli._live.recorder import Recorder
from yaml_connector.cli.record.contract_writer import Scrubber, contract_test

SPEC = """
spec_version: 1
task_type_name: ids
connection: {base_url: "%s/ids"}
secrets: {user: {env: IDS_USER}}
create:
  request: {method: POST, path: /jobs, json: {user: "${{ secrets.user }}"}}
  idempotent: true
  job_id: %s
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done], FAILED: [error]}}
"""


def recorded(command: Command, here: Path, job_id: str, answer: object, user: str = "somebody") -> tuple[Done, Any]:
    """What `record` said, and the file that it wrote, whose test passes."""

    def answers(received: Received) -> object:
        return {"state": "done"} if received.method == "GET" else answer

    with running_api() as api:
        api.case("ids", answers)
        (here / "ids.yaml").write_text(SPEC % (api.url, job_id), encoding="utf-8")
        done = command("record", "ids.yaml", IDS_USER=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert command("test", "ids.yaml").returncode == 0
    return done, yaml_data(here / "ids.test.yaml")


@pytest.mark.parametrize(
    ("job_id", "answer", "kept"),
    [
        ("$.id", {"id": "job-4711"}, "job-1"),
        ("$.id", {"id": 4711471}, "4711471"),
        ("$.id", {"id": "j4711"}, "j4711"),
        ("${{ 'task-' ~ body.id }}", {"id": 4711}, "task-4711"),
        ("${{ task.key }}", {}, "test-key"),
        ("$.id", {"id": "job-4711 of run"}, "job-1"),
    ],
)
def test_an_id_is_replaced_only_where_it_can_be_found_again(
    command: Command, here: Path, job_id: str, answer: object, kept: str
) -> None:
    done, found = recorded(command, here, job_id, answer)
    assert found["tests"][0]["calls"][0]["create"]["expect"] == {"job_id": kept}
    assert "relaxed" not in done.stdout


@pytest.mark.parametrize(
    ("number", "said"), [("job-4711", "secrets, times and the job's id"), (7, "secrets and times")]
)
def test_the_first_line_says_what_was_replaced(command: Command, here: Path, number: object, said: str) -> None:
    recorded(command, here, "$.id", {"id": number})
    first = (here / "ids.test.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# Recorded by `yaml-connector record ids`: {said} are replaced."


def test_a_delete_expects_nothing(tmp_path: Path) -> None:
    (tmp_path / "ids.yaml").write_text(SPEC % ("http://127.0.0.1:1", "$.id"), encoding="utf-8")
    (loaded,) = load(tmp_path / "ids.yaml")
    values = CreateValues({}, {}, {"key": "run-1"}, {}, {})
    records = [CallRecord("delete", [], 0.0)]
    scrub = Scrubber(loaded, Recorder(loaded.spec), values, records)
    data = contract_test(scrub, values, records, "ids.yaml", "a job is cancelled")
    assert data["tests"] == [{"name": "a job is cancelled", "calls": [{"delete": {}}]}]


def test_a_log_goes_on_from_where_it_was_read_and_what_is_read_again_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "ids.yaml").write_text(SPEC % ("http://127.0.0.1:1", "$.id"), encoding="utf-8")
    (loaded,) = load(tmp_path / "ids.yaml")
    values = CreateValues({}, {}, {"key": "run-1"}, {}, {})
    ends: dict[str, Any] = {"lines": ["b"], "next": False}
    records = [
        CallRecord("logs", [], 0.0, {"lines": ["a"], "next": True}, following="t1"),
        CallRecord("logs", [], 0.1, ends, token="t1"),
        CallRecord("logs", [], 0.2, ends, token="t1"),
        CallRecord("logs", [], 0.3, {"lines": ["a"], "next": True}, token="", following="t1"),
        CallRecord("logs", [], 0.4, {"lines": [], "next": False}, token="t1"),
    ]
    scrub = Scrubber(loaded, Recorder(loaded.spec), values, records)
    data = contract_test(scrub, values, records, "ids.yaml", "a log")
    first = {"expect": {"lines": ["a"], "next": True}}
    assert data["tests"][0]["calls"] == [{"logs": first}, {"logs": {"expect": ends}}, {"logs": {**first, "token": ""}}]


def test_a_secret_that_is_too_short_is_the_reason_for_a_relaxed_request(command: Command, here: Path) -> None:
    done, found = recorded(command, here, "$.id", {"id": 7}, user="ops")
    reason = "json.user accepts any value, because the secret user is too short to be found in text"
    assert f"  relaxed: call 1 (create), request 1: {reason}\n" in done.stdout
    assert "expect" in found["tests"][0]["calls"][0]["create"]
