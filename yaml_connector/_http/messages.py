"""An answer, read lazily: parsed JSON, text, headers (the names `status headers body text url` of section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from yaml_connector._expressions.jinja import UNDEFINED
from yaml_connector._expressions.json_text import parse_json

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


class Response(Mapping[str, Any]):
    """What came back for one request. As a mapping it has the names that an expression sees; `saved` is the step's,
    `body` parsed JSON, whatever the content type says: undefined if it is none."""

    __slots__ = ("_text", "body", "content", "headers", "method", "saved", "status", "url")
    body: Any

    def __init__(self, method: str, url: str, status: int, headers: Headers, content: bytes) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.headers = headers
        self.content = content
        self.saved: Any = {}
        self._text: str | None = None

    def __getattr__(self, name: str) -> Any:
        if name != "body":  # which is not there until it is asked for
            raise AttributeError(name)
        self.body = self._parsed()
        return self.body

    def _parsed(self) -> Any:
        try:
            return parse_json(self.content)
        except (ValueError, RecursionError):
            return UNDEFINED

    @property
    def is_json(self) -> bool:
        return self.body is not UNDEFINED

    @property
    def text(self) -> str:
        if self._text is None:
            kind = self.headers.get("Content-Type", "")
            _, _, charset = kind.lower().partition("charset=")
            try:
                self._text = self.content.decode(charset.split(";")[0].strip(" \"'") or "utf-8", "replace")
            except LookupError:
                self._text = self.content.decode("utf-8", "replace")
        return self._text

    def __getitem__(self, key: str) -> Any:
        if key in ("status", "headers", "body", "text", "url", "saved"):
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("status", "headers", "body", "text", "url", "saved"))

    def __len__(self) -> int:
        return 6


class ResponseScope(dict[str, Any]):
    """A scope that also has the names of an answer (none, until one came)."""

    __slots__ = ("answer",)

    def __init__(self, names: Mapping[str, Any], answer: Response | None = None, **more: Any) -> None:
        dict.__init__(self, names, **more)
        self.answer = answer

    def __missing__(self, key: str) -> Any:
        if key in ("status", "headers", "body", "text", "url"):
            return UNDEFINED if self.answer is None else getattr(self.answer, key)
        raise KeyError(key)
