"""Asks for many jobs in one request (`get.batch`).

Gets that arrive within the window, with the same connection and credentials, wait for one request. Each then receives
its own item of the response, or None if the response lacks it. While the request has to wait anyway, for the rate limit
or because the API said when to ask again, further gets still join it, so that the requests that a limit allows are
full.
"""

from __future__ import annotations

import asyncio
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import Extraction, compile_extraction
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text, to_json
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.events import Events
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import RequestPlan, compile_request
from yaml_connector._http.response_policy import SuccessCriteria, retry_after
from yaml_connector._spec.sections import Batch
from yaml_connector.errors import TransientError

_SLOW_DOWN = frozenset({429, 503})
_PAUSE_AFTER_429 = 1.0  # seconds, when the API does not say how long


class _Window:
    """One pending batch request: its jobs by id, and their waiters."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.waiting: list[tuple[str, asyncio.Future[Response | None]]] = []
        self.full = asyncio.Event()


class _Group(Events):
    """Gets that may share requests. `not_before` is when the API may be asked again, of the clock's `monotonic`."""

    def __init__(self) -> None:
        self.window: _Window | None = None
        self.not_before = 0.0

    def is_idle(self) -> bool:
        """Tell whether there is nothing to remember."""
        return self.window is None and self.not_before <= clock().monotonic()

    def exchange(
        self,
        request: HttpRequest,
        response: Response | None,
        failure: TransientError | None,
        seconds: float,
        login: bool,
    ) -> None:
        """Take note of a response that asks for a pause."""
        if response is not None and response.status in _SLOW_DOWN:
            pause = retry_after(response) or (_PAUSE_AFTER_429 if response.status == 429 else 0.0)
            self.not_before = max(self.not_before, clock().monotonic() + pause)


class Batcher:
    """Collects the gets of one spec."""

    def __init__(self, model: Batch) -> None:
        self._request: RequestPlan = compile_request(model.request)
        self._items: Extraction = compile_extraction(model.items)
        self._id: Extraction = compile_extraction(model.id, root="item")
        self._most = model.max
        self._window = model.window
        success = frozenset(map(str, model.success)) if model.success else frozenset({"2xx"})
        self._criteria = SuccessCriteria(success=success, requires_json=True)
        self._groups: dict[Any, _Group] = {}
        self._under_way: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references

    @property
    def names(self) -> frozenset[Reference]:
        """What the batch request refers to."""
        return self._request.names | self._items.names | self._id.names

    async def ask(self, context: CallContext, scope: Scope, job: dict[str, Any], group: Any) -> Response | None:
        """Return the job's item as a response, or None if the batch's response lacks it. `group` is the same for jobs
        that may share a request. Raises as `client.send` does."""
        loop = asyncio.get_running_loop()
        key = (id(loop), group)
        sharing = self._groups.get(key)
        if sharing is None:
            sharing = self._groups[key] = _Group()
        window = sharing.window
        if window is None:
            window = sharing.window = _Window()
            task = loop.create_task(self._serve(sharing, window, context.fork(sharing), scope))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        found: asyncio.Future[Response | None] = loop.create_future()
        window.jobs[job["id"]] = job
        window.waiting.append((job["id"], found))
        if len(window.jobs) >= self._most:
            sharing.window = None
            window.full.set()
        return await found

    async def _serve(self, group: _Group, window: _Window, context: CallContext, scope: Scope) -> None:
        """Wait for the window, send the batch, and resolve every waiter."""
        try:
            await self._collect(group, window, context)
            if group.window is window:
                group.window = None
            responses = await self._send(window, context, scope)
        except Exception as error:
            for _, found in window.waiting:
                if not found.done():
                    found.set_exception(error)
        else:
            for job_id, found in window.waiting:
                if not found.done():
                    found.set_result(responses.get(job_id))
        finally:
            for _, found in window.waiting:  # not resolved yet: this task was cancelled
                found.cancel()
            if group.window is window:
                group.window = None
            self._groups = {key: group for key, group in self._groups.items() if not group.is_idle()}

    async def _collect(self, group: _Group, window: _Window, context: CallContext) -> None:
        """Let gets join for the time of the window, and for as long as the request has to wait anyway. Raises
        TransientError if that is too long for this call."""
        wait = 0.0 if window.full.is_set() else self._window
        while True:
            await _until(window.full, wait)
            pause = group.not_before - clock().monotonic()
            if pause >= context.remaining():
                message = f"the batch was not sent: the API asked to wait for another {pause:.1f} s"
                raise TransientError(message, may_have_been_processed=False, status=429, retry_after=pause)
            limiter = context.connection.limiter
            wait = pause if limiter is None or window.full.is_set() else max(pause, limiter.time_until_available())
            if wait <= 0:
                return

    async def _send(self, window: _Window, context: CallContext, scope: Scope) -> dict[str, Response]:
        """Send the request; return the items of the response by the id of their job."""
        jobs = list(window.jobs.values())
        scope = Scope(config=scope.config, secrets=scope.secrets, base_url=scope.base_url, jobs=jobs, steps={})
        response = await client.send(context, self._request, scope, self._criteria)
        read = scope.with_response(response)
        found: dict[str, Response] = {}
        for item in self._items.every(read):
            identity = self._id.first(read.with_names(item=item))
            if identity is not None:
                found[as_text(identity)] = _Item(response, item)
        return found


class _Item(Response):
    """An item as the response for its job: it is the body, the rest is the batch's."""

    __slots__ = ()

    def __init__(self, whole: Response, item: Any) -> None:
        super().__init__(whole.method, whole.url, whole.status, whole.headers, b"")
        self.body = item

    @property
    def text(self) -> str:
        return to_json(self.body)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for that long, or until the event if it is not set yet."""
    if event.is_set():
        await clock().sleep(seconds)
        return
    waits = [asyncio.ensure_future(clock().sleep(seconds)), asyncio.ensure_future(event.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
