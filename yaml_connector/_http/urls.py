"""URLs of requests, compiled at load: every value stays one segment, or one parameter (section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from yaml_connector._expressions.compile import Expression, TextTemplate, parse_text, render_value
from yaml_connector._expressions.filters import PathText
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector.errors import EvaluationError

_PATH_SAFE = "/:@!$&'()*+,;=-._~%?"
_URL_SAFE = _PATH_SAFE + "#[]"
_NEEDS_NO_QUOTING = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


def compile_url(text: str, *, whole_is_url: bool) -> tuple[Callable[[Scope], str], frozenset[Reference]]:
    """A function that writes the URL, or the path, and the references in it; raises EvaluationError."""
    template = parse_text(text)
    whole = template.whole
    if whole is not None and whole_is_url:
        evaluate = whole.evaluate
        return lambda scope: render_value(evaluate(scope), whole), template.names
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
        text = value if type(value) is str else render_value(value, part)
        if starts_with_url and (number == 0 or (built.count("/") < 3 and "://" in built)):
            built += text  # the URL's own start, or a part of its host: the whole is checked as a URL
        elif text and _NEEDS_NO_QUOTING(text):
            built += text
        elif in_query:
            built += quote(text, safe="")
        else:
            after = parts[number + 1] if number + 1 < len(parts) else ""
            if not text and built[-1:] in ("", "/") and (after == "" or (isinstance(after, str) and after[0] in "/?")):
                raise EvaluationError(
                    f"${{{{ {part.source.strip()} }}}} is empty, and would leave out a segment of the path"
                )
            built += quote(text, safe="/" if isinstance(value, PathText) else "")
    _no_dots(built)
    return built


def _no_dots(path: str) -> None:
    if "." in path and any(segment in (".", "..") for segment in path.partition("?")[0].split("/")):
        raise EvaluationError(f"the path {path!r} may not hold the segments '.' and '..'")


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
