"""Coalesces identical calls in flight: later callers wait for the first one's result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from yaml_connector._http.context import CallContext
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import RequestPlan

T = TypeVar("T")


@dataclass(slots=True, repr=False)
class _Flight(Generic[T]):
    """A call that is being made. Its result may be a secret, so no future holds it: asyncio logs those."""

    args: tuple[Any, ...]
    landed: asyncio.Event | None = None  # there is one once somebody waits
    result: T | None = None
    error: Exception | None = None


class SingleFlight(Generic[T]):
    """Makes a call once for everybody who asks for it with the same key while it is made, in one event loop.

    An error is shared like a result. If the first caller is cancelled, one of the others makes the call.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Flight[T]] = {}

    async def run(self, key: Hashable, call: Callable[..., Awaitable[T]], *args: Any) -> tuple[T, tuple[Any, ...]]:
        """Return the result (not None) of `call(*args)`, or of the call in flight with this key, and its arguments.

        Raises what that call raised.
        """
        slot = (asyncio.get_running_loop(), key)
        while (other := self._flights.get(slot)) is not None:
            other.landed = other.landed or asyncio.Event()
            await other.landed.wait()
            if other.error is not None:
                try:
                    raise other.error
                finally:
                    del other  # as below
            if other.result is not None:
                return other.result, other.args
        flight = self._flights[slot] = _Flight(args)
        try:
            flight.result = await call(*args)
        except Exception as error:
            flight.error = error
            raise
        else:
            return flight.result, args
        finally:
            del self._flights[slot]
            if flight.landed is not None:
                flight.landed.set()
            del flight  # its error refers to this frame, and the frame to what was sent: they would stay in memory


class RequestCoalescer:
    """Sends identical requests of one connection once.

    Only requests without a body of calls that write nothing coalesce: a response to a request from before a write does
    not show the write. Identical means: the same URL, headers, options, config and secrets.
    """

    def __init__(self) -> None:
        self._requests: SingleFlight[Response] = SingleFlight()

    async def send(
        self,
        context: CallContext,
        request: HttpRequest,
        plan: RequestPlan,
        fetch: Callable[[CallContext, HttpRequest, RequestPlan], Awaitable[Response]],
    ) -> Response:
        """Return the response that `fetch` returns, or the one to an identical request in flight."""
        identity = (
            request.method,
            request.url,
            tuple(request.headers.items()),
            (plan.auth, plan.timeout, plan.follow_redirects, plan.decode),
            tuple(context.scope.secrets.items()),
            repr(context.scope.config),  # 1 and True are equal, but not in a URL
        )
        response, (sender, *_) = await self._requests.run(identity, fetch, context, request, plan)
        if sender is context:
            return response
        for secret in sender.secrets:  # the token that was fetched for it
            context.add_secret(secret)
        return response.copy()
