"""Decides whether a response must be JSON, by what is read from it.

A 2xx that is not JSON, though its body is read, is a page of a gateway, not an answer of the API: a transient failure.
Outside 2xx, a body that is not JSON is just no body.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Literal

from yaml_connector._expressions.compile import Expression, Extraction
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.scope import UNDEFINED
from yaml_connector._http.messages import Response
from yaml_connector._text import single_line, truncate
from yaml_connector.errors import TransientError

Json = Literal["none", "not empty", "any"]
"""Whether a 2xx must be JSON: never, unless it is empty, or always."""

_ORDER: tuple[Json, ...] = ("none", "not empty", "any")
_OTHER_SOURCES = frozenset({"text", "headers", "cookies", "url"})  # what a template may read instead of the body
_READS = re.compile(r"(?<![\w.'\"])body\b(?!\s+is\s+(?:not\s+)?(?:un)?defined\b)")


def needed_by(part: Extraction | Expression | None, step: str | None = None) -> Json:
    """Return what an extraction or a condition needs of the response of a step, which may have a name.

    A JSONPath needs JSON. What reads the body otherwise needs it unless the response is empty, which may be how the
    API says no; or unless it also reads the text. A template may have another source as well.
    """
    if part is None:
        return "none"
    if isinstance(part, Extraction) and part.is_path:
        return "any"
    roots = {name[0] for name in part.names}
    if not roots.isdisjoint(_OTHER_SOURCES if isinstance(part, Extraction) else ("text",)):
        return "none"
    if reads_fields(part.names, step):
        return "not empty"
    source = part.text if isinstance(part, Extraction) else part.source
    return "not empty" if ("body",) in part.names and _READS.search(source) else "none"


def strongest(needs: Iterable[Json]) -> Json:
    """Return what is needed if several parts read the same response."""
    return max(needs, key=_ORDER.index, default="none")


def reads_fields(names: Iterable[Reference], step: str | None) -> bool:
    """Tell whether references are to fields of the body, by `body` or by `steps` and the name of the step."""
    return any(
        len(name) > 1 and (name[0] == "body" or (name[:2] == ("steps", step) and name[2:3] == ("body",)))
        for name in names
    )


def asks_for_body(part: Extraction | Expression) -> bool:
    """Tell whether a part may be meant for a response that is not JSON: it reads the text, or asks whether there is a
    body."""
    return ("text",) in part.names or (("body",) in part.names and needed_by(part) == "none")


def lacks_json(response: Response, json: Json) -> bool:
    """Tell whether a response is not the JSON that it must be."""
    return (
        json != "none"
        and response.body is UNDEFINED
        and 200 <= response.status < 300
        and (json == "any" or bool(response.content))
    )


def not_json(response: Response) -> TransientError:
    """Return the error for a response that lacks the JSON that it must be. Its message is not redacted."""
    kind = response.headers.get("Content-Type") or "no content type"
    what = f"no JSON ({kind})" if response.content else "nothing"
    title = page_title(response.content)
    if title is not None:
        what += f": a page with the title {title!r}"
    return TransientError(
        f"{response.method} {response.url} answered {response.status} with {what}",
        may_have_been_processed=True,
        status=response.status,
    )


def page_title(content: bytes) -> str | None:
    """Return the title of an HTML page, at most 100 characters; None if it has none. It is not redacted."""
    found = _TITLE.search(content[:_HEAD])
    if found is None:
        return None
    return truncate(single_line(html.unescape(found[1].decode("utf-8", "replace"))), 100) or None


_HEAD = 16 * 1024  # bytes of a page that a title is looked for in
_TITLE = re.compile(rb"<title[^<>]{0,200}>([^<]{1,300})", re.IGNORECASE)
