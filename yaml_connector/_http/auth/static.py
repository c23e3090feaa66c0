"""Credentials that the spec holds: bearer tokens, basic authentication, API keys."""

from __future__ import annotations

import base64
from typing import Any

from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.auth.base import Auth, Login, auth_kind, token_header
from yaml_connector._http.context import CallContext
from yaml_connector._http.messages import HttpRequest
from yaml_connector._http.request_template import add_query, header_map
from yaml_connector._spec import auth as spec


@auth_kind(spec.BearerAuth)
class Bearer(Auth):
    """`Authorization: Bearer TOKEN`."""

    def __init__(self, model: spec.BearerAuth) -> None:
        self._token = compile_text(model.token)
        self._last: tuple[Any, dict[str, str]] = (None, {})

    def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        token = self._token.evaluate(context.scope)
        if token is not None:
            last, headers = self._last
            if token != last:
                headers = token_header(as_text(token))
                self._last = token, headers
            request.set_headers(headers)


@auth_kind(spec.BasicAuth)
class Basic(Auth):
    """HTTP basic authentication."""

    def __init__(self, model: spec.BasicAuth) -> None:
        self._username = compile_text(model.username)
        self._password = compile_text(model.password)

    def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        username, password = self._username.evaluate(context.scope), self._password.evaluate(context.scope)
        if username is not None and password is not None:
            request.set_headers({"Authorization": basic_header(as_text(username), as_text(password), context)})


def basic_header(username: str, password: str, context: CallContext) -> str:
    """Return the value of a basic Authorization header; the encoded pair becomes a secret."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    context.add_secret(pair)
    return f"Basic {pair}"


@auth_kind(spec.ApiKeyAuth)
class ApiKey(Auth):
    """A key in a header or in the query."""

    def __init__(self, model: spec.ApiKeyAuth) -> None:
        self._name = compile_text(model.name)
        self._value = compile_text(model.value)
        self._in_query = model.place == "query"

    def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        value = self._value.evaluate(context.scope)
        if value is None:
            return
        name = as_text(self._name.evaluate(context.scope))
        if self._in_query:
            request.url = add_query(request.url, {name: value})
        else:
            request.set_headers(header_map({name: value}))
