"""One request to its final response: host check, credentials, redirects and limits, for whole and streamed responses.

Redirects are followed only where the spec says so, each host checked. A login is sent `anonymous`: without credentials,
without the connection's default headers and query, and without redirects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import limited
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.units import size_text
from yaml_connector._http.context import CallContext
from yaml_connector._http.files import StreamedBody
from yaml_connector._http.hosts import parse_url, resolve_url
from yaml_connector._http.json_need import Json
from yaml_connector._http.messages import HttpRequest, Response, StreamedResponse, TransportError, no_answer
from yaml_connector._http.request_template import RequestPlan, add_query, header_map, not_utf8
from yaml_connector._http.response_policy import SuccessCriteria, raise_for_response
from yaml_connector._http.unpacking import unpack, unpack_pieces
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

logger = logging.getLogger("yaml_connector.http")

_MOST_REDIRECTS = 10
_LARGEST_LOGIN = 2**18  # bytes
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language"})


async def fetch(context: CallContext, request: HttpRequest, plan: RequestPlan, *, anonymous: bool = False) -> Response:
    """Send a request and return its final response, read whole; every attempt has the plan's timeout.

    Raises TransientError if there is no response, or one that breaks off or is too long; PermanentError for a redirect
    that cannot be followed; EvaluationError for a host that is not allowed.
    """
    spec = context.connection.spec
    redirects: _Redirects | None = None
    current = request
    while True:
        sent = await _prepare(context, current, plan.auth and not anonymous, anonymous)
        began = clock().monotonic()
        remaining = context.deadline - began
        if remaining <= 0:
            raise _too_late(context, sent)
        timeout = min(plan.timeout or spec.timeout, remaining)
        response: Response | None = None
        failure: TransientError | None = None
        try:
            status, headers, content = await context.connection.transport.fetch(sent, timeout, spec.max_response)
            if plan.decode is not None and content is not None and 200 <= status < 300:
                left = began + timeout - clock().monotonic()
                content = await unpack(content, spec.max_response, left)
            response = Response(sent.method, sent.url, status, headers, content or b"")
            response.token = sent.token
            if content is None:
                failure = _too_long(context, response)
        except TransportError as error:
            failure = _broken(context, sent, error)
        finally:
            _report(context, sent, response, failure, began, anonymous)
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # it refers to this frame: both would stay in memory until the next garbage collection
        assert response is not None  # or there is a failure
        if anonymous or 200 <= response.status < 300:
            return response
        redirects = redirects or _Redirects(context, request, plan)
        following = redirects.after(sent, response)
        if following is None:
            return response
        current = following


@asynccontextmanager
async def open_stream(
    context: CallContext, request: HttpRequest, plan: RequestPlan, success: Collection[int], max_time: float
) -> AsyncIterator[Response]:
    """Send a request and yield its final response: a StreamedResponse that has begun if it is a success, else read
    whole. Each attempt must begin within the plan's timeout, and ends after `max_time` seconds.

    Raises the same errors as `fetch`, also while the stream is read.
    """
    # A silent stream ends before the deadline: it must not fail.
    latest = clock().monotonic() + 0.95 * context.remaining()
    timeout = plan.timeout or context.connection.spec.timeout
    redirects = _Redirects(context, request, plan)
    following: HttpRequest | None = request
    while following is not None:
        sent = await _prepare(context, following, plan.auth, anonymous=False)
        sent.begin = timeout
        async with _time_limit(context, sent, timeout) as time_limit, _open(context, sent, plan) as response:
            following = redirects.after(sent, response)
            if following is None and response.status in success:
                await response.begin(min(latest, clock().monotonic() + max_time))
                time_limit.reschedule(None)
                yield response
                return
            if not await response.read(context.connection.spec.max_response):
                raise _too_long(context, response)
    yield response


async def login(context: CallContext, plan: RequestPlan, scope: Scope, *, json: Json = "any") -> Response:
    """Send a login once and return its response. `scope` is what the request's templates see.

    Raises what `fetch` and `raise_for_response` raise. A TransientError here means that the request that needs the
    token was not sent; both are sent again.
    """
    request = plan.build(scope, context.endpoint.base_url)
    try:
        response = await fetch(context, request, plan, anonymous=True)
        if len(response.content) > _LARGEST_LOGIN:
            raise _too_long(context, response, _LARGEST_LOGIN, "which is too long for a login")
        with limited():  # a token is read from it later, so it is parsed here
            raise_for_response(context, response, scope, SuccessCriteria(json=json))
    except TransientError as failure:
        failure.may_have_been_processed = False
        raise
    context.events.token_fetched()
    return response


class _Redirects:
    """Decides what follows a response: a redirected request, or nothing."""

    __slots__ = ("_context", "_count", "_first", "_follows")

    def __init__(self, context: CallContext, first: HttpRequest, plan: RequestPlan) -> None:
        self._context = context
        self._first = first
        spec = context.connection.spec
        self._follows = spec.follow_redirects if plan.follow_redirects is None else plan.follow_redirects
        self._count = 0

    def after(self, sent: HttpRequest, response: Response) -> HttpRequest | None:
        """Return the request that follows the response to `sent`; None if the response is final."""
        if not self._follows or response.status not in _REDIRECTS:
            return None
        location = response.headers.get("Location")
        if not location:
            return None
        self._count += 1
        if self._count == _MOST_REDIRECTS:
            endless = f"was redirected more than {_MOST_REDIRECTS} times"
            raise PermanentError(self._context.describe(self._first, endless))
        return self._redirected(sent, response, location)

    def _redirected(self, sent: HttpRequest, response: Response, location: str) -> HttpRequest:
        try:
            url = resolve_url(response.url, location)
            _, origin, _ = _checked(self._context, url)
        except EvaluationError as problem:
            message = f"{sent.method} {response.url} redirects elsewhere: {problem}"
            raise PermanentError(self._context.redact(message)) from None
        turns_to_get = response.status == 303 or (response.status in (301, 302) and sent.method == "POST")
        headers = dict(sent.headers)
        if origin != parse_url(response.url).origin:  # headers may hold credentials, which are for the first host only
            headers = {name: value for name, value in headers.items() if name.lower() in ("accept", "accept-encoding")}
        if not turns_to_get or sent.method == "HEAD":
            return HttpRequest(sent.method, url, headers, sent.body, redirected=True)
        headers = {name: value for name, value in headers.items() if name.lower() not in _OF_A_BODY}
        return HttpRequest("GET", url, headers, redirected=True)


# --- before a request -------------------------------------------------------------------------------------------------


async def _prepare(context: CallContext, request: HttpRequest, auth: bool, anonymous: bool) -> HttpRequest:
    """Return the request as it is sent, once its host is checked, it is signed, and the rate limit lets it through."""
    connection, endpoint = context.connection, context.endpoint
    if request.at_base:
        url, origin, credentialed = request.url, endpoint.target.origin, True
    else:
        url, origin, credentialed = _checked(context, request.url)
    sent = HttpRequest(request.method, url, dict(request.headers), request.body)
    if not credentialed and (context.withholds or request.redirected):
        await _check_withheld(context, sent)
    if credentialed and not anonymous:
        try:
            if origin == endpoint.target.origin:
                if connection.headers is not None:
                    given = {name.lower() for name in sent.headers}
                    defaults = header_map(connection.headers.evaluate(context.scope) or {})
                    sent.headers = {name: v for name, v in defaults.items() if name.lower() not in given} | sent.headers
                if connection.query is not None:
                    sent.url = add_query(sent.url, connection.query.evaluate(context.scope) or {})
            if auth and connection.auth is not None:
                signing = connection.auth.sign(sent, context, login)
                if signing is not None:
                    await signing
        except UnicodeEncodeError:
            raise not_utf8() from None
    if isinstance(sent.body, StreamedBody) and (size := await sent.body.size()) is not None:
        sent.headers["Content-Length"] = str(size)  # not chunked: object stores want that
    if connection.limiter is not None:
        context.events.rate_limited(await connection.limiter.wait(context.deadline))
    return sent


async def _check_withheld(context: CallContext, sent: HttpRequest) -> None:
    """Raise EvaluationError if a request to a public host holds the value of a secret."""
    body = sent.body.decode("utf-8", "replace") if isinstance(sent.body, bytes) else ""
    texts = [sent.url, *sent.headers.values(), body]
    if await context.redact_lines(texts) != texts:
        message = context.describe(sent, "was not sent: it holds the value of a secret, and public_hosts get none")
        raise EvaluationError(message)


def _checked(context: CallContext, url: str) -> tuple[str, str, bool]:
    """Return a URL as it is sent, its origin, and whether credentials may go there; raises EvaluationError if no
    request may."""
    target = parse_url(url)
    return target.url, target.origin, context.endpoint.rules.check(target)


# --- one attempt ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _open(context: CallContext, sent: HttpRequest, plan: RequestPlan) -> AsyncIterator[StreamedResponse]:
    """Send a request once and yield its response as it comes, until the deadline."""
    began = clock().monotonic()
    remaining = context.deadline - began
    if remaining <= 0:
        raise _too_late(context, sent)
    response: StreamedResponse | None = None
    failure: TransientError | None = None
    try:
        async with context.connection.transport.exchange(sent, remaining) as source:
            if plan.decode is not None and 200 <= source.status < 300:
                source.chunks = unpack_pieces(source.chunks)
            response = StreamedResponse(sent, source, keep=context.events.records)
            response.token = sent.token
            yield response
    except TransportError as error:
        failure = _broken(context, sent, error)
        raise failure from None
    finally:
        _report(context, sent, response, failure, began, is_login=False)
        del failure  # as in `fetch`


def _too_late(context: CallContext, sent: HttpRequest) -> TransientError:
    message = context.describe(sent, "was not sent: the deadline of this call has passed")
    return TransientError(message, may_have_been_processed=False)


def _broken(context: CallContext, sent: HttpRequest, error: TransportError) -> TransientError:
    message = context.describe(sent, error.reason)
    return TransientError(message, may_have_been_processed=error.may_have_been_processed)


def _too_long(
    context: CallContext, response: Response, limit: int | None = None, which: str = "(max_response)"
) -> TransientError:
    size = context.connection.spec.max_response if limit is None else limit
    what = f"answered {response.status} with more than {size_text(size)} {which}"
    return TransientError(context.describe(response, what), may_have_been_processed=True, status=response.status)


def _report(
    context: CallContext,
    sent: HttpRequest,
    response: Response | None,
    failure: TransientError | None,
    began: float,
    is_login: bool,
) -> None:
    took = clock().monotonic() - began
    context.events.exchange(sent, response, failure, took, is_login)
    if logger.isEnabledFor(logging.DEBUG):
        url, status = context.redact(sent.url), None if response is None else response.status
        logger.debug("%s %s status=%s ms=%.1f %s", sent.method, url, status, took * 1000, context.about)


@asynccontextmanager
async def _time_limit(context: CallContext, sent: HttpRequest, seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Limit the time of what is inside: raises TransientError when it is over, unless it is rescheduled."""
    time_limit = asyncio.timeout(seconds)
    try:
        async with time_limit:
            yield time_limit
    except TimeoutError:
        if not time_limit.expired():
            raise
        raise _broken(context, sent, no_answer(seconds)) from None
