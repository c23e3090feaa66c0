"""Flyte's private names are in one module, and the registry lists what it has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from flyte.connectors import ConnectorRegistry

import yaml_connector
from tests.support.paths import ROOT
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._loading.loader import load
from yaml_connector.flyte.connector import YamlConnector
from yaml_connector.flyte.registry import register_spec, unregister

PACKAGE = Path(yaml_connector.__file__).parent

SPEC = """
spec_version: 1
task_type_name: {type}
name: {name}
connection: {{base_url: "http://127.0.0.1:1{path}"}}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""


def private_names(file: Path) -> list[str]:
    """What a module imports of Flyte, or reads of its classes, that begins with an underscore."""
    text = file.read_text(encoding="utf-8")
    if not re.search(r"(?<!yaml_connector\.)\bflyte\b|_REGISTRY|_METADATA", text):
        return []  # most modules: parsing them all takes a second
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and node.attr in ("_REGISTRY", "_METADATA"):
            names = [f"flyte.{node.attr}"]
        else:
            continue
        found += [name for name in names if name.startswith("flyte.") and "._" in name]
    return found


def test_one_module_alone_knows_private_names_of_flyte() -> None:
    found = {str(file.relative_to(PACKAGE)): private_names(file) for file in PACKAGE.rglob("*.py")}
    assert {file for file, names in found.items() if names} == {"flyte/_internals.py"}


def test_flyte_is_pinned_to_the_minor_release_that_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [line for line in project["dependencies"] if line.startswith("flyte[")] == ["flyte[connector]>=2.12.1,<2.13"]


@pytest.fixture
def listed() -> Iterator[None]:
    registry = dict(ConnectorRegistry._REGISTRY)
    yield
    ConnectorRegistry._REGISTRY = registry


def names_of(task_type: str) -> list[str]:
    """Under which names the registry lists a task type."""
    return [
        listed.name
        for listed in ConnectorRegistry._list_connectors()
        for category in listed.supported_task_categories
        if category.name == task_type
    ]


def test_a_changed_spec_replaces_its_connector_and_is_listed_once_by_its_new_name(listed: None, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"

    def registered(name: str, path: str = "") -> object:
        file.write_text(SPEC.format(type="registry_one", name=name, path=path))
        return register_spec(load(file)[0])

    first = registered("First")
    assert registered("First") is first
    changed = registered("First", "/v2")
    assert ConnectorRegistry.get_connector("registry_one") is changed
    assert names_of("registry_one") == ["First"]
    registered("Second")
    assert names_of("registry_one") == ["Second"]


def test_a_connector_that_is_removed_is_neither_found_nor_listed_and_may_come_back(
    listed: None, tmp_path: Path
) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(SPEC.format(type="registry_two", name="Two", path=""))
    old = register_spec(load(file)[0])
    unregister(old)
    assert names_of("registry_two") == []
    with pytest.raises(Exception, match="Cannot find connector for task type: registry_two"):
        ConnectorRegistry.get_connector("registry_two")
    new = register_spec(load(file)[0])
    assert names_of("registry_two") == ["Two"]
    unregister(old)  # another one has taken its place
    assert ConnectorRegistry.get_connector("registry_two") is new
    unregister(new)


def test_a_changed_spec_goes_on_with_what_is_known_of_its_jobs(listed: None, tmp_path: Path) -> None:
    """Also one that was removed in between: the job's last phase, its secrets, and what was done for it."""
    file = tmp_path / "three.yaml"

    def registered(path: str) -> YamlConnector:
        file.write_text(SPEC.format(type="registry_three", name="Three", path=path))
        return register_spec(load(file)[0])

    first = registered("")
    meta = JobMeta("registry_three", id="7")
    first.jobs.cache.get(meta).phase = "QUEUED"
    second = registered("/v2")
    assert second is not first
    assert second.jobs.cache.get(meta).phase == "QUEUED"
    unregister(second)
    third = registered("/v2")
    assert third is not second
    assert third.jobs.cache.get(meta).phase == "QUEUED"
    unregister(third)


@pytest.mark.slow
def test_modules_that_older_stubs_wrote_are_still_imported() -> None:
    code = (
        "from yaml_connector.task.typed import TaskOptions, names_of\n"
        "import yaml_connector.task.plugin as plugin\n"
        "from yaml_connector.flyte import stub_runtime, task\n"
        "assert (names_of, TaskOptions) == (stub_runtime.names_of, stub_runtime.TaskOptions)\n"
        "assert plugin.YamlConnectorTask is task.YamlConnectorTask\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
