"""Requests of a spec: compiled once, and built for each call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from yaml_connector._expressions.compile import (
    Expression,
    TextTemplate,
    Value,
    compile_text,
    compile_tree,
    names_of,
    parse_text,
    render_value,
)
from yaml_connector._expressions.filters import PathText
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.body_template import BuildBody, as_mapping, compile_body
from yaml_connector._http.files import NO_FILES, Files
from yaml_connector._http.hosts import LONGEST_URL, check_length, quoted, resolve_url
from yaml_connector._http.messages import HttpRequest
from yaml_connector._spec.fields import has_dot_segments
from yaml_connector._spec.requests import FRAMING, METHODS, Request
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

_PATH_SAFE = "/:@!$&'()*+,;=-._~%?"
_URL_SAFE = _PATH_SAFE + "#[]"
_ASCII = re.compile(r"[\x00-\x7f]+")
_ENDS_HOST = re.compile(r"[/?#@\\\s]")
_OF_A_TASK = frozenset({"config", "inputs", "task"})
_NEEDS_NO_QUOTING = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LONGEST_NAME = 200  # characters of the name of a header
_HEADER_NAME = re.compile(rf"(?!(?i:{'|'.join(FRAMING)})\Z)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_EMPTY = Value(lambda scope: {}, constant=True)


@dataclass(frozen=True)
class RequestPlan:
    """A compiled request."""

    method: str | Value  # in upper case; a template, if it is one
    locate: Callable[[Scope], str]
    is_path: bool
    is_at_item: bool  # the path depends on `item`
    query: Value
    headers: Value
    body: BuildBody | None
    timeout: float | None
    auth: bool
    follow_redirects: bool | None
    decode: str | None
    only_reads: bool  # it is a GET or HEAD, whatever the values
    reads_login: bool  # it has values of the login's response: `auth.*`
    sends_file: bool
    names: frozenset[Reference]
    origin: Callable[[], RequestPlan]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was compiled from."""
        return self.origin, ()

    def build(self, scope: Scope, base_url: str, files: Files = NO_FILES) -> HttpRequest:
        """Build the request for these values; the connection's headers and credentials are added later.

        Raises EvaluationError if a value cannot be evaluated or sent.
        """
        try:
            located = self.locate(scope)
            if self.is_path:
                url = base_url + located if located[:1] == "/" else f"{base_url}/{located}"
            else:
                url = resolve_url(base_url + "/", located)
            if self.query is not _EMPTY:
                url = add_query(url, self.query.evaluate(scope))
            if len(url) > LONGEST_URL:
                check_length(url)
            body, content_type = self.body(scope, files) if self.body is not None else (None, None)
            headers = {} if self.headers is _EMPTY else header_map(self.headers.evaluate(scope))
            if content_type is not None and "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = content_type
            method = self.method if isinstance(self.method, str) else str(self.method.evaluate(scope)).upper()
        except UnicodeEncodeError:
            raise not_utf8() from None
        if method not in METHODS:
            raise EvaluationError(f"{method!r} is not a valid method; allowed: {', '.join(METHODS)}")
        return HttpRequest(method, url, headers, body, at_base=self.is_path)


def compile_request(request: Request, *, default_method: str = "GET") -> RequestPlan:
    """Compile a request of a spec; raises EvaluationError if an expression in it is wrong."""
    if request.path is not None:
        locate, names = compile_url(request.path, whole_is_url=False)
    else:
        assert request.url is not None
        locate, names = compile_url(request.url, whole_is_url=True)
    method = compile_text(request.method or default_method)
    query, headers = compile_query(request.query), compile_headers(request.headers)
    body, body_names = compile_body(request)
    is_at_item = any(name[0] == "item" for name in names)
    names = names | names_of(method, query, headers) | body_names
    return RequestPlan(
        method=method.evaluate(Scope()) if method.constant else method,
        locate=locate,
        is_path=request.path is not None,
        is_at_item=is_at_item,
        query=query,
        headers=headers,
        body=body,
        timeout=request.timeout,
        auth=request.auth,
        follow_redirects=request.follow_redirects,
        decode=request.decode,
        only_reads=method.constant and method.evaluate(Scope()) in ("GET", "HEAD"),
        reads_login=any(name[0] == "auth" for name in names),
        sends_file=request.file is not None or request.multipart is not None,
        names=names,
        origin=partial(compile_request, request, default_method=default_method),
    )


def build(plan: RequestPlan, scope: Scope, base_url: str) -> HttpRequest:
    """Build a request that sends no file."""
    return plan.build(scope, base_url)


def not_utf8() -> EvaluationError:
    """Return the error about a request that cannot be encoded, since half a character is in it."""
    return EvaluationError("the request contains a lone surrogate and cannot be encoded as UTF-8")


def header_map(values: Mapping[str, Any]) -> dict[str, str]:
    """Return headers as text; raises EvaluationError for a name or value that could smuggle in another header."""
    headers = {}
    for name, value in values.items():
        text = "" if value is None else as_text(value)
        if _CONTROL.search(text):
            what = "line break" if {"\r", "\n", "\0"} & set(text) else "control character"
            raise EvaluationError(f"the value of the header {name} contains a {what}")
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _is_header_name(name):
            framing = str(name).lower() in FRAMING
            raise EvaluationError(
                f"{name!r} is not a {'header that a spec can set' if framing else 'valid header name'}"
            )
        if not text.isascii():
            text.encode()  # raises for a lone surrogate
        headers[name] = text
    return headers


@lru_cache(maxsize=1024)
def _is_header_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


def compile_query(query: Mapping[str, Any] | str | None) -> Value:
    """Compile the query of a request or a connection; a template for the whole query must return a mapping."""
    if not isinstance(query, str):
        return compile_tree(query) if query is not None else _EMPTY
    given = compile_tree(query)
    return Value(lambda scope: as_mapping(given.evaluate(scope), "query"), given.names)


def compile_headers(headers: Mapping[str, Any] | str | None) -> Value:
    """Compile the headers of a request or a connection.

    A template for all of them must return a mapping. It may not set Host: the names are data then, and data must not
    choose the host.
    """
    if not isinstance(headers, str):
        return compile_tree(headers) if headers is not None else _EMPTY
    given = compile_tree(headers)

    def evaluate(scope: Scope) -> Any:
        found = as_mapping(given.evaluate(scope), "headers")
        if any(str(name).lower() == "host" for name in found):
            raise EvaluationError("headers returned by a template must not contain Host")
        return found

    return Value(evaluate, given.names)


# --- URLs -------------------------------------------------------------------------------------------------------------


def compile_url(text: str, *, whole_is_url: bool) -> tuple[Callable[[Scope], str], frozenset[Reference]]:
    """Compile a URL or a path: every value stays one segment, or one parameter.

    Returns a function that builds it, and the references in it; both raise EvaluationError.
    """
    template = parse_text(text)
    whole = template.whole
    if whole is not None and whole_is_url:
        evaluate = whole.evaluate
        return lambda scope: render_value(evaluate(scope), whole), template.names
    quoted_literal = _quoted_in_url if whole_is_url else partial(quote, safe=_PATH_SAFE)
    parts = [quoted_literal(part) if isinstance(part, str) else part for part in _sent(template)]
    if all(isinstance(part, str) for part in parts):
        fixed = "".join(map(str, parts))
        if not whole_is_url:  # one that is resolved may go up
            _no_dots(fixed)
        return lambda scope: fixed, frozenset()
    return partial(_write_url, parts, starts_with_url=whole_is_url), template.names


def _quoted_in_url(text: str) -> str:
    """Quote a literal part of a whole URL, which is checked once it is built: its host may have letters beyond ASCII,
    and a backslash, which others read as a slash, is refused then."""
    return _ASCII.sub(lambda run: quote(run[0], safe=_URL_SAFE + "\\"), text)


def _sent(template: TextTemplate) -> Iterator[str | Expression]:
    """Yield the parts of a URL, without a fragment, which is never sent."""
    for part in template.parts:
        if isinstance(part, str) and "#" in part:
            yield part.partition("#")[0]
            return
        yield part


def _write_url(parts: list[str | Expression], scope: Scope, *, starts_with_url: bool) -> str:
    built = ""
    in_query = False
    for number, part in enumerate(parts):
        if isinstance(part, str):
            built += part
            in_query = in_query or "?" in part
            continue
        value = part.evaluate(scope)
        text = value if type(value) is str else render_value(value, part)
        if starts_with_url and (number == 0 or (built.count("/") < 3 and "://" in built)):
            if number and _ENDS_HOST.search(text) and any(name[0] in _OF_A_TASK for name in part.names):
                what = f"${{{{ {part.source.strip()} }}}} is part of a host, and"
                raise EvaluationError(f"{what} {short(text)} has a character that no host of allowed_hosts has")
            built += text  # the start of the URL, or part of its host: the result is checked as a URL
        elif text and _NEEDS_NO_QUOTING(text):
            built += text
        elif in_query:
            built += quoted(text)
        else:
            after = parts[number + 1] if number + 1 < len(parts) else ""
            if not text and built[-1:] in ("", "/") and (after == "" or (isinstance(after, str) and after[0] in "/?")):
                raise EvaluationError(
                    f"${{{{ {part.source.strip()} }}}} is empty, and would leave out a segment of the path"
                )
            built += quoted(text, "/" if isinstance(value, PathText) else "")
    if "." in built:
        _no_dots(built)
    return built


def _no_dots(path: str) -> None:
    if has_dot_segments(path):
        raise EvaluationError(f"the path {path!r} must not contain the segments '.' and '..'")


def add_query(url: str, query: Mapping[str, Any]) -> str:
    """Add query parameters to a URL: one for each item of a list; values that are not strings are written as JSON."""
    pairs = [
        f"{quoted(str(name))}={quoted('' if item is None else as_text(item))}"
        for name, value in query.items()
        for item in (value if isinstance(value, list) else (value,))
    ]
    if not pairs:
        return url
    url = url.partition("#")[0]  # a fragment is never sent, and would swallow the query
    return url + ("&" if "?" in url else "?") + "&".join(pairs)
