"""A spec is found by its path or its task type, and every user of specs finds the same one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from yaml_connector import task_plugin
from yaml_connector._loading.loader import resolve
from yaml_connector.cli.main import cli
from yaml_connector.errors import ConfigError, SpecError

SPEC = """\
spec_version: 1
task_type_name: {task_type}
task_type_version: {version}
description: Version {version}.
connection: {{base_url: "https://host"}}
create: {{request: POST /v{version}, job_id: $.id}}
"""


def write(folder: Path, file: str, task_type: str = "job", version: int = 1) -> Path:
    """Write a spec into a folder, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / file
    path.write_text(SPEC.format(task_type=task_type, version=version), encoding="utf-8")
    return path


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where specs are looked for."""
    folder = tmp_path / "connectors.d"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YAML_CONNECTOR_PATH", raising=False)
    return folder


def printed(*arguments: str) -> str:
    """Run a command and return what it prints."""
    return CliRunner().invoke(cli, list(arguments)).stdout


def by_task(name: str) -> str:
    return str(task_plugin(name).spec.description)


def by_run(name: str) -> str:
    sent = printed("run", name, "--dry-run")
    return f"Version {sent.partition('/v')[2][:1]}."


def by_explain(name: str) -> str:
    return printed("explain", name).splitlines()[1]


def by_stubs(name: str) -> str:
    module = printed("stubs", "--output", "-")
    return next(line.strip().strip('"') for line in module.splitlines() if '"""Version ' in line)


@pytest.mark.parametrize("use", [by_task, by_run, by_explain, by_stubs])
@pytest.mark.parametrize("second", ["job-v2.yaml", "a.yaml"])
def test_every_user_takes_the_highest_version_whatever_its_file_is_called(
    specs: Path, use: Callable[[str], str], second: str
) -> None:
    write(specs, "job.yaml")
    write(specs, second, version=2)
    assert use("job") == "Version 2."


def test_a_path_is_the_file(specs: Path) -> None:
    path = write(specs, "job.yaml")
    write(specs, "job-v2.yaml", version=2)
    for given in (path, str(path), "connectors.d/job.yaml"):
        assert resolve(given).spec.task_type_version == 1
    with pytest.raises(ConfigError, match=r"there is no spec file /.*/other\.yaml$"):
        resolve("other.yaml")


def test_a_file_of_that_name_with_another_task_type_comes_second(specs: Path) -> None:
    write(specs, "job.yaml", task_type="other", version=7)
    assert resolve("job").spec.task_type_name == "other"
    write(specs, "z.yaml")
    assert resolve("job").spec.task_type_name == "job"


def test_a_wrong_spec_counts_only_if_no_other_has_the_task_type(specs: Path) -> None:
    write(specs, "job.yaml")
    (specs / "wrong.yaml").write_text("task_type_name: wrong\nname: not the job\n")
    assert resolve("job").spec.task_type_name == "job"
    with pytest.raises(SpecError, match="spec_version: is required"):
        resolve("wrong")


def test_an_unknown_name_is_said_with_the_closest_one(specs: Path) -> None:
    write(specs, "job.yaml")
    with pytest.raises(ConfigError) as raised:
        resolve("jb")
    assert str(raised.value) == f"there is no spec 'jb' in {specs.resolve()}; did you mean job? allowed: job"
    with pytest.raises(ConfigError, match=r"connectors\.d is a folder: name one spec, by its file or its task type"):
        resolve("connectors.d")
