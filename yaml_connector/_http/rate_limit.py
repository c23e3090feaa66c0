"""The rate limit of a connection, for this process."""

from __future__ import annotations

from collections import deque

from yaml_connector._clock import clock
from yaml_connector._spec.connection import RateLimit
from yaml_connector.errors import TransientError


class RateLimiter:
    """Lets through at most so many requests in a time."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._sent: deque[float] = deque(maxlen=limit.requests)

    async def wait(self, deadline: float) -> float:
        """Wait until a request may be sent; returns the seconds waited.

        Raises TransientError if that is not before `deadline` (of the clock's `monotonic`).
        """
        wait = self.time_until_available()
        due = clock().monotonic() + wait
        if due > deadline:
            raise TransientError(
                "the rate limit of this connection leaves no room before the deadline", may_have_been_processed=False
            )
        self._sent.append(due)
        if wait > 0:
            await clock().sleep(wait)
        return wait

    def time_until_available(self) -> float:
        """Return in how many seconds a request may be sent."""
        if len(self._sent) < self._limit.requests:
            return 0.0
        return max(0.0, self._sent[0] + self._limit.per - clock().monotonic())
