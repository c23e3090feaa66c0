"""What create would send, without sending it (`run --dry-run`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._http.messages import HttpRequest, HttpResponse
from yaml_connector._http.redact import MASK
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector.cli._live.recorder import RecordingJobClient, WireExchange
from yaml_connector.errors import YamlConnectorError


@dataclass
class WouldSend:
    """The first requests of a create, as lines; `more` says what comes after them, `problem` what is in the way."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    problem: str | None = None

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {"requests": self.requests, "notes": self.more, "problem": self.problem}

    def text(self) -> str:
        """For people."""
        lines = []
        for request in self.requests:
            lines.append(f"{request['method']} {request['url']}")
            lines += [f"{name}: {value}" for name, value in request["headers"].items()]
            lines += ["", request["body"]] if request["body"] else []
            lines.append("")
        lines += [f"({note})" for note in self.more]
        lines += [f"problem: {self.problem}"] if self.problem else []
        return "\n".join(lines).rstrip("\n")


class _Caught(Exception):
    """A request was about to be sent."""


class _Nowhere(Transport):
    """A transport that sends nothing."""

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        raise _Caught
        yield  # pragma: no cover - a generator needs one


async def preview_create(loaded: LoadedSpec, values: CreateValues) -> WouldSend:
    """Build the look-up of `adopt`, if there is one, and the first request of create; nothing is sent."""
    found = WouldSend()
    for lookup in (True, False):
        connector = RecordingJobClient(loaded, values.secrets.values())
        if lookup and connector.plan.adopt is None:
            continue
        if not lookup:
            connector.plan.adopt = None
        connector.plan.connection.auth = None  # a login would have to be sent
        connector.recording.inner = _Nowhere()
        try:
            meta = await connector.create(values)
            found.problem = connector.redact(meta.failed or "create sends nothing")
        except _Caught:
            found.requests.append(_shown(connector, connector.take()[0], loaded.spec))
        except YamlConnectorError as error:
            found.problem = connector.redact(str(error))
    if loaded.spec.create.adopt is not None and len(found.requests) > 1:
        found.more.append("the first looks for the job; the second is sent if it is not there")
    steps = len(loaded.spec.create.steps or [])
    if steps > 1:
        found.more.append(f"up to {steps - 1} more follow, made from the answers")
    auth = loaded.spec.connection.auth
    if auth is not None and auth.login_request is not None:
        found.more.append(f"a token is fetched first: {auth.login_request}")
    found.more.append("nothing was sent")
    return found


def _shown(connector: RecordingJobClient, exchange: WireExchange, spec: ConnectorSpec) -> dict[str, Any]:
    request = exchange.request
    body = request.body
    text = "" if not body else body.decode("utf-8", "replace") if isinstance(body, bytes) else "(a file, streamed)"
    headers = {name: MASK if connector.is_credential(name) else value for name, value in request.headers.items()}
    url = request.url
    auth = spec.connection.auth
    if auth is not None:
        headers = {**auth.masked_headers(MASK), **headers}
        for name, value in auth.masked_query(MASK).items():
            url += f"{'&' if '?' in url else '?'}{name}={value}"
    shown: dict[str, Any] = connector.redact_tree(
        {"method": request.method, "url": url, "headers": headers, "body": text}
    )
    return shown
