"""Auth kinds: a class for each, in one of these modules, and the table of them.

A new kind is its model in `_spec/auth.py` and its class here, marked with `@auth_kind(MODEL)`. An `Auth` signs a
request that is ready to be sent. Where a token must be fetched first, `TokenCache` fetches it once for all callers that
wait for it, keeps it until shortly before it expires, and discards it when the API refuses it. Tokens of different
credentials never mix.
"""

from __future__ import annotations

from typing import Any

from yaml_connector._http.auth import cloud, static, tokens
from yaml_connector._http.auth.base import AUTH_KINDS, Auth


def compile_auth(model: Any) -> Auth | None:
    """Return the auth of a spec's model; raises ConfigError if its library is missing."""
    return AUTH_KINDS[type(model)](model) if model is not None else None


__all__ = ["AUTH_KINDS", "Auth", "cloud", "compile_auth", "static", "tokens"]
