"""`yaml-connector record` of a job with a file: the test finds the file from its own folder, and passes right away."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import Command
from tests.support.real_api import Received, running_api

SPEC = """
spec_version: 1
task_type_name: uploads
connection: {base_url: "%s/uploads"}
inputs: {data: file, note: "str?"}
create:
  request: {method: PUT, path: "/jobs/${{ task.key }}", file: "${{ inputs.data }}"}
  idempotent: true
  job_id: ${{ task.key }}
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done], FAILED: [error]}}
"""


def test_a_file_is_found_from_the_tests_folder(command: Command, here: Path) -> None:
    def answers(received: Received) -> object:
        return {"state": "done"} if received.method == "GET" else {}

    (here / "connectors.d").mkdir()
    (here / "in.txt").write_text("hello\n", encoding="utf-8")
    with running_api() as api:
        api.case("uploads", answers)
        (here / "connectors.d" / "uploads.yaml").write_text(SPEC % api.url, encoding="utf-8")
        recorded = command("record", "uploads", "--input", "data=in.txt")
        assert [item.body for item in api.received("uploads", "PUT")] == [b"hello\n"]
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    assert command("test").returncode == 0
    assert "../in.txt" in (here / "connectors.d" / "uploads.test.yaml").read_text(encoding="utf-8")
