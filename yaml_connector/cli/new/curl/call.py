"""A request of a page, as it is understood."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.cli.new.curl.options import CurlRequest
from yaml_connector.cli.new.curl.tokens import Capture, FilePart, Leaf, Tokens, Variable


@dataclass
class Call:
    """A request: its parts as tokens, the body by kind (json, form, multipart, text, file), and what is known of it."""

    number: int
    line: int
    about: str
    method: str
    origin: Tokens
    path: Tokens
    query: list[tuple[str, Tokens]]
    headers: list[tuple[str, Tokens]]
    cookies: list[tuple[str, Tokens]]
    user: Tokens | None
    body_kind: str | None
    body: Any
    source: CurlRequest
    sigv4: str | None = None
    hint: Capture | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """Return the words of the path, in lower case."""
        return words_of("".join(part if isinstance(part, str) else "/" for part in self.path))

    def header(self, name: str) -> Tokens | None:
        """Return the value of a header."""
        return next((tokens for known, tokens in self.headers if known.lower() == name), None)

    @property
    def place(self) -> tuple[Any, ...]:
        """Return the method and the URL without its query."""
        return self.method, self.origin, self.path

    @property
    def key(self) -> tuple[Any, ...]:
        """Return what two calls have in common that are the same request."""
        action = [value for name, value in self.headers if name.lower() in ("x-amz-target", "action")]
        return *self.place, tuple(self.query), tuple(action), json.dumps(self.body, default=repr)

    def places(self) -> Iterable[tuple[str, Tokens]]:
        """Yield all texts of the request with the part where they are: path, query, header, cookie, user, body."""
        yield "path", self.path
        for _, tokens in self.query:
            yield "query", tokens
        for _, tokens in self.headers:
            yield "header", tokens
        for _, tokens in self.cookies:
            yield "cookie", tokens
        if self.user is not None:
            yield "user", self.user
        for value in leaves(self.body):
            yield "body", value.tokens if isinstance(value, Leaf) else (str(value),)

    def variables(self) -> list[Variable]:
        """Return the variables in all texts of the request."""
        return [part for _, tokens in self.places() for part in tokens if isinstance(part, Variable)]


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case; camel case counts, too."""
    return [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()) if word]


def leaves(value: Any) -> Iterable[Any]:
    """Yield the scalars and texts of a body."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool | FilePart):
        yield value
