"""What every kind of credentials is, and shares."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response
from yaml_connector._http.request_template import RequestPlan, header_map
from yaml_connector._http.transport import HttpRequest
from yaml_connector.errors import ConfigError

Fetch = Callable[[RequestPlan, Scope], Awaitable[Response]]
Learn = Callable[[str], None]


class AuthCall(Protocol):
    """What an auth is given besides the request: how to send a login, and where to tell a new secret. `token` is what
    an auth remembers of the last request that it signed for this call."""

    token: Any

    async def login(self, plan: RequestPlan, scope: Scope, *, needs_json: bool = True) -> Response:
        """Send a login request, without credentials of its own; its failures are raised."""

    def redact(self, text: str) -> str:
        """The text without any secret."""

    def add_secret(self, secret: str) -> None:
        """From here on this value is a secret, too."""


class Auth(Protocol):
    """Puts credentials on requests."""

    def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> Awaitable[None] | None:
        """Add the credentials to a request that is otherwise complete: at once, or when what is given back has been
        awaited."""

    def forget(self, scope: Scope, call: AuthCall) -> bool:
        """The API did not take the credentials: fetch anew the next time. False: there is nothing to fetch."""


class Static:
    def forget(self, scope: Scope, call: AuthCall) -> bool:
        return False


def token_header(token: str, header: str = "Authorization", prefix: str = "Bearer") -> dict[str, str]:
    return header_map({header: f"{prefix} {token}" if prefix else token})


def put(request: HttpRequest, headers: dict[str, str]) -> None:
    """Set headers, in place of the request's own of the same name in any case."""
    names = {name.lower() for name in headers}
    for name in [name for name in request.headers if name.lower() in names]:
        del request.headers[name]
    request.headers.update(headers)


def need(module: str, extra: str) -> Any:
    """Import a library of an extra, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(f"this spec's auth needs a library: pip install 'yaml-connector[{extra}]'") from None
