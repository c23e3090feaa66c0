"""`yaml-connector new`: what is written passes `validate` and `test` as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.paths import ROOT
from tests.support.yaml_data import yaml_data
from yaml_connector._loading.loader import load
from yaml_connector.cli.new.draft import AUTH_CHOICES

RENDERS = str(ROOT / "tests" / "unit" / "cli" / "openapi" / "renders.yaml")


def checked(command: Command, folder: str = "connectors.d") -> None:
    """Everything in the folder is a good spec, and its tests pass."""
    done = command("validate", folder)
    assert done.returncode == 0, done.stdout
    done = command("test", folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("auth", AUTH_CHOICES)
def test_what_is_written_passes_with_every_kind_of_credentials(command: Command, auth: str) -> None:
    done = command("new", "render_job", "--base-url", "https://render.acme.com/v1", "--auth", auth)
    assert done.returncode == 0, done.stderr
    assert "wrote connectors.d/render_job.yaml" in done.stdout
    assert "next: yaml-connector validate connectors.d/render_job.yaml" in done.stdout
    checked(command)
    spec = load("connectors.d/render_job.yaml")[0].spec
    assert (spec.connection.auth is None) is (auth == "none")


def test_the_calls_can_be_named(command: Command) -> None:
    arguments = ["--create", "POST /renders", "--delete", "DELETE /renders/{id}", "--logs", "GET /renders/{id}/log"]
    assert command("new", "render", "--base-url", "https://render.acme.com", *arguments).returncode == 0
    checked(command)
    spec = load("connectors.d/render.yaml")[0].spec
    assert spec.get is not None
    assert spec.get.request is not None
    assert spec.get.request.path == "/renders/${{ job.id }}"
    assert spec.delete is not None
    assert spec.logs is not None


def test_a_spec_of_the_catalog_is_a_start_too(command: Command) -> None:
    assert command("new", "--from", "catalog", "slurm", "--to", "specs").returncode == 0
    checked(command, "specs")


def test_an_openapi_document_gives_the_calls_and_the_phase_map(command: Command) -> None:
    done = command("new", "--from-openapi", RENDERS)
    assert done.returncode == 0, done.stderr
    assert "decide: these states are not mapped and count as RUNNING: ON_HOLD" in done.stdout
    checked(command)
    spec = yaml_data(Path("connectors.d/render_jobs.yaml"))
    assert spec["connection"]["base_url"] == "${{ env.RENDER_JOBS_URL | default('https://render.acme.com/api/v2') }}"
    assert spec["config"] == {"projectId": "str", "scene": "str", "frames": "int", "options": "any"}
    assert spec["create"]["request"]["path"] == "/projects/${{ config.projectId }}/render-jobs"
    assert spec["create"]["job_id"] == "$.renderId"
    assert spec["get"]["phase"]["map"] == {
        "QUEUED": ["QUEUED"],
        "RUNNING": ["InProgress"],
        "SUCCEEDED": ["Completed"],
        "FAILED": ["FAILED"],
        "ABORTED": ["Canceled"],
    }
    path = "/projects/${{ config.projectId }}/render-jobs/${{ job.id }}"
    assert spec["delete"]["request"] == f"POST {path}/cancel"
    assert spec["logs"]["request"] == f"GET {path}/logs"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("openapi: 3.0.0\npaths: {}\n", "no call looks like one that submits a job"),
        ("swagger: '2.0'\n", "api.yaml is a Swagger 2.0 document; convert it to OpenAPI 3 first: npx swagger2openapi"),
        ("info: {}\n", "is not an OpenAPI 3 document"),
        ("a: [", "is neither JSON nor YAML"),
        ("openapi: 3.1.0\npaths: {/a: {post: 1}, '/a/{id}': {get: [x]}}\n", None),
        ('{"openapi": "3.0.0", "paths": {"/a": {"post": {"$ref": "#/x"}}, "/a/{id}": {"get": {}}}}', None),
    ],
)
def test_a_document_that_is_none_is_told_without_a_traceback(command: Command, content: str, told: str | None) -> None:
    Path("api.yaml").write_text(content, encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.yaml")
    if told is not None:
        assert done.returncode == 1
        assert told in done.stderr
    else:
        checked(command)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["my job", "--base-url", "https://a.b"], "write 'my_job'"),
        (["job", "--base-url", "a.b"], "'a.b' is not a base URL"),
        ([], "give NAME and --base-url (on a terminal they are asked for)"),
        (["job"], "give --base-url (on a terminal"),
        (["job", "--base-url", "https://a.b", "--create", "POST /jobs?x=1"], "goes into `query` of the spec"),
        (["job", "--base-url", "https://a.b", "--create", "PSOT /jobs"], "--create: 'PSOT' is not a method"),
        (
            ["job", "--base-url", "https://a.b", "--get", "GET /jobs"],
            "--get: 'GET /jobs': write {id} where the path has the job's id",
        ),
        (["job", "--base-url", "https://a.b", "--logs", "GET /{job-id}"], "or the name of a config field"),
        (["job", "--base-url", "https://a.b", "--create", "/jobs"], "write it as a method and a path"),
        (["job", "--from-curl", "a", "--from-openapi", "b"], "give only one of --from-openapi and --from-curl"),
        (["job", "--from", "catalog", "slurm", "--from-arazzo", "b"], "give only one of --from and --from-arazzo"),
        (["job", "--base-url", "https://a.b", "--answers", "a"], "--answers goes with --from-curl, which is not given"),
        (["job", "--from-arazzo", "b", "--try"], "--try goes with --from-curl, which is not given"),
        (["job", "--from-openapi", "b", "--workflow", "w"], "--workflow goes with --from-arazzo, which is not given"),
    ],
)
def test_wrong_usage_says_what_is_right(command: Command, arguments: list[str], told: str) -> None:
    done = command("new", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_files_that_are_there_are_not_written_over(command: Command) -> None:
    arguments = ("new", "job", "--base-url", "https://a.test")
    assert command(*arguments).returncode == 0
    again = command(*arguments)
    assert again.returncode == 1
    assert "connectors.d/job.yaml, connectors.d/job.test.yaml already exists" in again.stderr
    assert command(*arguments, "--force").returncode == 0


def test_what_cannot_be_written_is_named_and_not_what_was_read(command: Command, tmp_path: Path) -> None:
    commands = tmp_path / "commands.txt"
    commands.write_text("curl -X POST https://a.test/jobs\ncurl https://a.test/jobs/7\n")
    folder = tmp_path / "a_file"
    folder.write_text("")
    done = command("new", "job", "--from-curl", str(commands), "--to", str(folder))
    assert done.returncode == 1
    assert done.stderr == f"Error: {folder}: File exists\n"


def test_a_copy_of_the_catalog_is_told_as_json(command: Command) -> None:
    done = command("new", "--from", "catalog", "slurm", "--to", "specs", "--json")
    assert json.loads(done.stdout) == {
        "files": ["specs/slurm.test.yaml", "specs/slurm.yaml"],
        "decide": [],
        "not_used": [],
    }
