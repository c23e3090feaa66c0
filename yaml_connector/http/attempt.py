"""One attempt at a request, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from yaml_connector.clock import clock
from yaml_connector.errors import Passing
from yaml_connector.http.connection import Connection
from yaml_connector.http.observe import Exchange, Observer
from yaml_connector.http.transport import WireError, WireRequest, WireResponse

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

    def say(self, about: WireRequest, what: str) -> str:
        """What became of a request, without secrets."""


class Attempt:
    """A request on the way, once; gives the answer's head, and its content as it comes. Raises Passing if there is
    none, or it breaks off. A class, not a generator: every request passes here."""

    __slots__ = ("_bare", "_began", "_exchange", "_sent", "_session", "_status")

    def __init__(self, session: Sender, sent: WireRequest, timeout: float, bare: bool) -> None:
        self._session = session
        self._sent = sent
        self._bare = bare
        self._status: int | None = None
        self._began = clock().monotonic()
        remaining = session.deadline - self._began
        if remaining <= 0:
            late = "was not sent: the deadline of this call has passed"
            raise Passing(session.say(sent, late), arrived=False)
        self._exchange = session.connection.transport.exchange(sent, min(timeout, remaining))

    async def __aenter__(self) -> WireResponse:
        try:
            response: WireResponse = await self._exchange.__aenter__()
        except BaseException as error:
            self._tell()
            raise self._broken_off(error) from None
        self._status = response.status
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._exchange.__aexit__(kind, error, trace)
        except WireError as failure:
            raise self._broken_off(failure) from None
        finally:
            self._tell()

    def _broken_off(self, error: BaseException) -> BaseException:
        if not isinstance(error, WireError):
            return error
        session, sent = self._session, self._sent
        message = session.say(sent, error.reason)
        if session.watch is not None:
            session.watch(Exchange(sent, None, message))
        return Passing(message, arrived=error.arrived)

    def _tell(self) -> None:
        session, sent = self._session, self._sent
        took = clock().monotonic() - self._began
        (session.observer.login if self._bare else session.observer.request)(self._status, took)
        if logger.isEnabledFor(logging.DEBUG):
            url = session.redact(sent.url)
            logger.debug("%s %s status=%s ms=%.1f %s", sent.method, url, self._status, took * 1000, session.about)
