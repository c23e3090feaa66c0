"""The built package: the wheel is made from the source distribution, installed into a fresh environment, and its
commands are run in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import CATALOG, ROOT
from tests.support.real_processes import clean_environment

PACKAGE = ROOT / "yaml_connector"
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")

Run = Callable[..., subprocess.CompletedProcess[str]]


def run(command: Sequence[str | Path], cwd: Path) -> None:
    """Run a step of the build; what it wrote is shown if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def new_environment(folder: Path) -> Path:
    """Make a virtual environment; return its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    return folder / "bin" / "python"


def pip(python: Path, *arguments: str | Path) -> None:
    """Run this environment's pip for another one, which needs none of its own then."""
    run([sys.executable, *PIP, "--python", python, *arguments], python.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    source.mkdir()
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(copied).split():  # the image is built of these files, so they must be enough
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    python = new_environment(folder / "builder")
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pip(python, "install", *requires)
    make = "import setuptools.build_meta as backend, sys; backend.build_sdist(sys.argv[1])"
    run([python, "-c", make, folder], source)
    (sdist,) = folder.glob("*.tar.gz")
    pip(python, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, sdist)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("user")
    python = new_environment(folder / "environment")
    pip(python, "install", "--no-deps", built[1])
    here = Path(sysconfig.get_path("purelib"))
    there = folder / "environment" / here.relative_to(sys.prefix)
    (there / "dependencies.pth").write_text(f"{here}\n")  # its own .pth files are not read: no editable install
    for name in ("flyte", "a0"):  # commands of a dependency
        text = Path(sys.executable).with_name(name).read_text().partition("\n")[2]
        python.with_name(name).write_text(f"#!{python}\n{text}")
        python.with_name(name).chmod(0o755)
    return python.parent


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Run:
    """Runs `yaml-connector` in an empty folder, where nothing of this checkout can be found."""

    return lambda *arguments: in_project(tmp_path, installed, ["yaml-connector", *arguments])


def in_project(
    folder: Path, programs: Path, command: Sequence[str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the programs of an environment."""
    environment = {**clean_environment(folder), "PATH": f"{programs}:/usr/bin:/bin", **variables}
    del environment["PYTHONPATH"]
    return subprocess.run(
        [shutil.which(command[0], path=environment["PATH"]) or command[0], *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


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


# The help of every command, in one process.
HELP_OF_ALL = """
import click, yaml_connector.cli.main as program
for name in program.cli.list_commands(click.Context(program.cli)):
    program.cli([name, "--help"], prog_name="yaml-connector", standalone_mode=False)
"""


def test_every_command_explains_itself(command: Run, installed: Path, tmp_path: Path) -> None:
    listed = succeeds(command("--help")).partition("Commands:\n")[2]
    commands = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert {"catalog", "demo", "docs", "new", "schema", "serve", "test", "validate"} <= set(commands)
    explained = succeeds(in_project(tmp_path, installed, ["python", "-c", HELP_OF_ALL]))
    assert re.findall(r"^Usage: yaml-connector ([\w-]+)", explained, re.MULTILINE) == commands


def test_the_whole_catalog_is_listed(command: Run) -> None:
    listed = json.loads(succeeds(command("catalog", "list", "--format", "json")))
    assert {item["name"] for item in listed} == {
        file.stem for file in CATALOG.glob("*.yaml") if ".test" not in file.name
    }


NEW = "first_job --base-url https://api.test --auth bearer --delete none --logs none"


def test_specs_are_added_written_checked_tested_and_documented(command: Run, tmp_path: Path) -> None:
    succeeds(command("catalog", "add", "openai_batch"))
    succeeds(command("new", *NEW.split()))
    assert "2 specs, 2 test files, 0 problems" in succeeds(command("validate"))
    assert "passed" in succeeds(command("test"))
    assert "openai_batch" in succeeds(command("explain", "openai_batch"))
    succeeds(command("docs", "connectors.d", "--output", "page.html"))
    assert "openai_batch" in (tmp_path / "page.html").read_text()
    succeeds(command("stubs"))
    assert "class FirstJobTask" in (tmp_path / "connector_tasks.py").read_text()


def test_the_schemas_are_printed(command: Run) -> None:
    for options in ((), ("--tests",)):
        assert json.loads(succeeds(command("schema", *options)))["$schema"].startswith("http://json-schema.org/")


def test_the_tour_runs_in_an_empty_folder_and_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    (folder := tmp_path / "empty").mkdir()
    text = succeeds(in_project(folder, installed, ["yaml-connector", "demo"], HOME=str(tmp_path)))
    assert re.search(r"serving on 127\.0\.0\.1:\d+: batch_function \(0\), batch_job \(0\)", text)
    assert "output result = 'Hello, world!'" in text
    assert "FAILED: exit code 3: the input table is empty" in text
    assert "ABORTED: cancelled" in text
    assert "answered 401: a valid bearer token is needed" in text
    assert "returned Summary(count=3, longest='anything')" in text
    assert "Hello, laptop!" in text
    assert "everything is stopped" in text
    assert "Traceback" not in text
    assert os.listdir(folder) == []


# --- what projects with specs use -----------------------------------------------------------------------------------

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


@pytest.fixture
def project(command: Run, tmp_path: Path) -> Path:
    """A folder with a spec and its contract test."""
    succeeds(command("catalog", "add", "slurm"))
    return tmp_path


def break_spec(project: Path) -> None:
    spec = project / "connectors.d" / "slurm.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("\nget:", "\ngett:"), encoding="utf-8")


def step_of_action(
    name: str, project: Path, programs: Path, action_path: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a step of the action as GitHub does, with the defaults of its inputs, and `more` variables."""
    values = {f"inputs.{key}": about["default"] for key, about in ACTION["inputs"].items()}
    values["github.action_path"] = str(action_path)
    variables = {
        key: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text)
        for key, text in STEPS[name]["env"].items()
    }
    shell = [STEPS[name]["shell"], "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
    return in_project(project, programs, shell, **variables, **more)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_for_pre_commit_passes_for_a_good_spec_and_fails_for_a_wrong_one(
    hook: dict[str, Any], project: Path, installed: Path
) -> None:
    assert "0 problems" in (text := succeeds(in_project(project, installed, shlex.split(hook["entry"])))) or (
        "passed" in text
    )
    break_spec(project)
    done = in_project(project, installed, shlex.split(hook["entry"]))
    assert (done.returncode, "unknown key; did you mean get?" in done.stdout) == (1, True)


def test_the_action_validates_the_specs_and_runs_their_tests(project: Path, installed: Path) -> None:
    assert list(STEPS) == ["Install", "Validate", "Test"]
    assert "1 spec, 1 test file, 0 problems" in succeeds(step_of_action("Validate", project, installed))
    succeeds(step_of_action("Test", project, installed))
    report = ACTION["outputs"]["report"]["value"]
    assert report == "${{ inputs.report }}"
    assert "<testsuites" in (project / ACTION["inputs"]["report"]["default"]).read_text(encoding="utf-8")
    break_spec(project)
    done = step_of_action("Validate", project, installed)
    assert done.returncode == 1
    assert re.search(r"^::error file=connectors.d/slurm.yaml,line=\d+,col=1::gett: unknown key", done.stdout, re.M)


def test_the_action_installs_the_package_of_its_own_folder(built: tuple[Path, Path], tmp_path: Path) -> None:
    folder = built[1].parent
    python = folder / "builder" / "bin" / "python"  # it has what builds the package, so that nothing is fetched
    own = {"PIP_PYTHON": str(python), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    succeeds(step_of_action("Install", tmp_path, Path(sys.executable).parent, folder / "source", **own))
    assert (python.parent / "yaml-connector").exists()
