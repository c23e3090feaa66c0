"""Sending a request until there is an answer, or no use in trying (sections 4 and 6).

One `CallContext` serves one call of Flyte's: it knows the values, the deadline and the secrets. It sends, has the
answer judged, waits and sends again, renews a token once after a 401, and follows redirects. Every message it raises is
redacted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.body_template import Files, no_files
from yaml_connector._http.connection import Connection, Place
from yaml_connector._http.events import NULL_OBSERVER, Exchange, Observer
from yaml_connector._http.exchange import exchange, fetch
from yaml_connector._http.hosts import parse_url, resolve_url
from yaml_connector._http.messages import Response
from yaml_connector._http.redact import redactor_for
from yaml_connector._http.request_template import RequestPlan, header_map
from yaml_connector._http.response_policy import SuccessCriteria, raise_for_response
from yaml_connector._http.streaming import StreamedResponse, read_up_to
from yaml_connector._http.transport import HttpRequest
from yaml_connector._http.urls import add_query
from yaml_connector.errors import CallError, EvaluationError, PermanentError, TransientError

_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MESSAGE_LENGTH = 500


class CallContext:
    """Everything that one call of Flyte's sends goes through here."""

    __slots__ = (
        "_pinned_host_rules",
        "about",
        "connection",
        "deadline",
        "files",
        "learned",
        "observer",
        "place",
        "scope",
        "shares",
        "token",
        "watch",
    )

    def __init__(
        self,
        connection: Connection,
        *,
        config: Mapping[str, Any],
        secrets: Mapping[str, str | None],
        files: Files | None = None,
        allowed_by: Connection | None = None,
        deadline: float | None = None,
    ) -> None:
        self.connection = connection
        self.deadline = clock().monotonic() + (connection.spec.deadline if deadline is None else deadline)
        self.learned = frozenset(filter(None, secrets.values()))
        self.place: Place = connection.place(config)
        self.scope = Scope(config=config, secrets=secrets, env=connection.environment, base_url=self.place.base_url)
        self.files = files or no_files
        self.watch: Callable[[Exchange], None] | None = None
        self.observer: Observer = NULL_OBSERVER
        self.token: Any = None
        self.about = ""  # which job this is for, in log lines
        self.shares = False  # may a request wait for the answer to the same one of another call?
        self._pinned_host_rules = allowed_by.place(config).rules if allowed_by is not None else None

    def fresh(self) -> CallContext:
        """A session of its own with the same values, for a request that serves several calls. It has this call's
        deadline: who joins later has a later one."""
        scope = self.scope
        session = CallContext(self.connection, config=scope.config, secrets=scope.secrets, files=self.files)
        session.deadline, session.observer, session.about = self.deadline, self.observer, self.about
        session.watch, session._pinned_host_rules = self.watch, self._pinned_host_rules
        return session

    def __enter__(self) -> CallContext:
        """No secret leaves with what is raised inside: an error of a value may quote what a request or an answer
        held."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        if isinstance(error, (CallError, EvaluationError)):
            error.args = (self.redact(str(error)),)
        else:  # a fault of our own, or of a library
            error.args = tuple(self.redact(part) if isinstance(part, str) else part for part in error.args)

    @property
    def base_url(self) -> str:
        return self.place.base_url

    def remaining(self) -> float:
        """Seconds until this call must be over."""
        return self.deadline - clock().monotonic()

    def add_secret(self, secret: str) -> None:
        """From here on this value is a secret, too (a fetched token, a basic pair)."""
        if secret and secret not in self.learned:
            self.learned |= {secret}

    def redact(self, text: str) -> str:
        """The text without any secret that this call knows."""
        return redactor_for(self.learned).redact(text)

    def redact_tree(self, value: Any) -> Any:
        return redactor_for(self.learned).redact_tree(value)

    # --- sending ------------------------------------------------------------------------------------------------

    async def send(
        self,
        plan: RequestPlan,
        scope: Scope,
        judge: SuccessCriteria,
        *,
        unsure: Callable[[TransientError], Awaitable[bool]] | None = None,
        lacks: Callable[[Response], bool] | None = None,
    ) -> Response:
        """Send a request until it is answered. `unsure` is asked whether one that may have arrived is sent again (a GET
        always is, and so is everything without it); `lacks` whether a 2xx that is no JSON is a broken answer (only if
        the judge says so, without it).

        Raises PermanentError or TransientError; EvaluationError if the request cannot be built.
        """
        request = plan.build(scope, self.base_url, self.files)
        timeout = plan.timeout or self.connection.spec.timeout
        follow = self.connection.spec.follow_redirects if plan.follow_redirects is None else plan.follow_redirects
        read_only = request.method in ("GET", "HEAD")
        self.shares = self.shares and read_only  # an answer that was asked for before a write may not show it
        attempt = 1
        while True:
            try:
                if self.shares and request.body is None:
                    how = (plan.auth, timeout, follow)
                    answer = await self.connection.sharing.send(self, request, how, self._answered)
                else:
                    answer = await self._answered(request, plan.auth, timeout, follow)
                raise_for_response(self, answer, scope, judge, lacks)
                return answer
            except TransientError as failure:
                failure.may_have_been_processed = failure.may_have_been_processed and not read_only
                if failure.may_have_been_processed and unsure is not None and not await unsure(failure):
                    raise
                if attempt >= self.connection.spec.retry.max_attempts or not await self._pause(attempt, failure):
                    raise
            attempt += 1

    async def _pause(self, attempt: int, failure: TransientError) -> bool:
        """Wait before the next attempt; False if there is no time for it."""
        retry = self.connection.spec.retry
        if failure.retry_after is not None:
            delay = failure.retry_after
        else:
            delay = random.uniform(0, min(retry.max_delay, retry.initial_delay * 2 ** (attempt - 1)))  # noqa: S311 - jitter
        if delay >= self.remaining():
            return False
        await clock().sleep(delay)
        if self.remaining() <= 0:
            return False
        self.observer.retry()
        return True

    async def _answered(self, request: HttpRequest, auth: bool, timeout: float, follow: bool) -> Response:
        """The answer to a request, or to where it is redirected; with credentials fetched anew if they are refused."""
        first, redirects, renewed = request, 0, False
        while True:
            sent = await self._prepared(request, auth, bare=False)
            answer = await fetch(self, sent, timeout, bare=False)
            if answer.status == 401 and auth and not renewed and self._refresh_credentials():
                request, redirects, renewed = first, 0, True
            elif follow and answer.status in _REDIRECTS and (location := answer.headers.get("Location")):
                redirects += 1
                if redirects == _MOST_REDIRECTS:
                    endless = f"was redirected more than {_MOST_REDIRECTS} times"
                    raise PermanentError(self.say(first, endless))
                request = self._next_hop(request, answer, location)
            else:
                return answer

    def _refresh_credentials(self) -> bool:
        """Let credentials that were refused be fetched anew; False if there is nothing to fetch."""
        signer = self.connection.auth
        return signer is not None and signer.forget(self.scope, self)

    def _next_hop(self, request: HttpRequest, answer: Response, location: str) -> HttpRequest:
        try:
            url = resolve_url(answer.url, location)
            target = self._checked(url)
        except EvaluationError as problem:
            raise PermanentError(self.redact(f"{request.method} {answer.url} redirects elsewhere: {problem}")) from None
        keeps_body = answer.status in (307, 308) or request.method in ("GET", "HEAD")
        headers = request.headers
        if target[1] != parse_url(answer.url).origin:  # headers may hold credentials, and this is somebody else
            headers = {name: value for name, value in headers.items() if name.lower() in ("accept", "accept-encoding")}
        return HttpRequest(
            request.method if keeps_body else "GET", url, dict(headers), request.body if keeps_body else None
        )

    def _checked(self, url: str) -> tuple[str, str, bool]:
        """A URL as it is sent, its origin, and whether credentials may go there; raises EvaluationError."""
        target = parse_url(url)
        if self._pinned_host_rules is not None:
            self._pinned_host_rules.check(target)
        return target.url, target.origin, self.place.rules.check(target)

    @asynccontextmanager
    async def stream(
        self, plan: RequestPlan, scope: Scope, judge: SuccessCriteria, *, max_time: float
    ) -> AsyncIterator[StreamedResponse]:
        """Send a request and give its answer as it comes, for `max_time` seconds at most. One that does not begin
        within the timeout is sent again, and one that is no success is judged, as by `send`; a stream that breaks off
        later raises TransientError."""
        request = plan.build(scope, self.base_url, self.files)
        follow = self.connection.spec.follow_redirects if plan.follow_redirects is None else plan.follow_redirects
        timeout = plan.timeout or self.connection.spec.timeout
        # shortly before the deadline, so that a quiet stream ends and does not fail
        latest = clock().monotonic() + 0.95 * self.remaining()
        attempt, hops, renewed, given = 1, 0, False, False
        while True:
            try:
                sent = await self._prepared(request, plan.auth, bare=False)
                sent.begin = timeout
                async with (
                    self._timeout(sent, timeout) as patience,
                    exchange(self, sent) as response,
                ):
                    if judge.is_success(response.status):
                        streamed = StreamedResponse(sent, response, min(latest, clock().monotonic() + max_time))
                        await streamed.begin()
                        patience.reschedule(None)
                        given = True
                        yield streamed
                        return
                    content = await read_up_to(response.chunks, self.connection.spec.max_response)
                answer = Response(sent.method, sent.url, response.status, response.headers, content)
                if self.watch is not None:
                    self.watch(Exchange(sent, answer, None))
                location = answer.headers.get("Location")
                if follow and location and answer.status in _REDIRECTS and hops < _MOST_REDIRECTS:
                    hops += 1
                    request = self._next_hop(request, answer, location)
                    continue
                if answer.status == 401 and plan.auth and not renewed and self._refresh_credentials():
                    renewed = True
                    continue
                raise_for_response(self, answer, scope, judge)
            except TransientError as failure:
                last = given or attempt >= self.connection.spec.retry.max_attempts
                if last or not await self._pause(attempt, failure):
                    raise
            attempt += 1

    @asynccontextmanager
    async def _timeout(self, sent: HttpRequest, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """Raises TransientError when the time is over, unless it is rescheduled."""
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                yield timeout
        except TimeoutError:
            if not timeout.expired():
                raise
            raise TransientError(
                self.say(sent, f"gave no complete answer within {seconds:.3g} s"), may_have_been_processed=True
            ) from None

    async def _prepared(self, request: HttpRequest, auth: bool, bare: bool) -> HttpRequest:
        """The request as it is sent once, to a host that may have it, when the rate limit lets it. `bare`: without
        credentials and the connection's default headers and query."""
        if request.at_base:
            url, origin, credentialed = request.url, self.place.target.origin, True
            if self._pinned_host_rules is not None:
                self._pinned_host_rules.check(self.place.target)
        else:
            url, origin, credentialed = self._checked(request.url)
        connection = self.connection
        sent = HttpRequest(request.method, url, dict(request.headers), request.body)
        if credentialed and not bare:
            if origin == self.place.target.origin:
                self._add_defaults(sent)
            if auth and connection.auth is not None:
                signing = connection.auth.sign(sent, self.scope, self)
                if signing is not None:
                    await signing
        if connection.limiter is not None:
            self.observer.waited(await connection.limiter.wait(self.deadline))
        return sent

    def _add_defaults(self, sent: HttpRequest) -> None:
        connection = self.connection
        if connection.headers is not None:
            given = {name.lower() for name in sent.headers}
            defaults = header_map(connection.headers.evaluate(self.scope) or {})
            sent.headers = {
                **{name: v for name, v in defaults.items() if name.lower() not in given},
                **sent.headers,
            }
        if connection.query is not None:
            sent.url = add_query(sent.url, connection.query.evaluate(self.scope) or {})

    async def login(self, plan: RequestPlan, scope: Scope, *, needs_json: bool = True) -> Response:
        """Send a login request once: no credentials of its own, none of the connection's default headers and query.
        When it fails passingly, the request that needs the token does too, and both are sent again."""
        request = plan.build(scope, self.base_url)
        try:
            sent = await self._prepared(request, auth=False, bare=True)
            answer = await fetch(self, sent, plan.timeout or self.connection.spec.timeout, bare=True)
            raise_for_response(self, answer, scope, SuccessCriteria(needs_json=needs_json))
        except TransientError as failure:
            failure.may_have_been_processed = False  # whatever became of the login, the job's own request was not sent
            raise
        self.observer.token()
        return answer

    # --- what is said ---------------------------------------------------------------------------------------------

    def shorten(self, text: str, length: int = _MESSAGE_LENGTH) -> str:
        """A text without secrets, cut to a length."""
        text = self.redact(text[: length * 20])
        return text if len(text) <= length else text[: length - 3] + "..."

    def single_line(self, text: str, length: int = _MESSAGE_LENGTH) -> str:
        """The start of a text, of any length, without secrets and line breaks."""
        return self.shorten(" ".join(self.redact(text[: length * 20]).split()), length)

    def say(self, about: HttpRequest | Response, what: str) -> str:
        """What became of a request, without secrets."""
        return self.redact(f"{about.method} {about.url} {what}")
