"""Long logs through a running service: the others do not wait for them, and every line comes once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from statistics import median
from typing import Any

import grpc
import pytest
from aiohttp import web

from tests.support.flyte_side import FlyteSide, state
from tests.support.processor_time import waited_for
from tests.support.real_api import RealApi, Received
from tests.support.serving import serving
from yaml_connector import task_from_spec

SECRET = "planted-in-a-log-0123456789"
SPEC = """
spec_version: 1
task_type_name: long_logs_{format}
connection: {{base_url: "${{{{ env.REAL_API }}}}/long", headers: {{X-Key: "${{{{ secrets.key }}}}"}}}}
secrets: {{key: {{env: KEY}}}}
inputs: {{kind: str}}
create:
  request: {{method: POST, path: /jobs, json: {{kind: "${{{{ inputs.kind }}}}"}}}}
  job_id: $.id
  idempotent: true
get: {{request: "GET /jobs/${{{{ job.id }}}}", phase: {{path: $.state, map: {{RUNNING: [running]}}}}}}
logs: {{request: "GET /jobs/${{{{ job.id }}}}/logs", format: {format}, max_time: 2s}}
"""
FORMATS = ("text", "ndjson", "sse")
NUMBERED = 120_000
CONTENTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"\n" * 4_000_000,
    "heads": lambda: b"\n".join([SECRET[:12].encode() * 40] * 2000),
    "numbered": lambda: "".join(f"line {number}\n" for number in range(NUMBERED)).encode(),
    "line": lambda: "é".encode() * 1_000_000 + SECRET.encode() + b"\nshort\n",
}
content = cache(lambda kind: CONTENTS[kind]())


def answers(received: Received) -> Any:
    if received.method == "POST":
        return {"id": received.json["kind"]}
    if received.parts[-1] == "logs":
        return web.Response(body=content(received.parts[1]), content_type="text/plain", charset="utf-8")
    return {"state": "running"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[tuple[FlyteSide, dict[str, Any], int]]:
    api.case("long", answers)
    folder = tmp_path_factory.mktemp("long")
    for name in FORMATS:
        (folder / f"{name}.yaml").write_text(SPEC.format(format=name), encoding="utf-8")
    with serving(folder, folder, REAL_API=api.url, KEY=SECRET) as serving_, FlyteSide(serving_.port) as calls:
        tasks = {name: task_from_spec(str(folder / f"{name}.yaml"), name=f"long {name}") for name in FORMATS}
        yield calls, tasks, serving_.process.process.pid


def test_long_logs_of_every_format_do_not_hold_up_the_others(service: Any) -> None:
    calls, tasks, pid = service
    small = calls.create(tasks["text"], "r1", kind="small")

    def get() -> None:
        assert state(calls.get(small)) == "RUNNING"

    get()
    alone = max(took for took, _ in (waited_for(pid, get) for _ in range(10)))
    stop = threading.Event()

    def read(job: Any) -> None:
        while not stop.is_set():
            with suppress(grpc.RpcError):  # UNAVAILABLE on a busy machine
                calls.logs(job)

    with ThreadPoolExecutor(6) as pool:
        for name in FORMATS:
            for kind in ("empty", "heads"):
                pool.submit(read, calls.create(tasks[name], f"r2-{kind}", kind=kind))
        until = time.monotonic() + 3
        taken = []
        while time.monotonic() < until:
            taken.append(waited_for(pid, get))
        stop.set()
    assert max(by_service for _, by_service in taken) < alone + 2.0, sorted(taken)[-5:]
    assert median(took for took, _ in taken) < alone + 2.0, sorted(taken)


def test_every_line_of_a_long_log_comes_once(service: Any) -> None:
    calls, tasks, _ = service
    job = calls.create(tasks["text"], "r3", kind="numbered")
    lines, token = calls.logs(job)
    while token:
        more, token = calls.logs(job, token)
        lines += more
    assert [line.message for line in lines] == [f"line {number}" for number in range(NUMBERED)]


def test_a_line_of_two_megabytes_comes_in_pieces_without_the_secret_in_it(service: Any) -> None:
    calls, tasks, _ = service
    lines, _ = calls.logs(calls.create(tasks["text"], "r4", kind="line"))
    texts = [line.message for line in lines]
    assert "".join(texts) == "é" * 1_000_000 + "***" + "short"
    assert max(map(len, texts)) <= 2**16
