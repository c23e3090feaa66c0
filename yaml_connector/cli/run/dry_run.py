"""`run --dry-run`: the requests that create would send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from yaml_connector._http.files import LocalFiles
from yaml_connector._http.messages import HttpRequest, HttpResponse
from yaml_connector._http.redact import MASK
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector.cli._live.recorder import Recorder, masked_headers
from yaml_connector.cli._options import UsageErrors, require_secrets
from yaml_connector.errors import YamlConnectorError

_NOTHING_SENT = "nothing was sent"


@dataclass
class Preview:
    """The first requests of a create. `notes` say what follows them, `problem` why one cannot be built."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str | None = None

    def text(self) -> str:
        """Return the preview as text, the problem first."""
        lines = [f"problem: {self.problem}", ""] if self.problem else []
        for request in self.requests:
            lines.append(f"{request['method']} {request['url']}")
            lines += [f"{name}: {value}" for name, value in request["headers"].items()]
            lines += ["", request["body"]] if request["body"] else []
            lines.append("")
        lines += [f"({note})" for note in self.notes]
        return "\n".join(lines).rstrip("\n")


class _Reached(Exception):
    """A request was about to be sent."""


class _NullTransport(Transport):
    """Sends nothing."""

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        raise _Reached
        yield  # pragma: no cover - a generator needs one


async def preview_create(loaded: LoadedSpec, values: CreateValues) -> Preview:
    """Build the first request of `adopt`, if the spec has it, and of create. Nothing is sent, also no login."""
    preview = Preview()
    spec = loaded.spec
    errors = UsageErrors()
    require_secrets(spec, values.secrets, errors)
    if errors.messages:
        return Preview(notes=[_NOTHING_SENT], problem="; ".join(errors.messages))
    connection = spec.connection.model_copy(update={"auth": None})
    for adopt in (None,) if spec.create.adopt is None else (spec.create.adopt, None):
        create = spec.create.model_copy(update={"adopt": adopt})
        part = spec.model_copy(update={"connection": connection, "create": create})
        recorder = Recorder(spec, values.secrets)
        client = JobClient(replace(loaded, spec=part), transport=_NullTransport(), files=LocalFiles(), events=recorder)
        try:
            meta = await client.create(values)
            preview.problem = recorder.redact(meta.create_error or "create sends nothing")
        except _Reached:
            (exchange,) = recorder.take()
            preview.requests.append(_request_data(exchange.request, recorder, spec))
        except YamlConnectorError as error:
            preview.problem = recorder.redact(str(error))
    if len(preview.requests) > 1:
        preview.notes.append("the first looks up the job; the second is sent if there is none")
    steps = len(spec.create.steps or [])
    if steps > 1:
        preview.notes.append(f"up to {steps - 1} more follow, which depend on the responses")
    auth = spec.connection.auth
    if auth is not None and auth.login_request is not None:
        preview.notes.append(f"a token is fetched first: {auth.login_request}")
    preview.notes.append(_NOTHING_SENT)
    return preview


def _request_data(request: HttpRequest, recorder: Recorder, spec: ConnectorSpec) -> dict[str, Any]:
    body = request.body
    text = "" if not body else body.decode("utf-8", "replace") if isinstance(body, bytes) else "(a file, streamed)"
    headers = {name: MASK if recorder.is_credential(name) else value for name, value in request.headers.items()}
    url = request.url
    auth = spec.connection.auth
    for name, value in (auth.masked_query(MASK) if auth is not None else {}).items():
        url += f"{'&' if '?' in url else '?'}{name}={value}"
    data: dict[str, Any] = recorder.redact_tree(
        {"method": request.method, "url": url, "headers": {**masked_headers(spec), **headers}, "body": text}
    )
    return data
