"""A backend that answers the worst that the limits of its callers allow.

``python -m tests.integration.attack.hostile_backend`` starts it on a free port. The name of a job says what it is
answered: the body of `GET /jobs/deep-17` is nested many thousand levels deep. Other paths of a job (`/logs`) are
answered in the same way, if there is nothing else for them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from tests.integration.attack.secrets_planted import PEM
from tests.support.real_processes import stepping_back

MB = 1_000_000
_LONGEST = 12.0  # seconds that an endless answer goes on


@dataclass
class Exchange:
    """One request, and the connection that it came on. `kind` is the first word of the job's name, `size` the second
    one, as a number."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    kind: str = ""
    size: int = 0

    @property
    def for_log(self) -> bool:
        return self.path.endswith("/logs")

    def send(self, body: Any, status: int = 200, kind: str = "application/json", head: str = "") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        length = f"Content-Length: {len(data)}\r\n"
        self.writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{length}{head}\r\n".encode() + data)

    async def stream(self, head: bytes, block: bytes) -> None:
        """Send a head, and then the same bytes for as long as they are taken."""
        self.writer.write(head)
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end and not self.writer.is_closing():
            self.writer.write(block)
            await self.writer.drain()
        self.writer.close()


Answer = Callable[[Exchange], Awaitable[None]]
ANSWERS: dict[str, Answer] = {}
_MADE_FIRST: list[Callable[[], bytes]] = []  # what takes so long to make that others would wait


def answer(name: str) -> Callable[[Answer], Answer]:
    """Register how the jobs of a name are answered."""

    def register(function: Answer) -> Answer:
        ANSWERS[name] = function
        return function

    return register


def fixed(
    name: str, make: Callable[[], bytes], kind: str = "application/json", head: str = "", status: int = 200
) -> None:
    """The same bytes for each job of a name; they are made at the start."""
    made = cache(make)
    _MADE_FIRST.append(made)

    async def send(exchange: Exchange) -> None:
        exchange.send(made(), status, kind, head)

    ANSWERS[name] = send


def sized(name: str, make: Callable[[int], bytes]) -> None:
    """Bytes of about the size in kB that the name of the job has: `items-250`."""
    made = cache(make)

    async def send(exchange: Exchange) -> None:
        exchange.send(made(exchange.size * 1000))

    ANSWERS[name] = send


def _repeated(start: bytes, part: bytes, end: bytes, size: int) -> bytes:
    return start + b",".join([part] * max(1, size // (len(part) + 1))) + end


def _gzipped(megabytes: int, block: bytes) -> bytes:
    return gzip.compress(block * (megabytes * MB // len(block)), 6)


def _chunked(start: bytes) -> bytes:
    return b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + start


DIGITS = b"9" * 4200
sized("items", lambda size: _repeated(b'{"state":"running","items":[', b'{"id":7,"n":"x"}', b"]}", size))
sized("last", lambda size: _repeated(b'{"items":[', b'{"id":7}', b'],"state":"running"}', size))
sized("numbers", lambda size: _repeated(b'{"state":"running","items":[', b"1", b"]}", size))
sized("lists", lambda size: _repeated(b'{"state":"running","items":[', b"[]", b"]}", size))
sized("text", lambda size: b'{"state":"running","log":"' + b"a" * size + b'"}')
sized("blanks", lambda size: b'{"state":"running","log":"' + b" " * size + b'x"}')
sized("digits", lambda size: b'{"state":"done","result":' + b"9" * size + b"}")
sized("integers", lambda size: _repeated(b'{"state":"done","result":[', DIGITS, b"]}", size))
sized("ones", lambda size: _repeated(b'{"state":"done","result":[', b"1", b"]}", size))
sized("deep", lambda size: b"[" * (size // 2) + b"]" * (size // 2))
sized("levels", lambda size: b'{"state":"running","x":' + b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6) + b"}")
sized("keys", lambda size: b'{"state":"running",' + b",".join(b'"k%d":1' % i for i in range(size // 10)) + b"}")
sized("escapes", lambda size: b'{"state":"running","detail":"' + b"\\u00e9" * (size // 6) + b'"}')
sized("halves", lambda size: b'{"state":"running","detail":"' + b"\\ud800" * (size // 6) + b'"}')
sized("pem", lambda size: b'{"state":"running","detail":"' + PEM[:24].encode() * (size // 24) + b'"}')
sized("message", lambda size: b'{"state":"running","detail":"' + b"m" * size + b'"}')
sized("output", lambda size: b'{"state":"done","result":"' + b"o" * size + b'"}')
sized("link", lambda size: b'{"state":"running","url":"http://x.test/' + b"u" * size + b'"}')
sized("info", lambda size: b'{"state":"running","info":' + _repeated(b"[", b'{"a":1}', b"]", size) + b"}")
fixed("nan", lambda: b'{"state":"done","result":NaN}')
fixed("infinite", lambda: b'{"state":"done","result":1e999}')
fixed("zeros", lambda: _gzipped(150, b" " * MB), head="Content-Encoding: gzip\r\n")
fixed("braces", lambda: _gzipped(60, b'{"a":1,' * 1000), head="Content-Encoding: gzip\r\n")
fixed("deflated", lambda: zlib.compress(b" " * (150 * MB), 6), head="Content-Encoding: deflate\r\n")
fixed("twice", lambda: gzip.compress(_gzipped(150, b" " * MB), 6), head="Content-Encoding: gzip, gzip\r\n")
fixed("stored", lambda: _gzipped(150, b" " * MB), kind="application/octet-stream")
fixed("refusal", lambda: b'{"message":"' + PEM[:24].encode() * 40_000 + b'"}', status=418)
fixed("page", lambda: b"<html>" + b"<p>error</p>" * 500_000, status=502, kind="text/html")


@answer("headers")
async def _many_headers(exchange: Exchange) -> None:
    exchange.writer.write(b"HTTP/1.1 200 X\r\n")
    exchange.writer.write(b"".join(b"X-%d: %s\r\n" % (number, b"a" * 60) for number in range(100_000)))
    exchange.send({"state": "running"})


@answer("cookies")
async def _many_cookies(exchange: Exchange) -> None:
    exchange.send({"state": "running"}, head="".join(f"Set-Cookie: c{n}=v\r\n" for n in range(1000)))


@answer("headerless")
async def _endless_headers(exchange: Exchange) -> None:
    await exchange.stream(b"HTTP/1.1 200 X\r\n", b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(20)))


@answer("hints")
async def _endless_hints(exchange: Exchange) -> None:
    await exchange.stream(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 500)


@answer("trailers")
async def _endless_trailers(exchange: Exchange) -> None:
    await exchange.stream(
        _chunked(b"2\r\n{}\r\n0\r\n"), b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(20))
    )


@answer("extension")
async def _endless_chunk_extension(exchange: Exchange) -> None:
    await exchange.stream(_chunked(b"2;"), b"a" * 65_536)


@answer("endless")
async def _endless_body(exchange: Exchange) -> None:
    await exchange.stream(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n", b'{"a":1, ' * 8192)


@answer("line")
async def _line_without_end(exchange: Exchange) -> None:
    """A text log that is one line, as fast as it is taken."""
    if exchange.for_log:
        await exchange.stream(b"HTTP/1.1 200 X\r\nContent-Type: text/plain\r\n\r\n", b"x" * 65_536)
    else:
        exchange.send({"state": "running"})


@answer("short")
async def _short_lines(exchange: Exchange) -> None:
    """A text log of ten megabytes of empty lines."""
    if exchange.for_log:
        exchange.send(b"\n" * 10 * MB, kind="text/plain")
    else:
        exchange.send({"state": "running"})


@answer("heads")
async def _heads_of_a_key(exchange: Exchange) -> None:
    """A log that repeats the beginning of a key that the service holds, as its job printed it."""
    if exchange.for_log:
        exchange.send(b"\n".join([PEM[:24].encode() * 40] * 2000), kind="text/plain")
    else:
        exchange.send({"state": "running"})


@answer("lines")
async def _long_lines(exchange: Exchange) -> None:
    """Log lines of five megabytes, and always another page."""
    if exchange.for_log:
        exchange.send({"lines": [{"text": "A" * (5 * MB)}], "next": str(time.time())})
    else:
        exchange.send({"state": "running"})


@answer("pages")
async def _pages_without_end(exchange: Exchange) -> None:
    following = f"http://127.0.0.1:{exchange.headers['host'].partition(':')[2]}/jobs/pages-1?{time.time()}"
    exchange.send({"state": "running", "next": following, "lines": [], "items": [1] * 1000})


@answer("many")
async def _nine_pages(exchange: Exchange) -> None:
    """Nine pages of small items, as many as `max_response` allows together."""
    number = int(exchange.query or 0) + 1
    following = f"http://{exchange.headers['host']}/jobs/many-{exchange.size}?{number}" if number < 9 else None
    exchange.send(_page(exchange.size * 1000)[:-1] + b',"next":' + json.dumps(following).encode() + b"}")


@cache
def _page(size: int) -> bytes:
    return _repeated(b'{"state":"running","items":[', b'{"id":7,"n":"x"}', b"]}", size)


@answer("further")
async def _long_next(exchange: Exchange) -> None:
    host = exchange.headers["host"]
    exchange.send(
        {"state": "running", "next": f"http://{host}/jobs/further-1?{'u' * MB}" if not exchange.query else None}
    )


@answer("drip")
async def _drip(exchange: Exchange) -> None:
    for byte in b"HTTP/1.1 200 X\r\nContent-Length: 20\r\n\r\n" + b'{"state":"running"} ':
        exchange.writer.write(bytes([byte]))
        await exchange.writer.drain()
        await asyncio.sleep(0.7)


@answer("silent")
async def _silent(exchange: Exchange) -> None:
    await asyncio.sleep(30)


@answer("slow")
async def _slow(exchange: Exchange) -> None:
    await asyncio.sleep(1.5)
    exchange.send({"state": "running"})


@answer("later")
async def _retry_after(exchange: Exchange) -> None:
    exchange.send({"message": "down"}, 503, head="Retry-After: 999999999\r\n")


@answer("moved")
async def _redirects(exchange: Exchange) -> None:
    exchange.send({}, 307, head=f"Location: /jobs/moved-1?{'r' * 7000}\r\n")


_numbers = count(1)


async def _answer(exchange: Exchange) -> None:
    if exchange.path == "/token":
        size = int(exchange.query.partition("=")[2] or 0)
        exchange.send({"token": "t" * (20 + size), "expires": 1})
    elif exchange.method == "POST" and exchange.path == "/jobs":
        await _create(exchange)
    elif exchange.path == "/batch":
        ids = exchange.query.partition("=")[2].split("%2C")
        more = {"x": [{"a": 1}] * 5000} if any(one.startswith("fat") for one in ids) else {}
        exchange.send({"items": [{"id": one, "state": "running", **more} for one in ids]})
    elif exchange.path.startswith("/jobs/"):
        name = exchange.path.split("/")[2]
        exchange.kind, _, rest = name.partition("-")
        size = rest.partition("-")[0]
        exchange.size = int(size) if size.isdigit() and len(size) < 6 else 0
        play = ANSWERS.get(exchange.kind)
        if play is None:
            exchange.send({"state": "running", "lines": [], "next": None})
        else:
            await play(exchange)
    else:
        exchange.send({"detail": f"no {exchange.path[:100]}"}, 404)


async def _create(exchange: Exchange) -> None:
    try:
        given = json.loads(exchange.body or b"{}")
    except ValueError:
        given = {}
    name = str(given.get("name") or "") if isinstance(given, dict) else ""
    if name.startswith("id-"):  # an id of so many kB
        exchange.send({"id": "i" * (int(name.split("-")[1]) * 1000)}, 201)
    elif name.startswith("saved-"):
        exchange.send({"id": "saved", "more": "s" * (int(name.split("-")[1]) * 1000)}, 201)
    else:
        exchange.send({"id": name[:200] or f"n{next(_numbers)}"}, 201)


async def _requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[Exchange]:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await reader.readline()).strip(), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readline()
        path, _, query = target.partition("?")
        yield Exchange(method, path, query, headers, body, writer)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async for exchange in _requests(reader, writer):
            await _answer(exchange)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve on a free port, and print it."""
    for make in _MADE_FIRST:
        make()
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=2**23, backlog=1000)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    with stepping_back():
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
