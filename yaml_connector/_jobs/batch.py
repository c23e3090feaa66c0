"""Asks for many jobs in one request (`get.batch`).

Gets that arrive within the window, with the same connection and credentials, wait for one request. Each then receives
its own item of the response, or asks for its job alone. While the request has to wait anyway, for the rate limit
or because the API said when to ask again, further gets still join it, so that the requests that a limit allows are
full.

An id may be anything: it comes from an API's response, and a caller may have forged it. One that cannot stand in the
request, or makes the API refuse it, harms no other job: the request is sent again for each half of its jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from yaml_connector._clock import clock, wait_for
from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.compile import Extraction, compile_extraction, names_of
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.events import Events
from yaml_connector._http.messages import DerivedResponse, Response
from yaml_connector._http.request_template import RequestPlan, compile_request
from yaml_connector._http.response_policy import SUCCESS, SuccessCriteria, compile_success
from yaml_connector._spec.sections import Batch
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

_LONGEST_ID = 1024  # characters, as in a URL; a longer one may be more than the API takes
_MANY_CHARACTERS = 5000  # of the ids of one request: with one more, they are within the 8 KiB that many servers take
_REFUSED = frozenset({400, 404, 410, 413, 414, 422})  # one id may be the reason
_MOST_HALVES = 30  # further requests for one that is refused: enough to find two ids among a hundred
_MOST_GROUPS = 1000
_PAUSE_AFTER_429 = 1.0  # seconds, when the API does not say how long


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch says of a job: its item as a response. Without one, the job is asked for alone; `refused`: from now
    on, since the API refuses a batch with its id. `not_before`: see CallContext."""

    response: Response | None = None
    refused: bool = False
    not_before: float = 0.0


_NOT_IN_RESPONSE, _REFUSAL = BatchResult(), BatchResult(refused=True)


class _Window:
    """One pending batch request: its jobs by id, and their waiters. `pauses`: it waits as long as the API asks for."""

    def __init__(self) -> None:
        self.jobs: dict[str, Mapping[str, Any]] = {}
        self.characters = 0
        self.waiting: list[tuple[str, asyncio.Future[BatchResult]]] = []
        self.full = asyncio.Event()
        self.pauses = True

    def has_other(self, job: Mapping[str, Any]) -> bool:
        """Tell whether another job has the same id here, as the values show that create saved: an API may number the
        jobs of each of its queues. The response could not tell them apart."""
        known = self.jobs.get(job["id"])
        return known is not None and {**known, "created_at": 0} != {**job, "created_at": 0}

    def join(self, job: Mapping[str, Any], length: int) -> asyncio.Future[BatchResult]:
        """Let a job join, whose id has this length in a URL; returns where its answer will be."""
        if job["id"] not in self.jobs:
            self.characters += length
        self.jobs[job["id"]] = job
        found: asyncio.Future[BatchResult] = asyncio.get_running_loop().create_future()
        self.waiting.append((job["id"], found))
        return found

    def resolve(self, answers: Mapping[str, BatchResult | Exception]) -> None:
        """Give every waiter the answer for its job."""
        for job_id, found in self.waiting:
            answer = answers.get(job_id, _NOT_IN_RESPONSE)
            if found.done():
                continue
            if isinstance(answer, Exception):
                found.set_exception(answer)
            else:
                found.set_result(answer)


class _Group(Events):
    """Gets that may share requests. `not_before` is when the API may be asked again, of the clock's `monotonic`."""

    def __init__(self) -> None:
        self.window: _Window | None = None
        self.not_before = 0.0

    def is_idle(self) -> bool:
        """Tell whether there is nothing to remember."""
        return self.window is None and self.not_before <= clock().monotonic()

    def asked_to_wait(self, seconds: float) -> None:
        """Pause; `seconds` from now on, at least."""
        self.not_before = max(self.not_before, clock().monotonic() + seconds)


class Batcher:
    """Collects the gets of one spec."""

    def __init__(self, model: Batch) -> None:
        self._request: RequestPlan = compile_request(model.request)
        self._items: Extraction = compile_extraction(model.items)
        self._id: Extraction = compile_extraction(model.id, root="item")
        self._most = model.max
        self._window = model.window
        self._criteria = SuccessCriteria(compile_success(model.success, SUCCESS), json="any")
        self._groups: dict[Any, _Group] = {}
        self._under_way: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references

    @property
    def names(self) -> frozenset[Reference]:
        """What the batch request refers to."""
        return names_of(self._request, self._items, self._id, *self._criteria.conditions)

    async def ask(
        self, context: CallContext, scope: Scope, job: Mapping[str, Any], group: Any, *, pauses: bool = True
    ) -> BatchResult:
        """Ask for a job together with others. `group` is the same for jobs that may share a request. With `pauses`
        false the request is sent though the API asked to wait. Raises as `client.send` does."""
        length = len(quote(job["id"], safe="", errors="replace"))
        if length > _LONGEST_ID:
            return _REFUSAL
        loop = asyncio.get_running_loop()
        key = (id(loop), group)
        sharing = self._groups.get(key)
        if sharing is None:
            sharing = self._groups[key] = _Group()
        window = sharing.window
        if window is not None and window.has_other(job):
            return _NOT_IN_RESPONSE
        if window is None:
            window = sharing.window = _Window()
            task = loop.create_task(self._serve(sharing, window, context.fork(sharing), scope))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        found = window.join(job, length)
        window.pauses = window.pauses and pauses
        if len(window.jobs) >= self._most or window.characters >= _MANY_CHARACTERS:
            sharing.window = None
            window.full.set()
        answer = await found
        context.not_before = max(context.not_before, answer.not_before)
        return answer

    async def _serve(self, group: _Group, window: _Window, context: CallContext, scope: Scope) -> None:
        """Wait for the window, send the batch, and resolve every waiter."""
        try:
            await self._collect(group, window, context)
            if group.window is window:
                group.window = None
            window.resolve(await self._answers(list(window.jobs.values()), context, scope))
        except Exception as error:
            window.resolve(dict.fromkeys(window.jobs, error))
        finally:
            for _, found in window.waiting:  # not resolved yet: this task was cancelled
                found.cancel()
            if group.window is window:
                group.window = None
            self._groups = {key: group for key, group in self._groups.items() if not group.is_idle()}
            if len(self._groups) > _MOST_GROUPS:  # forget their pauses; the API will ask for them again
                self._groups = {key: group for key, group in self._groups.items() if group.window is not None}

    async def _collect(self, group: _Group, window: _Window, context: CallContext) -> None:
        """Let gets join for the time of the window, and for as long as the request has to wait anyway. Raises
        TransientError if that is too long for this call."""
        wait = 0.0 if window.full.is_set() else self._window
        while True:
            # a window that is full waits only for the API
            await (clock().sleep(wait) if window.full.is_set() else wait_for(window.full, wait))
            pause = group.not_before - clock().monotonic() if window.pauses else 0.0
            if pause >= context.remaining():
                message = f"the batch was not sent: the API asked to wait for another {pause:.1f} s"
                raise TransientError(message, may_have_been_processed=False, status=429, retry_after=pause)
            limiter = context.connection.limiter
            wait = pause if limiter is None or window.full.is_set() else max(pause, limiter.time_until_available())
            if wait <= 0:
                return

    async def _answers(
        self, jobs: list[Mapping[str, Any]], context: CallContext, scope: Scope
    ) -> dict[str, BatchResult | Exception]:
        """Send the request, and again for each half of the jobs of one that is refused; return the answers by id.

        When the halves are too many, or half of the time is over, the jobs that are left have no answer.
        """
        answers: dict[str, BatchResult | Exception] = {}
        parts, left, latest = [jobs], _MOST_HALVES, clock().monotonic() + context.remaining() / 2
        while parts:
            sent = await asyncio.gather(*(self._send(part, context, scope) for part in parts), return_exceptions=True)
            halves: list[list[Mapping[str, Any]]] = []
            for part, found in zip(parts, sent, strict=True):
                if isinstance(found, dict):
                    answers |= found
                elif not isinstance(found, _Refused):
                    answers |= dict.fromkeys((job["id"] for job in part), found)
                elif len(part) == 1:
                    answers[part[0]["id"]] = _REFUSAL
                elif left >= 2 and clock().monotonic() < latest:
                    left -= 2
                    middle = len(part) // 2
                    halves += part[:middle], part[middle:]
            parts = halves
        return answers

    async def _send(self, jobs: list[Mapping[str, Any]], context: CallContext, scope: Scope) -> dict[str, BatchResult]:
        """Send the request for these jobs; return the items of the response by the id of their job."""
        scope = Scope(config=scope.config, secrets=scope.secrets, base_url=scope.base_url, jobs=jobs, steps={})
        try:
            response = await client.send(context, self._request, scope, self._criteria)
        except TransientError as failure:
            if failure.status == 429 and not failure.retry_after:
                context.events.asked_to_wait(_PAUSE_AFTER_429)
            raise
        except (EvaluationError, PermanentError) as failure:
            if isinstance(failure, PermanentError) and failure.status not in _REFUSED:
                raise
            raise _Refused from None
        read = self._items, self._id, scope.with_response(response), {job["id"] for job in jobs}
        try:
            items = _items_of(*read)
        except TurnOver:
            items = await context.read_elsewhere(_items_of, *read)
        return {
            job_id: BatchResult(DerivedResponse(response, item), not_before=context.not_before)
            for job_id, item in items.items()
        }


def _items_of(items: Extraction, job_id: Extraction, scope: Scope, asked_for: set[str]) -> dict[str, Any]:
    """Return the items of a response by the id of their job, those that were asked for."""
    found: dict[str, Any] = {}
    for item in items.every(scope):
        with suppress(EvaluationError):  # of this item; its job is asked for alone
            identity = job_id.first(scope.with_names(item=item))
            if identity is not None and (text := as_text(identity)) in asked_for:
                found[text] = item
    return found


class _Refused(Exception):
    """The request cannot be made with these ids, or the API refuses it: one of them may be the reason."""
