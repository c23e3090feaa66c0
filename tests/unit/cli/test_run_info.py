"""`yaml-connector run` shows a job's `info` whenever it changes, on one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.real_api import Received, running_api

SPEC = """
spec_version: 1
task_type_name: told
connection: {base_url: "%s/told"}
create: {request: POST /jobs, idempotent: true, job_id: $.id}
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done], FAILED: [error]}}
  info: {progress: $.progress, nodes: $.nodes, note: $.note}
"""


@pytest.mark.slow
def test_info_is_shown_when_it_changes_on_one_line(command: Command, here: Path) -> None:
    progress = iter([10, 10, 100])

    def answers(received: Received) -> object:
        if received.method == "POST":
            return {"id": 7}
        now = next(progress)
        state = "done" if now == 100 else "running"
        return {"state": state, "progress": now, "nodes": ["a"], "note": "two\nlines" if now == 10 else "long " * 100}

    with running_api() as api:
        api.case("told", answers)
        (here / "told.yaml").write_text(SPEC % api.url, encoding="utf-8")
        done = command("run", "told.yaml")
    lines = [re.sub(r"^ *[\d.]+ s  ", "", line) for line in done.stdout.splitlines()]
    told = [line for line in lines if line.startswith("info ")]
    assert told[0] == 'info progress: 10, nodes: ["a"], note: two lines'
    assert told[1].startswith('info progress: 100, nodes: ["a"], note: long long')
    assert told[1].endswith("...")
    assert len(told[1]) == 205
    assert len(told) == 2
    assert lines[-2:] == ["SUCCEEDED", told[1]]
