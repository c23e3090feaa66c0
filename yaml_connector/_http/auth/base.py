"""What the auth kinds have in common."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import Json
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import RequestPlan, header_map
from yaml_connector._spec.auth import AuthModel
from yaml_connector.errors import ConfigError

A = TypeVar("A", bound="Auth")


class Login(Protocol):
    """Sends a login (`exchange.login`)."""

    async def __call__(self, context: CallContext, plan: RequestPlan, scope: Scope, *, json: Json = "any") -> Response:
        """Send a login request, without credentials, and return its response; raises CallError."""


class Auth(Protocol):
    """Puts credentials on requests."""

    def sign(self, request: HttpRequest, context: CallContext, login: Login) -> Awaitable[None] | None:
        """Add the credentials to a request that is otherwise complete: at once, or once the result is awaited.

        `login` sends the request for a token, if one is needed.
        """

    def invalidate(self, request: HttpRequest, context: CallContext) -> bool:
        """Discard the token that `request` was signed with: the API refused it. Returns False if there is none."""


AUTH_KINDS: dict[type[AuthModel], Callable[[Any], Auth]] = {}
"""What makes the auth of each kind, by its model."""


def auth_kind(model: type[AuthModel]) -> Callable[[type[A]], type[A]]:
    """Decorate the class of an auth kind; `model` is the kind in a spec, and the argument of the constructor."""

    def register(kind: type[A]) -> type[A]:
        assert model not in AUTH_KINDS, f"{model.__name__} has two classes"
        AUTH_KINDS[model] = kind
        return kind

    return register


class StaticAuth:
    """Credentials that cannot be renewed."""

    def invalidate(self, request: HttpRequest, context: CallContext) -> bool:
        return False


def token_header(token: str, header: str = "Authorization", prefix: str = "Bearer") -> dict[str, str]:
    """Return the header that carries a token; raises EvaluationError if it cannot be a header."""
    return header_map({header: f"{prefix} {token}" if prefix else token})


def import_extra(module: str, extra: str | None) -> Any:
    """Import a library of a kind's pip extra; raises ConfigError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(f"this spec's auth needs a library: pip install 'yaml-connector[{extra}]'") from None
