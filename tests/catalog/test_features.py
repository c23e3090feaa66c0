"""Every feature of the language is used by a spec of this repository, so nothing exists that is only described."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from yaml_connector.load.loader import LoadedSpec, examine
from yaml_connector.spec import PHASES, ConnectorSpec
from yaml_connector.spec.base import Model
from yaml_connector.values.filters import FILTERS, FUNCTIONS
from yaml_connector.values.types import SCALARS

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "connectors.d", ROOT / "catalog", ROOT / "tests" / "catalog" / "corners"]


@pytest.fixture(scope="module")
def specs() -> list[LoadedSpec]:
    loaded, problems = examine([str(folder) for folder in FOLDERS])
    assert [problem for problem in problems if problem.severity == "error"] == []
    return loaded


@pytest.fixture(scope="module")
def text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.glob("*.yaml")))


def all_fields(annotation: Any, seen: set[type]) -> Iterator[tuple[str, str]]:
    """Every field of every model below an annotation, as (model, field)."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        if annotation in seen:
            return
        seen.add(annotation)
        for name, field in annotation.model_fields.items():
            yield annotation.__name__, name
            yield from all_fields(field.annotation, seen)
        return
    for part in [*get_args(annotation)]:
        yield from all_fields(part, seen)


def used_fields(value: Any) -> Iterator[tuple[str, str]]:
    """Every field that a spec sets, as (model, field)."""
    if isinstance(value, Model):
        for name in value.model_fields_set:
            for base in type(value).__mro__:
                if issubclass(base, Model) and name in base.model_fields:
                    yield base.__name__, name
            yield from used_fields(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from used_fields(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from used_fields(item)


def test_every_field_is_used_by_some_spec(specs: list[LoadedSpec]) -> None:
    # `steps`, `if`, `success` and the like mean the same in every section: one use of each is enough
    same_everywhere = {"Calls", "Adopt", "Create", "Get", "Result", "Delete", "Logs", "Step", "NamedStep"}
    own = {
        name
        for model in ("Calls", "Step")
        for name in next(iter([cls.model_fields for cls in (_model(model),)]))
    }
    used = set()
    for item in specs:
        used |= set(used_fields(item.spec))
    used_names = {name for model, name in used if model in same_everywhere}
    missing = []
    for model, name in sorted(set(all_fields(ConnectorSpec, set()))):
        if model in same_everywhere and name in own:
            if name not in used_names:
                missing.append(f"{model}.{name}")
        elif (model, name) not in used:
            missing.append(f"{model}.{name}")
    assert missing == []


def _model(name: str) -> type[Model]:
    from yaml_connector.spec import requests

    found: type[Model] = getattr(requests, name)
    return found


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_is_used_by_some_spec(name: str, text: str) -> None:
    assert re.search(rf"\|\s*{name}\b", text)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_used_by_some_spec(name: str, text: str) -> None:
    assert re.search(rf"\b{name}\(", text)


@pytest.mark.parametrize("name", [*SCALARS, "list[", "dict[str"])
def test_every_type_is_used_by_some_spec(name: str, text: str) -> None:
    assert re.search(rf"(:|\[|,)\s*['\"]?{re.escape(name)}", text)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_used_by_some_spec(phase: str, text: str) -> None:
    assert re.search(rf"\b{phase}\b", text)


@pytest.mark.parametrize(
    "name",
    [
        *("task.key", "task.name", "task.execution_id", "task.attempt", "task.labels", "task.container", "task.sql"),
        *("job.created_at", "page.token", "page.lines", "output.name", "output.type", "base_url", "env.", "cursor"),
        *("headers", "text", "url", "status", "item", "line", "jobs", "jwt"),
    ],
)
def test_every_name_is_used_by_some_spec(name: str, text: str) -> None:
    assert name in text
