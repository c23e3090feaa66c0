"""An HTTP API on a real port: each test has a case of its own in it, under `/CASE/`, and says what it answers."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One request as it arrived: `raw_path` still encoded, `parts` the decoded segments behind the case's name."""

    method: str
    raw_path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answers = Callable[[Received], Any]


class RealApi:
    """The running server. A case answers with JSON data, a status, or a whole `aiohttp.web.Response`."""

    def __init__(self) -> None:
        self.url = ""
        self._cases: dict[str, Answers] = {}
        self._received: dict[str, list[Received]] = {}

    def case(self, name: str, answers: Answers) -> None:
        """From here on, requests under `/name/` are answered so."""
        self._cases[name] = answers
        self._received[name] = []

    def received(self, case: str, method: str | None = None) -> list[Received]:
        """What arrived for a case, in order."""
        return [item for item in self._received[case] if method is None or item.method == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = request.raw_path.partition("?")[0]
        name, *parts = (unquote(part) for part in raw.lstrip("/").split("/"))
        received = Received(
            request.method, raw, tuple(parts), dict(request.query), dict(request.headers), await request.read()
        )
        if name not in self._cases:
            return web.json_response({"message": f"no case {name!r}"}, status=404)
        self._received[name].append(received)
        answer = self._cases[name](received)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(status=answer) if isinstance(answer, int) else web.json_response(answer)


@contextmanager
def running_api() -> Iterator[RealApi]:
    """A server in a thread of its own, on a free port of 127.0.0.1, until the block ends."""
    api, loop, ready, stop = RealApi(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", api.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield api
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
