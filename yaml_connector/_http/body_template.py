"""Bodies of requests, each in its encoding: one function for each kind, and one line in the table below."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from yaml_connector._expressions.compile import Value, compile_text, compile_tree
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text, json_bytes
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.files import Files, StreamedBody
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
            f"{quote_plus(str(name))}={quote_plus('' if item is None else as_text(item))}"
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
        entries = as_mapping(whole.evaluate(scope), "multipart") if whole else parts
        for name, part in entries.items():
            if name in fields:
                values = {key: value.evaluate(scope) for key, value in fields[name].items()}
            else:
                value = part.evaluate(scope) if isinstance(part, Value) else part
                values = dict(value) if isinstance(value, Mapping) else {"content": value}
            key = "file" if values.get("file") is not None else "content"
            items = values.get(key)
            for item in items if isinstance(items, list) else (items,):  # one part for each item of a list
                if item is not None:
                    content = _FilePart(as_text(item)) if key == "file" else item
                    body.add(name, content, values.get("filename"), values.get("content_type"))
        return body.finish(files)

    return build, names


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
