"""What the project says of itself is true: its dependencies, and what it offers to projects that use it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.paths import ROOT
from tests.support.yaml_data import yaml_data
from yaml_connector.cli.main import cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Declared, and not imported by an import statement.
LOADED_BY_NAME = {
    "aws": {"botocore"},
    "google": {"google-auth", "requests"},
    "http2": {"httpx"},  # with its own extra
    "jwt": {"pyjwt"},
    "socks": {"httpx"},
}
GUIDES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
BROUGHT_BY_THE_USER = {"pytest"}  # its plugin is loaded by pytest only


def distribution(requirement: str) -> str:
    """The name of a requirement, as the index writes it."""
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[._]", "-", found[0]).lower()


TOOLS = ("dev", "container-tests")  # extras for working on the project


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node: an expression imports nothing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


def imported() -> set[str]:
    """The distributions that the package imports."""
    modules: set[str] = set()
    for file in (ROOT / "yaml_connector").rglob("*.py"):
        for node in statements(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    outside = {module for module in modules if module.split(".")[0] not in {*sys.stdlib_module_names, "yaml_connector"}}
    known = packages_distributions()
    found = {
        "protobuf" if module.startswith("google.protobuf") else known[module.split(".")[0]][0] for module in outside
    }
    return {distribution(name) for name in found} - BROUGHT_BY_THE_USER


@pytest.mark.slow
def test_what_is_imported_is_declared_and_nothing_else_is() -> None:
    assert sorted(map(distribution, PROJECT["dependencies"])) == sorted(imported())


def test_an_extra_has_what_is_loaded_by_its_name() -> None:
    extras = {name: set(map(distribution, listed)) for name, listed in EXTRAS.items() if name not in TOOLS}
    assert extras == LOADED_BY_NAME


def data(name: str) -> Any:
    return yaml_data(ROOT / name)


def command_lines() -> list[str]:
    """The command lines of `yaml-connector` in the files for hooks and for GitHub."""
    hooks = [hook["entry"] for hook in data(".pre-commit-hooks.yaml")]
    local = [hook["entry"] for repo in data(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    steps = [step["run"] for step in data("action.yml")["runs"]["steps"] if "run" in step]
    lines = [line.strip() for text in [*hooks, *local, *steps] for line in text.splitlines()]
    return [line.partition("yaml-connector ")[2] for line in lines if "yaml-connector " in line]


@pytest.mark.parametrize("line", command_lines())
def test_the_hooks_and_the_action_use_commands_and_options_that_exist(line: str) -> None:
    command, *words = line.split()
    offered = CliRunner().invoke(cli, [command, "--help"])
    assert offered.exit_code == 0
    assert [word for word in words if word.startswith("--") and word not in offered.output] == []


def test_the_action_validates_for_github_and_writes_a_junit_report() -> None:
    lines = " ".join(command_lines())
    assert "validate --format github" in lines
    assert "--junit" in lines
    assert data("action.yml")["runs"]["using"] == "composite"


def test_every_hook_has_what_pre_commit_wants() -> None:
    hooks = data(".pre-commit-hooks.yaml")
    hooks += [hook for repo in data(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    for hook in hooks:
        assert {"id", "name", "entry", "language"} <= hook.keys()
        re.compile(hook.get("files", ""))


@pytest.mark.slow
def test_the_files_that_the_guides_name_exist() -> None:
    for page in GUIDES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = re.findall(r"`([\w./-]+/[\w./-]*|[\w/-]+\.(?:py|md|toml|yaml|yml))`", text)
        for name in [name for name in named if "NAME" not in name]:
            assert (ROOT / name).exists() or [*(ROOT / "yaml_connector").rglob(name)], f"{page}: {name}"
