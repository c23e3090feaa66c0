"""A job service with a limit, for many running jobs: ``python -m bench.limited PORT REQUESTS_PER_SECOND``.

Reading jobs is limited: what comes above the limit within any second is answered with 429 and ``Retry-After: 1``.
Submitting is not. A job's ``detail`` is the time at which it was read (the machine's monotonic clock), so that whoever
has the answer knows how old it is. ``GET /jobs?ids=a,b`` reads many; ``GET /seen`` tells what was seen since
it was asked last.
"""

import asyncio
import json
import sys
import time
from collections import deque
from urllib.parse import unquote

from bench.backend import Backend, respond, serve

RETRY_AFTER = 1.0

READ = '{"id": "%s", "state": "running", "detail": "%r", "queue": "short", "progress": 0.4285714}'


class LimitedBackend(Backend):
    """Reads that many times a second, and remembers who asked how often."""

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
        # Somebody was told to wait, and asks for one of the same jobs before the time is over.
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


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), LimitedBackend(int(sys.argv[2]))))
