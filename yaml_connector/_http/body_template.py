"""Bodies of requests, each in its encoding: one function for each kind, and one line in the table below."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._expressions.compile import Value, compile_text, compile_tree, names_of
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text, json_bytes
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.files import Files, StreamedBody
from yaml_connector._http.hosts import quoted
from yaml_connector._http.messages import Body
from yaml_connector._spec.requests import Part, Request
from yaml_connector.errors import EvaluationError

Built = tuple[Body, str | None]
BuildBody = Callable[[Scope, Files], Built]


def _json_body(value: Value) -> BuildBody:
    if value.constant:
        fixed = json_bytes(value.evaluate(Scope()))
        return lambda scope, files: (fixed, "application/json")

    def build(scope: Scope, files: Files) -> Built:
        data = value.evaluate(scope)  # null comes from a template for the whole body only: no body
        return (None, None) if data is None else (json_bytes(data), "application/json")

    return build


def _form_body(value: Value) -> BuildBody:
    def build(scope: Scope, files: Files) -> Built:
        pairs = [
            f"{quoted(str(name), ' ')}={quoted('' if item is None else as_text(item), ' ')}".replace(" ", "+")
            for name, entry in as_mapping(value.evaluate(scope), "form").items()
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
        return StreamedBody([as_text(value.evaluate(scope))], files), "application/octet-stream"

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
            raise EvaluationError("the content_type of a part contains a line break")
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

        return StreamedBody([piece.uri if isinstance(piece, _FilePart) else piece for piece in pieces], files), kind


def _quoted(text: Any) -> str:
    """Write a name within quotes, as browsers do; a backslash too, which some servers take for an escape."""
    return as_text(text).translate(_IN_QUOTES)


_IN_QUOTES = {code: f"%{code:02X}" for code in (*range(0x20), 0x22, 0x5C, 0x7F)}


_Parts = Callable[[Scope], list[dict[str, Any]]]


def _compile_multipart(raw: Any) -> tuple[BuildBody, frozenset[Reference]]:
    names: frozenset[Reference]
    if isinstance(raw, str):
        whole = compile_text(raw)
        names = whole.names

        def entries(scope: Scope) -> dict[str, list[dict[str, Any]]]:
            given = as_mapping(whole.evaluate(scope), "multipart")
            return {name: _parts_of(value) for name, value in given.items()}
    else:
        compiled = {name: _compile_parts(value) for name, value in raw.items()}
        names = frozenset().union(*(used for _, used in compiled.values()))

        def entries(scope: Scope) -> dict[str, list[dict[str, Any]]]:
            return {name: parts(scope) for name, (parts, _) in compiled.items()}

    def build(scope: Scope, files: Files) -> Built:
        body = _Multipart()
        for name, parts in entries(scope).items():
            for part in parts:
                uris = part.get("file")
                content = part.get("content")
                if uris is not None:
                    contents: list[Any] = [_FilePart(as_text(uri)) for uri in _as_list(uris) if uri is not None]
                else:
                    contents = [] if content is None else [content]
                for each in contents:
                    body.add(name, each, part.get("filename"), part.get("content_type"))
        return body.finish(files)

    return build, names


def _compile_parts(raw: Any) -> tuple[_Parts, frozenset[Reference]]:
    """Compile the value of a name: a part, a list of parts, or data."""
    if isinstance(raw, list):
        compiled = [_compile_parts(item) for item in raw]
        names = frozenset().union(*(used for _, used in compiled))
        return lambda scope: [part for parts, _ in compiled for part in parts(scope)], names
    if isinstance(raw, Part):
        given = {key: getattr(raw, key) for key in raw.model_fields_set}
        fields = {key: compile_tree("" if value is None else value) for key, value in given.items()}
        names = names_of(*fields.values())
        return lambda scope: [{key: field.evaluate(scope) for key, field in fields.items()}], names
    value = compile_tree("" if raw is None else raw)  # a null that is written is an empty part, as in a form
    return lambda scope: _parts_of(value.evaluate(scope)), value.names


def _parts_of(value: Any) -> list[dict[str, Any]]:
    """Return the parts that a value means: one for each item of a list. A mapping with the fields of a part is one."""
    parts = []
    for item in _as_list(value):
        is_part = (
            isinstance(item, Mapping) and item.keys() <= Part.model_fields.keys() and {"content", "file"} & item.keys()
        )
        parts.append(dict(item) if is_part else {"content": item})
    return parts


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_BODIES: dict[str, Callable[[Value], BuildBody]] = {
    "json": _json_body,
    "form": _form_body,
    "text": _text_body,
    "file": _file_body,
}


def compile_body(request: Request) -> tuple[BuildBody | None, frozenset[Reference]]:
    """Return a function that builds the body and its content type (None: no body), and the references in it."""
    if not request.bodies:
        return None, frozenset()
    kind = request.bodies[0]
    if kind == "multipart":
        return _compile_multipart(request.multipart)
    value = compile_tree(getattr(request, "json_body" if kind == "json" else kind))
    return _BODIES[kind](value), value.names


def as_mapping(value: Any, place: str) -> Mapping[str, Any]:
    """Return a value that must be a mapping (null: an empty one); raises EvaluationError that names the place."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise EvaluationError(f"{place} must be a mapping, not {type(value).__name__}")
    return value
