"""The Python and the command that `yaml-connector docs` shows: they make and run the tasks of each spec."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import flyte
import pytest

from tests.support.command_line import Command
from tests.support.docs_page import Parsed, code_blocks, spec_of
from tests.support.own_specs import FOLDERS, specs
from tests.support.paths import ROOT
from tests.support.real_processes import USER_KEYS, clean_environment, script
from yaml_connector.cli._description.page import connectors
from yaml_connector.cli._description.snippet import sample
from yaml_connector.cli.docs.render import html_text


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_python_of_every_connector_makes_its_task(folder: Path) -> None:
    for item in specs(folder):
        made: dict[str, Any] = {}
        python = code_blocks(Parsed(html_text(connectors([item]))))[0]
        exec(python.replace(f'"{item.spec.task_type_name}"', repr(item.file)), made)
        environments = [value for value in made.values() if isinstance(value, flyte.TaskEnvironment)]
        (task,) = environments[0].tasks.values()
        assert task.task_type == item.spec.task_type_name


@pytest.mark.parametrize(
    "field",
    [
        "int",
        "{type: int, minimum: 2.5}",
        "{type: int, maximum: 0.5}",
        "{type: float, minimum: 2}",
        "{type: 'list[int]', maximum: -7}",
        "{type: duration, minimum: 600}",
        "{type: str, enum: [a, b]}",
        "'dict[str, list[datetime]]'",
        "'list[dict[str, any]]'",
        "file",
    ],
)
def test_a_value_in_the_python_keeps_the_rules_of_its_field(field: str) -> None:
    config = spec_of(more=f"config: {{x: {field}}}").spec.config["x"]
    config.check(sample(config))


def test_the_python_and_the_command_of_the_page_run(command: Command, here: Path, job_service_url: str) -> None:
    shutil.copytree(ROOT / "connectors.d", here / "connectors.d")
    assert command("docs").stdout == "wrote connectors.html\n"
    snippet, _, line = code_blocks(Parsed((here / "connectors.html").read_text(encoding="utf-8")))
    (here / "main.py").write_text(snippet, encoding="utf-8")
    program, *arguments = shlex.split(line.replace("...", "Zoë"))
    env = clean_environment(here, BATCH_URL=job_service_url, BATCH_API_KEY=USER_KEYS["alice"])
    done = subprocess.run([script(program), *arguments], cwd=here, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, Zoë!" in done.stdout
