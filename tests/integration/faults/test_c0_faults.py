"""Every fault once more through a real `c0` over gRPC, with the times that a spec has by default: what Flyte sees.

Flyte gives a call 10 s, and so does this test, besides the time that a busy machine gives to neither. All cells run
side by side, once; each is then asserted by itself.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
from flyteidl2.connector.connector_pb2 import (
    CreateTaskRequest,
    DeleteTaskRequest,
    GetTaskLogsRequest,
    GetTaskRequest,
    TaskCategory,
)
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub

from tests.integration.faults.fault_outcomes import expected
from tests.integration.faults.fault_rig import CONNECTION, CREATES, GET, PAGES, SECRET
from tests.integration.faults.fault_server import FAULTS, FaultServer
from tests.support.flyte_side import metadata_of, state, template_of
from tests.support.real_processes import Process, connector_service
from yaml_connector import task_from_spec

PATIENCE = 10.0  # Flyte's
LONGEST = 60.0  # on a machine that has hardly any time for it
AT_ONCE = 32
HEAVY = ("huge", "gzip_bomb")  # megabytes of work: one at a time, or the others, too, run out of their seconds
HOST, NOWHERE = "127.0.0.1", "no-such-host.invalid"
KINDS = ("idempotent", "adopt", "neither")
CALLS = {f"create {kind}": ("POST", "/jobs") for kind in KINDS}
CALLS |= {"get": ("GET", "/j1"), "delete": ("POST", "/cancel"), "logs": ("GET", "/pages")}
# What Flyte is told of the fault, in the error or in the job's message.
WORDS = {
    "refuse": r"cannot be connected to: ",
    "dns_fails": r"cannot be connected to: ",
    "reset_before_reading": r"broke off: |cannot be connected to: ",
    "reset_after_reading": r"broke off: ",
    "silent": r"gave no complete answer within [\d.]+ s",
    "head_then_nothing": r"gave no complete answer within [\d.]+ s",
    "half_body": r"broke off: ",
    "drip": r"gave no complete answer within [\d.]+ s",
    **{name: rf"answered {name[:3]}" for name in ("429_seconds", "429_date", "503_seconds", "503_date")},
    **{name: rf"answered {name}: the fault says no" for name in ("500", "502", "504", "403", "404")},
    "401_for_good": r"answered 401: the fault says no",
    "401_once": r"answered 401: the fault says no",
    "html": r"answered 200 with no JSON \(text/html\)",
    "broken_json": r"answered 200 with no JSON \(application/json\)",
    "empty": r"answered 200 with nothing",
    "huge": r"answered 200 with more than 10 MiB \(max_response\)",
    "gzip_bomb": r"answered 200 with more than 10 MiB \(max_response\)",
    "redirect_loop": r"was redirected more than 10 times",
    "redirect_to_another_host": r"redirects elsewhere: .*other\.test",
    "redirect_to_link_local": r"redirects elsewhere: .*169\.254\.169\.254",
}


def spec(kind: str) -> dict[str, Any]:
    return {
        "spec_version": 1,
        "task_type_name": f"faulty_{kind}",
        "connection": {
            "base_url": "http://${{ config.host }}:${{ config.port }}",
            "allowed_hosts": [HOST, NOWHERE],
            "auth": CONNECTION["auth"],
            "follow_redirects": True,
        },
        "secrets": {"key": {"env": "PLANTED_KEY"}},
        "config": {"port": "int", "host": "str"},
        "create": CREATES[kind],
        "get": GET
        | ({"poll": {"not_found_grace": "0s"}} if kind == "adopt" else {}),  # committed at once, or not at all
        "delete": {"request": "POST /jobs/${{ job.id }}/cancel"},
        "logs": PAGES,
    }


@dataclass
class Cell:
    """What came of one cell: the outcome's name, what Flyte was told, and all that is wrong with it besides."""

    outcome: str = ""
    told: str = ""
    wrong: list[str] = field(default_factory=list)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def raised(self, error: grpc.RpcError) -> None:
        # Errors have the status INTERNAL; a transient one of logs is UNAVAILABLE, as a service that is gone would be:
        # but that one names no request.
        self.told = error.details()
        names_a_request = error.code() is grpc.StatusCode.UNAVAILABLE and self.told.startswith("GET http://")
        was_raised = error.code() is grpc.StatusCode.INTERNAL or names_a_request
        self.outcome = "raised" if was_raised else error.code().name


class Machine:
    """Counts the seconds that this loop had to wait for its turn on a busy machine: so had the service."""

    def __init__(self) -> None:
        self.lost = 0.0

    async def watch(self) -> None:
        while True:
            began = monotonic()
            await asyncio.sleep(0.05)
            self.lost += monotonic() - began - 0.05


class Flyte:
    """Flyte's side of one cell, without blocking."""

    def __init__(
        self, stub: Any, specs: Path, kind: str, server: FaultServer, host: str, cell: Cell, machine: Machine
    ) -> None:
        self._stub = stub
        self._cell = cell
        self._machine = machine
        self._task = task_from_spec(
            specs / f"{kind}.yaml", name="faulty", config={"port": server.port, "host": host}, outputs={}
        )
        self._category = TaskCategory(name=self._task.task_type)
        self._run = f"r{server.port}"
        self.host = host
        self.kept = b""

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """One call: it must be answered in the time that Flyte gives it."""
        began, lost = monotonic(), self._machine.lost
        try:
            yield
        finally:
            took = monotonic() - began - 2 * (self._machine.lost - lost)  # its own turns, and the service's
            self._cell.check(took < PATIENCE, f"answered after {took:.1f} s")

    async def create(self) -> None:
        identity = metadata_of(self._task, self._run)
        request = CreateTaskRequest(template=template_of(self._task), task_execution_metadata=identity)
        with self.in_time():
            self.kept = (await self._stub.CreateTask(request, timeout=LONGEST)).resource_meta

    async def get(self) -> Any:
        request = GetTaskRequest(resource_meta=self.kept, task_category=self._category)
        with self.in_time():
            return (await self._stub.GetTask(request, timeout=LONGEST)).resource

    async def delete(self) -> None:
        request = DeleteTaskRequest(resource_meta=self.kept, task_category=self._category)
        with self.in_time():
            await self._stub.DeleteTask(request, timeout=LONGEST)

    async def logs(self, token: str = "") -> tuple[list[str], str]:
        request = GetTaskLogsRequest(resource_meta=self.kept, task_category=self._category, token=token)
        lines: list[str] = []
        following = ""
        with self.in_time():
            async for message in self._stub.GetTaskLogs(request, timeout=LONGEST):
                lines += [line.message for line in message.body.lines]
                if message.HasField("header"):
                    following = message.header.token
        return lines, following


async def creates(flyte: Flyte, server: FaultServer, cell: Cell, fail: Callable[[], Awaitable[None]]) -> None:
    await fail()
    try:
        await flyte.create()
    except grpc.RpcError as error:
        cell.raised(error)
    else:
        resource = await flyte.get()
        cell.told = resource.message
        adopted = json.loads(flyte.kept).get("adopted", False)
        unknown = "it is unknown whether the job was submitted" in cell.told
        cell.outcome = "adopted" if adopted else "good"
        if state(resource) == "FAILED":
            cell.outcome = "unknown" if unknown else "failed"
        if cell.told.startswith("not submitted yet"):
            cell.outcome = "kept"
    posts = sum(seen.path == "/jobs" and seen.method == "POST" for seen in server.seen)
    await server.heal()
    if cell.outcome == "unknown":
        cell.check(posts <= 1, f"{posts} POSTs")
        cell.check("task.key r" in cell.told, "task.key is not named")
    elif cell.outcome == "failed":
        cell.check(not server.api.jobs, "a failed create left a job")
        cell.check(state(await flyte.get()) == "FAILED", "it is FAILED once only")
    elif flyte.host == HOST:
        if cell.outcome == "raised":
            await flyte.create()  # Flyte comes again
        for _ in range(40):
            if cell.outcome != "kept" or not (await flyte.get()).message.startswith("not submitted yet"):
                break
            await asyncio.sleep(0.3)
        cell.check(len(server.api.jobs) == 1, f"{len(server.api.jobs)} jobs")


async def gets(flyte: Flyte, server: FaultServer, cell: Cell, fail: Callable[[], Awaitable[None]]) -> None:
    await flyte.create()
    await fail()
    resource = await flyte.get()
    cell.told = resource.message
    cell.outcome = "unreadable" if "unreadable since" in cell.told else "good"
    if state(resource) == "QUEUED":
        cell.outcome = "queued"
    cell.check(state(resource) in ("RUNNING", "QUEUED"), state(resource))
    server.api.jobs["j1"]["state"] = "done"  # it ends during the outage
    await server.heal()
    for _ in range(40):
        resource = await flyte.get()
        if state(resource) == "SUCCEEDED":
            return
        await asyncio.sleep(0.3)
    cell.wrong.append(f"after the outage: {state(resource)}, {resource.message}")


async def deletes(flyte: Flyte, server: FaultServer, cell: Cell, fail: Callable[[], Awaitable[None]]) -> None:
    await flyte.create()
    await fail()
    try:
        await flyte.delete()
        cell.outcome = "good"
    except grpc.RpcError as error:
        cell.raised(error)
    await server.heal()
    await flyte.delete()
    cell.check(server.api.jobs["j1"]["state"] == "cancelled", "not cancelled")


async def reads_logs(flyte: Flyte, server: FaultServer, cell: Cell, fail: Callable[[], Awaitable[None]]) -> None:
    await flyte.create()
    server.api.lines += [f"line {number}" for number in range(4)]
    lines, token = await flyte.logs()
    server.api.lines += ["line 4"]
    await fail()
    try:
        more, following = await flyte.logs(token)
        lines, token = lines + more, following or token
        cell.outcome = "good"
    except grpc.RpcError as error:
        cell.raised(error)
    await server.heal()
    for _ in range(4):
        more, following = await flyte.logs(token)
        lines, token = lines + more, following or token
    cell.check(lines == server.api.lines, f"the lines are {lines}")


# A name that cannot be resolved has no server at which a job could be made first.
CELLS = [(call, fault) for call in CALLS for fault in FAULTS if fault != "dns_fails" or call.startswith("create")]


async def run_cell(call: str, fault: str, stub: Any, specs: Path, machine: Machine) -> Cell:
    cell, server, other = Cell(), FaultServer(), FaultServer()
    await server.start()
    await other.start()
    server.other_port = other.port
    kind = call.removeprefix("create ") if call.startswith("create") else "idempotent"
    host = NOWHERE if fault == "dns_fails" else HOST
    flyte = Flyte(stub, specs, kind, server, host, cell, machine)
    method, path = CALLS[call]

    async def fail() -> None:
        times = 1 if fault == "401_once" else None
        await server.fail(FAULTS[fault], lambda m, p: m == method and p.endswith(path), times)

    drive = {"get": gets, "delete": deletes, "logs": reads_logs}.get(call, creates)
    try:
        await drive(flyte, server, cell, fail)
    except Exception as failure:
        cell.wrong.append(f"{type(failure).__name__}: {failure}")
    finally:
        await server.heal()
        await server.stop()
        await other.stop()
    cell.check(not other.seen, "the other host was asked")
    cell.check(SECRET not in cell.told, "a secret came out")
    return cell


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[tuple[str, str], Cell], Process]]:
    """All cells, run side by side through one service."""
    folder = tmp_path_factory.mktemp("c0_faults")
    specs = folder / "connectors.d"
    specs.mkdir()
    for kind in KINDS:
        (specs / f"{kind}.yaml").write_text(json.dumps(spec(kind)))

    async def run_all(port: int) -> dict[tuple[str, str], Cell]:
        places, alone = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub, machine = AsyncConnectorServiceStub(channel), Machine()
            watching = asyncio.create_task(machine.watch())

            async def one(key: tuple[str, str]) -> Cell:
                async with alone if key[1] in HEAVY else places:
                    return await run_cell(*key, stub, specs, machine)

            cells = await asyncio.gather(*(one(key) for key in CELLS))
            watching.cancel()
            return dict(zip(CELLS, cells, strict=True))

    with connector_service(folder, specs, PLANTED_KEY=SECRET, LOG_LEVEL="10") as (process, port):
        yield asyncio.run(run_all(port)), process


@pytest.mark.parametrize("key", CELLS, ids="-".join)
def test_what_flyte_sees_of_a_fault(key: tuple[str, str], run: Any) -> None:
    call, fault = key
    cell = run[0][key]
    outcome = expected(call, fault, lasting=fault != "401_once")
    assert (cell.outcome, cell.wrong) == (outcome, []), cell.told
    if outcome not in ("good", "adopted"):
        assert re.search(WORDS[fault], cell.told), cell.told


def test_the_service_outlives_all_of_it_and_shows_no_secret(run: Any) -> None:
    process = run[1]
    assert process.process.poll() is None
    assert SECRET not in process.output
