"""An OpenAPI 3 document: its operations, with `allOf` merged and references followed, also into files beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from yaml_connector.errors import ConfigError

_LARGEST = 64 * 2**20
_MOST_REFERENCES = 20  # in a row
_MOST_MERGES = 500  # parts of `allOf` that one node is made of
_DEEPEST = 200  # of YAML
_MOST_NODES = 3_000_000  # of YAML, once aliases are expanded
_DEEPEST_FIELD = 4
_MOST_FIELDS = 500  # of one response; outer fields come first

Node = dict[str, Any]


class Document:
    """A document. Every node that it returns is a mapping, whatever the file has in its place."""

    def __init__(self, data: Node, file: str, folder: Path | None = None) -> None:
        self.data = data
        self.file = file
        self._folder = (folder or Path(file).absolute().parent).resolve()  # of files that it may refer to
        self._files: dict[Path, Any] = {Path(file).absolute(): data}
        self._below: dict[str, list[str]] | None = None
        self.not_read: set[str] = set()  # references that were not followed
        paths = self.node(data.get("paths"))
        self.paths: dict[str, Node] = {str(path): self.node(item) for path, item in paths.items()}

    @classmethod
    def read(cls, content: bytes, file: str) -> Document:
        """Read the content of a file; raise ConfigError that says what to do if it is not an OpenAPI 3 document."""
        if len(content) > _LARGEST:
            raise ConfigError(f"{file} is longer than {_LARGEST // 2**20} MiB")
        data = parse_data(content, file)
        if isinstance(data, dict) and "swagger" in data:
            raise ConfigError(
                f"{file} is a Swagger {data['swagger']} document; convert it to OpenAPI 3 first: "
                f"npx swagger2openapi {file} -o openapi.json"
            )
        if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith("3"):
            raise ConfigError(f"{file} is not an OpenAPI 3 document: it has no `openapi: 3...`")
        return cls(_placed(data, Path(file).absolute()), file)

    @classmethod
    def of(cls, data: Node, file: str, folder: Path | None = None) -> Document:
        """Return a document that is a part of a file; it may refer to files in `folder`, by default the file's own."""
        return cls(_placed(data, Path(file).absolute()), file, folder)

    def node(self, raw: Any, merges: list[int] | None = None) -> Node:
        """Return a node with its references followed and `allOf` merged, as far as `merges` (one number) allows."""
        for _ in range(_MOST_REFERENCES):
            if not isinstance(raw, dict) or "$ref" not in raw:
                break
            raw = self._target(str(raw["$ref"]))
        if not isinstance(raw, dict):
            return {}
        parts = raw.get("allOf")
        if not isinstance(parts, list):
            return raw
        merges = merges if merges is not None else [_MOST_MERGES]
        merged: Node = {}
        for given in [*parts, {**raw, "allOf": None}]:
            merges[0] -= 1
            part = self.node(given, merges) if merges[0] > 0 else {}
            properties = {**as_mapping(merged.get("properties")), **as_mapping(part.get("properties"))}
            required = [*as_list(merged.get("required")), *as_list(part.get("required"))]
            merged = {**merged, **part, "properties": properties, "required": required}
        return merged

    def _target(self, reference: str) -> Any:
        where, _, pointer = reference.partition("#")
        target = self._file(Path(where))
        for name in pointer.strip("/").split("/") if pointer.strip("/") else []:
            key = name.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            target = target.get(key) if isinstance(target, dict) else None
        return target

    def _file(self, path: Path) -> Any:
        """Return the data of a file that the document refers to; None if it is not in its folder or below."""
        if path not in self._files:
            self._files[path] = None
            try:
                inside = path.resolve().is_relative_to(self._folder) and path.is_file()
                content = path.read_bytes() if inside and path.stat().st_size <= _LARGEST else None
            except (OSError, ValueError):  # not the name of a file
                content = None
            if content is None:
                self.not_read.add(str(path).removeprefix(f"{self._folder}/"))
            else:
                self._files[path] = _placed(parse_data(content, str(path)), path)
        return self._files[path]

    def below(self, path: str) -> list[str]:
        """Return the paths that are a path and one more word: `/jobs/{id}/cancel`, `/jobs/{id}:cancel`."""
        if self._below is None:
            self._below = {}
            for known in self.paths:
                above, word = re.fullmatch(r"(.*?)([/:][^/:{}]+)?", bare(known), re.DOTALL).groups()  # type: ignore[union-attr]
                if word:
                    self._below.setdefault(above, []).append(known)
        return self._below.get(bare(path), [])

    def has(self, path: str, method: str) -> bool:
        """Return whether there is such a call."""
        return method in self.paths.get(path, {})

    def operation(self, path: str, method: str) -> Operation:
        """Return a call; it says nothing if it is not in the document."""
        return Operation(self, path, method)

    def options(self, schema: Node) -> list[Node]:
        """Return the forms that a schema allows: itself, or those of `oneOf` and `anyOf`; without null."""
        forms = [self.node(part) for key in ("oneOf", "anyOf") for part in as_list(schema.get(key))]
        return [form for form in forms or [schema] if form.get("type") != "null"]

    def fields(self, schema: Node) -> Iterator[tuple[str, str, Node]]:
        """Yield the JSONPath, name and schema of each field, outer ones first; of a list, its first item's."""
        level = [("$", schema)]
        count = 0
        for _ in range(_DEEPEST_FIELD):
            below: list[tuple[str, Node]] = []
            for where, node in level:
                for form in self.options(node):
                    if "items" in form:
                        below.append((f"{where}[0]", self.node(form["items"])))
                    for name, raw in as_mapping(form.get("properties")).items():
                        if not re.fullmatch(r"[A-Za-z_]\w*", str(name)):
                            continue
                        count += 1
                        if count > _MOST_FIELDS:
                            return
                        about = self.node(raw)
                        yield f"{where}.{name}", str(name), about
                        below.append((f"{where}.{name}", about))
            level = below

    def is_scalar(self, schema: Node) -> bool:
        """Return whether a schema is not of an object or a list, as far as it says."""
        return not self.kinds(schema) & {"object", "array"} and "properties" not in schema

    def kinds(self, schema: Node) -> set[str]:
        """Return the JSON types that a schema allows, without null."""
        found: set[str] = set()
        for form in self.options(schema):
            kind = form.get("type")
            found |= {str(item) for item in (kind if isinstance(kind, list) else [kind]) if item}
            found |= {"string"} if isinstance(form.get("const"), str) or ("enum" in form and not kind) else set()
        return found - {"null"}


@dataclass(frozen=True)
class Operation:
    """A call of a document: its path and method, and what the document says of it."""

    document: Document
    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def node(self) -> Node:
        """Return all that the document says of it."""
        return self.document.node(self.document.paths.get(self.path, {}).get(self.method))

    @property
    def parameters(self) -> dict[str, Node]:
        """Return its parameters, with those of its path, by name."""
        holders = (self.document.paths.get(self.path, {}), self.node)
        found = (self.document.node(raw) for holder in holders for raw in as_list(holder.get("parameters")))
        return {str(about.get("name")): about for about in found}

    @property
    def schema(self) -> Node:
        """Return the schema of its successful response."""
        return self.document.node(next(map(_schema_of, self.responses), None))

    @property
    def responses(self) -> list[Node]:
        """Return its successful responses, those with JSON first."""
        responses = self.document.node(self.node.get("responses"))
        good = [raw for status, raw in responses.items() if re.fullmatch(r"2(\d\d|XX)|default", str(status))]
        return sorted(map(self.document.node, good), key=lambda node: not _schema_of(node))

    @property
    def response_name(self) -> str | None:
        """Return the reference to the schema of its successful response, if there is one."""
        raw = next(map(_schema_of, self.responses), None)
        return str(raw["$ref"]) if isinstance(raw, dict) and "$ref" in raw else None

    @property
    def fields(self) -> Iterator[tuple[str, str, Node]]:
        """Yield the JSONPath, name and schema of each field of its successful response."""
        return self.document.fields(self.schema)

    @property
    def body(self) -> tuple[str | None, Node, bool]:
        """Return the media type of its body (JSON, if allowed), the schema, and whether it is required."""
        node = self.document.node(self.node.get("requestBody"))
        content = as_mapping(node.get("content"))
        kinds = sorted(map(str, content), key=lambda kind: ("json" not in kind, "form-urlencoded" not in kind))
        if not kinds:
            return None, {}, False
        schema = self.document.node(content.get(kinds[0])).get("schema")
        return kinds[0], self.document.node(schema), node.get("required") is True

    @property
    def example(self) -> Any:
        """Return an example of its JSON body; None if the document has none."""
        node = self.document.node
        for kind, raw in as_mapping(node(self.node.get("requestBody")).get("content")).items():
            media = node(raw)
            examples = [node(item).get("value") for item in as_mapping(media.get("examples")).values()]
            for value in (media.get("example"), *examples, node(media.get("schema")).get("example")):
                if "json" in str(kind) and isinstance(value, dict):
                    return value
        return None


@lru_cache(maxsize=100_000)
def bare(path: str) -> str:
    """Return a path without the names of its parameters and without a trailing slash."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def parse_data(content: bytes, file: str) -> Any:
    """Return JSON or YAML as data; raise ConfigError if it is neither."""
    try:
        return json.loads(content)
    except ValueError:
        pass
    except RecursionError:
        raise ConfigError(f"{file} is nested too deeply") from None
    import yaml

    try:
        _check_size(content, file)
        return yaml.load(content, Loader=_loader())  # noqa: S506 - a safe loader
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is neither JSON nor YAML: {str(error).splitlines()[0]}") from None


def _check_size(content: bytes, file: str) -> None:
    """Raise ConfigError for YAML that is nested too deeply, or too large once its aliases are expanded."""
    import yaml

    depth, count = 0, 0
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # the anchor of each node that is not over, and the count at its start
    for event in yaml.parse(content, Loader=_loader()):
        count += 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ConfigError(f"{file} has an alias *{event.anchor} of a part that it is in, or of none")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, count))
            depth = max(depth, len(open_))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_.pop()
            sizes |= {anchor: count - start} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent) and event.anchor:
            sizes[event.anchor] = 1
        if depth > _DEEPEST or count > _MOST_NODES:
            what = "nested too deeply" if depth > _DEEPEST else "too large once its aliases are expanded"
            raise ConfigError(f"{file} is {what}")


@lru_cache(maxsize=1)
def _loader() -> Any:
    """Return the safe loader without dates, because examples contain invalid dates."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in Loader.yaml_implicit_resolvers.items()
    }
    return Loader


def _placed(data: Any, file: Path) -> Any:
    """Make the file of every reference in data absolute, and return the data."""
    seen: set[int] = set()
    left = [data]
    while left:
        node = left.pop()
        if not isinstance(node, dict | list) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            node["$ref"] = _whole(node["$ref"], file)
        left += node.values() if isinstance(node, dict) else node
    return data


def _whole(reference: str, file: Path) -> str:
    where, hash_, pointer = reference.partition("#")
    return f"{file.parent / where if where else file}{hash_}{pointer}"


def _schema_of(node: Mapping[str, Any]) -> Any:
    for kind, media in as_mapping(node.get("content")).items():
        if "json" in str(kind) and isinstance(media, dict) and isinstance(media.get("schema"), dict):
            return media["schema"]
    return None


def as_mapping(value: Any) -> dict[Any, Any]:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []
