"""What a session tells of its requests to whoever counts or shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from yaml_connector._http.messages import Response
from yaml_connector._http.transport import HttpRequest


class Observer(Protocol):
    """Told of everything that is sent; must be cheap and must not raise. Times are in seconds."""

    def request(self, status: int | None, seconds: float) -> None:
        """A request was answered with this status, or not at all."""

    def login(self, status: int | None, seconds: float) -> None:
        """The same of a request for a token."""

    def token(self) -> None:
        """A token was fetched."""

    def retry(self) -> None:
        """A request is about to be sent again."""

    def waited(self, seconds: float) -> None:
        """A request waited for the rate limit."""


class NullObserver:
    """Nobody counts."""

    def request(self, status: int | None, seconds: float) -> None: ...
    def login(self, status: int | None, seconds: float) -> None: ...
    def token(self) -> None: ...
    def retry(self) -> None: ...
    def waited(self, seconds: float) -> None: ...


NULL_OBSERVER = NullObserver()


@dataclass
class Exchange:
    """One request and what came of it, for those who show it (`run --verbose`, `record`)."""

    request: HttpRequest
    answer: Response | None
    failure: str | None
