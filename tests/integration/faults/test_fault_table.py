"""Every fault against every call, on real sockets: what must come out of each cell is in `fault_outcomes.py`.

Each cell is run twice: the fault stays until the API is healed (`lasting`), or it hits one request only (`once`). All
cells run side by side, once; each is then asserted by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tests.integration.faults.fault_outcomes import NOT_TOLD_APART, expected
from tests.integration.faults.fault_rig import DEADLINE, Rig, rig, spec
from tests.integration.faults.fault_server import FAULTS
from tests.support.loops import run_steadily
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.errors import CallError, TransientError

SLACK = 1.5  # seconds that a busy machine may add
AT_ONCE = 4  # more cells at once take as long as an attempt may on a busy machine
WAITING = ("silent", "head_then_nothing", "drip", "429_seconds", "429_date", "503_seconds", "503_date")
WAITING_AT_ONCE = 24  # of these, which take time and no CPU


@dataclass
class Cell:
    """What came of one cell: the outcome's name, and everything that is wrong with it besides."""

    outcome: str = ""
    message: str = ""
    wrong: list[str] = field(default_factory=list)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)


async def creates(rig_: Rig, cell: Cell, method: str, path: str, fault: str, times: int | None) -> None:
    server = rig_.server
    await rig_.fail(fault, method, path, times=times)
    meta: JobMeta | None = None
    try:
        meta = await rig_.create()
    except TransientError as failure:
        cell.outcome, cell.message = "raised", str(failure)
    except Exception as failure:
        cell.outcome, cell.message = "raised for good", repr(failure)
    if meta is not None:
        cell.message = meta.create_error or ""
        unknown = "it is unknown whether" in cell.message and "k1" in cell.message
        cell.outcome = "unknown" if unknown else "failed" if meta.create_error else "kept" if meta.pending else "good"
        if meta.adopted:
            cell.outcome = "adopted"
    posts = [seen for seen in server.seen if (seen.method, seen.path) == ("POST", "/jobs")]
    if cell.outcome == "unknown":
        cell.check(len(posts) <= 1, f"{len(posts)} POSTs")
        return
    if cell.outcome == "failed":
        cell.check(not server.api.jobs, "a failed create left a job")
        cell.check("faulty" not in cell.message and cell.message.startswith(("POST", "GET")), "the call is not named")
        return
    await rig_.heal()
    if cell.outcome == "raised":
        meta = await rig_.create()  # Flyte comes again
    if cell.outcome == "kept":
        meta = await rig_.until_submitted()
    cell.check(meta is not None and meta.id in server.api.jobs, "the job that was given is none of the API's")
    cell.check(len(server.api.jobs) == 1, f"{len(server.api.jobs)} jobs")


async def gets(rig_: Rig, cell: Cell, method: str, path: str, fault: str, times: int | None) -> None:
    server = rig_.server
    await rig_.create()
    if path == "/result":
        server.api.jobs["j1"]["state"] = "done"
    if path == "/token":
        rig_.restart()
    await rig_.fail(fault, method, path, times=times)
    status = await rig_.get()
    cell.message = status.message or ""
    cell.outcome = "unreadable" if "unreadable since" in cell.message else "good"
    if status.phase == "QUEUED":
        cell.outcome = "queued"
    cell.check(
        status.phase in ("RUNNING", "QUEUED") or (path == "/result" and status.phase == "SUCCEEDED"), status.phase
    )
    server.api.jobs["j1"]["state"] = "done"  # it ends during the outage
    await rig_.heal()
    if path == "/token" and fault.startswith(("401", "403")):
        rig_.restart()  # a refused login is held back for a minute, by the process to which it was refused
    status = await rig_.until_end()
    cell.check(status.phase == "SUCCEEDED", f"after the outage: {status.phase}, {status.message}")
    cell.check(status.outputs["uri"][1] == "s3://out" if status.outputs else False, "no outputs")


async def deletes(rig_: Rig, cell: Cell, method: str, path: str, fault: str, times: int | None) -> None:
    await rig_.create()
    await rig_.fail(fault, method, path, times=times)
    try:
        await rig_.delete()
        cell.outcome = "good"
    except CallError as failure:
        cell.outcome, cell.message = "raised", str(failure)
    await rig_.heal()
    await rig_.delete()
    await rig_.delete()
    cell.check(rig_.server.api.jobs["j1"]["state"] == "cancelled", "not cancelled")


async def reads_logs(rig_: Rig, cell: Cell, method: str, path: str, fault: str, times: int | None) -> None:
    api = rig_.server.api
    await rig_.create()
    api.lines += [f"line {number}" for number in range(4)]
    lines, token = await rig_.logs("")
    api.lines += [f"line {number}" for number in range(4, 20)]
    await rig_.fail(fault, method, path, times=times)
    try:
        more, following = await rig_.logs(token or "")
        lines, token = lines + more, following or token
        cell.outcome = "good"
    except CallError as failure:
        cell.outcome, cell.message = "raised", str(failure)
    await rig_.heal()
    api.lines += ["line 20"]
    for _ in range(10):
        more, following = await rig_.logs(token or "")
        lines, token = lines + more, following or token
    cell.check(lines == api.lines, f"the lines are {lines}")


CALLS: dict[str, tuple[Callable[..., Awaitable[None]], str, str, dict[str, object]]] = {
    "create idempotent": (creates, "POST", "/jobs", {}),
    "create adopt": (creates, "POST", "/jobs", {"create": "adopt"}),
    "create neither": (creates, "POST", "/jobs", {"create": "neither"}),
    "create steps": (creates, "POST", "/jobs", {"create": "steps"}),
    "create look-up": (creates, "GET", "/find", {"create": "adopt"}),
    "create token": (creates, "POST", "/token", {"create": "neither"}),
    "get": (gets, "GET", "/j1", {}),
    "get batch": (gets, "GET", "/jobs", {"batch": True}),
    "get token": (gets, "POST", "/token", {}),
    "result": (gets, "GET", "/result", {}),
    "delete": (deletes, "POST", "/cancel", {}),
    "logs": (reads_logs, "GET", "/pages", {}),
    "logs document": (reads_logs, "GET", "/document", {"logs": "document"}),
}
CELLS = [
    (call, fault, lasting)
    for call in CALLS
    for fault in FAULTS
    for lasting in (True, False)
    # a listener that is closed cannot tell one request from the next; a loop or 401 for good is none if it is once
    if not (not lasting and fault in ("refuse", "401_for_good", "redirect_loop"))
    and not (lasting and fault == "401_once")
    if (call, fault) not in NOT_TOLD_APART
    # a name that is resolved stays known for a while: a fault of one of several requests on one connection is none
    if not (fault in ("dns_fails", "refuse") and call in ("result", "create steps", "create look-up", "create adopt"))
]


async def run_cell(call: str, fault: str, lasting: bool) -> Cell:
    drive, method, path, parts = CALLS[call]
    cell = Cell()
    async with rig(spec(**parts)) as (rig_, other):
        rig_.server.retry_after = 1 if lasting else 0
        try:
            await drive(rig_, cell, method, path, fault, None if lasting else 1)
        except Exception as failure:
            cell.wrong.append(f"{type(failure).__name__}: {failure}")
        cell.check(rig_.longest < DEADLINE + SLACK, f"a call took {rig_.longest:.2f} s")
        cell.check(not other.seen, "the other host was asked")
        for text in (cell.message, repr(cell)):
            cell.check("planted" not in text and "token-number" not in text, "a secret came out")
    return cell


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str, bool], Cell]:
    """All cells, run side by side."""

    async def run_all() -> dict[tuple[str, str, bool], Cell]:
        busy, waiting = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(WAITING_AT_ONCE)

        async def one(key: tuple[str, str, bool]) -> Cell:
            async with waiting if key[1] in WAITING else busy:
                return await run_cell(*key)

        return dict(zip(CELLS, await asyncio.gather(*(one(key) for key in CELLS)), strict=True))

    return run_steadily(run_all())


@pytest.mark.parametrize("key", CELLS, ids=lambda key: f"{key[0]}-{key[1]}-{'lasting' if key[2] else 'once'}")
def test_what_comes_out_of_a_fault_is_what_the_table_says(
    key: tuple[str, str, bool], cells: dict[tuple[str, str, bool], Cell]
) -> None:
    cell = cells[key]
    assert (cell.outcome, cell.wrong) == (expected(*key), []), cell.message
