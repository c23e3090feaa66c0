"""One attempt at a request: the time that it has, what is told of it, and what its failure means."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from yaml_connector._clock import clock
from yaml_connector._http.connection import Connection
from yaml_connector._http.events import Exchange, Observer
from yaml_connector._http.messages import Response
from yaml_connector._http.transport import HttpRequest, HttpResponse, TransportError
from yaml_connector.errors import TransientError

logger = logging.getLogger("yaml_connector.http")


class Sender(Protocol):
    """Who sends: a session, with its deadline (of the clock's `monotonic`), and who hears of what is sent."""

    connection: Connection
    deadline: float
    observer: Observer
    watch: Callable[[Exchange], None] | None
    about: str

    def redact(self, text: str) -> str:
        """The text without any secret."""

    def say(self, about: HttpRequest, what: str) -> str:
        """What became of a request, without secrets."""


async def fetch(session: Sender, sent: HttpRequest, timeout: float, *, bare: bool) -> Response:
    """Send a request once and read its answer, for `timeout` seconds at most. Raises TransientError if there is none,
    it breaks off, or is too long."""
    began = clock().monotonic()
    limit = session.connection.spec.max_response
    timeout = _time_for(session, sent, timeout, began)
    status: int | None = None
    try:
        status, headers, content = await session.connection.transport.fetch(sent, timeout, limit)
    except TransportError as error:
        raise _broken_off(session, sent, error) from None
    finally:
        _tell(session, sent, status, began, bare)
    if content is None:
        what = f"answered with more than {limit / 2**20:.3g} MiB (max_response)"
        raise TransientError(session.say(sent, what), may_have_been_processed=True, status=status)
    answer = Response(sent.method, sent.url, status, headers, content)
    if session.watch is not None:
        session.watch(Exchange(sent, answer, None))
    return answer


@asynccontextmanager
async def exchange(session: Sender, sent: HttpRequest) -> AsyncIterator[HttpResponse]:
    """Send a request once and give its answer as it comes, until the deadline. Raises TransientError as `fetch`
    does."""
    began = clock().monotonic()
    remaining = _time_for(session, sent, session.deadline - began, began)
    status: int | None = None
    try:
        async with session.connection.transport.exchange(sent, remaining) as response:
            status = response.status
            yield response
    except TransportError as error:
        raise _broken_off(session, sent, error) from None
    finally:
        _tell(session, sent, status, began, bare=False)


def _time_for(session: Sender, sent: HttpRequest, timeout: float, now: float) -> float:
    remaining = session.deadline - now
    if remaining <= 0:
        raise TransientError(
            session.say(sent, "was not sent: the deadline of this call has passed"), may_have_been_processed=False
        )
    return min(timeout, remaining)


def _broken_off(session: Sender, sent: HttpRequest, error: TransportError) -> TransientError:
    message = session.say(sent, error.reason)
    if session.watch is not None:
        session.watch(Exchange(sent, None, message))
    return TransientError(message, may_have_been_processed=error.may_have_been_processed)


def _tell(session: Sender, sent: HttpRequest, status: int | None, began: float, bare: bool) -> None:
    took = clock().monotonic() - began
    (session.observer.login if bare else session.observer.request)(status, took)
    if logger.isEnabledFor(logging.DEBUG):
        url = session.redact(sent.url)
        logger.debug("%s %s status=%s ms=%.1f %s", sent.method, url, status, took * 1000, session.about)
