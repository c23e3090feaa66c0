"""The catalog: specs of well-known job APIs, each with its contract test, as data of this package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from yaml_connector._text import did_you_mean
from yaml_connector.errors import ConfigError


@dataclass(frozen=True)
class Entry:
    """A spec of the catalog. `files` maps the names of the spec, its contract test, and what those read to files."""

    name: str
    files: dict[str, Traversable]

    @property
    def text(self) -> str:
        """The text of the spec."""
        return self.files[f"{self.name}.yaml"].read_text(encoding="utf-8")

    @property
    def test_text(self) -> str:
        """The text of the contract test."""
        return self.files[f"{self.name}.test.yaml"].read_text(encoding="utf-8")

    @property
    def summary(self) -> dict[str, Any]:
        """Name, task type, title and description, read without checking the whole spec."""
        from yaml_connector._loading.document import parse

        data = parse(self.text.encode(), self.name).data or {}
        return {
            "name": self.name,
            "task_type": data.get("task_type_name", self.name),
            "title": data.get("name") or self.name,
            "description": " ".join(str(data.get("description") or "").split()),
        }

    def contents(self) -> dict[str, str]:
        """Return the contents of all files, by name."""
        return {name: file.read_text(encoding="utf-8") for name, file in self.files.items()}


def entries() -> list[Entry]:
    """Return all specs of the catalog by name; raise ConfigError if there are none, for then the data is missing."""
    folder = files(__name__)
    found = {file.name: file for file in folder.iterdir()} if folder.is_dir() else {}
    names = sorted(
        name.removesuffix(".yaml") for name in found if name.endswith(".yaml") and not name.endswith(".test.yaml")
    )
    if not names:
        raise ConfigError("the catalog is missing from this installation; install yaml-connector again")
    return [Entry(name, {file: found[file] for file in sorted(found) if file.startswith(f"{name}.")}) for name in names]


def entry(name: str) -> Entry:
    """Return one spec of the catalog; raise ConfigError that names the closest one."""
    found = {item.name: item for item in entries()}
    if name not in found:
        raise ConfigError(f"the catalog has no spec {name!r}{did_you_mean(name, found, what='it has')}")
    return found[name]
