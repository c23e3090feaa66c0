"""Compares a request that was sent with the recorded one, field by field. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.hosts import DEFAULT_PORTS
from yaml_connector.testing.compare import NOTHING, Difference, below, differences
from yaml_connector.testing.recorded import RecordedPart, RecordedRequest


@dataclass(frozen=True)
class SentRequest:
    """A request as it was sent."""

    method: str
    url: str
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, list[str]]:
        return pairs_of(urlsplit(self.url).query)


def request_differences(recorded: RecordedRequest, sent: SentRequest) -> list[Difference]:
    """Return the differences between a recorded and a sent request; none if they match."""
    found = [*differences(recorded.method, sent.method, "method"), *_url(recorded, sent)]
    for name, value in recorded.headers.items():
        found += _named(value, sent.headers.get_list(name), f"headers.{name}")
    if "json_body" in recorded.model_fields_set:
        found += _json(recorded.json_body, sent)
    elif recorded.form is not None:
        found += _form(recorded.form, sent)
    elif recorded.text is not None:
        found += differences(recorded.text, sent.text, "text")
    elif recorded.multipart is not None:
        found += _multipart(recorded.multipart, sent)
    return found


# --- the URL --------------------------------------------------------------------------------------------------------


def _url(recorded: RecordedRequest, sent: SentRequest) -> Iterator[Difference]:
    field, expected = ("url", recorded.url) if recorded.url is not None else ("path", recorded.path or "")
    assert expected is not None
    plain, _, query = expected.partition("?")
    actual = sent.url.partition("?")[0] if field == "url" else sent.path
    if _normal(plain) == _normal(actual):
        for name, values in pairs_of(query).items():
            yield from _named(list(values), sent.query.get(name, []), f"query.{name}")
    else:
        yield Difference(field, plain, actual)
    for name, value in recorded.query.items():
        yield from _named(value, sent.query.get(name, []), f"query.{name}")


def _normal(url: str) -> str:
    """Return a URL or path in one form: host in lower case, no default port, all segments encoded in the same way."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removesuffix(f":{DEFAULT_PORTS.get(parts.scheme.lower())}")
    path = "/".join(quote(unquote(segment), safe="") for segment in (parts.path or "/").split("/"))
    return f"{parts.scheme.lower()}://{host}{path}"


def pairs_of(query: str) -> dict[str, list[str]]:
    """Return the values of a query, or of a form, by name."""
    pairs: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        pairs.setdefault(name, []).append(value)
    return pairs


def _named(expected: Any, values: list[str], field: str) -> Iterator[Difference]:
    """Compare the values of a header or parameter; None as expected value: it must be absent."""
    if expected is None:
        wanted: list[str] = []
    else:
        wanted = [_text(item) for item in (expected if isinstance(expected, list) else [expected])]
    if len(wanted) <= 1 and len(values) <= 1:
        yield from differences(_single(wanted), _single(values), field)
    else:
        yield from differences(wanted, values, field)


def _single(values: list[str]) -> Any:
    return values[0] if values else NOTHING


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)


# --- the body -------------------------------------------------------------------------------------------------------


def _json(expected: Any, sent: SentRequest) -> Iterator[Difference]:
    try:
        body = json.loads(sent.content)
    except ValueError:
        yield Difference("json", expected, sent.text if sent.content else NOTHING)
        return
    yield from differences(expected, body, "json")


def _form(expected: Mapping[str, Any], sent: SentRequest) -> Iterator[Difference]:
    try:
        pairs = pairs_of(sent.content.decode("ascii"))
    except UnicodeDecodeError:
        yield Difference("form", expected, sent.text)
        return
    for name in [*expected, *(name for name in pairs if name not in expected)]:
        yield from _named(expected.get(name), pairs.get(name, []), f"form.{name}")


def _multipart(expected: Mapping[str, list[RecordedPart]], sent: SentRequest) -> Iterator[Difference]:
    found = _sent_parts(sent)
    if found is None:
        plain = {name: [part.model_dump(exclude_unset=True) for part in parts] for name, parts in expected.items()}
        yield Difference("multipart", plain, sent.text if sent.content else NOTHING)
        return
    for name in [*expected, *(name for name in found if name not in expected)]:
        wanted, actual = expected.get(name, []), found.get(name, [])
        for index in range(max(len(wanted), len(actual))):
            field = below("multipart", name) + (f"[{index}]" if max(len(wanted), len(actual)) > 1 else "")
            if index < len(wanted) and index < len(actual):
                yield from _part(wanted[index], actual[index], field)
            else:
                given = wanted[index].model_dump(exclude_unset=True) if index < len(wanted) else NOTHING
                yield Difference(field, given, actual[index] if index < len(actual) else NOTHING)


def _part(wanted: RecordedPart, actual: Mapping[str, Any], field: str) -> Iterator[Difference]:
    for name, value in wanted.model_dump(exclude_unset=True).items():
        found = actual[name]
        if name == "content" and not isinstance(value, str):
            try:
                found = json.loads(found)
            except ValueError:
                yield Difference(f"{field}.{name}", value, found)
                continue
        if value is None and name != "content":
            value = NOTHING
        yield from differences(value, NOTHING if found is None and name != "content" else found, f"{field}.{name}")


_BOUNDARY = re.compile(r"multipart/form-data\s*;.*boundary=\"?([^\";]+)", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r';\s*(name|filename)="([^"]*)"')


def _sent_parts(sent: SentRequest) -> dict[str, list[dict[str, Any]]] | None:
    """Return the parts of a multipart body by name; None if it is not one."""
    boundary = _BOUNDARY.match(sent.headers.get("Content-Type", ""))
    if boundary is None:
        return None
    parts: dict[str, list[dict[str, Any]]] = {}
    _, *pieces = (b"\r\n" + sent.content).split(b"\r\n--" + boundary[1].encode())
    for piece in pieces[:-1]:  # after the last boundary there is nothing
        head, _, content = piece.partition(b"\r\n\r\n")
        fields = dict(line.partition(": ")[::2] for line in head.decode("utf-8", "replace").split("\r\n") if line)
        named = {key: unquote(value) for key, value in _PARAMETER.findall(fields.get("Content-Disposition", ""))}
        part = {
            "content": content.decode("utf-8", "replace"),
            "filename": named.get("filename"),
            "content_type": fields.get("Content-Type"),
        }
        parts.setdefault(named.get("name", ""), []).append(part)
    return parts
