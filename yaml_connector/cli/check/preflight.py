"""The steps of `yaml-connector check`: name, connection, TLS, secrets, credentials."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from yaml_connector._expressions.compile import compile_condition
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.connection import Connection
from yaml_connector._http.context import CallContext, redacted_errors
from yaml_connector._http.hosts import Endpoint, is_forbidden_address
from yaml_connector._http.json_need import page_title
from yaml_connector._http.messages import Response
from yaml_connector._http.request_template import compile_request
from yaml_connector._http.response_policy import SuccessCriteria, api_message
from yaml_connector._jobs.secret_values import Secrets
from yaml_connector._loading.document import show_path
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.fields import slots
from yaml_connector._spec.secrecy import sensitive_secrets
from yaml_connector.cli._live.recorder import Recorder
from yaml_connector.errors import EvaluationError, YamlConnectorError

_TIMEOUT = 10.0  # seconds for each step
_LOGIN = re.compile(r"sign.?in|log.?in|log.?on|\bsso\b|authenticat|password|anmeld|connexion", re.IGNORECASE)
_LONGEST_RESPONSE = 200  # characters of a response that are shown


@dataclass(frozen=True)
class Step:
    """One step and its result: good, wrong (False), or not tried (None). `warning` qualifies a good one."""

    name: str
    good: bool | None
    detail: str
    warning: str | None = None


class _Wrong(Exception):
    """A step is wrong, so that the steps after it cannot be tried."""


class Preflight:
    """All steps for one spec. After `run`, `exchanged` has the lines of requests and responses, redacted."""

    def __init__(self, loaded: LoadedSpec, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self.loaded = loaded
        self.config = config
        self.given = secrets
        self.steps: list[Step] = []
        self.exchanged: list[str] = []
        self.recorder = Recorder(loaded.spec, secrets)
        self.connection = Connection(loaded.spec.connection, os.environ)

    @property
    def good(self) -> bool:
        """Return whether no step is wrong."""
        return all(step.good is not False for step in self.steps)

    async def run(self) -> list[Step]:
        """Run the steps, up to the first that is wrong, and return them."""
        try:
            place = self._base_url()
            await self._reach(place)
            await self._credentials(self._secrets())
        except _Wrong:
            pass
        finally:
            await self.connection.transport.close()
        return self.steps

    def _good(self, name: str, detail: str, warning: str | None = None) -> None:
        warning = warning and self.recorder.redact(warning)
        self.steps.append(Step(name, True, self.recorder.redact(detail), warning))

    def _skip(self, name: str, detail: str) -> None:
        self.steps.append(Step(name, None, self.recorder.redact(detail)))

    def _wrong(self, name: str, detail: str) -> _Wrong:
        self.steps.append(Step(name, False, self.recorder.redact(detail)))
        return _Wrong()

    def _base_url(self) -> Endpoint:
        try:
            place = self.connection.endpoint(self.config)
        except EvaluationError as problem:
            raise self._wrong("base_url", f"{problem} (set a config field with --config NAME=VALUE)") from None
        self._good("base_url", place.base_url)
        return place

    async def _reach(self, place: Endpoint) -> None:
        try:
            proxy = self.connection.proxies.of(place.base_url)
        except EvaluationError as problem:
            raise self._wrong("proxy", str(problem)) from None
        if proxy is None:
            await self._resolve(place)
            await self._connect(place.target.host, place.target.port)
            await self._tls(place)
            return
        parts = urlsplit(proxy)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 1080)
        await self._connect(str(parts.hostname), port, "proxy")
        self._skip("TLS", "is seen with the first request: the connection goes through the proxy")

    async def _resolve(self, place: Endpoint) -> None:
        host = place.target.host
        try:
            async with asyncio.timeout(_TIMEOUT):
                found = await asyncio.get_running_loop().getaddrinfo(host, place.target.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise self._wrong("name", f"{host}: no response from the name server within {_TIMEOUT:.0f} s") from None
        except OSError as error:
            raise self._wrong("name", f"{host} cannot be resolved: {error.strerror or error}") from None
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if any(is_forbidden_address(address) for address in addresses) and host not in addresses:
            raise self._wrong("name", f"{host} resolves to a link-local or metadata address, which is refused")
        self._good("name", f"{host} is {', '.join(addresses[:4])}")

    async def _connect(self, host: str, port: int, name: str = "connection") -> None:
        began = time.monotonic()
        where = f"{host} port {port}"
        try:
            async with asyncio.timeout(_TIMEOUT):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            raise self._wrong(name, f"{where} does not answer within {_TIMEOUT:.0f} s (a firewall?)") from None
        except OSError as error:
            reason = "the connection is refused: nothing listens there" if error.errno == 111 else str(error)
            raise self._wrong(name, f"{where}: {reason}") from None
        writer.close()
        self._good(name, f"{where}, {(time.monotonic() - began) * 1000:.0f} ms")

    async def _tls(self, place: Endpoint) -> None:
        if place.target.scheme != "https":
            self._skip("TLS", "base_url is http: requests are not encrypted")
            return
        try:
            own = self.connection.tls
            context = own.context() if own is not None else ssl.create_default_context()
            async with asyncio.timeout(_TIMEOUT):
                _, writer = await asyncio.open_connection(
                    place.target.host, place.target.port, ssl=context, server_hostname=place.target.host
                )
        except EvaluationError as problem:
            raise self._wrong("TLS", str(problem)) from None
        except ssl.SSLCertVerificationError as error:
            raise self._wrong("TLS", f"the certificate is not trusted: {error.verify_message}") from None
        except TimeoutError:
            raise self._wrong("TLS", f"no handshake within {_TIMEOUT:.0f} s") from None
        except (ssl.SSLError, OSError) as error:
            if await self._speaks_http(place):
                plain = f"http://{place.target.authority}"
                raise self._wrong(
                    "TLS", f"no handshake: the port speaks plain HTTP: write {plain} in base_url"
                ) from None
            raise self._wrong("TLS", f"no handshake: {getattr(error, 'reason', None) or error}") from None
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        until = (tls.getpeercert() or {}).get("notAfter")
        writer.close()
        trust = f"certificate until {until}" if until else "the certificate is not verified (tls.verify is false)"
        self._good("TLS", f"{tls.version()}, {trust}")

    async def _speaks_http(self, place: Endpoint) -> bool:
        """Tell whether the port answers a request without TLS."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                reader, writer = await asyncio.open_connection(place.target.host, place.target.port)
                try:
                    writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
                    return await reader.readexactly(5) == b"HTTP/"
                finally:
                    writer.close()
        except (OSError, EOFError):
            return False

    def _secrets(self) -> dict[str, str | None]:
        if not self.loaded.spec.secrets:
            return {}
        scope = Scope(inputs={}, config=self.config, task={})
        try:
            values = Secrets(self.loaded.spec, os.environ).values(self.given, scope)
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
            self._skip("credentials", "not tried: the spec has no connection.check (a request without side effects)")
            return
        context = CallContext(
            self.connection,
            config=self.config,
            secrets=secrets,
            sensitive=sensitive_secrets(self.loaded.spec),
            events=self.recorder,
        )
        try:
            with redacted_errors(context):
                response = await client.send(context, compile_request(request), context.scope, SuccessCriteria())
        except YamlConnectorError as error:
            detail = str(error)
            if getattr(error, "status", None) in (401, 403):
                detail += "; the API does not accept these credentials"
            elif 300 <= (getattr(error, "status", None) or 0) < 400:
                detail += "; this is a redirect: write where it leads in base_url, or follow_redirects: true"
            raise self._wrong("credentials", detail) from None
        finally:
            self.exchanged = [line for exchange in self.recorder.take() for line in self.recorder.lines_of(exchange)]
        text = " ".join(response.text.split())
        shown = text[:_LONGEST_RESPONSE] + ("..." if len(text) > _LONGEST_RESPONSE else "")
        detail = f"{response.method} {response.url} answered {response.status}: {shown or '(nothing)'}"
        title = None if response.is_json else page_title(response.content)
        if title is not None and _LOGIN.search(title):
            answered = f"{response.method} {response.url} answered {response.status}"
            raise self._wrong("credentials", f"{answered} with a login page, {title!r}: these credentials do not count")
        warning = self._declared_error(context, response)
        if title is not None or re.match(r"<(?:!doctype )?html", text, re.IGNORECASE):
            page = f"a web page, {title!r}," if title is not None else "a web page,"
            warning = warning or f"this is {page} not what an API answers"
        self._good("credentials", detail, warning)

    def _declared_error(self, context: CallContext, response: Response) -> str | None:
        """Return what the first `error` of another section says, if it is true of this response.

        Only conditions that read nothing but fields of the body count, and only if the body has one of the fields:
        others may be meant for their own call.
        """
        body = response.body if isinstance(response.body, dict) else {}
        scope = Scope(response=response)
        for path, mark, value in slots(self.loaded.spec):
            if path[-1] != "error" or mark is None or mark.kind != "condition" or value is None:
                continue
            condition = compile_condition(value)
            fields = {name[1] for name in condition.names if name[0] == "body" and len(name) > 1}
            if {name[0] for name in condition.names} != {"body"} or not fields & body.keys():
                continue
            try:
                error = condition.evaluate(scope)
            except EvaluationError:
                continue
            if error:
                message = api_message(context, response, scope) if error is True else as_text(error)
                return f"by {show_path(path)} this response is a failure: {context.single_line(message)}"
        return None
