"""A connector whose exchanges can be looked at: all that is sent and comes back, and a redactor that knows every secret
that any of its calls met."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._http.context import CallContext
from yaml_connector._http.files import local_files
from yaml_connector._http.messages import Headers, HttpRequest, HttpResponse, TransportError
from yaml_connector._http.redact import MASK, redactor_for
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.client import Connector
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._loading.loader import LoadedSpec

_NEVER_SHOWN = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token", "x-api-key"}
)
_LONGEST_BODY = 2000


@dataclass
class WireExchange:
    """One request as it was sent, and what came back: an answer, or what happened instead."""

    request: HttpRequest
    status: int | None = None
    headers: Headers | None = None
    content: bytes = b""
    failure: str | None = None
    may_have_been_processed: bool = True


@dataclass
class RecordingTransport(Transport):
    """A transport that keeps every exchange of the one it wraps."""

    inner: Transport
    exchanges: list[WireExchange] = field(default_factory=list)

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        """One exchange, kept as it goes by."""
        kept = WireExchange(HttpRequest(request.method, request.url, dict(request.headers), request.body))
        self.exchanges.append(kept)
        try:
            async with self.inner.exchange(request, timeout) as response:
                kept.status, kept.headers = response.status, response.headers

                async def chunks() -> AsyncIterator[bytes]:
                    async for chunk in response.chunks:
                        kept.content += chunk
                        yield chunk

                yield HttpResponse(response.status, response.headers, chunks())
        except TransportError as error:
            kept.failure, kept.may_have_been_processed = error.reason, error.may_have_been_processed
            raise

    async def close(self) -> None:
        """Close the sockets."""
        await self.inner.close()


class RecordingJobClient(Connector):
    """A connector that keeps its exchanges."""

    def __init__(self, loaded: LoadedSpec, given: Iterable[str] = ()) -> None:
        super().__init__(loaded, files=local_files())
        self._sessions: list[CallContext] = []
        self._given = frozenset(value for value in given if value)
        self._names = _credential_headers(loaded)
        self.plan_text = loaded.document.text
        connection = self.plan.connection
        self.recording = RecordingTransport(connection.transport)
        connection.transport = self.recording

    def _session(
        self, plan: CompiledSpec, config: Mapping[str, Any], secrets: Mapping[str, str | None], call: str, meta: JobMeta
    ) -> CallContext:
        session = super()._session(plan, config, secrets, call, meta)
        self._sessions = [*self._sessions[-20:], session]
        self._given |= frozenset(value for value in secrets.values() if value)
        return session

    def take(self) -> list[WireExchange]:
        """The exchanges since the last time."""
        taken = list(self.recording.exchanges)
        self.recording.exchanges.clear()
        for exchange in taken:
            for name, value in exchange.request.headers.items():
                if name.lower() in self._names:
                    self._given |= frozenset(part for part in value.split() if len(part) >= 12)
        return taken

    @property
    def secrets(self) -> frozenset[str]:
        """Every secret that is known by now: given, fetched, made."""
        return self._given.union(*(session.secrets for session in self._sessions))

    def redact(self, text: str) -> str:
        """The text without any secret."""
        return redactor_for(self.secrets).redact(text)

    def redact_tree(self, value: Any) -> Any:
        """A value without any secret."""
        return redactor_for(self.secrets).redact_tree(value)

    def is_credential(self, header: str) -> bool:
        """Is this a header whose value is never shown?"""
        return header.lower() in self._names

    def lines_of(self, exchange: WireExchange) -> list[str]:
        """An exchange as a terminal shows it, redacted: `>` what was sent, `<` what came back."""
        request = exchange.request
        lines = [f"> {request.method} {request.url}"]
        lines += [f"> {name}: {MASK if self.is_credential(name) else value}" for name, value in request.headers.items()]
        lines += [f"> {line}" for line in _body_lines(request.body)]
        if exchange.failure is not None:
            lines.append(f"< no answer: {exchange.failure}")
        else:
            kind = exchange.headers.get("Content-Type") if exchange.headers is not None else None
            lines.append(f"< {exchange.status} ({kind or 'no content type'}, {len(exchange.content)} bytes)")
            lines += [f"< {line}" for line in _body_lines(exchange.content)]
        return [self.redact(line) for line in lines]


def _body_lines(body: Any) -> list[str]:
    if not body:
        return []
    if not isinstance(body, bytes):
        return ["(a file, streamed)"]
    text = body.decode("utf-8", "replace")
    cut = f"... ({len(text)} characters)" if len(text) > _LONGEST_BODY else ""
    return (text[:_LONGEST_BODY] + cut).splitlines()


def _credential_headers(loaded: LoadedSpec) -> frozenset[str]:
    auth = loaded.spec.connection.auth
    own = [getattr(auth, name, None) for name in ("name", "header")]
    return _NEVER_SHOWN | {name.lower() for name in own if isinstance(name, str)}
