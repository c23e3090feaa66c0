"""Runtime expressions of Arazzo: `$inputs.x`, `$steps.y.outputs.z`, `$response.body#/a`, alone or inside text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from yaml_connector.cli.new.jsonpaths import pointer_path
from yaml_connector.cli.new.sketch import Ref, Text

_WORDS = r"inputs|steps|response|request|statusCode|url|method|workflows|outputs|components|message|self"
_BARE = rf"\$(?:{_WORDS})\b(?:\.[\w-]+|\[[^\]\s]*\])*(?:#/[^\s\"'{{}},;&]*)?"
_INSIDE = re.compile(rf"\{{({_BARE})\}}|({_BARE})")
_WHOLE = re.compile(rf"\{{?({_BARE})\}}?")


@dataclass(frozen=True)
class Source:
    """What an expression names: inputs (also the output of another workflow, which is `output`), a step's output, or a
    part of the response; with the rest of its path.
    """

    kind: str  # inputs, steps, response, status, url, method, other
    name: str = ""
    output: str = ""
    path: str = ""  # a JSONPath below it: "" for the whole, `$.a[0]` inside


def source_of(text: str) -> Source:
    """Return what an expression names."""
    bare = text.strip().strip("{}")
    head, hash_, pointer = bare.partition("#")
    inside = pointer_path(pointer) if hash_ and pointer.strip("/") else ""
    if bare == "$statusCode":
        return Source("status")
    if head.startswith("$response.header"):
        return Source("response", "header", head.removeprefix("$response.header").lstrip("."))
    if head.startswith("$response.body"):
        rest = head.removeprefix("$response.body")
        return Source("response", "body", path=inside or (f"${rest}" if rest else ""))
    if found := re.match(r"\$inputs\.([\w-]+)(.*)$", head):
        return Source("inputs", found[1], path=inside or (f"${found[2]}" if found[2] else ""))
    if found := re.match(r"\$workflows\.([\w-]+)\.(?:outputs|inputs)\.([\w-]+)(.*)$", head):
        return Source("inputs", found[2], found[1], inside or (f"${found[3]}" if found[3] else ""))
    if found := re.match(r"\$steps\.([\w-]+)\.outputs\.([\w-]+)(.*)$", head):
        return Source("steps", found[1], found[2], inside or (f"${found[3]}" if found[3] else ""))
    if re.match(r"\$(url|method)$", head):
        return Source(head[1:])
    return Source("other", bare)


def text_of_value(value: str, ref: Callable[[Source], Any]) -> Any:
    """Return a text with its expressions replaced; `ref` returns what one of them becomes.

    An expression alone keeps its type. Braces are optional: documents leave them out inside text, too.
    """
    whole = _WHOLE.fullmatch(value.strip())
    if whole is not None:
        found = ref(source_of(whole[1]))
        return Text.of(found) if isinstance(found, Ref) else found
    parts: list[str | Ref | Text] = []
    end = 0
    for match in _INSIDE.finditer(value):
        found = ref(source_of(match[1] or match[2]))
        parts.append(value[end : match.start()])
        parts.append(found if isinstance(found, Ref | Text) else str(found))
        end = match.end()
    return Text.of(*parts, value[end:])


def sources_in(value: Any) -> list[Source]:
    """Return all that the expressions in data name."""
    if isinstance(value, dict):
        return [source for item in value.values() for source in sources_in(item)]
    if isinstance(value, list):
        return [source for item in value for source in sources_in(item)]
    if isinstance(value, str):
        return [source_of(found[1] or found[2]) for found in _INSIDE.finditer(value)]
    return []
