"""The steps of `yaml-connector check`: each is good, wrong, or was not tried, and says why."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yaml_connector._expressions.compile import compile_condition
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.hosts import Endpoint, is_forbidden_address
from yaml_connector._http.messages import Response
from yaml_connector._http.request_template import compile_request
from yaml_connector._http.response_policy import SuccessCriteria, api_message
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._loading.document import show_path
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.fields import slots
from yaml_connector.cli._live.recorder import RecordingJobClient
from yaml_connector.errors import CallError, EvaluationError, YamlConnectorError

_PATIENCE = 10.0  # seconds for each step
_ANSWER = 200  # characters of an answer that are shown


@dataclass(frozen=True)
class Step:
    """One step: good, wrong (False), or not tried (None). `warning`: it is good, but for this."""

    name: str
    good: bool | None
    detail: str
    warning: str | None = None


class _Wrong(Exception):
    """A step found something wrong: the ones after it make no sense."""


class Preflight:
    """All steps for one spec. `exchanged` is what was sent and answered, redacted, once they ran."""

    def __init__(self, loaded: LoadedSpec, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self.loaded = loaded
        self.config = config
        self.given = secrets
        self.steps: list[Step] = []
        self.exchanged: list[str] = []
        self.connector = RecordingJobClient(loaded, secrets.values())

    @property
    def good(self) -> bool:
        """Is nothing wrong?"""
        return all(step.good is not False for step in self.steps)

    async def run(self) -> list[Step]:
        """All steps, up to the first that is wrong."""
        try:
            place = self._base_url()
            addresses = await self._resolve(place)
            await self._connect(place, addresses)
            await self._tls(place)
            await self._credentials(self._secrets())
        except _Wrong:
            pass
        finally:
            await self.connector.close()
        return self.steps

    def _good(self, name: str, detail: str, warning: str | None = None) -> None:
        warning = warning and self.connector.redact(warning)
        self.steps.append(Step(name, True, self.connector.redact(detail), warning))

    def _skip(self, name: str, detail: str) -> None:
        self.steps.append(Step(name, None, self.connector.redact(detail)))

    def _wrong(self, name: str, detail: str) -> _Wrong:
        self.steps.append(Step(name, False, self.connector.redact(detail)))
        return _Wrong()

    def _base_url(self) -> Endpoint:
        try:
            place = self.connector.plan.connection.endpoint(self.config)
        except EvaluationError as problem:
            raise self._wrong("base_url", f"{problem} (a config field is given with --config NAME=VALUE)") from None
        self._good("base_url", place.base_url)
        return place

    async def _resolve(self, place: Endpoint) -> list[str]:
        host = place.target.host
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await asyncio.get_running_loop().getaddrinfo(host, place.target.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise self._wrong("name", f"{host}: no answer from the name server within {_PATIENCE:.0f} s") from None
        except OSError as error:
            raise self._wrong("name", f"{host} cannot be resolved: {error.strerror or error}") from None
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if any(is_forbidden_address(address) for address in addresses) and host not in addresses:
            raise self._wrong("name", f"{host} resolves to a link-local or metadata address, which is refused")
        self._good("name", f"{host} is {', '.join(addresses[:4])}")
        return addresses

    async def _connect(self, place: Endpoint, addresses: list[str]) -> None:
        began = time.monotonic()
        where = f"{place.target.host} port {place.target.port}"
        try:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(place.target.host, place.target.port)
        except TimeoutError:
            raise self._wrong("connection", f"{where} does not answer within {_PATIENCE:.0f} s (a firewall?)") from None
        except OSError as error:
            reason = "the connection is refused: nobody listens there" if error.errno == 111 else str(error)
            raise self._wrong("connection", f"{where}: {reason}") from None
        writer.close()
        self._good("connection", f"{where}, {(time.monotonic() - began) * 1000:.0f} ms")

    async def _tls(self, place: Endpoint) -> None:
        if place.target.scheme != "https":
            self._skip("TLS", "base_url is http: what is sent can be read on the way")
            return
        connection = self.connector.plan.connection
        try:
            own = bool(connection.spec.tls.model_fields_set)
            context = connection.tls_context() if own else ssl.create_default_context()
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(
                    place.target.host, place.target.port, ssl=context, server_hostname=place.target.host
                )
        except EvaluationError as problem:
            raise self._wrong("TLS", str(problem)) from None
        except ssl.SSLCertVerificationError as error:
            raise self._wrong("TLS", f"the certificate is not trusted: {error.verify_message}") from None
        except TimeoutError:
            raise self._wrong("TLS", f"no handshake within {_PATIENCE:.0f} s") from None
        except (ssl.SSLError, OSError) as error:
            raise self._wrong("TLS", f"no handshake: {getattr(error, 'reason', None) or error}") from None
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        until = (tls.getpeercert() or {}).get("notAfter")
        writer.close()
        trust = f"certificate until {until}" if until else "the certificate is not verified (tls.verify is false)"
        self._good("TLS", f"{tls.version()}, {trust}")

    def _secrets(self) -> dict[str, str | None]:
        if not self.loaded.spec.secrets:
            return {}
        names = Scope(inputs={}, config=self.config, task={})
        try:
            values = self.connector.plan.secrets.values(self.given, names)
        except EvaluationError as problem:
            hint = " (here: --secret NAME=env:VARIABLE)" if "is missing" in str(problem) else ""
            raise self._wrong("secrets", f"{problem}{hint}") from None
        origins = [f"{name} from {self._origin(name)}" for name, value in values.items() if value]
        absent = [f"{name} is not given" for name, value in values.items() if not value]
        self._good("secrets", ", ".join(origins + absent))
        return values

    def _origin(self, name: str) -> str:
        secret = self.loaded.spec.secrets[name]
        if name in self.given:
            return "the command line"
        if secret.env is not None and secret.env in os.environ:
            return secret.env
        return f"the file {secret.file}"

    async def _credentials(self, secrets: Mapping[str, str | None]) -> None:
        request = self.loaded.spec.connection.check
        if request is None:
            self._skip("credentials", "not tried: the spec has no connection.check (a request that changes nothing)")
            return
        connector = self.connector
        session = connector._session(connector.plan, self.config, secrets, "check", JobMeta())
        names = Scope(config=self.config, secrets=secrets, env=os.environ)
        try:
            answer = await client.send(session, compile_request(request), names, SuccessCriteria())
        except (CallError, YamlConnectorError) as error:
            detail = str(error)
            if getattr(error, "status", None) in (401, 403):
                detail += "; the API does not take these credentials"
            raise self._wrong("credentials", detail) from None
        finally:
            for exchange in connector.take():
                self.exchanged += connector.lines_of(exchange)
        text = " ".join(answer.text.split())
        shown = text[:_ANSWER] + ("..." if len(text) > _ANSWER else "")
        detail = f"{answer.method} {answer.url} answered {answer.status}: {shown or '(nothing)'}"
        self._good("credentials", detail, self._called_wrong(session, answer))

    def _called_wrong(self, session: CallContext, answer: Response) -> str | None:
        """What the first `error` of the spec's sections that calls this answer a failure says of it. Only those count
        that ask for fields of the body alone, one of which is there: others may be meant for their own call."""
        body = answer.body if isinstance(answer.body, dict) else {}
        read = Scope(response=answer)
        for path, mark, value in slots(self.loaded.spec):
            if path[-1] != "error" or mark is None or mark.kind != "condition" or value is None:
                continue
            condition = compile_condition(value)
            fields = {name[1] for name in condition.names if name[0] == "body" and len(name) > 1}
            if {name[0] for name in condition.names} != {"body"} or not fields & body.keys():
                continue
            try:
                error = condition.evaluate(read)
            except EvaluationError:
                continue
            if error:
                text = session.single_line(api_message(session, answer, read) if error is True else as_text(error))
                return f"by {show_path(path)} this answer is a failure: {text}"
        return None
