"""A job service with big answers: ``python -m bench.big_backend PORT STATUS_BYTES LOG_BYTES``."""

import asyncio
import json
import sys

from bench.backend import DETAIL, Backend, respond, serve

LINE = "2026-02-03T04:05:06.789Z worker-%03d epoch %d: loss 0.1713, accuracy 0.9421, lr 0.0003\n"


def status_document(size: int) -> bytes:
    """The status of a running job with many tasks: JSON of about that size."""
    task = {"name": "shuffle", "state": "running", "progress": 0.4285714, "attempts": [1, 2], "host": "node-17"}
    document = {"state": "running", "detail": DETAIL, "tasks": [task | {"id": f"task-{0:08d}"}]}
    number = size // len(json.dumps(document["tasks"][0])) if size else 0
    document["tasks"] = [task | {"id": f"task-{each:08d}"} for each in range(number)]
    return json.dumps(document).encode()


def log_text(size: int) -> bytes:
    """A log of about that size, of lines of about 80 characters."""
    page = "".join(LINE % (number % 1000, number) for number in range(10_000)).encode()
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


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), BigBackend(int(sys.argv[2]), int(sys.argv[3]))))
