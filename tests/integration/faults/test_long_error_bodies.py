"""An error whose body has no end, or is a gzip bomb: also on a call that streams, memory and time are bounded, and the
status is still told."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import cache

import pytest

from tests.integration.faults.fault_rig import DEADLINE, rig, spec
from tests.integration.faults.fault_server import Fault, Wire
from tests.support.fake_api import loaded
from tests.support.loops import now, run_steadily
from yaml_connector.errors import CallError

MIB = 2**20

Play = Callable[[Wire], Awaitable[None]]


def plain(status: int) -> Play:
    async def play(wire: Wire) -> None:
        wire.head(status, {"Content-Length": str(50 * MIB), "Content-Type": "text/plain"})
        for _ in range(50 * 16):
            if wire.writer.transport.is_closing():
                return
            wire.writer.write(b"x" * 2**16)
            await wire.writer.drain()

    return play


def endless(status: int) -> Play:
    async def play(wire: Wire) -> None:
        wire.head(status, {"Transfer-Encoding": "chunked", "Content-Type": "text/html"})
        while not wire.writer.transport.is_closing():
            wire.writer.write(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
            await wire.writer.drain()

    return play


def zipped(make: Callable[[], bytes]) -> Callable[[int], Play]:
    content = cache(lambda: gzip.compress(make(), 9))

    def answer(status: int) -> Play:
        sent = content()

        async def play(wire: Wire) -> None:
            await wire.send(status, {"Content-Encoding": "gzip", "Content-Type": "application/json"}, sent)

        return play

    return answer


BODIES = {
    "50 MiB": plain,
    "endless": endless,
    "bomb": zipped(lambda: b"x" * (50 * MIB)),
    "bomb of words": zipped(lambda: b"word " * (10 * MIB)),
    "bomb in JSON": zipped(lambda: json.dumps({"message": "y" * (50 * MIB)}).encode()),
}


@pytest.mark.parametrize("max_response", ["1MiB", "10MiB"])
@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("body", BODIES)
def test_a_streamed_log_that_is_refused_at_length_costs_little(body: str, status: int, max_response: str) -> None:
    data = dict(spec(logs="document").document.data)
    data["connection"] = {**data["connection"], "max_response": max_response}

    async def main() -> None:
        async with rig(loaded(data)) as (made, _):
            await made.create()
            fault = Fault("final", BODIES[body](status))
            await made.server.fail(fault, lambda method, path: path.endswith("/document"), None)
            tracemalloc.start()
            began = now()
            with pytest.raises(CallError) as raised:
                await made.logs("")
            took = now() - began
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            message = str(raised.value)
            assert f"/jobs/j1/document answered {status}" in message or "gave no complete answer" in message
            assert len(message) < 1000
            assert took < DEADLINE + 1.5
            # the body, its text and what is made of it, whatever the answer's real size
            assert peak < 8 * MIB + 8 * int(max_response.removesuffix("MiB")) * MIB

    run_steadily(main())
