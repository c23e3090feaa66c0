"""Who follows the log of a job that runs gets each line once and whole, also when it pauses in the middle of one."""

from __future__ import annotations

import re
from pathlib import Path

import flyte
import pytest
from aiohttp import web
from click.testing import CliRunner

from tests.support.real_api import RealApi, Received
from yaml_connector import task_from_spec
from yaml_connector.cli.main import cli

SPEC = """
spec_version: 1
task_type_name: unfinished_%(name)s
connection: {base_url: "%(url)s/%(name)s"}
create: {request: POST /jobs, idempotent: true, job_id: $.id}
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done], FAILED: [error]}}
logs:
  request: {path: "/jobs/${{ job.id }}/log", query: {from: "${{ page.token | default(0, true) }}"}}
  format: text
  settle: 0s
%(next)s
"""
BY_OFFSET = "  next: ${{ (page.token | int) + (text | bytelen) }}"
WHOLE = "  optional: false"
# What there is of the log at the first, second ... look at the job; the last one is all of it.
GROWING = ("one\ntw", "one\ntwo\nth", "one\ntwo\nthr", "one\ntwo\nthree\nfour\nno end")
LINES = ["one", "two", "three", "four", "no end"]


class Backend:
    """A job that is looked at a few times while its log grows, and is done then."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self, received: Received) -> object:
        if received.method == "POST":
            return {"id": "j-1"}
        if received.parts[-1] != "log":
            self.looks += 1
            return {"state": "done" if self.looks >= len(GROWING) else "running"}
        text = GROWING[min(self.looks, len(GROWING)) - 1].encode()
        return web.Response(body=text[int(received.query.get("from", 0)) :], content_type="text/plain")


@pytest.fixture(params=[BY_OFFSET, WHOLE], ids=["by_offset", "whole"])
def spec(request: pytest.FixtureRequest, api: RealApi, tmp_path: Path) -> str:
    name = f"{request.node.originalname[-3:]}_{request.param_index}"
    api.case(name, Backend())
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC % {"name": name, "url": api.url, "next": request.param}, encoding="utf-8")
    return str(file)


@pytest.mark.slow
def test_the_command_run(spec: str) -> None:
    done = CliRunner().invoke(cli, ["run", spec])
    assert re.findall(r"\| (.+)$", done.output, re.MULTILINE) == LINES


@pytest.mark.slow
def test_a_local_run_of_a_task(spec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    task = task_from_spec(spec, name="job")
    flyte.TaskEnvironment.from_task("unfinished-env", task)
    flyte.init(root_dir=tmp_path, local_persistence=False)
    flyte.with_runcontext(mode="local").run(task)
    assert re.findall(r"\| (.+?)\s*$", capfd.readouterr().err, re.MULTILINE) == LINES
