"""Credentials that are there: bearer tokens, basic pairs, API keys."""

from __future__ import annotations

import base64
from typing import Any

from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.auth.base import AuthCall, Learn, Static, put, token_header
from yaml_connector._http.request_template import header_map
from yaml_connector._http.transport import HttpRequest
from yaml_connector._http.urls import add_query
from yaml_connector._spec import auth as spec


class Bearer(Static):
    """`Authorization: Bearer TOKEN`."""

    def __init__(self, model: spec.BearerAuth) -> None:
        self._token = compile_text(model.token)
        self._last: tuple[Any, dict[str, str]] = (None, {})

    def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> None:
        token = self._token.evaluate(scope)
        if token is not None:
            last, headers = self._last
            if token != last:
                headers = token_header(as_text(token))
                self._last = token, headers
            put(request, headers)


class Basic(Static):
    """HTTP basic authentication."""

    def __init__(self, model: spec.BasicAuth) -> None:
        self._username = compile_text(model.username)
        self._password = compile_text(model.password)

    def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> None:
        username, password = self._username.evaluate(scope), self._password.evaluate(scope)
        if username is not None and password is not None:
            pair = basic_header(as_text(username), as_text(password), call.add_secret)
            put(request, {"Authorization": pair})


def basic_header(username: str, password: str, learn: Learn) -> str:
    """The value of a basic Authorization header; the pair becomes a secret."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    learn(pair)
    return f"Basic {pair}"


class ApiKey(Static):
    """A key in a header or in the query."""

    def __init__(self, model: spec.ApiKeyAuth) -> None:
        self._name = compile_text(model.name)
        self._value = compile_text(model.value)
        self._in_query = model.place == "query"

    def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> None:
        value = self._value.evaluate(scope)
        if value is None:
            return
        name = as_text(self._name.evaluate(scope))
        if self._in_query:
            request.url = add_query(request.url, {name: value})
        else:
            put(request, header_map({name: value}))
