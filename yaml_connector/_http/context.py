"""The context of one connector call: its deadline, values, secrets and events."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from yaml_connector._clock import clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.events import NO_EVENTS, EventFanOut, Events
from yaml_connector._http.files import NO_FILES, Files
from yaml_connector._http.hosts import Endpoint
from yaml_connector._http.memory import NoRoomError, Room, response_memory
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.redact import redact_lines, redactor_for
from yaml_connector._http.worker import iterate_elsewhere, read_elsewhere
from yaml_connector._text import single_line, truncate
from yaml_connector.errors import TransientError

if TYPE_CHECKING:
    from yaml_connector._http.connection import Connection

T = TypeVar("T")

_MESSAGE_LENGTH = 500
_LARGE = 2**16  # characters, which take 8 ms at most
_JUDGING = ("error_message", "retry_after", "retry_if", "retry_statuses", "spec")  # of a connection


class CallContext:
    """What the requests of one connector call share. Its attributes are set once, here, but `secrets`, `not_before` and
    `withholds`.

    `deadline` is the time of the clock's `monotonic` when the call must be over (given: in how many seconds; default:
    the connection's). `about` says in log lines which job this is for. `coalesces`: a request may take the
    response to the same request of another call; only for calls that write nothing. `max_attempts`: how often a
    request is sent at most (default: as the connection's `retry` says). `not_before` is when the API may be asked
    again, as the responses of this call said (of `monotonic`; 0: at any time). `secrets` are all values that are
    masked, `sensitive` those of them that the spec names, by name (given: the names of the secrets that are masked;
    default: all). `withholds`: a caller may have chosen where in the job's values secrets are, so no public host gets a
    request with one.
    """

    __slots__ = (
        "about",
        "coalesces",
        "connection",
        "deadline",
        "endpoint",
        "events",
        "files",
        "max_attempts",
        "not_before",
        "scope",
        "secrets",
        "sensitive",
        "withholds",
    )

    def __init__(
        self,
        connection: Connection,
        *,
        config: Mapping[str, Any],
        secrets: Mapping[str, str | None],
        sensitive: Collection[str] | None = None,
        files: Files = NO_FILES,
        deadline: float | None = None,
        events: Events = NO_EVENTS,
        about: str = "",
        coalesces: bool = False,
        max_attempts: int | None = None,
    ) -> None:
        self.connection = connection
        self.endpoint: Endpoint = connection.fixed_endpoint or connection.endpoint(config)
        self.scope = Scope(config=config, secrets=secrets, env=connection.environment, base_url=self.endpoint.base_url)
        self.sensitive = {
            name: value for name, value in secrets.items() if value and (sensitive is None or name in sensitive)
        }
        self.secrets = connection.proxies.passwords.union(self.sensitive.values())
        self.files = files
        self.deadline = clock().monotonic() + (connection.spec.deadline if deadline is None else deadline)
        self.events = events
        self.about = about
        self.max_attempts = connection.spec.retry.max_attempts if max_attempts is None else max_attempts
        if events.records:
            for secret in self.secrets:
                events.secret(secret)
        self.coalesces = coalesces
        self.not_before = 0.0
        self.withholds = False

    def fork(self, listener: Events) -> CallContext:
        """Return a context for a request that serves several calls: with this call's values and deadline, and secrets
        of its own. `listener` receives its events, too."""
        forked = copy.copy(self)
        forked.events = EventFanOut(self.events, listener)
        forked.coalesces = False
        return forked

    async def read_elsewhere(self, function: Callable[..., T], *args: Any) -> T:
        """Return what a function of this package returns, which raised TurnOver here. Raises what the function raises,
        EvaluationError if it takes too long, TransientError at the deadline."""
        _forget_bodies(args)
        backend = self.endpoint.base_url
        return await read_elsewhere(function, *args, remaining=self.remaining(), backend=backend)

    def iterate_elsewhere(self, function: Callable[..., Iterator[T]], *args: Any) -> AsyncIterator[T]:
        """Yield what a function of this package yields, like `read_elsewhere`."""
        _forget_bodies(args)
        backend = self.endpoint.base_url
        return iterate_elsewhere(function, *args, remaining=self.remaining(), backend=backend)

    async def room_for(self, response: Response, size: int) -> Room:
        """Wait for room for what is kept of a response. Raises TransientError if there is none by the deadline."""
        try:
            return await response_memory().room_for(size, self.remaining())
        except NoRoomError:
            what = "was not read within the deadline: other large responses were being read"
            raise TransientError(self.describe(response, what), may_have_been_processed=False) from None

    def for_judging(self) -> CallContext:
        """Return what judging a response needs of this context, and no more, to be sent to another process."""
        reduced = object.__new__(CallContext)
        reduced.connection = SimpleNamespace(**{name: getattr(self.connection, name) for name in _JUDGING})  # type: ignore[assignment]
        reduced.secrets = self.secrets
        return reduced

    def remaining(self) -> float:
        """Return the seconds until this call must be over; negative if it should be already."""
        return self.deadline - clock().monotonic()

    def add_secret(self, secret: str) -> None:
        """Treat this value as a secret from here on (a fetched token, a basic pair)."""
        if secret and secret not in self.secrets:
            self.secrets |= {secret}
            if self.events.records:
                self.events.secret(secret)

    # --- what is said -------------------------------------------------------------------------------------------------

    def redact(self, text: str) -> str:
        """Mask every secret that this call knows."""
        return redactor_for(self.secrets).redact(text)

    async def redact_lines(self, texts: list[str]) -> list[str]:
        """Mask every secret in lines that follow each other; if they are long, elsewhere."""
        if sum(map(len, texts)) <= _LARGE:
            return redactor_for(self.secrets).redact_lines(texts)
        return await self.read_elsewhere(redact_lines, self.secrets, texts)

    def redact_tree(self, value: Any) -> Any:
        """Mask every secret in the strings of a value."""
        return redactor_for(self.secrets).redact_tree(value)

    def describe(self, subject: HttpRequest | Response, what: str) -> str:
        """Say what became of a request, without secrets."""
        return self.redact(f"{subject.method} {subject.url} {what}")

    def truncate(self, text: str, length: int = _MESSAGE_LENGTH) -> str:
        """Cut a text to a length, without secrets."""
        text = redactor_for(self.secrets).redact(text[: length * 20])
        return text if len(text) <= length else truncate(text, length)

    def single_line(self, text: str, length: int = _MESSAGE_LENGTH) -> str:
        """Return the start of a text of any length as one line, without secrets."""
        return self.truncate(single_line(self.redact(text[: length * 20])), length)


def _forget_bodies(args: tuple[Any, ...]) -> None:
    """Free what was parsed of the responses that are read elsewhere: they may wait for their turn for long."""
    for each in args:
        response = each.response if isinstance(each, Scope) else each
        if hasattr(response, "forget_body"):
            response.forget_body()


class redacted_errors:  # lower case: used like a function; a class, since a generator costs every call more
    """Mask the context's secrets in the message of any error raised inside: it may quote a request or a response."""

    __slots__ = ("_context",)

    def __init__(self, context: CallContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:  # also a bug, or an error of a library
            redact_error(self._context, error)


def redact_error(context: CallContext, error: BaseException) -> None:
    """Mask the context's secrets in the message of an error."""
    error.args = tuple(context.redact(part) if isinstance(part, str) else part for part in error.args)
