"""A job API on a real socket that can fail in every way a backend does: per request, for a while or for good.

The API behind it is a good one: it makes one job for one idempotency key, finds jobs by key, tells their state, result
and log, cancels them, and hands out tokens. A fault stands in front of the requests that `only` names.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.ports import held_socket

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


def as_json(data: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(data).encode()


@dataclass
class JobApi:
    """The good API: what it made, and what it answers."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    document: bytes = b""
    uploads: int = 0

    def answer(self, seen: Seen) -> Answer:
        parts = seen.path.strip("/").split("/")
        match (seen.method, *parts):
            case ("POST", "token"):
                self.tokens.append(f"token-number-{len(self.tokens) + 1}")
                return as_json({"token": self.tokens[-1], "expires": 3600})
            case ("POST", "uploads"):
                self.uploads += 1
                return as_json({"file": f"f{self.uploads}"})
            case ("POST", "jobs"):
                return self._create(seen)
            case ("GET", "find"):
                return as_json({"found": self.by_key.get(seen.query["key"])})
            case ("GET", "jobs"):
                wanted = seen.query["ids"].split(",")
                return as_json({"jobs": [{"id": i, **self.jobs[i]} for i in wanted if i in self.jobs]})
            case ("GET", "jobs", job_id):
                return as_json(self.jobs[job_id]) if job_id in self.jobs else as_json({}, 404)
            case ("GET", "jobs", _, "result"):
                return as_json({"uri": "s3://out"})
            case ("POST", "jobs", job_id, "cancel"):
                self.jobs[job_id]["state"] = "cancelled"
                return as_json({"state": "cancelled"})
            case ("GET", "jobs", _, "pages"):
                start = int(seen.query.get("cursor") or 0)
                end = min(start + 3, len(self.lines))
                return as_json({"lines": self.lines[start:end], "next": str(end)})
            case ("GET", "jobs", _, "document"):
                text = self.document or "".join(f"{line}\n" for line in self.lines).encode()
                return 200, {"Content-Type": "text/plain"}, text
        return as_json({"message": f"no such path {seen.path}"}, 418)

    def _create(self, seen: Seen) -> Answer:
        key = seen.headers.get("idempotency-key", "")
        known = self.by_key.get(key) if key else None
        if known is None:
            known = f"j{len(self.jobs) + 1}"
            self.jobs[known] = {"state": "running"}
            self.by_key[json.loads(seen.body)["key"]] = known
        return as_json({"id": known}, 201)


@dataclass
class Fault:
    """`meaning` is what a client may take it for: `sure` (surely not done, passing), `doubtful` (may have been done),
    `final` (no retry mends it), `mended` (a new token mends it). `acts`: the API does what it was asked first."""

    meaning: str
    play: Callable[[Wire], Awaitable[None]] | None
    acts: bool = False


_PIECE = 64 * 1024  # bytes


@dataclass
class Wire:
    """One faulty exchange: the good answer (made if the fault acts), and the connection."""

    writer: asyncio.StreamWriter
    good: Answer
    server: FaultServer
    path: str

    async def send(self, status: int, headers: dict[str, str], body: bytes, *, upto: int | None = None) -> None:
        self.head(status, {**headers, "Content-Length": str(len(body))})
        body = body[:upto]
        for start in range(0, len(body), _PIECE):  # so that a large one does not wait in this process's memory
            self.writer.write(body[start : start + _PIECE])
            await self.writer.drain()

    def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def reset(self) -> None:
        """A reset instead of an orderly end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


def _status(status: int, **headers: str) -> Callable[[Wire], Awaitable[None]]:
    async def play(wire: Wire) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        await wire.send(status, {"Content-Type": "application/json", **given}, b'{"message": "the fault says no"}')

    return play


def _waits(status: int, *, date: bool) -> Callable[[Wire], Awaitable[None]]:
    async def play(wire: Wire) -> None:
        seconds = wire.server.retry_after
        value = formatdate(time() + seconds, usegmt=True) if date else str(seconds)
        await wire.send(status, {"Retry-After": value}, b"")

    return play


def _body(content: bytes, kind: str = "application/json", **headers: str) -> Callable[[Wire], Awaitable[None]]:
    async def play(wire: Wire) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        await wire.send(200, {"Content-Type": kind, **given}, content)

    return play


def _redirect(where: str) -> Callable[[Wire], Awaitable[None]]:
    async def play(wire: Wire) -> None:
        location = where.format(path=wire.path, other=wire.server.other_port)
        await wire.send(307, {"Location": location}, b"")

    return play


async def _reset(wire: Wire) -> None:
    wire.reset()


async def _silent(wire: Wire) -> None:
    await wire.server.over.wait()


async def _head_then_nothing(wire: Wire) -> None:
    wire.head(200, {"Content-Length": "1000", "Content-Type": "application/json"})
    await wire.server.over.wait()


async def _half_body(wire: Wire) -> None:
    status, headers, body = wire.good
    await wire.send(status, headers, body, upto=max(1, len(body) // 2))
    wire.writer.close()


async def _drip(wire: Wire) -> None:
    status, headers, body = wire.good
    wire.head(status, {**headers, "Content-Length": str(len(body))})
    for byte in body:
        if wire.server.over.is_set() or wire.writer.transport.is_closing():
            break
        wire.writer.write(bytes([byte]))
        await asyncio.wait(
            [asyncio.ensure_future(wire.server.over.wait())], timeout=0.9
        )  # a stream that is silent for longer is at its end for now


async def _huge(wire: Wire) -> None:
    wire.head(200, {"Content-Length": str(50 * 2**20), "Content-Type": "application/json"})
    for _ in range(50 * 16):
        if wire.writer.transport.is_closing():
            break
        wire.writer.write(b" " * 2**16)
        await wire.writer.drain()


# Not much more than the largest limit of these tests (10 MiB): inflating it takes time from all that runs beside it.
_BOMB = gzip.compress(b" " * (12 * 2**20), 9)
_HTML = b"<!doctype html><title>Sign in</title>"

FAULTS: dict[str, Fault] = {
    "refuse": Fault("sure", None),
    "dns_fails": Fault("sure", None),
    "reset_before_reading": Fault("doubtful", None),
    "reset_after_reading": Fault("doubtful", _reset, acts=True),
    "silent": Fault("doubtful", _silent, acts=True),
    "head_then_nothing": Fault("doubtful", _head_then_nothing, acts=True),
    "half_body": Fault("doubtful", _half_body, acts=True),
    "drip": Fault("doubtful", _drip, acts=True),
    "429_seconds": Fault("sure", _waits(429, date=False)),
    "429_date": Fault("sure", _waits(429, date=True)),
    "503_seconds": Fault("sure", _waits(503, date=False)),
    "503_date": Fault("sure", _waits(503, date=True)),
    "500": Fault("doubtful", _status(500), acts=True),
    "502": Fault("doubtful", _status(502), acts=True),
    "504": Fault("doubtful", _status(504), acts=True),
    "401_once": Fault("mended", _status(401)),
    "401_for_good": Fault("final", _status(401)),
    "403": Fault("final", _status(403)),
    "404": Fault("final", _status(404)),
    "html": Fault("doubtful", _body(_HTML, "text/html"), acts=True),
    "broken_json": Fault("doubtful", _body(b'{"id": "j1", "state": '), acts=True),
    "empty": Fault("doubtful", _body(b""), acts=True),
    "huge": Fault("doubtful", _huge, acts=True),
    "gzip_bomb": Fault("doubtful", _body(_BOMB, Content_Encoding="gzip"), acts=True),
    "redirect_loop": Fault("final", _redirect("{path}")),
    "redirect_to_another_host": Fault("final", _redirect("http://other.test:{other}/jobs")),
    "redirect_to_link_local": Fault("final", _redirect("http://169.254.169.254/latest/meta-data")),
}


class FaultServer:
    """The server. `fault` hits the next `times` requests (None: all) for which `only` is true."""

    def __init__(self) -> None:
        self.api = JobApi()
        self.seen: list[Seen] = []
        self.port = self.other_port = 0
        self.retry_after = 1
        self.over = asyncio.Event()
        self._fault: Fault | None = None
        self._times: int | None = None
        self._only: Callable[[str, str], bool] = lambda method, path: True
        self._server: asyncio.Server
        self._held: socket.socket
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Take a port, and listen on it. It stays this server's own until `stop`, also while it refuses connections."""
        self._held = held_socket()
        self.port = self._held.getsockname()[1]
        await self._listen()

    async def stop(self) -> None:
        """Close the server, all connections, and the port."""
        self._refuse()
        self._held.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_port=True)

    def _refuse(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def fail(self, fault: Fault, only: Callable[[str, str], bool], times: int | None) -> None:
        """From here on requests fail so."""
        self._fault, self._only, self._times = fault, only, times
        self.over = asyncio.Event()
        if fault is FAULTS["refuse"]:
            self._refuse()

    async def heal(self) -> None:
        """From here on all is well."""
        refused, self._fault = self._fault is FAULTS["refuse"], None
        self.over.set()
        if refused:
            await self._listen()

    def _hit(self, method: str, path: str) -> Fault | None:
        fault = self._fault
        if fault is None or self._times == 0 or not self._only(method, path):
            return None
        self._times = None if self._times is None else self._times - 1
        return fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        url = urlsplit(target)
        fault = self._hit(method, url.path)
        wire = Wire(writer, (0, {}, b""), self, target)
        if fault is FAULTS["reset_before_reading"]:
            wire.reset()
            return False
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        seen = Seen(method, url.path, query, headers, body)
        self.seen.append(seen)
        if fault is None or fault.play is None:
            await wire.send(*self.api.answer(seen))
            return True
        if fault.acts:
            wire.good = self.api.answer(seen)
        await fault.play(wire)
        return not writer.is_closing()
