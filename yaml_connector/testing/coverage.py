"""Finds what no test reached: values of `phase.map`, rules and steps. Tests report it by the events of their calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.events import Events
from yaml_connector._loading.document import show_path
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.fields import Path
from yaml_connector._spec.phases import state_key
from yaml_connector._spec.requests import Calls


@dataclass(frozen=True)
class Unreached:
    """A place of the spec that no test reached: its position, its path, and a `map`'s value or a step's name."""

    file: str
    line: int
    column: int
    path: str
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}" + (f": {self.value}" if self.value else "")


class Coverage(Events):
    """Collects what tests reach of one spec, from the events of the job clients that they call, one after the other."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self.loaded = loaded
        self._reached: set[Path] = set()
        self._section: Path = ()

    def add(self, other: Coverage) -> None:
        """Add what other tests of the same spec reached."""
        self._reached |= other._reached

    def section(self, name: str) -> None:
        self._section = _SECTIONS.get(name, (name,))
        if name.startswith("on_failure."):
            self._section = ("create", "on_failure", int(name.removeprefix("on_failure.")))

    def step(self, name: str | None) -> None:
        self._reached.add(self._section if "on_failure" in self._section else _mark(self._section, name))

    def rule(self, index: int, state: str) -> None:
        self._reached.add(("rule", index, state_key(state)))

    def unreached(self) -> list[Unreached]:
        """Return what was not reached, in the order of the file."""
        found = []
        for place in _places(self.loaded):
            if place.mark not in self._reached:
                line, column = self.loaded.document.position(place.path, key=True)
                shown = place.path[:-1] if place.of_map else place.path
                found.append(Unreached(self.loaded.file, line, column, show_path(shown), place.value))
        return sorted(found, key=lambda item: (item.line, item.column))


_SECTIONS: dict[str, Path] = {"adopt": ("create", "adopt")}


def _mark(section: Path, step: str | None) -> Path:
    return section if step is None else (*section, step)


@dataclass(frozen=True)
class _Place:
    """A place that tests can reach: as it is marked, and its path in the file. `value` is a step's name, or the value
    of a `map` (then `path` is the value's)."""

    mark: Path
    path: Path
    value: str | None = None
    of_map: bool = False


def _places(loaded: LoadedSpec) -> Iterator[_Place]:
    spec = loaded.spec
    for path, section in spec.calls():
        yield from _call_places(section, path)
    for index, step in enumerate(spec.create.on_failure):
        path = ("create", "on_failure", index)
        yield _Place(path, path, step.name)
    if spec.get is None:
        return
    for index, rule in enumerate(spec.get.phase):
        here = loaded.document.item(("get", "phase"), index)
        if rule.map is None:
            yield _Place(("rule", index, ""), here)
        for phase, values in (rule.map or {}).items():
            for number, value in enumerate(values):
                text = as_text(value)
                yield _Place(("rule", index, state_key(value)), (*here, "map", phase, number), text, of_map=True)


def _call_places(section: Calls, path: Path) -> Iterator[_Place]:
    for index, step in enumerate(section.steps or []):
        yield _Place(_mark(path, step.name), (*path, "steps", index), step.name)
    if section.request is not None:
        where = path if section.steps is None else (*path, "request")
        yield _Place(_mark(path, section.name), where, section.name)
