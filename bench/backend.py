"""The job service that the connectors talk to: HTTP/1.1 over bare asyncio, so that it is not the bottleneck.

``python -m bench.backend PORT [SECONDS]`` serves until it is terminated; reading a job takes that many seconds (0). A
job whose name begins with ``done`` is done from the start, any other runs for ever. Nothing is kept but a count of the
requests, which ``GET /count`` tells.
"""

import asyncio
import itertools
import re
import sys

API_KEY = "bench-secret"
"""The bearer token that every request but ``GET /count`` must carry."""

DETAIL = "step 3 of 7"
RESULT = "s3://bucket/results/part-00000.parquet"
LOG_TEXT = "epoch 4: loss 0.1713, accuracy 0.9421"
LOG_TIME = "2026-02-03T04:05:06.789Z"

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


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Backend(*map(float, sys.argv[2:]))))
