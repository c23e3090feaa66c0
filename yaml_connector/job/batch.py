"""Asking for many jobs in one request (section 8, `batch`).

Gets that arrive within the window, with the same connection and credentials, wait for one request; each then gets its
own item of the answer, or None if the answer lacks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.clock import clock
from yaml_connector.http.answer import Answer, AnswerScope
from yaml_connector.http.client import Session
from yaml_connector.http.judging import Judge
from yaml_connector.http.request import RequestPlan, compile_request
from yaml_connector.spec.sections import Batch
from yaml_connector.values.expressions import Reference
from yaml_connector.values.extractions import Extraction, compile_extraction
from yaml_connector.values.filters import as_text, to_json


@dataclass
class _Window:
    """The jobs that share one request, by id."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Task[dict[str, Answer]] | None = None


class Batcher:
    """Collects the gets of one spec."""

    def __init__(self, model: Batch) -> None:
        self._request: RequestPlan = compile_request(model.request)
        self._items: Extraction = compile_extraction(model.items)
        self._id: Extraction = compile_extraction(model.id, root="item")
        self._most = model.max
        self._window = model.window
        success = frozenset(map(str, model.success)) if model.success else frozenset({"2xx"})
        self._judge = Judge(success=success, needs_json=True)
        self._open: dict[Any, _Window] = {}

    @property
    def names(self) -> frozenset[Reference]:
        """What the batch request refers to."""
        return self._request.names | self._items.names | self._id.names

    async def ask(
        self, session: Callable[[], Session], names: dict[str, Any], job: dict[str, Any], group: Any
    ) -> Answer | None:
        """The job's item as an answer, or None if the batch's answer lacks it. `group` is the same for jobs that may
        share a request, `session` makes the one that it is sent in. Raises as `Session.send` does."""
        key = (id(asyncio.get_running_loop()), group)
        window = self._open.get(key)
        if window is None:
            window = self._open[key] = _Window()
            window.answer = asyncio.ensure_future(self._send(key, window, session, names))
            window.answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        window.jobs[job["id"]] = job
        if len(window.jobs) >= self._most:
            self._close(key, window)
            window.full.set()
        assert window.answer is not None
        answers = await asyncio.shield(window.answer)
        return answers.get(job["id"])

    def _close(self, key: Any, window: _Window) -> None:
        if self._open.get(key) is window:
            del self._open[key]

    async def _send(
        self, key: Any, window: _Window, session: Callable[[], Session], names: dict[str, Any]
    ) -> dict[str, Answer]:
        waiting = asyncio.ensure_future(clock().sleep(self._window))
        full = asyncio.ensure_future(window.full.wait())
        await asyncio.wait((waiting, full), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        full.cancel()
        self._close(key, window)
        shared = {name: names[name] for name in ("config", "secrets", "base_url")}
        scope = {**shared, "jobs": list(window.jobs.values()), "steps": {}}
        answer = await session().send(self._request, scope, self._judge)
        read = AnswerScope(scope, answer)
        found = {}
        for item in self._items.every(read):
            identity = self._id.first(AnswerScope(scope, answer, item=item))
            if identity is not None:
                found[as_text(identity)] = _item_answer(answer, item)
        return found


def _item_answer(answer: Answer, item: Any) -> Answer:
    """An item as the answer for its job: it is the body, the rest is the batch's."""
    return Answer(answer.method, answer.url, answer.status, answer.headers, to_json(item).encode())
