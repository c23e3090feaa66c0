"""A compiled connection: endpoint, default headers and query, credentials, limits, TLS."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._expressions.compile import compile_condition, compile_extraction, compile_tree, if_given
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.auth import Auth, compile_auth
from yaml_connector._http.coalesce import RequestCoalescer
from yaml_connector._http.hosts import Endpoint, HostPattern, HostRules, parse_pattern, parse_url
from yaml_connector._http.proxies import Proxies
from yaml_connector._http.rate_limit import RateLimiter
from yaml_connector._http.request_template import compile_headers, compile_query, compile_url
from yaml_connector._http.tls import TlsSettings
from yaml_connector._http.transport import AiohttpTransport, Transport
from yaml_connector._http.variables import Variables
from yaml_connector._spec.connection import Connection as ConnectionSpec
from yaml_connector.errors import EvaluationError

_LONGEST_BASE = 2000  # characters
_MOST_ENDPOINTS = 1000  # different base URLs that `config` may make


class Connection:
    """A compiled connection: everything that calls share.

    `environment` are the connector's environment variables. `transport` is made from the spec unless it is given.
    """

    def __init__(
        self, spec: ConnectionSpec, environment: Mapping[str, str], transport: Transport | None = None
    ) -> None:
        self.spec = spec
        self.environment = Variables(environment, spec)
        self.retry_if = if_given(compile_condition, spec.retry_if)
        self.error_message = if_given(compile_extraction, spec.error_message)
        self.retry_after = if_given(compile_extraction, spec.retry.retry_after)
        self.headers = if_given(compile_headers, spec.headers)
        self.query = if_given(compile_query, spec.query)
        self.auth: Auth | None = compile_auth(spec.auth)
        self.limiter = RateLimiter(spec.rate_limit) if spec.rate_limit else None
        self.coalescer = RequestCoalescer()
        self.retry_statuses = frozenset(spec.retry.status_codes)
        self._base_url, names = compile_url(spec.base_url, whole_is_url=True)
        self._hosts = compile_tree([*(spec.allowed_hosts or ())])
        self._public = compile_tree([*spec.public_hosts])
        self._config_in_base = any(name[0] == "config" for name in names)
        self._config_names: frozenset[Reference] = names | self._hosts.names | self._public.names
        self._endpoints: BoundedCache[str, Endpoint] = BoundedCache(_MOST_ENDPOINTS)
        self.fixed_endpoint: Endpoint | None = None  # the only one, once it is known
        self.tls = TlsSettings(spec.tls, self.environment) if spec.tls.model_fields_set else None
        self.proxies = Proxies(spec.proxy, environment, self.environment)
        self.transport: Transport = transport or self._make_transport()

    def _make_transport(self) -> Transport:
        limit, tls, proxies = self.spec.max_connections, self.tls, self.proxies if self.proxies.some else None
        if self.spec.http2 or self.proxies.may_be_socks:
            from yaml_connector._http.httpx_transport import HttpxSockets  # few specs need httpx

            return HttpxSockets(max_connections=limit, http2=self.spec.http2, tls=tls, proxies=proxies)
        return AiohttpTransport(max_connections=limit, tls=tls, proxies=proxies)

    def endpoint(self, config: Mapping[str, Any]) -> Endpoint:
        """Return where requests with this config go; raises EvaluationError if that is not a usable URL."""
        if not any(name[0] == "config" for name in self._config_names):
            self.fixed_endpoint = self.fixed_endpoint or self._make_endpoint({})
            return self.fixed_endpoint
        values = repr([(name, config.get(name)) for name in self._used(config)])
        key = sha256(values.encode("utf-8", "surrogatepass")).hexdigest()
        return self._endpoints.get(key) or self._endpoints.put(key, self._make_endpoint(config))

    def _used(self, config: Mapping[str, Any]) -> list[str]:
        """Return the config fields that the endpoint depends on: all of them if it uses config as a whole."""
        used = [name for name in self._config_names if name[0] == "config"]
        return sorted(config) if any(len(name) == 1 for name in used) else sorted({str(name[1]) for name in used})

    def _make_endpoint(self, config: Mapping[str, Any]) -> Endpoint:
        scope = Scope(env=self.environment, config=config)
        base_url = self._base_url(scope).rstrip("/")
        if len(base_url) > _LONGEST_BASE:
            raise EvaluationError(
                f"connection.base_url has {len(base_url)} characters, and {_LONGEST_BASE} are the most"
            )
        try:
            target = parse_url(base_url)
        except EvaluationError as problem:
            raise EvaluationError(f"connection.base_url: {problem}") from None
        allowed = tuple(parse_pattern(str(text)) for text in self._hosts.evaluate(scope))
        public = tuple(parse_pattern(str(text)) for text in self._public.evaluate(scope))
        rules = HostRules(HostPattern(target.host, target.port, target.scheme), allowed, public)
        if self._config_in_base and not any(pattern.matches(target) for pattern in allowed):
            raise EvaluationError(
                f"connection.base_url: the config leads to {target.authority}, which allowed_hosts does not name"
            )
        return Endpoint(target.origin + target.rest.rstrip("/"), target, rules)
