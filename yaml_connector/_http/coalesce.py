"""Requests that are the same are sent once: who asks for what is being fetched already waits for that answer.

Only reads of a session that has written nothing may share (a session says so with `shares`): what was asked before a
write may not show it. The same is the same URL, headers, values and credentials; an error is shared like an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response
from yaml_connector._http.transport import HttpRequest


class Caller(Protocol):
    """A session: its deadline (of the clock's `monotonic`), its values, and the secrets that it knows."""

    deadline: float
    scope: Scope
    learned: frozenset[str]


class InFlight:
    """A request that is being answered. `told` is there once somebody else waits for it: the answer, or None if it was
    cancelled."""

    __slots__ = ("how", "request", "session", "told")

    def __init__(self, session: Caller, request: HttpRequest, how: tuple[Any, ...]) -> None:
        self.session = session
        self.request = request
        self.how = how
        self.told: asyncio.Future[Response | None] | None = None

    def serves(self, session: Caller, request: HttpRequest, how: tuple[Any, ...]) -> bool:
        """Is that the same request, and is this one over in time for it?"""
        mine, other = self.session, session
        return (
            self.request.method == request.method
            and self.request.headers == request.headers
            and self.how == how
            and mine.deadline <= other.deadline
            and mine.scope.secrets == other.scope.secrets
            and repr(mine.scope.config) == repr(other.scope.config)  # 1 and True are not the same in a URL
        )

    async def outcome(self) -> Response | None:
        """What came of it; raises what it raised."""
        if self.told is None:
            self.told = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self.told)

    def tell(self, answer: Response | None) -> None:
        if self.told is not None:
            self.told.set_result(answer)

    def fail(self, error: Exception) -> None:
        if self.told is not None:
            self.told.set_exception(error)
            self.told.exception()  # those who waited may all be gone: then nobody is to hear of it


class RequestCoalescer:
    """The requests under way on one connection."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[int, str], InFlight] = {}

    async def send(
        self,
        session: Caller,
        request: HttpRequest,
        how: tuple[bool, float, bool],
        send: Callable[[HttpRequest, bool, float, bool], Awaitable[Response]],
    ) -> Response:
        """The answer to a request without a body, sent by `send` with `how` (credentials, timeout, redirects) unless
        the same is under way. Raises as `send` does."""
        key = (id(asyncio.get_running_loop()), request.url)
        while (other := self._under_way.get(key)) is not None:
            if not other.serves(session, request, how):
                return await send(request, *how)
            answer = await other.outcome()
            session.learned |= other.session.learned  # the token that was fetched for it
            if answer is not None:
                return _Shared(answer)
        mine = self._under_way[key] = InFlight(session, request, how)
        try:
            answer = await send(request, *how)
        except Exception as error:
            mine.fail(error)
            raise
        else:
            mine.tell(answer)
            return answer
        finally:
            del self._under_way[key]
            if mine.told is not None and not mine.told.done():  # this call was cancelled: one of the others sends it
                mine.tell(None)


class _Shared(Response):
    """An answer that was given to somebody else too: parsed once, with saves of its own."""

    __slots__ = ("_first",)

    def __init__(self, first: Response) -> None:
        super().__init__(first.method, first.url, first.status, first.headers, first.content)
        self._first = first

    def _parsed(self) -> Any:
        return self._first.body
