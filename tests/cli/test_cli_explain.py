"""`yaml-connector explain`: every field is explained, and every spec can be told in plain words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from contract_folder import ROOT

from yaml_connector.cli.fields import every_field, field_of
from yaml_connector.contract.schema import contract_schema
from yaml_connector.spec.schema import connector_schema

BATCH_JOB = str(ROOT / "connectors.d" / "batch_job.yaml")
SPECS = sorted(str(path) for path in (ROOT / "catalog").glob("*.yaml") if ".test." not in path.name)


def test_a_field_is_explained_with_what_is_below_it(command: Command) -> None:
    done = command("explain", "create.adopt")
    assert done.returncode == 0
    assert done.stdout.startswith("create.adopt  <mapping>\n\n  Look for the job first.\n\nFIELDS\n")
    assert "  job_id      Not null: this job is taken over. (required; any value)" in done.stdout


def test_without_a_path_all_sections_are_listed(command: Command) -> None:
    done = command("explain")
    for section in ("connection", "create", "get", "logs"):
        assert f"\n  {section} " in done.stdout


def test_a_duration_and_its_default_are_written_as_in_a_spec(command: Command) -> None:
    done = command("explain", "get.poll.tolerance", "--format", "json")
    assert json.loads(done.stdout)["type"] == "duration"
    assert json.loads(done.stdout)["default"] == "10m"


@pytest.mark.parametrize(
    ("path", "description"),
    [
        ("connection.auth.token", "Log in first: a request gives the token."),
        ("connection.auth.token.expires_in", "Its lifetime in seconds; without: until a 401."),
        ("secrets.env", "A variable of the connector's environment."),
        ("secrets.api_key.env", "A variable of the connector's environment."),
        ("config.cpus.minimum", "The smallest number allowed."),
        ("get.phase[0].map", "A phase to the states that mean it."),
        ("create.steps[1].follow", "The next page's URL, got again and again."),
    ],
)
def test_names_of_ones_own_and_places_in_lists_may_stand_in_a_path(path: str, description: str) -> None:
    assert field_of(path).description == description


def test_a_field_of_a_contract_test_is_explained_too(command: Command) -> None:
    done = command("explain", "--tests", "tests.calls.create.expect")
    assert "  saved    What create.save kept. (mapping)" in done.stdout


def test_a_wrong_path_says_the_closest_name(command: Command) -> None:
    done = command("explain", "get.phse")
    assert done.returncode == 2
    assert "there is no field 'phse' in get; did you mean phase?" in done.stderr


@pytest.mark.parametrize("schema", [connector_schema(), contract_schema()], ids=["specs", "tests"])
def test_every_path_that_is_shown_can_be_asked_for(schema: dict[str, Any]) -> None:
    tests = "tests" in schema["properties"]
    paths = [field.path for field in every_field(schema)]
    assert len(paths) > 40
    for path in paths:
        assert list(field_of(path, tests=tests).lines())


def test_a_spec_is_told_in_plain_words(command: Command) -> None:
    done = command("explain", BATCH_JOB)
    assert done.returncode == 0
    for line in (
        "  with a bearer token (secret api_key)",
        "  config   timeout_seconds (int, default 300)",
        "  secret   api_key (from the task, else the connector's BATCH_API_KEY)",
        "  POST /jobs",
        "  The job's id is $.id",
        "  ├─▶ QUEUED       queued",
        "  └─▶ ■ ABORTED    cancelled",
        "  POST /jobs/${{ job.id }}/cancel",
        "  secrets are never kept",
    ):
        assert f"\n{line}\n" in f"\n{done.stdout}"


@pytest.mark.parametrize("spec", SPECS, ids=[Path(spec).stem for spec in SPECS])
def test_every_spec_of_the_catalog_can_be_told(command: Command, spec: str) -> None:
    done = command("explain", spec)
    assert done.returncode == 0
    assert "\nPHASES\n" in done.stdout
    assert "\nKEPT WITH THE JOB\n" in done.stdout


def test_what_is_kept_is_told(command: Command, here: Path) -> None:
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    text = text.replace("  job_id: $.id", "  job_id: $.id\n  save: {region: $.region}")
    text = text.replace("GET /jobs/${{ job.id }}", "GET /jobs/${{ job.id }}?t=${{ config.timeout_seconds }}")
    (here / "mine.yaml").write_text(text.replace("?t=$", "/$"), encoding="utf-8")
    done = command("explain", "mine.yaml")
    assert "  its id, and from the answer: region\n  config: timeout_seconds\n" in done.stdout


def test_a_wrong_spec_is_told_and_a_missing_one_too(command: Command, here: Path) -> None:
    (here / "wrong.yaml").write_text("spec_version: 1\n", encoding="utf-8")
    assert "task_type_name: is required" in command("explain", "wrong.yaml").stderr
    assert command("explain", "wrong.yaml").returncode == 1
    assert command("explain", "none.yaml").returncode == 1


def test_explaining_needs_neither_flyte_nor_http() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from yaml_connector.cli.main import cli;"
        f"assert CliRunner().invoke(cli, ['explain', {BATCH_JOB!r}]).exit_code == 0;"
        "print({'flyte', 'aiohttp', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
