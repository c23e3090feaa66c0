"""Auth kinds: a class for each, and its line in the table below.

A new kind is its model in `_spec/auth.py` and its class here. An `Auth` signs a request that is ready to be sent. Where
a token must be fetched first, `TokenCache` fetches it once for all callers that wait for it, keeps it until shortly
before it expires, and discards it after a 401. Tokens of different credentials never mix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yaml_connector._http.auth.base import Auth
from yaml_connector._http.auth.cloud import Google, SigV4, aws_host
from yaml_connector._http.auth.static import ApiKey, Basic, Bearer
from yaml_connector._http.auth.tokens import ClientCredentials, Jwt, Token, TokenCache
from yaml_connector._spec import auth as spec

_KINDS: dict[type[Any], Callable[[Any], Auth]] = {
    spec.BearerAuth: Bearer,
    spec.BasicAuth: Basic,
    spec.ApiKeyAuth: ApiKey,
    spec.ClientCredentialsAuth: ClientCredentials,
    spec.TokenAuth: Token,
    spec.JwtAuth: Jwt,
    spec.SigV4Auth: SigV4,
    spec.GoogleAuth: Google,
}


def compile_auth(model: Any) -> Auth | None:
    """Return the auth of a spec's model; raises ConfigError if its library is missing."""
    return _KINDS[type(model)](model) if model is not None else None


__all__ = ["Auth", "TokenCache", "aws_host", "compile_auth"]
