"""The job services that the connectors talk to: HTTP/1.1 over bare asyncio, so that they are not the bottleneck.

``python -m bench.backend PORT KIND NUMBER ...`` serves until it is terminated:

- ``plain SECONDS``: reading a job takes that long. A job whose name begins with ``done`` is done from the start, any
  other runs until it is cancelled. ``GET /count`` returns the number of requests so far.
- ``limited REQUESTS``: reads so many times a second, and answers 429 above that. For many running jobs.
- ``big STATUS_BYTES LOG_BYTES``: a big status document, a big text log.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections import deque
from urllib.parse import unquote

API_KEY = "bench-secret"
"""The bearer token that every request but ``GET /count`` must carry."""

DETAIL = "step 3 of 7"
RESULT = "s3://bucket/results/part-00000.parquet"
LOG_TEXT = "epoch 4: loss 0.1713, accuracy 0.9421"
LOG_TIME = "2026-02-03T04:05:06.789Z"
BIG_LOG_LINE = "2026-02-03T04:05:06.789Z worker-%03d epoch %d: loss 0.1713, accuracy 0.9421, lr 0.0003\n"
RETRY_AFTER = 1.0
READ = '{"id": "%s", "state": "running", "detail": "%r", "queue": "short", "progress": 0.4285714}'

# About 110 bytes with its arguments, id and state.
STATUS_ANSWER = b'{"id": "%b", "state": "%b", "detail": "step 3 of 7", "queue": "short", "progress": 0.4285714}'
CREATE_ANSWER = b'{"id": "%b", "state": "queued"}'
RESULT_ANSWER = b'{"result": "' + RESULT.encode() + b'"}'
CANCEL_ANSWER = b'{"state": "cancelled"}'
LOGS_ANSWER = b'{"lines": [%b], "next": "c10"}' % b", ".join(
    [b'{"time": "%b", "text": "%b"}' % (LOG_TIME.encode(), LOG_TEXT.encode())] * 10
)

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AUTHORIZATION = re.compile(rb"\r\nauthorization: Bearer " + API_KEY.encode() + rb"\r\n", re.IGNORECASE)


class Backend:
    """The answers, and the count of the requests. `delay`: the seconds that every GET takes."""

    def __init__(self, delay: float = 0.0) -> None:
        self.requests = 0
        self.delay = delay
        self._numbers = itertools.count(1)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP response to a request with this head (request line and headers) and this body."""
        method, target, _ = head.split(b" ", 2)
        if target == b"/count":
            return respond(b"200 OK", b"%d" % self.requests)
        self.requests += 1
        if not _AUTHORIZATION.search(head):
            return respond(b"401 Unauthorized", b'{"message": "the bearer token is missing or wrong"}')
        parts = target.partition(b"?")[0].split(b"/")
        match (method, *parts[1:]):
            case (b"POST", b"jobs"):
                kind = b"done" if b'"done' in body else b"work"
                return respond(b"201 Created", CREATE_ANSWER % (b"%b-%08d" % (kind, next(self._numbers))))
            case (b"GET", b"jobs", job_id):
                return respond(b"200 OK", STATUS_ANSWER % (job_id, b"done" if job_id[:4] == b"done" else b"running"))
            case (b"GET", b"jobs", _, b"result"):
                return respond(b"200 OK", RESULT_ANSWER)
            case (b"GET", b"jobs", _, b"logs"):
                return respond(b"200 OK", LOGS_ANSWER)
            case (b"POST", b"jobs", _, b"cancel"):
                return respond(b"200 OK", CANCEL_ANSWER)
        return respond(b"404 Not Found", b'{"message": "no such path"}')


def respond(status: bytes, body: bytes) -> bytes:
    """A response of JSON; `status` may have further headers after it."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class LimitedBackend(Backend):
    """Limits reads; submitting is not limited.

    Reads above the limit within any second are answered with 429 and ``Retry-After: 1``. The ``detail`` of a job is the
    time at which it was read (the machine's monotonic clock), so a reply shows how old it is. ``GET /jobs?ids=a,b``
    reads many jobs; ``GET /seen`` returns what happened since it was asked last.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._accepted: deque[float] = deque(maxlen=limit)
        self._arrived: deque[float] = deque()
        self._last_read: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._forget()

    def _forget(self) -> None:
        self.reads = self.refused = self.too_early = self.busiest = 0
        self.shortest_gap = float("inf")

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP response to a request."""
        method, target, _ = head.decode().split(" ", 2)
        if target == "/seen":
            return respond(b"200 OK", json.dumps(self._seen()).encode())
        if method != "GET" or not target.startswith("/jobs"):
            return super().answer(head, body)
        path, _, query = target.partition("?")
        ids = unquote(query.removeprefix("ids=")).split(",") if query else [path.removeprefix("/jobs/")]
        return self._read(ids, many=bool(query))

    def _read(self, ids: list[str], *, many: bool) -> bytes:
        now = time.monotonic()
        self.reads += 1
        self._arrived.append(now)
        while self._arrived[0] < now - 1:
            self._arrived.popleft()
        self.busiest = max(self.busiest, len(self._arrived))
        # The client was told to wait, and asks for one of the same jobs too early.
        self.too_early += any(now < self._not_before.get(each, 0.0) for each in ids)
        if len(self._accepted) == self._accepted.maxlen and now < self._accepted[0] + 1:
            self.refused += 1
            self._not_before.update(dict.fromkeys(ids, now + RETRY_AFTER))
            return respond(b"429 Too Many Requests\r\nRetry-After: %d" % RETRY_AFTER, b'{"message": "slow down"}')
        self._accepted.append(now)
        for each in ids:
            self.shortest_gap = min(self.shortest_gap, now - self._last_read.get(each, float("-inf")))
            self._last_read[each] = now
        items = [READ % (each, now) for each in ids]
        return respond(b"200 OK", (f'{{"jobs": [{", ".join(items)}]}}' if many else items[0]).encode())

    def _seen(self) -> dict[str, float | None]:
        gap = self.shortest_gap if self.shortest_gap < float("inf") else None
        seen: dict[str, float | None] = {"reads": self.reads, "refused": self.refused, "too_early": self.too_early}
        seen |= {"busiest": self.busiest, "shortest_gap": gap}
        self._forget()
        return seen


def status_document(size: int) -> bytes:
    """The status of a running job with many tasks: JSON of about that size."""
    task = {"name": "shuffle", "state": "running", "progress": 0.4285714, "attempts": [1, 2], "host": "node-17"}
    document = {"state": "running", "detail": DETAIL, "tasks": [task | {"id": f"task-{0:08d}"}]}
    number = size // len(json.dumps(document["tasks"][0])) if size else 0
    document["tasks"] = [task | {"id": f"task-{each:08d}"} for each in range(number)]
    return json.dumps(document).encode()


def log_text(size: int) -> bytes:
    """A log of about that size, of lines of about 80 characters."""
    page = "".join(BIG_LOG_LINE % (number % 1000, number) for number in range(10_000)).encode()
    return (page * (size // len(page) + 1))[: size // len(page) * len(page) or None]


class BigBackend(Backend):
    """Every job's status is the same document, every job's log the same text."""

    def __init__(self, status: int, log: int) -> None:
        super().__init__()
        self._status = respond(b"200 OK", status_document(status))
        self._log = respond(b"200 OK", log_text(log))

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP response to a request."""
        method, target, _ = head.split(b" ", 2)
        if method == b"GET" and target.startswith(b"/jobs/"):
            self.requests += 1
            return self._log if target.endswith(b"/logs") else self._status
        return super().answer(head, body)


class Connection(asyncio.Protocol):
    """One kept-alive connection. Bodies have a Content-Length; chunked ones are not understood."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where answers go."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every request that is complete by now."""
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = _CONTENT_LENGTH.search(head)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < total:
                return
            answer = self._backend.answer(head, self._received[end + 4 : total])
            self._received = self._received[total:]
            if self._backend.delay and head.startswith(b"GET /jobs"):
                asyncio.get_running_loop().call_later(self._backend.delay, self._write, answer)
            else:
                self._transport.write(answer)

    def _write(self, answer: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port: int, backend: Backend) -> None:
    """Serves on 127.0.0.1 until cancelled."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(backend), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


KINDS = {"plain": (Backend, float), "limited": (LimitedBackend, int), "big": (BigBackend, int)}

if __name__ == "__main__":
    _, port_number, kind, *numbers = sys.argv
    made, number_type = KINDS[kind]
    asyncio.run(serve(int(port_number), made(*map(number_type, numbers))))
