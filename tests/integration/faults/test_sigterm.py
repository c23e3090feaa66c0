"""SIGTERM ends a real `c0` in order: calls under way finish, new ones are refused, the exit code is 0."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl2.core.security_pb2 import Connection

from tests.support.flyte_side import FlyteSide, Job
from tests.support.real_api import Received, running_api
from tests.support.real_processes import Process, accepts, connector_service, wait_until
from yaml_connector import task_from_spec

SPEC = """
spec_version: 1
task_type_name: slow
connection: {base_url: "${{ env.REAL_API }}/slow"}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
get: {request: "GET /jobs/${{ job.id }}", phase: {path: $.state, map: {SUCCEEDED: [done]}}}
"""


def test_calls_under_way_finish_and_new_ones_are_refused(tmp_path: Path) -> None:
    specs = tmp_path / "connectors.d"
    specs.mkdir()
    (specs / "slow.yaml").write_text(SPEC)
    arrived = threading.Event()

    async def answers(received: Received) -> Any:
        arrived.set()
        await asyncio.sleep(2)
        return {"id": "j1", "state": "done"}

    with running_api() as api, connector_service(tmp_path, specs, REAL_API=api.url) as (process, port):
        api.case("slow", answers)
        task = task_from_spec(specs / "slow.yaml", name="slow")
        with FlyteSide(port) as calls:
            made: list[Job] = []
            caller = threading.Thread(target=lambda: made.append(calls.create(task, "run")))
            caller.start()
            assert arrived.wait(10)
            process.send(signal.SIGTERM)
            began = time.monotonic()
            wait_until(lambda: not accepts(port), "the port to be closed", 3)
            assert process.process.poll() is None, "it ended before its call did"
            with pytest.raises(grpc.RpcError, match=r"UNAVAILABLE|failed to connect|Socket closed|shut"):
                calls.get(Job(task, b"{}", Connection()))
            caller.join(10)
        assert process.wait(10) == 0, process.output
        assert time.monotonic() - began < 10
        assert b'"j1"' in made[0].kept


def test_an_idle_service_ends_at_once(tmp_path: Path) -> None:
    specs = tmp_path / "connectors.d"
    specs.mkdir()
    (specs / "slow.yaml").write_text(SPEC)
    with connector_service(tmp_path, specs, REAL_API="http://127.0.0.1:9") as (process, _):
        assert _ends(process) == 0, process.output


def _ends(process: Process) -> int:
    process.send(signal.SIGTERM)
    return process.wait(5)
