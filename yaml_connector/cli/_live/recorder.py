"""Records what is exchanged with an API, and masks every secret that a call has used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yaml_connector._http.events import Events
from yaml_connector._http.files import LocalFiles
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.redact import MASK, redactor_for
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.client import JobClient
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.secrecy import sensitive_secrets, sensitive_values
from yaml_connector.errors import TransientError

_CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token", "x-api-key"}
)
_SHORTEST_CREDENTIAL = 12  # characters of a word in a credential header that counts as a secret
_DID_NOT_ARRIVE = (425, 429, 503)  # responses to a create that say that there is no job
_LONGEST_BODY = 2000  # characters that are shown


@dataclass(frozen=True)
class RecordedExchange:
    """One request as it was sent, and its response, or the failure in its place.

    `may_submit` tells whether it may have submitted the job, whatever came of it.
    """

    request: HttpRequest
    response: Response | None
    failure: TransientError | None
    may_submit: bool = False

    @property
    def is_open(self) -> bool:
        """Tell whether the request was given up before there was a response."""
        return self.response is None and self.failure is None


class Recorder(Events):
    """Keeps the exchanges of the calls whose events it receives. `secrets` are those that are known from the start."""

    records = True
    identified_by = "key"

    def __init__(self, spec: ConnectorSpec, secrets: Mapping[str, str | None] | None = None) -> None:
        own = masked_headers(spec)
        self._credential_headers = _CREDENTIAL_HEADERS | {name.lower() for name in own}
        self._exchanges: list[RecordedExchange] = []
        self._section = ""
        self.secrets = frozenset(sensitive_values(sensitive_secrets(spec), secrets or {}).values())
        """Every secret that is known so far: given, read, or fetched."""

    def secret(self, value: str) -> None:
        self.secrets |= {value}

    def section(self, name: str) -> None:
        self._section = name

    def exchange(
        self,
        request: HttpRequest,
        response: Response | None,
        failure: TransientError | None,
        seconds: float,
        login: bool,
    ) -> None:
        is_write = self._section == "create" and not login and request.method not in ("GET", "HEAD")
        arrived = failure is None or failure.may_have_been_processed
        may_submit = is_write and arrived and (response is None or response.status not in _DID_NOT_ARRIVE)
        self._exchanges.append(RecordedExchange(request, response, failure, may_submit))
        for name, value in request.headers.items():
            if self.is_credential(name):
                self.secrets |= {part for part in value.split() if len(part) >= _SHORTEST_CREDENTIAL}

    def take(self) -> list[RecordedExchange]:
        """Return the exchanges since the last time."""
        taken, self._exchanges = self._exchanges, []
        return taken

    def redact(self, text: str) -> str:
        """Mask every known secret in a text."""
        return redactor_for(self.secrets).redact(text)

    def redact_tree(self, value: Any) -> Any:
        """Mask every known secret in the strings of a value."""
        return redactor_for(self.secrets).redact_tree(value)

    def is_credential(self, header: str) -> bool:
        """Return whether the values of a header must never be shown."""
        return header.lower() in self._credential_headers

    def lines_of(self, exchange: RecordedExchange) -> list[str]:
        """Return an exchange as text, redacted: `>` before what was sent, `<` before what came back."""
        request, response = exchange.request, exchange.response
        lines = [f"> {request.method} {request.url}"]
        lines += [f"> {name}: {MASK if self.is_credential(name) else value}" for name, value in request.headers.items()]
        lines += [f"> {line}" for line in _body_lines(request.body)]
        if response is not None:
            kind = response.headers.get("Content-Type") or "no content type"
            lines.append(f"< {response.status} ({kind}, {len(response.content)} bytes)")
            lines += [f"< {line}" for line in _body_lines(response.content)]
        if exchange.failure is not None:
            lines.append(f"< failed: {exchange.failure}")
        return [self.redact(line) for line in lines]


def masked_headers(spec: ConnectorSpec) -> dict[str, str]:
    """Return the headers with which the credentials of a spec are sent, masked."""
    auth = spec.connection.auth
    return {} if auth is None else auth.masked_headers(MASK)


def _body_lines(body: Any) -> list[str]:
    if not body:
        return []
    if not isinstance(body, bytes):
        return ["(a file, streamed)"]
    text = body.decode("utf-8", "replace")
    cut = f"... ({len(text)} characters)" if len(text) > _LONGEST_BODY else ""
    return (text[:_LONGEST_BODY] + cut).splitlines()


class RecordingJobClient(Recorder, JobClient):
    """A job client that records its own events, and reads local files. `secrets` as of `Recorder`."""

    def __init__(
        self,
        loaded: LoadedSpec,
        secrets: Mapping[str, str | None] | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        Recorder.__init__(self, loaded.spec, secrets)
        JobClient.__init__(self, loaded, transport=transport, files=LocalFiles(), events=self)
