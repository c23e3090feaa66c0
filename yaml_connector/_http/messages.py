"""An answer, read lazily: parsed JSON, text, headers (the names `status headers body text url` of section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from yaml_connector._expressions.json_text import parse_json
from yaml_connector._expressions.scope import UNDEFINED

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

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: headers of a transport cannot be pickled."""
        headers = CIMultiDict(self.headers)
        return _restored, (self.method, self.url, self.status, headers, self.content, self.saved, self.body)

    def __iter__(self) -> Iterator[str]:
        return iter(("status", "headers", "body", "text", "url", "saved"))

    def __len__(self) -> int:
        return 6


def _restored(method: str, url: str, status: int, headers: Headers, content: bytes, saved: Any, body: Any) -> Response:
    response = Response(method, url, status, headers, content)
    response.saved, response.body = saved, body
    return response
