"""Requests, compiled at load and built for each call (section 6): URL, query, headers and body, each in its
encoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yaml_connector._expressions.compile import Value, compile_text, compile_tree
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.body_template import Files, as_mapping, compile_body, no_files
from yaml_connector._http.hosts import resolve_url
from yaml_connector._http.transport import Body, HttpRequest
from yaml_connector._http.urls import add_query, compile_url
from yaml_connector._spec.requests import METHODS, Request
from yaml_connector.errors import EvaluationError

_FRAMING = ("content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(rf"(?!(?i:{'|'.join(_FRAMING)})\Z)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_EMPTY = Value(lambda scope: {}, constant=True)


@dataclass(frozen=True)
class RequestPlan:
    """A compiled request. `build` makes the request to send; it raises EvaluationError."""

    method: Value
    locate: Callable[[Scope], str]
    is_path: bool
    query: Value
    headers: Value
    body: Callable[[Scope, Files], tuple[Body, str | None]]
    timeout: float | None
    auth: bool
    follow_redirects: bool | None
    names: frozenset[Reference]

    def build(self, scope: Scope, base_url: str, files: Files = no_files) -> HttpRequest:
        """The request for these values; headers of the connection and credentials are added later."""
        try:
            return self._build(scope, base_url, files)
        except UnicodeEncodeError:
            raise EvaluationError("the request holds half of a surrogate pair, which UTF-8 has no form for") from None

    def _build(self, scope: Scope, base_url: str, files: Files) -> HttpRequest:
        located = self.locate(scope)
        if self.is_path:
            url = base_url + located if located[:1] == "/" else f"{base_url}/{located}"
        else:
            url = resolve_url(base_url + "/", located)
        if self.query is not _EMPTY:
            url = add_query(url, self.query.evaluate(scope))
        body, content_type = self.body(scope, files)
        headers = {} if self.headers is _EMPTY else header_map(self.headers.evaluate(scope))
        if content_type is not None and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = content_type
        method = self.method.evaluate(scope)
        if not self.method.constant:
            method = str(method).upper()
            if method not in METHODS:
                raise EvaluationError(f"{method!r} is no method; allowed: {', '.join(METHODS)}")
        return HttpRequest(method, url, headers, body, at_base=self.is_path)


def compile_request(request: Request, *, default_method: str = "GET") -> RequestPlan:
    """Compile a request of a spec; raises EvaluationError if an expression in it is wrong."""
    if request.path is not None:
        locate, names = compile_url(request.path, whole_is_url=False)
    else:
        assert request.url is not None
        locate, names = compile_url(request.url, whole_is_url=True)
    method = compile_text(request.method) if request.method else Value(lambda scope: default_method, constant=True)
    query, headers = compile_query(request.query), compile_headers(request.headers)
    body, body_names = compile_body(request)
    return RequestPlan(
        method=method,
        locate=locate,
        is_path=request.path is not None,
        query=query,
        headers=headers,
        body=body,
        timeout=request.timeout,
        auth=request.auth,
        follow_redirects=request.follow_redirects,
        names=frozenset().union(names, method.names, query.names, headers.names, body_names),
    )


def header_map(values: Mapping[str, Any]) -> dict[str, str]:
    """Headers as text; a name or a value that could smuggle a further header is an error."""
    headers = {}
    for name, value in values.items():
        text = "" if value is None else as_text(value)
        if _CONTROL.search(text):
            what = "line break" if {"\r", "\n", "\0"} & set(text) else "control character"
            raise EvaluationError(f"the value of the header {name} holds a {what}")
        if not _is_header_name(name):
            framing = str(name).lower() in _FRAMING
            raise EvaluationError(f"{name!r} is no name of a header" + (" that can be given" if framing else ""))
        if not text.isascii():
            text.encode()  # fails for what cannot be sent
        headers[name] = text
    return headers


@lru_cache(maxsize=1024)
def _is_header_name(name: Any) -> bool:
    return isinstance(name, str) and _HEADER_NAME.fullmatch(name) is not None


def compile_query(query: Mapping[str, Any] | str | None) -> Value:
    """The query of a request or a connection; one template that gives all of it must give a mapping."""
    if not isinstance(query, str):
        return compile_tree(query) if query is not None else _EMPTY
    given = compile_tree(query)
    return Value(lambda scope: as_mapping(given.evaluate(scope), "query"), given.names)


def compile_headers(headers: Mapping[str, Any] | str | None) -> Value:
    """The headers of a request or a connection. If one template gives all of them, their names are data, and data does
    not say which host is meant."""
    if not isinstance(headers, str):
        return compile_tree(headers) if headers is not None else _EMPTY
    given = compile_tree(headers)

    def evaluate(scope: Scope) -> Any:
        found = as_mapping(given.evaluate(scope), "headers")
        if any(str(name).lower() == "host" for name in found):
            raise EvaluationError("headers that a template gives may not hold Host")
        return found

    return Value(evaluate, given.names)
