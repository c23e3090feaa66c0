"""Large responses and slow expressions are read beside the event loop of a service: the others do not wait for them."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import psutil
import pytest
from aiohttp import web
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub
from flyteidl2.core.literals_pb2 import Literal, LiteralCollection, Primitive, Scalar
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral

from tests.support.flyte_side import FlyteSide, outputs_of, state, template_of
from tests.support.processor_time import waited_for
from tests.support.real_api import RealApi, Received
from tests.support.serving import Serving, serving
from yaml_connector import task_from_spec

SPEC = """
spec_version: 1
task_type_name: large_responses
connection: {base_url: "${{ env.REAL_API }}/large"}
inputs: {kind: str}
outputs: {result: {value: "$.rows[3].name", default: none}}
create:
  request: {method: POST, path: /jobs, json: {kind: "${{ inputs.kind }}"}}
  job_id: $.id
  save: {kind: $.kind}
  idempotent: true
get:
  steps:
    - {name: job, request: "GET /jobs/${{ job.id }}", save: {first: "$.rows[0].id"}}
    - name: again
      if: steps.job.body.state is defined
      request: GET /jobs/${{ job.id }}/${{ steps.job.saved.first or 0 }}
  read: job
  phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done]}}
  message: "${{ body.rows | selectattr('id', 'in', body.wanted or []) | map(attribute='name') | join(',') }}"
logs:
  request: GET /jobs/${{ job.id }}
  format: json
  lines: $.rows[*]
  message: $.name
"""


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"row-{number}"} for number in range(count)]


@cache
def body(kind: str) -> bytes:
    """The response for a job of a kind; made at its first use, since the largest takes long."""
    if kind == "giant":
        return b'{"state": "done", "rows": [' + b"[]," * 2_499_999 + b"[]]}"
    bodies = {
        "small": {"state": "running", "rows": rows(5)},
        "large": {"state": "done", "rows": rows(60_000), "wanted": [5]},
        "long": {"state": "running", "rows": [{"name": f"{number} ".ljust(500, "x")} for number in range(15_000)]},
        "slow": {"state": "running", "rows": rows(5_000), "wanted": list(range(20_000, 25_000))},
    }
    return json.dumps(bodies[kind]).encode()


def answers(received: Received) -> Any:
    if received.method == "POST":
        kind = received.json["kind"]
        large = {"padding": "x" * 2_000_000} if kind == "large" else {}
        return {"id": f"{kind}-{time.monotonic_ns()}", "kind": kind} | large
    kind = received.parts[1].partition("-")[0]
    return web.Response(body=body(kind), content_type="application/json")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[tuple[Serving, FlyteSide, Any]]:
    api.case("large", answers)
    folder = tmp_path_factory.mktemp("large")
    spec = folder / "large_responses.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    with serving(folder, spec, REAL_API=api.url) as serving_, FlyteSide(serving_.port) as calls:
        yield serving_, calls, task_from_spec(str(spec), name="large")


def test_a_large_response_is_read_as_a_small_one_is(service: Any) -> None:
    _, calls, task = service
    job = calls.create(task, "r1", kind="large")
    found = calls.until(
        job, "SUCCEEDED", patience=60
    )  # on a busy machine, the first get may end before the worker has started
    assert found.message == "row-5"
    assert outputs_of(found)["result"].scalar.primitive.string_value == "row-3"
    assert _whole_log(calls, job) == [f"row-{number}" for number in range(60_000)]


def test_a_log_that_is_too_long_for_one_call_is_read_by_several(service: Any) -> None:
    _, calls, task = service
    job = calls.create(task, "r5", kind="long")
    lines, _ = calls.logs(job)
    assert 0 < len(lines) < 15_000
    assert _whole_log(calls, job) == [f"{number} ".ljust(500, "x") for number in range(15_000)]


def test_large_responses_and_slow_expressions_do_not_hold_up_the_others(service: Any) -> None:
    serving_, calls, task = service
    small = calls.create(task, "r2", kind="small")
    calls.get(small)
    alone = max(took for took, _ in (_seconds(serving_, calls, small) for _ in range(10)))
    hostile = [calls.create(task, f"r3-{number}", kind=kind) for number in range(4) for kind in ("slow", "giant")]
    before = _memory(serving_)
    stop = threading.Event()

    def attack(job: Any) -> str:
        while not stop.is_set():
            answer = str(calls.get(job).message)
        return answer

    with ThreadPoolExecutor(len(hostile)) as pool:
        attacks = [pool.submit(attack, job) for job in hostile]
        try:
            until = time.monotonic() + 5
            taken, memory = [], before
            while time.monotonic() < until:
                taken.append(_seconds(serving_, calls, small))
                memory = max(memory, _memory(serving_))
        finally:
            stop.set()
        messages = [each.result(timeout=15) for each in attacks]
    assert max(by_service for _, by_service in taken) < alone + 1.0, sorted(taken)[-5:]
    assert median(took for took, _ in taken) < alone + 1.0, sorted(taken)
    assert memory - before < 400 * 2**20
    assert any("unreadable" in message for message in messages)


def test_the_service_ends_while_a_response_is_being_read_and_leaves_no_process(tmp_path: Path, api: RealApi) -> None:
    api.case("large", answers)
    spec = tmp_path / "large_responses.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    with serving(tmp_path, spec, REAL_API=api.url) as serving_, FlyteSide(serving_.port) as calls:
        job = calls.create(task_from_spec(str(spec), name="ends"), "r4", kind="giant")
        thread = threading.Thread(target=_ignoring_errors, args=(calls.get, job), daemon=True)
        thread.start()
        family = _until_there_is_a_worker(serving_)
        serving_.process.send(signal.SIGTERM)
        assert serving_.process.wait(15) == 0
        _, alive = psutil.wait_procs(family, 20)
        assert not alive


def test_a_request_that_would_take_long_to_parse_is_refused_with_words(service: Any) -> None:
    _, calls, task = service
    one = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    many = NamedLiteral(name="kind", value=Literal(collection=LiteralCollection(literals=[one] * 300_000)))
    request = CreateTaskRequest(template=template_of(task), inputs=Inputs(literals=[many]))
    for _ in range(10):  # a call that fails gives back its room
        with pytest.raises(grpc.RpcError, match="more than 60000 parts") as caught:
            AsyncConnectorServiceStub(calls.channel).CreateTask(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("call", ["CreateTask", "GetTask", "DeleteTask"])
@pytest.mark.parametrize("content", [b"\xff\xff", b"\xff" * 100_000])
def test_bytes_that_are_not_a_request_are_refused_with_words(service: Any, call: str, content: bytes) -> None:
    _, calls, _ = service
    send = calls.channel.unary_unary(f"/flyteidl2.connector.AsyncConnectorService/{call}")
    with pytest.raises(grpc.RpcError, match="Error parsing message") as caught:
        send(content)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def _whole_log(calls: FlyteSide, job: Any) -> list[str]:
    lines, token = calls.logs(job)
    while token:
        more, token = calls.logs(job, token)
        lines += more
    return [line.message for line in lines]


def _seconds(serving_: Serving, calls: FlyteSide, job: Any) -> tuple[float, float]:
    def get() -> None:
        assert state(calls.get(job)) == "RUNNING"

    return waited_for(_pid(serving_), get)


def _ignoring_errors(function: Any, *args: Any) -> None:
    with suppress(Exception):  # the service ends meanwhile
        function(*args)


def _pid(serving_: Serving) -> int:
    return serving_.process.process.pid


def _family(serving_: Serving) -> list[psutil.Process]:
    return psutil.Process(_pid(serving_)).children(recursive=True)


def _memory(serving_: Serving) -> int:
    total = psutil.Process(_pid(serving_)).memory_info().rss
    for process in _family(serving_):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _until_there_is_a_worker(serving_: Serving) -> list[psutil.Process]:
    until = time.monotonic() + 40
    while len(family := _family(serving_)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(family) >= 2
    return family
