"""Reads an Arazzo document: its workflows with references followed, the lines of its parts, and its OpenAPI sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yaml_connector._loading.document import Document as Yaml
from yaml_connector._loading.document import parse
from yaml_connector._text import did_you_mean
from yaml_connector.cli.new.openapi.document import Document, Operation, parse_data
from yaml_connector.errors import ConfigError

_LARGEST = 16 * 2**20
_MOST_PARENTS = 8  # folders above the document in which a source is looked for
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class Arazzo:
    """An Arazzo document. Raises ConfigError, with what to do, if it is not one."""

    def __init__(self, content: bytes, file: str) -> None:
        self.file = file
        if len(content) > _LARGEST:
            raise ConfigError(f"{file} is longer than {_LARGEST // 2**20} MiB")
        self.yaml: Yaml = parse(content, file)
        data = self.yaml.data if isinstance(self.yaml.data, dict) else parse_data(content, file)
        if not isinstance(data, dict) or not str(data.get("arazzo", "")).startswith("1."):
            raise ConfigError(f"{file} is not an Arazzo 1 document: it has no `arazzo: 1...`")
        self.data: dict[str, Any] = data
        self.folder = Path(file).absolute().parent
        self._sources: dict[str, Document | None] = {}
        self.problems: list[str] = []

    def line(self, *path: str | int) -> int:
        """Return the line of a part of the document."""
        return self.yaml.position(path)[0] if self.yaml.values or self.yaml.text else 1

    @property
    def workflows(self) -> list[dict[str, Any]]:
        found = self.data.get("workflows")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def workflow(self, name: str | None) -> int | None:
        """Return the number of a workflow; None if none is named."""
        names = [str(item.get("workflowId")) for item in self.workflows]
        if not names:
            raise ConfigError(f"{self.file} has no workflows")
        if name is None:
            return 0 if len(names) == 1 else None
        if name not in names:
            raise ConfigError(
                f"{self.file} has no workflow {name}{did_you_mean(name, names)}; it has: {', '.join(names)}"
            )
        return names.index(name)

    def component(self, value: Any) -> Any:
        """Return a part with its `reference` to the components followed, and its own fields over those."""
        for _ in range(10):
            if not isinstance(value, dict):
                return value
            reference = value.get("reference") or value.get("$ref")
            if not isinstance(reference, str):
                return value
            names = re.split(r"[./]", re.sub(r"^\$?(#/)?", "", reference))
            target: Any = self.data
            for name in names:
                target = target.get(name) if isinstance(target, dict) else None
            own = {key: item for key, item in value.items() if key not in ("reference", "$ref")}
            if not isinstance(target, dict):
                return own
            value = {**target, **own}
        return value

    # --- sources ---

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Return the OpenAPI sources by name."""
        found = self.data.get("sourceDescriptions")
        listed = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
        return {str(item.get("name")): item for item in listed if item.get("type", "openapi") == "openapi"}

    def source(self, name: str) -> Document | None:
        """Return a source; None if it cannot be read, which `problems` then tells. Nothing is fetched."""
        if name not in self._sources:
            self._sources[name] = None
            try:
                self._sources[name] = self._read(name)
            except ConfigError as error:
                self.problems.append(f"the source {name}: {error}")
        return self._sources[name]

    def _read(self, name: str) -> Document:
        about = self.sources[name]
        for value in about.values():
            if isinstance(value, dict) and "openapi" in value and "paths" in value:
                return Document.of(value, self.file)
        url = str(about.get("url", ""))
        for place in self._places(url):
            if place.is_file():
                if place.stat().st_size > 64 * 2**20:
                    raise ConfigError(f"{place} is too large")
                return Document.read(place.read_bytes(), str(place))
        raise ConfigError(f"there is no file {url} beside {self.file}, nor above it")

    def _places(self, url: str) -> Iterator[Path]:
        """Yield where a source may be: relative to the document, to a folder above it, or beside it."""
        bare = re.sub(r"^[a-z]+://[^/]*/?|[?#].*$", "", url) if "://" in url else url.partition("#")[0]
        if not bare or "\0" in bare:
            return
        folders = [self.folder, *list(self.folder.parents)[:_MOST_PARENTS]]
        if "://" not in url:
            yield from (folder / bare for folder in folders)
            parts = Path(bare).parts
            stripped = Path(*[part for part in parts if part not in ("..", ".", "/")]) if parts else Path()
            yield from (folder / stripped for folder in folders)
        yield self.folder / Path(bare).name

    # --- operations ---

    def operation(self, step: dict[str, Any]) -> Operation | None:
        """Return the call of a step; None if it cannot be found."""
        if isinstance(name := step.get("operationId"), str):
            return self._by_id(name)
        if isinstance(path := step.get("operationPath"), str):
            return self._by_path(path)
        return None

    def _by_id(self, name: str) -> Operation | None:
        bare = name.removeprefix("$sourceDescriptions.")
        source = next((known for known in self.sources if bare.startswith(f"{known}.")), None)
        wanted = [(known, name) for known in self.sources]
        if source is not None:
            wanted.insert(0, (source, bare.removeprefix(f"{source}.")))
        for known, operation in wanted:
            document = self.source(known)
            for path, item in document.paths.items() if document is not None else ():
                for method in _METHODS:
                    if isinstance(item.get(method), dict) and item[method].get("operationId") == operation:
                        assert document is not None
                        return document.operation(path, method)
        return None

    def _by_path(self, text: str) -> Operation | None:
        where, _, pointer = text.partition("#")
        parts = pointer.strip("/").split("/")
        if len(parts) != 3 or parts[0] != "paths":
            return None
        path = parts[1].replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
        named = [name for name in self.sources if name in re.split(r"[^\w-]", where)]
        for name in named or list(self.sources):
            document = self.source(name)
            if document is not None and document.has(path, parts[2].lower()):
                return document.operation(path, parts[2].lower())
        return None
