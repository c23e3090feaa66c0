"""What the auth kinds have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import Json
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import RequestPlan, header_map
from yaml_connector._spec.auth import AuthModel

A = TypeVar("A", bound="Auth")


class Login(Protocol):
    """Sends a login (`exchange.login`)."""

    async def __call__(self, context: CallContext, plan: RequestPlan, scope: Scope, *, json: Json = "any") -> Response:
        """Send a login request, without credentials, and return its response; raises CallError."""


class Auth:
    """Puts credentials on requests; those of this base cannot be renewed.

    `reads_body`: the body of a response may say that its token is refused.
    """

    reads_body = False

    def sign(self, request: HttpRequest, context: CallContext, login: Login) -> Awaitable[None] | None:
        """Add the credentials to a request that is otherwise complete: at once, or once the result is awaited.

        `login` sends the request for a token, if one is needed.
        """
        raise NotImplementedError

    def renew(self, response: Response, context: CallContext, *, again: bool) -> bool:
        """Tell whether the API refused the token that the request of this response carried, and a new one will help.

        The token is discarded then, for all callers. `again`: this call has renewed the token already; it is then
        kept, for all callers, for a minute.
        """
        return False

    async def saved(self, context: CallContext, login: Login | None) -> Mapping[str, Any]:
        """Return what the login's response holds beside the token, by the names of the spec: `auth.*`.

        Without a login (`auth: false`) every name is null.
        """
        return {}


AUTH_KINDS: dict[type[AuthModel], Callable[[Any], Auth]] = {}
"""What makes the auth of each kind, by its model."""


def auth_kind(model: type[AuthModel]) -> Callable[[type[A]], type[A]]:
    """Decorate the class of an auth kind; `model` is the kind in a spec, and the argument of the constructor."""

    def register(kind: type[A]) -> type[A]:
        assert model not in AUTH_KINDS, f"{model.__name__} has two classes"
        AUTH_KINDS[model] = kind
        return kind

    return register


def token_header(token: str, header: str = "Authorization", prefix: str = "Bearer") -> dict[str, str]:
    """Return the header that carries a token; raises EvaluationError if it cannot be a header."""
    return header_map({header: f"{prefix} {token}" if prefix else token})
