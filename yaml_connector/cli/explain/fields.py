"""The documentation of the fields of specs and contract tests, read from their JSON Schemas."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import click

from yaml_connector._text import did_you_mean
from yaml_connector.cli._diagnostics import text_width

_WIDTH = 100
_DEEPEST, _MOST, _SHOWN = 3, 200, 5  # levels, and fields of one, that a name is looked for in; paths that are shown
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """A field with its documentation. `about` describes its type, `below` are the fields below it."""

    path: str
    kind: str
    description: str
    required: bool = False
    default: Any = None
    examples: tuple[Any, ...] = ()
    about: str = ""
    below: tuple[Field, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        """Yield the field as text for a terminal."""
        wide = text_width(_WIDTH)
        if self.path:
            yield f"{self.path}  <{self.kind}>{'  required' if self.required else ''}"
            yield from [""] if self.description or self.about else []
        for text in dict.fromkeys((self.description, self.about)):
            if text:
                yield from textwrap.wrap(
                    " ".join(text.split()), wide, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
                )
        if self.default is not None:
            yield f"  Default: {_short(self.default)}"
        if self.examples:
            yield f"  Example: {', '.join(dict.fromkeys(map(_short, self.examples)))}"
        if self.below:
            yield ""
            yield "FIELDS"
        width = max((len(item.name) for item in self.below), default=0)
        for item in self.below:
            marks = f" (required; {item.kind})" if item.required else f" ({item.kind})"
            first = f"  {item.name:<{width}}  "
            text = item.description or item.about
            marks = marks if text else marks.strip()
            yield from textwrap.wrap(
                text + marks, wide, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
            )

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition(".")[2]

    def data(self) -> dict[str, Any]:
        """Return the field as JSON can hold it."""
        data = {"path": self.path, "type": self.kind, "description": self.description, "required": self.required}
        if self.default is not None:
            data["default"] = self.default
        return data | ({"fields": [item.data() for item in self.below]} if self.below else {})


def field_of(path: str, *, tests: bool = False) -> Field:
    """Return the field at a path (`get.poll.tolerance`); list indexes and names that the spec chooses may be left out.

    Raises click.UsageError with the closest name if there is no such field.
    """
    return _schema(tests).field(path)


def paths_of(name: str) -> list[str]:
    """Return the paths of the fields of a spec that have this name, those nearest to the top first; of a name with dots
    those that end in it."""
    name, *rest = name.split(".")
    found: list[str] = []
    level = [""]
    for _ in range(_DEEPEST):
        below = [field for path in level for field in _schema(False).field(path).below]
        found += [field.path for field in below if field.name == name]
        level = [field.path for field in below if field.kind not in ("string", "true or false", "duration")][:_MOST]
    return [path for path in (".".join([path, *rest]) for path in dict.fromkeys(found)) if _is_field(path)][:_SHOWN]


def _is_field(path: str) -> bool:
    try:
        return bool(field_of(path).path)
    except click.UsageError:
        return False


@lru_cache(maxsize=2)
def _schema(tests: bool) -> _Schema:
    if tests:
        from yaml_connector.testing.json_schema import contract_schema as schema_of
    else:
        from yaml_connector._spec.json_schema import connector_schema as schema_of
    return _Schema(schema_of())


class _Schema:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.definitions: Mapping[str, Any] = root["$defs"]

    def field(self, path: str) -> Field:
        about: Schema = self.root
        required = False
        walked: list[str] = []
        for part in [part for part in path.replace("[", ".").replace("]", "").split(".") if part]:
            about, required = self._child(about, part, walked)
            walked.append(part)
        return self._field(".".join(walked), about, required, deep=True)

    def _child(self, about: Schema, part: str, walked: list[str]) -> tuple[Schema, bool]:
        tagged = self._tagged(about)
        if part in tagged:
            return tagged[part], False
        for option in self._objects(about):
            if part in option.get("properties", {}):
                return option["properties"][part], part in option.get("required", [])
        for option in self._options(about):
            inner = option.get("items") if option.get("type") == "array" else _values(option)
            if inner is not None:
                below = self._names(inner)
                # `part` is an index or a name that the spec chooses, unless it is a field below one
                return (inner, False) if part not in below else self._child(inner, part, walked)
        where = ".".join(walked)
        names = self._names(about)
        raise click.UsageError(
            f"there is no field {part!r}{f' in {where}' if where else ''}{did_you_mean(part, names)}"
        )

    def _names(self, about: Schema) -> list[str]:
        names = [name for option in self._objects(about) for name in option.get("properties", {})]
        return list(dict.fromkeys([*names, *self._tagged(about)]))

    def _resolved(self, about: Schema) -> Schema:
        while "$ref" in about:
            own = {key: value for key, value in about.items() if key != "$ref"}
            about = {**self.definitions[about["$ref"].rpartition("/")[2]], **own}
        return about

    def _options(self, about: Schema) -> Iterator[Schema]:
        about = self._resolved(about)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in about:
                for option in about[key]:
                    yield from self._options(option)
                return
        yield about

    def _objects(self, about: Schema) -> Iterator[Schema]:
        for option in self._options(about):
            if "properties" in option:
                yield option
            elif option.get("type") == "array" and isinstance(option.get("items"), Mapping):
                yield from self._objects(option["items"])

    def _tagged(self, about: Schema) -> dict[str, Schema]:
        """Return the members of a union that `type` distinguishes (auth), by type."""
        found = {}
        for option in self._options(about):
            tag = option.get("properties", {}).get("type", {}).get("const")
            if tag is not None:
                found[tag] = option
        return found if len(found) > 1 else {}

    def _field(self, path: str, about: Schema, required: bool, *, deep: bool) -> Field:
        whole = self._resolved(about)
        named = self.definitions[about["$ref"].rpartition("/")[2]] if "$ref" in about else whole
        below: list[Field] = []
        if deep:
            tagged = self._tagged(about)
            for tag, option in tagged.items():
                text = " ".join(str(option.get("description", "")).split())
                below.append(Field(f"{path}.{tag}", "mapping", text))
            for option in [] if tagged else self._objects(about):
                for name, inner in option.get("properties", {}).items():
                    here = f"{path}.{name}" if path else name
                    below.append(self._field(here, inner, name in option.get("required", []), deep=False))
            for option in self._options(about) if not below else ():
                values = _values(option)
                if values is not None:
                    below += self._field(path, values, False, deep=True).below
        return Field(
            path=path,
            kind=self._kind(about),
            description=" ".join(str(about.get("description", whole.get("description", ""))).split()),
            required=required,
            default=about.get("default"),
            examples=tuple(
                about.get("examples")
                or [example for option in (whole, *self._options(whole)) for example in option.get("examples", ())]
            ),
            about=" ".join(str(named.get("description", "")).split()),
            below=tuple({item.path: item for item in below}.values()),
        )

    def _kind(self, about: Schema) -> str:
        kinds = dict.fromkeys(self._one_kind(option) for option in self._options(about))
        if kinds.keys() >= {"string", "number", "true or false"}:
            return "plain value"
        return " or ".join(kind for kind in kinds if kind != "null") or "null"

    def _one_kind(self, option: Schema) -> str:
        if "const" in option:
            return _short(option["const"])
        if "enum" in option:
            return " | ".join(map(str, option["enum"]))
        kind = option.get("type")
        if isinstance(kind, list):
            return "any value" if "object" in kind else "value"
        if kind == "string":
            pattern = option.get("pattern", "")
            return "duration" if "ms|s|m" in pattern else "size" if "KiB" in pattern else "string"
        if kind == "array":
            items = option.get("items")
            return f"list of {self._kind(items)}" if isinstance(items, Mapping) and items else "list"
        if kind == "object":
            values = _values(option)
            return f"names with {self._kind(values)}" if values else "mapping"
        return {"integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}.get(
            str(kind), "any value"
        )


def _values(option: Schema) -> Schema | None:
    """Return the schema of the values of a mapping whose names the spec chooses."""
    for inner in (option.get("additionalProperties"), *option.get("patternProperties", {}).values()):
        if isinstance(inner, Mapping):
            return inner
    return None


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
