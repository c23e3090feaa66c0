"""Events: the one stream of what happens during calls to an API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector.errors import TransientError


class Events:
    """Receives events; a consumer overrides the methods that it needs.

    They are called on the event loop: they must be quick and must not raise. Times are in seconds. Requests, responses
    and states are not redacted.
    """

    records = False
    """Whether to receive secrets, and responses that hold their content even if it was streamed."""

    def exchange(
        self,
        request: HttpRequest,
        response: Response | None,
        failure: TransientError | None,
        seconds: float,
        login: bool,
    ) -> None:
        """Receive a request that was sent. `failure`, redacted, is why no response was read to its end.

        `login`: it is a request for a token.
        """

    def secret(self, value: str) -> None:
        """Receive a value that is a secret from here on. Only for consumers that record."""

    def token_fetched(self) -> None:
        """Note that a login returned a token."""

    def retry(self) -> None:
        """Note that a request is about to be sent again."""

    def rate_limited(self, seconds: float) -> None:
        """Note that a request waited for the rate limit of its connection, maybe for 0 seconds."""

    def asked_to_wait(self, seconds: float) -> None:
        """Note that a response that is not a success asks to wait before the next request."""

    def section(self, name: str) -> None:
        """Note that a section of the spec begins: `create`, `adopt`, `on_failure.N` (its N-th step, from 0), `get`,
        `result`, `delete` or `logs`."""

    def step(self, name: str | None) -> None:
        """Note that a step of the section is about to be sent; a single request is one step, mostly without a name."""

    def rule(self, index: int, state: str) -> None:
        """Note which phase rule held: its index in `get.phase`, and the state that it mapped ("" without `map`)."""


NO_EVENTS = Events()


class EventFanOut(Events):
    """Passes every event on to several consumers."""

    def __init__(self, *consumers: Events) -> None:
        self._consumers = consumers
        self.records = any(consumer.records for consumer in consumers)


def _passed_on(name: str) -> Callable[..., None]:
    def event(self: EventFanOut, *values: Any) -> None:
        for consumer in self._consumers:
            getattr(consumer, name)(*values)

    return event


for _name in [name for name in vars(Events) if not name.startswith("_") and name != "records"]:
    setattr(EventFanOut, _name, _passed_on(_name))
