"""Requests, compiled at load and built for each call (section 6): URL, query, headers and body, each in its
encoding."""

from __future__ import annotations

import re
import secrets as random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from yaml_connector.errors import ValueProblem
from yaml_connector.http.hosts import parse_url, resolve_url
from yaml_connector.http.transport import Body, WireRequest
from yaml_connector.spec.requests import METHODS, Part, Request
from yaml_connector.values.expressions import Expression, Reference, Scope
from yaml_connector.values.filters import PathText, as_text, to_json
from yaml_connector.values.templates import TextTemplate, Value, compile_text, compile_tree, parse_text, written

_FRAMING = ("content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(rf"(?!(?i:{'|'.join(_FRAMING)})\Z)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH_SAFE = "/:@!$&'()*+,;=-._~%?"
_URL_SAFE = _PATH_SAFE + "#[]"
_NEEDS_NO_QUOTING = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_EMPTY = Value(lambda scope: {}, constant=True)


class Files(Protocol):
    """Opens a file input for streaming."""

    def __call__(self, uri: str) -> AsyncIterator[bytes]: ...


def _no_files(uri: str) -> AsyncIterator[bytes]:
    raise ValueProblem(f"the file {uri} cannot be read here")


@dataclass(frozen=True)
class RequestPlan:
    """A compiled request. `build` makes the request to send; it raises ValueProblem."""

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

    def build(self, scope: Scope, base_url: str, files: Files = _no_files) -> WireRequest:
        """The request for these values; headers of the connection and credentials are added later."""
        try:
            return self._build(scope, base_url, files)
        except UnicodeEncodeError:
            raise ValueProblem("the request holds half of a surrogate pair, which UTF-8 has no form for") from None

    def _build(self, scope: Scope, base_url: str, files: Files) -> WireRequest:
        located = self.locate(scope)
        if self.is_path:
            url = base_url + located if located[:1] == "/" else f"{base_url}/{located}"
        else:
            url = resolve_url(base_url + "/", located)
        if self.query is not _EMPTY:
            url = add_query(url, self.query.evaluate(scope))
        body, content_type = self.body(scope, files)
        headers = {} if self.headers is _EMPTY else header_map(self.headers.evaluate(scope))
        if content_type is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = content_type
        method = self.method.evaluate(scope)
        if not self.method.constant:
            method = str(method).upper()
            if method not in METHODS:
                raise ValueProblem(f"{method!r} is no method; allowed: {', '.join(METHODS)}")
        return WireRequest(method, url, headers, body, at_base=self.is_path)


def compile_request(request: Request, *, default_method: str = "GET") -> RequestPlan:
    """Compile a request of a spec; raises ValueProblem if an expression in it is wrong."""
    if request.path is not None:
        locate, names = _compile_url(request.path, whole_is_url=False)
    else:
        assert request.url is not None
        locate, names = _compile_url(request.url, whole_is_url=True)
    method = compile_text(request.method) if request.method else Value(lambda scope: default_method, constant=True)
    query, headers = compile_query(request.query), compile_headers(request.headers)
    body, body_names = _compile_body(request)
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


# --- the URL --------------------------------------------------------------------------------------------------------


def _compile_url(text: str, *, whole_is_url: bool) -> tuple[Callable[[Scope], str], frozenset[Reference]]:
    template = parse_text(text)
    whole = template.whole
    if whole is not None and whole_is_url:
        evaluate = whole.evaluate
        return lambda scope: written(evaluate(scope), whole), template.names
    safe = _URL_SAFE if whole_is_url else _PATH_SAFE
    parts = [quote(part, safe=safe) if isinstance(part, str) else part for part in _sent(template)]
    if all(isinstance(part, str) for part in parts):
        fixed = "".join(map(str, parts))
        _no_dots(fixed)
        return lambda scope: fixed, frozenset()
    return lambda scope: _write_url(parts, scope, starts_with_url=whole_is_url), template.names


def _sent(template: TextTemplate) -> Iterator[str | Expression]:
    """The parts of a URL, without a fragment: that is never sent."""
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
        text = written(value, part)
        if starts_with_url and (number == 0 or (built.count("/") < 3 and "://" in built)):
            built += text  # the URL's own start, or a part of its host: the whole is checked as a URL
        elif text and _NEEDS_NO_QUOTING(text):
            built += text
        elif in_query:
            built += quote(text, safe="")
        else:
            after = parts[number + 1] if number + 1 < len(parts) else ""
            if not text and built[-1:] in ("", "/") and (after == "" or (isinstance(after, str) and after[0] in "/?")):
                raise ValueProblem(
                    f"${{{{ {part.source.strip()} }}}} is empty, and would leave out a segment of the path"
                )
            built += quote(text, safe="/" if isinstance(value, PathText) else "")
    _no_dots(built)
    return built


def _no_dots(path: str) -> None:
    if "." in path and any(segment in (".", "..") for segment in path.partition("?")[0].split("/")):
        raise ValueProblem(f"the path {path!r} may not hold the segments '.' and '..'")


def add_query(url: str, query: Mapping[str, Any]) -> str:
    """The URL with further query parameters: a list gives one for each item, what is no text is written as JSON."""
    pairs = [
        f"{quote(str(name), safe='')}={quote('' if item is None else as_text(item), safe='')}"
        for name, value in query.items()
        for item in (value if isinstance(value, list) else (value,))
    ]
    if not pairs:
        return url
    url = url.partition("#")[0]  # a fragment is never sent, and the query would be part of it
    return url + ("&" if "?" in url else "?") + "&".join(pairs)


def header_map(values: Mapping[str, Any]) -> dict[str, str]:
    """Headers as text; a name or a value that could smuggle a further header is an error."""
    headers = {}
    for name, value in values.items():
        text = "" if value is None else as_text(value)
        if _CONTROL.search(text):
            what = "line break" if {"\r", "\n", "\0"} & set(text) else "control character"
            raise ValueProblem(f"the value of the header {name} holds a {what}")
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)):
            framing = str(name).lower() in _FRAMING
            raise ValueProblem(f"{name!r} is no name of a header" + (" that can be given" if framing else ""))
        if not text.isascii():
            text.encode()  # fails for what cannot be sent
        headers[name] = text
    return headers


def compile_query(query: Mapping[str, Any] | str | None) -> Value:
    """The query of a request or a connection; one template that gives all of it must give a mapping."""
    if not isinstance(query, str):
        return compile_tree(query) if query is not None else _EMPTY
    given = compile_tree(query)
    return Value(lambda scope: _mapping(given.evaluate(scope), "query"), given.names)


def compile_headers(headers: Mapping[str, Any] | str | None) -> Value:
    """The headers of a request or a connection. If one template gives all of them, their names are data, and data does
    not say which host is meant."""
    if not isinstance(headers, str):
        return compile_tree(headers) if headers is not None else _EMPTY
    given = compile_tree(headers)

    def evaluate(scope: Scope) -> Any:
        found = _mapping(given.evaluate(scope), "headers")
        if any(str(name).lower() == "host" for name in found):
            raise ValueProblem("headers that a template gives may not hold Host")
        return found

    return Value(evaluate, given.names)


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueProblem(f"{place} must be a mapping, not {type(value).__name__}")
    return value


# --- the body: one function for each kind, and one line in the table below -------------------------------------------

Built = tuple[Body, str | None]
BuildBody = Callable[[Scope, Files], Built]


def _json_body(value: Value) -> BuildBody:
    if value.constant:
        fixed = to_json(value.evaluate({})).encode()
        return lambda scope, files: (fixed, "application/json")

    def build(scope: Scope, files: Files) -> Built:
        data = value.evaluate(scope)  # null can only come from a template that gives the whole body: then there is none
        return (None, None) if data is None else (to_json(data).encode(), "application/json")

    return build


def _form_body(value: Value) -> BuildBody:
    def build(scope: Scope, files: Files) -> Built:
        pairs = [
            f"{quote_plus(str(name))}={quote_plus('' if item is None else as_text(item))}"
            for name, entry in _mapping(value.evaluate(scope), "form").items()
            for item in (entry if isinstance(entry, list) else (entry,))
        ]
        return "&".join(pairs).encode(), "application/x-www-form-urlencoded"

    return build


def _text_body(value: Value) -> BuildBody:
    def build(scope: Scope, files: Files) -> Built:
        text = value.evaluate(scope)
        return ("" if text is None else as_text(text)).encode(), "text/plain; charset=utf-8"

    return build


def _file_body(value: Value) -> BuildBody:
    def build(scope: Scope, files: Files) -> Built:
        uri = as_text(value.evaluate(scope))
        return (lambda: files(uri)), "application/octet-stream"

    return build


@dataclass(frozen=True)
class _FilePart:
    uri: str


@dataclass
class _Multipart:
    """The pieces of a multipart body: bytes, and files that are streamed between them."""

    boundary: str = field(default_factory=lambda: random.token_hex(16))
    pieces: list[bytes | _FilePart] = field(default_factory=list)

    def add(self, name: str, content: Any, filename: str | None, content_type: str | None) -> None:
        disposition = f'form-data; name="{_quoted(name)}"' + (f'; filename="{_quoted(filename)}"' if filename else "")
        kind = content_type or ("application/octet-stream" if isinstance(content, _FilePart) else None)
        if kind and {"\r", "\n", "\0"} & set(kind):
            raise ValueProblem("the content_type of a part holds a line break")
        head = f"--{self.boundary}\r\nContent-Disposition: {disposition}\r\n"
        head += f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n"
        self.pieces.append(head.encode())
        self.pieces.append(content if isinstance(content, _FilePart) else as_text(content).encode())
        self.pieces.append(b"\r\n")

    def finish(self, files: Files) -> Built:
        self.pieces.append(f"--{self.boundary}--\r\n".encode())
        kind = f"multipart/form-data; boundary={self.boundary}"
        pieces = list(self.pieces)
        if not any(isinstance(piece, _FilePart) for piece in pieces):
            return b"".join(piece for piece in pieces if isinstance(piece, bytes)), kind

        async def stream() -> AsyncIterator[bytes]:
            for piece in pieces:
                if isinstance(piece, bytes):
                    yield piece
                else:
                    async for chunk in files(piece.uri):
                        yield chunk

        return stream, kind


def _quoted(text: Any) -> str:
    """A name within quotes, as browsers write it; a backslash, too, for some servers take it for an escape."""
    return as_text(text).translate(_IN_QUOTES)


_IN_QUOTES = {code: f"%{code:02X}" for code in (*range(0x20), 0x22, 0x5C, 0x7F)}


def _compile_multipart(raw: Any) -> tuple[BuildBody, frozenset[Reference]]:
    if isinstance(raw, str):
        whole = compile_text(raw)
        parts: dict[str, Value | Part] = {}
    else:
        whole = None
        parts = {name: part if isinstance(part, Part) else compile_text(part) for name, part in raw.items()}
    fields = {
        name: {key: compile_tree(getattr(part, key)) for key in part.model_fields_set}
        for name, part in parts.items()
        if isinstance(part, Part)
    }
    names = frozenset().union(
        *(whole.names for whole in [whole] if whole),
        *(part.names for part in parts.values() if isinstance(part, Value)),
        *(value.names for part in fields.values() for value in part.values()),
    )

    def build(scope: Scope, files: Files) -> Built:
        body = _Multipart()
        entries = _mapping(whole.evaluate(scope), "multipart") if whole else parts
        for name, part in entries.items():
            if name in fields:
                values = {key: value.evaluate(scope) for key, value in fields[name].items()}
            else:
                value = part.evaluate(scope) if isinstance(part, Value) else part
                values = dict(value) if isinstance(value, Mapping) else {"content": value}
            content = _FilePart(as_text(values["file"])) if values.get("file") is not None else values.get("content")
            if content is not None:
                body.add(name, content, values.get("filename"), values.get("content_type"))
        return body.finish(files)

    return build, names


_BODIES: dict[str, Callable[[Value], BuildBody]] = {
    "json": _json_body,
    "form": _form_body,
    "text": _text_body,
    "file": _file_body,
}


def _compile_body(request: Request) -> tuple[BuildBody, frozenset[Reference]]:
    if not request.bodies:
        return (lambda scope, files: (None, None)), frozenset()
    kind = request.bodies[0]
    if kind == "multipart":
        return _compile_multipart(request.multipart)
    value = compile_tree(getattr(request, "json_body" if kind == "json" else kind))
    return _BODIES[kind](value), value.names


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, for messages."""
    return parse_url(url).origin
