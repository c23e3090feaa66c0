"""The public API: its types, its names, and that importing it is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import yaml_connector
import yaml_connector.testing
from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment

API = Path(__file__).with_name("api.py")
PACKAGES = {"yaml_connector": yaml_connector, "yaml_connector.testing": yaml_connector.testing}


def documented() -> set[str]:
    """The names in the tables of the reference's section on Python."""
    section = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").partition("\n## Python\n")[2]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
    return {name for name in re.findall(r"`([A-Za-z_]+)(?:\([^`]*\))?`", rows) if name not in NOT_OURS}


NOT_OURS = {"Config", "any", "problems"}  # an attribute, a type of the spec language, an attribute


@pytest.mark.slow
def test_mypy_accepts_the_public_api_in_strict_mode() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(API)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_typing_test_uses_every_public_name(package: str) -> None:
    imports = [node for node in ast.parse(API.read_text()).body if isinstance(node, ast.ImportFrom)]
    used = {alias.name for node in imports if node.module == package for alias in node.names}
    assert used == set(PACKAGES[package].__all__) - {"__version__"}


def test_the_public_names_are_those_that_are_documented() -> None:
    public = {name for package in PACKAGES.values() for name in package.__all__}
    assert public == documented()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_can_be_imported_and_is_listed(package: str) -> None:
    module = PACKAGES[package]
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; it has: "):
        _ = module.nothing


@pytest.mark.slow
@pytest.mark.parametrize("module", ["yaml_connector", "yaml_connector.testing", "yaml_connector.testing.pytest_plugin"])
def test_importing_it_loads_nothing_else_of_the_package(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(*(name for name in sys.modules if name.startswith('yaml_connector')))"
    environment = clean_environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    parts = module.split(".")
    assert set(done.stdout.split()) == {".".join(parts[: number + 1]) for number in range(len(parts))}
