"""The built package: the wheel is made from the source distribution, installed into a fresh environment, and its
commands are run in an empty folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.paths import CATALOG, ROOT
from tests.support.real_processes import clean_environment

pytestmark = pytest.mark.xdist_group("built package")  # all tests share one build
PACKAGE = ROOT / "yaml_connector"
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")

Run = Callable[..., subprocess.CompletedProcess[str]]


def run(command: Sequence[str | Path], cwd: Path) -> None:
    """Run a step of the build; what it wrote is shown if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def new_environment(folder: Path) -> Path:
    """Make a virtual environment; return its Python."""
    run([sys.executable, "-m", "venv", folder], folder.parent)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    python = new_environment(folder / "builder")
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    run([python, *PIP, "install", *requires], folder)
    make = "import setuptools.build_meta as backend, sys; backend.build_sdist(sys.argv[1])"
    run([python, "-c", make, folder], source)
    (sdist,) = folder.glob("*.tar.gz")
    run([python, *PIP, "wheel", "--no-deps", "--no-build-isolation", sdist], folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("user")
    python = new_environment(folder / "environment")
    run([python, *PIP, "install", "--no-deps", built[1]], folder)
    here = Path(sysconfig.get_path("purelib"))
    there = folder / "environment" / here.relative_to(sys.prefix)
    (there / "dependencies.pth").write_text(f"{here}\n")  # its own .pth files are not read: no editable install
    flyte = Path(sys.executable).with_name("flyte").read_text().partition("\n")[2]  # a command of a dependency
    python.with_name("flyte").write_text(f"#!{python}\n{flyte}")
    python.with_name("flyte").chmod(0o755)
    return python.parent


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Run:
    """Runs `yaml-connector` in an empty folder, where nothing of this checkout can be found."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**clean_environment(tmp_path), "PATH": f"{installed}:/usr/bin:/bin"}
        del environment["PYTHONPATH"]
        program = [str(installed / "yaml-connector"), *arguments]
        return subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    """What a command wrote, which must have succeeded."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def package_files() -> set[str]:
    """Every file of the package, relative to the checkout."""
    files = {str(file.relative_to(ROOT)) for file in PACKAGE.rglob("*") if file.is_file()}
    return {name for name in files if "__pycache__" not in name}


def test_the_wheel_and_the_source_distribution_hold_every_file_of_the_package(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    assert package_files() - in_sdist == set()
    assert package_files() - in_wheel == set()
    assert {"yaml_connector/py.typed", "yaml_connector/catalog/slurm.yaml"} <= in_wheel
    assert [name for name in in_wheel if name.endswith("/LICENSE")]


def test_the_package_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    code = "import yaml_connector; print(yaml_connector.__file__)"
    done = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_every_command_explains_itself(command: Run) -> None:
    listed = succeeds(command("--help")).partition("Commands:\n")[2]
    commands = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert {"catalog", "demo", "docs", "new", "schema", "serve", "test", "validate"} <= set(commands)
    for name in commands:
        assert succeeds(command(name, "--help")).startswith("Usage: yaml-connector")


def test_the_whole_catalog_is_listed(command: Run) -> None:
    listed = json.loads(succeeds(command("catalog", "list", "--format", "json")))
    assert {item["name"] for item in listed} == {
        file.stem for file in CATALOG.glob("*.yaml") if ".test" not in file.name
    }


def test_a_spec_of_the_catalog_is_added_checked_tested_and_documented(command: Run, tmp_path: Path) -> None:
    succeeds(command("catalog", "add", "openai_batch"))
    succeeds(command("validate"))
    assert "passed" in succeeds(command("test"))
    assert "openai_batch" in succeeds(command("explain", "openai_batch"))
    succeeds(command("docs", "connectors.d", "--output", "page.html"))
    assert "openai_batch" in (tmp_path / "page.html").read_text()


def test_a_first_spec_is_written_and_passes(command: Run) -> None:
    options = (
        "--base-url",
        "https://api.test",
        "--auth",
        "bearer",
        "--create",
        "POST /jobs",
        "--get",
        "GET /jobs/{id}",
    )
    succeeds(command("new", "first_job", *options, "--delete", "none", "--logs", "none"))
    succeeds(command("validate"))
    assert "passed" in succeeds(command("test"))


def test_the_schemas_are_printed(command: Run) -> None:
    for options in ((), ("--tests",)):
        assert json.loads(succeeds(command("schema", *options)))["$schema"].startswith("http://json-schema.org/")


def test_typed_tasks_are_written(command: Run, tmp_path: Path) -> None:
    succeeds(command("catalog", "add", "slurm"))
    succeeds(command("stubs"))
    assert list(tmp_path.rglob("*.py*"))


def test_the_tour_runs_from_an_installed_wheel(command: Run) -> None:
    assert "SUCCEEDED" in succeeds(command("demo"))
