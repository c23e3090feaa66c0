"""Ctrl-C while a local run submits its job: the job is cancelled once it is known, or the message says how to find it.

Each run is a script of its own; the loop that drives the job is Flyte's (in another thread), or the script's own.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.real_api import RealApi, Received
from tests.support.real_processes import Process, clean_environment, started, wait_until

pytestmark = pytest.mark.slow

SPEC = """
spec_version: 1
task_type_name: slow_create
connection: {base_url: "%s", timeout: %s, deadline: %s, retry: {max_attempts: 1}}
create:
  request: {method: POST, path: /jobs, headers: {Idempotency-Key: "${{ task.key }}"}}
  idempotent: true
  job_id: $.id
get: {request: "GET /jobs/${{ job.id }}", phase: {path: $.state, map: {RUNNING: [running]}}}
delete: {request: "POST /jobs/${{ job.id }}/cancel"}
"""
IN_FLYTES_LOOP = """
import flyte, yaml_connector
task = yaml_connector.task_from_spec("slow.yaml", name="job")
flyte.TaskEnvironment.from_task("env", task)
flyte.init()
flyte.with_runcontext(mode="local").run(task)
"""
IN_ITS_OWN_LOOP = """
import asyncio, flyte, yaml_connector
task = yaml_connector.task_from_spec("slow.yaml", name="job")
flyte.TaskEnvironment.from_task("env", task)
flyte.init()
async def main():
    await flyte.with_runcontext(mode="local").run.aio(task)
asyncio.run(main())
"""
SCRIPTS = pytest.mark.parametrize("script", [IN_FLYTES_LOOP, IN_ITS_OWN_LOOP], ids=["Flyte's loop", "own loop"])
Interrupt = Callable[..., tuple[Process, list[str]]]
_numbers = count(1)
_told = threading.Event()  # the script has said that it was interrupted
_over = threading.Event()  # the test is over


@pytest.fixture
def interrupted(api: RealApi, tmp_path: Path) -> Iterator[Interrupt]:
    """Runs a script, interrupts it when the create has arrived, and gives its process and what it said of the job."""
    _over.clear()
    with ExitStack() as stack:
        stack.callback(_over.set)

        def run(script: str, answers: Any, *, timeout: str = "20s", interrupts: int = 1) -> tuple[Process, list[str]]:
            case = f"interrupted-{next(_numbers)}"
            _told.clear()
            api.case(case, answers)
            (tmp_path / "slow.yaml").write_text(SPEC % (f"{api.url}/{case}", timeout, timeout))
            (tmp_path / "script.py").write_text(script)
            env = clean_environment(tmp_path)
            command = [sys.executable, "script.py"]
            process = stack.enter_context(started(command, cwd=tmp_path, env=env, log=tmp_path / "output"))
            for number in range(1, interrupts + 1):

                def ready(number: int = number) -> bool:
                    assert process.process.poll() is None, process.output
                    return bool(api.received(case)) if number == 1 else "interrupted while" in process.output

                wait_until(ready, "the moment to interrupt")
                process.send(signal.SIGINT)
            wait_until(
                lambda: "interrupted while" in process.output or process.process.poll() is not None, "what it says"
            )
            _told.set()
            assert process.wait(30) != 0
            return process, re.findall(r"^job \[ *[\d.]+ s\] (.*?)\s*$", process.output, re.MULTILINE)

        yield run


def slow_create(cancelled: list[str], answer: Any) -> Callable[[Received], Any]:
    async def answers(received: Received) -> Any:
        if received.parts[-1] == "cancel":
            cancelled.append(received.parts[1])
            return {}
        if received.method == "POST":
            await asyncio.to_thread(_told.wait, 20)
            return answer
        return {"state": "running"}

    return answers


@SCRIPTS
def test_the_job_is_cancelled_as_soon_as_it_is_known(interrupted: Interrupt, script: str) -> None:
    cancelled: list[str] = []
    _, said = interrupted(script, slow_create(cancelled, {"id": "j-7"}))
    assert set(cancelled) == {"j-7"}
    assert said[0] == "interrupted while the job is submitted: it is cancelled as soon as that is over"
    assert said.count("interrupted: cancelling the job j-7") == 1
    assert said[-1] == "cancelled"


@SCRIPTS
def test_a_create_that_is_not_answered_names_the_key_of_the_job(interrupted: Interrupt, script: str) -> None:
    keys: list[str] = []

    async def silent(received: Received) -> Any:
        keys.append(received.headers["Idempotency-Key"])
        await asyncio.to_thread(_over.wait, 30)

    _, said = interrupted(script, silent, timeout="3s")
    told = next(line for line in said if line.startswith("it is unknown"))
    assert told.startswith(f"it is unknown whether the job was submitted (task.key {keys[0]}): POST ")
    assert told.endswith("gave no complete answer within 3 s")


@SCRIPTS
def test_a_create_that_the_api_refuses_leaves_nothing_to_cancel(interrupted: Interrupt, script: str) -> None:
    cancelled: list[str] = []
    _, said = interrupted(script, slow_create(cancelled, web.json_response({"message": "no quota"}, status=403)))
    assert any(re.fullmatch(r"not submitted: POST .* answered 403: no quota", line) for line in said)
    assert cancelled == []


def test_who_interrupts_twice_is_told_what_may_be_left(interrupted: Interrupt) -> None:
    async def silent(received: Received) -> Any:
        await asyncio.to_thread(_over.wait, 30)

    process, said = interrupted(IN_FLYTES_LOOP, silent, interrupts=2)
    assert re.fullmatch(r"it is unknown whether the job was submitted \(task.key [a-z0-9-]+\)", said[-1])
    assert "atexit" not in process.output
