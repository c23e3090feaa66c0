"""One call on a job that exists, and how it was judged: for `call`, and for `eval --spec` on a saved response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.value_types import as_plain
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._loading.document import show_path
from yaml_connector._spec import ConnectorSpec
from yaml_connector.cli._live.recorder import RecordedExchange, RecordingJobClient
from yaml_connector.errors import YamlConnectorError

_STATUS = ("phase", "rule", "message", "info", "links", "outputs")
_FIELDS = {"create": ("job_id", "saved"), "get": _STATUS, "result": _STATUS, "delete": (), "logs": ("lines", "next")}


@dataclass
class Judged:
    """What was sent, and how the response was judged: the fields that a call does not have are None.

    `rule` is the path of the phase rule that held. `error` says why the call failed, or why the phase is not known.
    """

    kind: str
    exchanges: list[RecordedExchange] = field(default_factory=list)
    job_id: str | None = None
    saved: dict[str, Any] | None = None
    phase: str | None = None
    rule: str | None = None
    message: str | None = None
    info: dict[str, Any] | None = None
    links: list[dict[str, str]] | None = None
    outputs: dict[str, Any] | None = None
    lines: list[str] | None = None
    next: str | None = None
    error: str | None = None

    def data(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with its secrets: what a call of this kind has, and what else there is."""
        always = (*_FIELDS[self.kind], "error")
        found = {name: value for name, value in vars(self).items() if name in always or value is not None}
        del found["kind"]
        return found | {"exchanges": [_exchange_data(exchange) for exchange in self.exchanges]}


def _exchange_data(exchange: RecordedExchange) -> dict[str, Any]:
    request, response, failure = exchange.request, exchange.response, exchange.failure
    status = None if response is None else response.status
    failed = {} if failure is None else {"failure": str(failure)}
    return {"method": request.method, "url": request.url, "status": status, **failed}


class JudgingJobClient(RecordingJobClient):
    """A job client that remembers which phase rule held."""

    held: int | None = None

    def rule(self, index: int, state: str) -> None:
        self.held = index


def only(spec: ConnectorSpec, kind: str) -> ConnectorSpec:
    """Return the part of a spec that a call runs, so that it asks for no values but those that the call uses."""
    left_out: dict[str, Any] = dict.fromkeys(("get", "result", "delete", "logs"))
    if kind in ("get", "result"):
        del left_out["get"]
        if kind == "result" or spec.result is None:
            del left_out["result"]
        else:
            left_out["outputs"] = {}  # another call reads them
    else:
        del left_out[kind]
        if kind == "logs" and spec.logs is not None and spec.logs.each is not None:
            del left_out["get"]  # an item may be done once the job is over
    return spec.model_copy(update=left_out)


async def make_call(
    client: JudgingJobClient, kind: str, meta: JobMeta, secrets: Mapping[str, str], token: str = ""
) -> Judged:
    """Make one call on a job. A failed call is an `error`, never an exception. Nothing else is sent: no delete of a job
    whose time is over, and no question before a delete."""
    state = client.cache.get(meta)
    state.expires, state.grace_from, state.alive_at = inf, -inf, clock().monotonic()
    judged = Judged(kind)
    try:
        if kind == "delete":
            await client.delete(meta, secrets)
        elif kind == "logs":
            judged.lines = []
            async for page in client.logs(meta, token, secrets):
                judged.lines += [line.message for line in page.lines]
                judged.next = page.token if page.last else judged.next
        else:
            await _get(client, meta, secrets, judged)
    except YamlConnectorError as error:
        judged.error = str(error)
    judged.exchanges = client.take()
    return judged


async def _get(client: JudgingJobClient, meta: JobMeta, secrets: Mapping[str, str], judged: Judged) -> None:
    status = await client.get(meta, secrets)
    state = client.cache.get(meta)
    vars(judged).update(as_plain(status.data()))
    rules = client.spec.get.phase if client.spec.get is not None else []
    if client.held is not None:
        judged.rule = show_path(("get", "phase", client.held) if len(rules) > 1 else ("get", "phase"))
    if state.unreadable_since is not None or (rules and judged.rule is None and not state.is_over):
        judged.error = status.message


async def make_create(client: JudgingJobClient, values: CreateValues) -> Judged:
    """Create a job. A failed create is an `error`, never an exception."""
    judged = Judged("create")
    try:
        meta = await client.create(values)
    except YamlConnectorError as error:
        judged.error = str(error)
    else:
        judged.job_id, judged.saved = meta.id or None, meta.saved
        judged.error = meta.create_error or meta.not_submitted or None
        if meta.create_error is not None:
            judged.phase, judged.message = "FAILED", meta.create_error
    judged.exchanges = client.take()
    return judged
