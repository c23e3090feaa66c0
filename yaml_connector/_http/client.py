"""Sends requests, retrying transient failures until the deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import TurnOver, limited
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.exchange import fetch, login, open_stream
from yaml_connector._http.messages import HttpRequest, Response, StreamedResponse
from yaml_connector._http.request_template import RequestPlan, build
from yaml_connector._http.response_policy import SuccessCriteria, conclude, judge, raise_for_response
from yaml_connector.errors import LoginHeldBackError, TransientError

_BUILT_HERE = 25_000_000  # nanoseconds


async def send(
    context: CallContext,
    plan: RequestPlan,
    scope: Scope,
    criteria: SuccessCriteria,
    *,
    resend: Resend | None = None,
) -> Response:
    """Send a request until its response is a success, and return that. If the API refuses a fetched token, a new one is
    fetched, and the request is built and sent once more.

    `scope` is what the request's templates see. `resend` decides whether a request that failed for now is sent again;
    without it, it always is, as the connection's `retry` says.

    Raises PermanentError or TransientError; EvaluationError if the request cannot be built.
    """
    connection = context.connection
    request: HttpRequest | None = None
    attempt, renewed, read_only = 1, False, plan.only_reads
    while True:
        try:
            if request is None:
                request = await _build(context, plan, scope)
                read_only = request.method in ("GET", "HEAD")
            if context.coalesces and read_only and request.body is None:
                response = await connection.coalescer.send(context, request, plan, fetch)
            else:
                response = await fetch(context, request, plan)
            if response.token is not None and _renews(context, response, renewed):
                request, renewed = None, True
                continue
            try:
                raise_for_response(context, response, scope, criteria)
            except TurnOver:
                await _judge_elsewhere(context, response, scope, criteria)
            return response
        except TransientError as failure:
            failure.may_have_been_processed = failure.may_have_been_processed and not read_only
            if resend is not None and not resend.wanted(failure):
                raise
            if not await _pause(context, attempt, failure, None if resend is None else resend.until):
                raise
            if resend is not None and not await resend.ready():
                raise
        attempt += 1


class Resend:
    """Decides whether a request that failed for now is sent again."""

    @property
    def until(self) -> float | None:
        """How long there are attempts, of the clock's `monotonic`; None: as many as the connection's `retry` says."""
        return None

    def wanted(self, failure: TransientError) -> bool:
        """Take note of a failed attempt; False if there must be no other."""
        return True

    async def ready(self) -> bool:
        """Prepare another attempt, after the pause; False if there must be none."""
        return True


@asynccontextmanager
async def stream(
    context: CallContext, plan: RequestPlan, scope: Scope, criteria: SuccessCriteria, *, max_time: float
) -> AsyncIterator[StreamedResponse]:
    """Send a request and yield its response as it comes, for `max_time` seconds at most.

    A response that does not begin within the timeout, or is not a success, is treated as by `send`. A stream that
    breaks off later raises TransientError.
    """
    request: HttpRequest | None = None
    attempt, renewed, has_begun = 1, False, False
    while True:
        try:
            request = request or await _build(context, plan, scope)
            async with open_stream(context, request, plan, criteria.statuses, max_time) as response:
                renews = response.token is not None and _renews(context, response, renewed)
                if not renews and isinstance(response, StreamedResponse) and response.status in criteria.statuses:
                    has_begun = True
                    yield response
                    return
            if renews:
                request, renewed = None, True
                continue
            try:
                raise_for_response(context, response, scope, criteria)
            except TurnOver:
                await _judge_elsewhere(context, response, scope, criteria)
        except TransientError as failure:
            if has_begun or not await _pause(context, attempt, failure):
                raise
        attempt += 1


async def _build(context: CallContext, plan: RequestPlan, scope: Scope) -> HttpRequest:
    """Build a request; values that take long are evaluated elsewhere. Those of `auth.*` are fetched first: what the
    login's response held."""
    if plan.reads_login:
        auth = context.connection.auth
        saved = await auth.saved(context, login if plan.auth else None) if auth is not None else {}
        scope = scope.with_names(auth=saved)
    try:
        return plan.build(scope, context.endpoint.base_url, context.files)
    except TurnOver:
        if not plan.sends_file:
            return await context.read_elsewhere(build, plan, scope, context.endpoint.base_url)
    with limited(_BUILT_HERE):  # a file is opened here, so the rest of its request is built here, too
        return plan.build(scope, context.endpoint.base_url, context.files)


def _renews(context: CallContext, response: Response, again: bool) -> bool:
    """Tell whether the request is sent once more, since its token was refused and a new one will be fetched."""
    auth = context.connection.auth
    try:
        return auth is not None and auth.renew(response, context, again=again)
    except TurnOver:
        return False  # so large a response does not refuse a token


async def _judge_elsewhere(context: CallContext, response: Response, scope: Scope, criteria: SuccessCriteria) -> None:
    conclude(context, *await context.read_elsewhere(judge, context.for_judging(), response, scope, criteria))


async def _pause(context: CallContext, attempt: int, failure: TransientError, until: float | None = None) -> bool:
    """Wait before the next attempt; False if there is none, or no time for it. With `until`, a time of the clock's
    `monotonic`, there are attempts until then, however many."""
    if until is None and attempt >= context.max_attempts:
        return False
    if isinstance(failure, LoginHeldBackError):
        return False
    retry = context.connection.spec.retry
    if failure.retry_after is not None:
        delay = failure.retry_after
    else:
        delay = clock().jitter(min(retry.max_delay, retry.initial_delay * 2 ** min(attempt - 1, 32)))
    began = clock().monotonic()
    if began + delay >= (context.deadline if until is None else until):
        return False
    await clock().sleep(delay)
    if until is not None:  # a contract test's clock skips the wait, which counts nevertheless
        context.deadline -= max(0.0, began + delay - clock().monotonic())
    if context.remaining() <= 0:
        return False
    context.events.retry()
    return True
