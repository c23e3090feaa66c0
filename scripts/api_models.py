"""Vendors' machine-readable models of their APIs, in one form: OpenAPI 3, Swagger 2, Google discovery, AWS (botocore).

All are read as OpenAPI 3 documents, whose references `Document` follows.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml_connector.cli.new.openapi.document import Document, Node, parse_data

_METHODS = ("get", "put", "post", "delete", "patch", "head")
_ENDINGS = (".json", ".yaml", ".yml", ".json.gz")


@dataclass(frozen=True)
class Operation:
    """A call of an API. `target` is the header X-Amz-Target that AWS's JSON protocols tell calls apart by."""

    document: Document
    method: str
    path: str
    target: str = ""

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.target or self.path}"

    def rank(self, path: str) -> tuple[int, int] | None:
        """Return how well the path of a URL fits: literal characters, then those before it; None if it does not."""
        found = re.search(_pattern(self.path), path)
        return found and (len(re.sub(r"\{[^}]*\}", "", self.path)), -found.start())

    @property
    def query(self) -> dict[str, Node]:
        """Query parameters by name."""
        found = self.document.operation(self.path, self.method).parameters
        return {name: about for name, about in found.items() if about.get("in") == "query"}

    @property
    def bodies(self) -> dict[str, Node]:
        """Schemas of the request's body by media type."""
        body = self.document.node(self.document.operation(self.path, self.method).node.get("requestBody"))
        return self._content(body)

    def answers(self, status: int) -> dict[str, Node] | None:
        """Schemas of the response's body by media type; None if the model does not know the status."""
        known = self.document.node(self.document.operation(self.path, self.method).node.get("responses"))
        known = {str(code).upper(): about for code, about in known.items()}
        others = [code for code in sorted(known) if code[0] == "2" and 200 <= status < 300]  # often 200 stands for 201
        for code in (str(status), f"{status // 100}XX", *others, "DEFAULT"):
            if code in known:
                return self._content(self.document.node(known[code]))
        return None

    def _content(self, holder: Node) -> dict[str, Node]:
        kinds = self.document.node(holder.get("content"))
        return {str(kind): self.document.node(self.document.node(about).get("schema")) for kind, about in kinds.items()}


def _pattern(path: str) -> str:
    """Return the regex of a path template, which may stand behind a base path."""
    pieces = re.split(r"(\{[^}]*\})", path.partition("?")[0].partition("#")[0])
    any_of = [".+" if "+" in piece or "path" in piece.lower() else "[^/]+" for piece in pieces]
    text = "".join(any_ if piece[:1] == "{" else re.escape(piece) for piece, any_ in zip(pieces, any_of, strict=True))
    return f"{'' if text.startswith('/') else '/'}{text.rstrip('/')}/?$" if text.strip("/") else "^/?$"


def operations_in(place: Path, name: str) -> dict[str, list[Operation]]:
    """Return the calls of the models of a spec by file: `NAME.json`, `NAME.yaml`, and all in the folder `NAME`."""
    files = [place / f"{name}{ending}" for ending in _ENDINGS]
    files += sorted(path for path in (place / name).rglob("*") if path.name.endswith(_ENDINGS))
    read = {str(file.relative_to(place)): list(_operations(file, place)) for file in files if file.is_file()}
    return {file: operations for file, operations in read.items() if operations}


def _operations(file: Path, place: Path) -> Iterator[Operation]:
    content = file.read_bytes()
    data = parse_data(gzip.decompress(content) if file.suffix == ".gz" else content, str(file))
    data = data if isinstance(data, dict) else {}
    if "swagger" in data:
        data = _of_swagger(data, file, place)
    elif "discoveryVersion" in data:
        data = _of_discovery(data)
    elif "shapes" in data and "operations" in data:
        data = _of_aws(data)
    if not isinstance(data.get("paths"), dict):
        return
    document = Document.of(data, str(file), place)
    for path, item in document.paths.items():
        for method in _METHODS:
            if isinstance(item.get(method), dict):
                yield Operation(document, method, path, item[method].get("x-target", ""))


# --- the other forms -------------------------------------------------------------------------------------------------


def _json(schema: Any) -> Node:
    return {"content": {"application/json": {"schema": schema}}}


def _of_swagger(data: Node, file: Path, place: Path) -> Node:
    """Move bodies to where OpenAPI 3 has them; parameters and definitions are read where they are."""
    base = str(data.get("basePath") or "").rstrip("/")
    document = Document.of(data, str(file), place)
    for item in data.get("paths", {}).values():
        shared = item.get("parameters", [])
        for operation in (item[method] for method in _METHODS if method in item):
            parameters = [document.node(raw) or raw for raw in [*shared, *operation.get("parameters", [])]]
            forms = {about["name"]: about for about in parameters if about.get("in") == "formData"}
            for about in parameters:
                if about.get("in") == "body":
                    operation["requestBody"] = _json(about.get("schema"))
            if forms:
                operation["requestBody"] = {"content": {"form": {"schema": {"type": "object", "properties": forms}}}}
            operation["parameters"] = parameters
            for status, raw in operation.get("responses", {}).items():
                answer = document.node(raw)
                operation["responses"][status] = _json(answer["schema"]) if "schema" in answer else {}
    return {**data, "paths": {base + path: item for path, item in data.get("paths", {}).items()}}


def _of_discovery(data: Node) -> Node:
    """Return the methods of a Google discovery document, and its schemas below `schemas`."""
    shared = [{"name": name, "in": "query", "schema": about} for name, about in data.get("parameters", {}).items()]
    paths: Node = {}

    def take(resource: Node) -> None:
        for method in resource.get("methods", {}).values():
            path = "/" + str(data.get("servicePath", "")) + str(method.get("flatPath") or method["path"])
            known = method.get("parameters", {}).items()
            own = [
                {"name": name, "in": about["location"], "schema": about, "required": about.get("required", False)}
                for name, about in known
            ]
            operation: Node = {"parameters": [*shared, *own], "responses": {}}
            if "request" in method:
                operation["requestBody"] = _json(method["request"])
            operation["responses"]["2XX"] = _json(method["response"]) if "response" in method else {}
            paths.setdefault(path, {})[method["httpMethod"].lower()] = operation
        for below in resource.get("resources", {}).values():
            take(below)

    take(data)
    whole: Node = {"paths": paths, "schemas": data.get("schemas", {})}
    _refer(whole)
    return whole


def _refer(node: Any) -> None:
    """Turn the names of schemas into references, and leave types out that mean any value."""
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _refer(item)
    if isinstance(node, dict) and isinstance(node.get("$ref"), str) and "#" not in node["$ref"]:
        node["$ref"] = f"#/schemas/{node['$ref']}"
    if isinstance(node, dict) and node.get("type") == "any":
        node.clear()


_AWS_KINDS = {"float": "number", "double": "number", "long": "integer", "blob": "string", "character": "string"}


def _of_aws(data: Node) -> Node:
    """Return the operations of a service-2.json; its shapes become schemas, its errors one response `default`."""
    about, shapes, paths = data["metadata"], data["shapes"], {}
    for name, operation in data["operations"].items():
        given = shapes.get(operation.get("input", {}).get("shape"), {})
        parameters = [
            {"name": member.get("locationName", key), "in": "query", "required": key in given.get("required", [])}
            for key, member in given.get("members", {}).items()
            if member.get("location") == "querystring"
        ]
        entry: Node = {"parameters": parameters, "responses": {"2XX": {}}}
        if "input" in operation:
            entry["requestBody"] = _json(_aws_body(given, shapes))
        if "output" in operation:
            entry["responses"]["2XX"] = _json(_aws_body(shapes[operation["output"]["shape"]], shapes))
        errors = [_aws_body(shapes[error["shape"]], shapes) for error in operation.get("errors", [])]
        known = {key: value for error in errors for key, value in error["properties"].items()}
        text = {"type": "string"}
        error = {"type": "object", "properties": {"__type": text, "message": text, "Message": text, **known}}
        entry["responses"]["default"] = _json(error)
        path = operation["http"]["requestUri"].partition("?")[0]
        if "targetPrefix" in about:
            entry["x-target"] = f"{about['targetPrefix']}.{name}"
            path += f"#{name}"  # a document's paths are unique
        paths.setdefault(path, {})[operation["http"]["method"].lower()] = entry
    return {"paths": paths, "shapes": {name: _aws_schema(shape, shapes) for name, shape in shapes.items()}}


def _aws_body(shape: Node, shapes: Node) -> Node:
    """Return the schema of what of a shape is in the body."""
    if "payload" in shape:
        return {"$ref": f"#/shapes/{shape['members'][shape['payload']]['shape']}"} | {"properties": {}}
    members = {key: member for key, member in shape.get("members", {}).items() if "location" not in member}
    required = [key for key in shape.get("required", []) if key in members]
    return _aws_schema({**shape, "type": "structure", "members": members, "required": required}, shapes)


def _aws_schema(shape: Mapping[str, Any], shapes: Node) -> Node:
    def refer(member: Node) -> Node:
        return {"$ref": f"#/shapes/{member['shape']}"}

    kind = shape["type"]
    if kind == "structure":
        if shape.get("document"):
            return {}
        names = {key: member.get("locationName", key) for key, member in shape["members"].items()}
        return {
            "type": "object",
            "properties": {names[key]: refer(member) for key, member in shape["members"].items()},
            "required": [names[key] for key in shape.get("required", [])],
        }
    if kind == "list":
        return {"type": "array", "items": refer(shape["member"])}
    if kind == "map":
        return {"type": "object", "additionalProperties": refer(shape["value"])}
    if kind == "timestamp":
        return {"type": "string" if shape.get("timestampFormat") == "iso8601" else "number"}
    schema: Node = {"type": _AWS_KINDS.get(kind, kind)}
    return schema | ({"enum": shape["enum"]} if "enum" in shape else {})
