"""`yaml-connector run --dry-run` without an API: what would be sent, and how options become values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from yaml_connector._loading.loader import load_text
from yaml_connector.cli._options import UsageErrors, read_secrets

SPEC: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "dry",
    "connection": {"base_url": "https://api.test"},
    "secrets": {"key": {"required": False}},
    "inputs": {"name": "str", "note": "str?"},
    "create": {
        "request": {
            "method": "POST",
            "path": "/jobs",
            "headers": {"X-Api-Key": "${{ inputs.name }}"},
            "json": {"name": "${{ inputs.name }}", "note": "${{ inputs.note }}"},
        },
        "job_id": "$.id",
        "idempotent": True,
    },
}


def dry(command: Command, here: Path, *arguments: str, **create: Any) -> dict[str, Any]:
    """What a dry run shows of this spec."""
    (here / "dry.yaml").write_text(json.dumps({**SPEC, "create": {**SPEC["create"], **create}}), encoding="utf-8")
    done = command("run", "dry.yaml", "--dry-run", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_null_is_no_value_for_an_optional_string_and_a_word_for_another(command: Command, here: Path) -> None:
    found = dry(command, here, "--input", "name=null", "--input", "note=null")
    assert json.loads(found["requests"][0]["body"]) == {"name": "null"}  # what is null is left out


def test_a_header_that_carries_a_key_is_masked_whoever_wrote_it(command: Command, here: Path) -> None:
    assert dry(command, here, "--input", "name=abc")["requests"][0]["headers"]["X-Api-Key"] == "***"


LOOK_UPS = ("GET /jobs/${{ task.key }}", {"path": "/jobs", "query": {"name": "${{ task.key }}"}})


@pytest.mark.parametrize("look_up", LOOK_UPS, ids=["short", "with_query"])
def test_a_look_up_comes_first_and_is_told_from_the_create(command: Command, here: Path, look_up: Any) -> None:
    found = dry(command, here, "--input", "name=x", adopt={"request": look_up, "job_id": "$.id"})
    assert [request["method"] for request in found["requests"]] == ["GET", "POST"]
    assert "the first looks up the job; the second is sent if there is none" in found["notes"]
    assert "looks up" not in " ".join(dry(command, here, "--input", "name=x")["notes"])


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_from_a_file_has_no_line_break_at_its_end(here: Path, ending: str) -> None:
    (here / "key").write_bytes(f" a b{ending}".encode())
    loaded, _ = load_text(json.dumps(SPEC).encode(), "dry.yaml")
    assert loaded is not None
    errors = UsageErrors()
    assert read_secrets(loaded.spec, ["key=file:key"], errors) == {"key": " a b"}
    errors.raise_if_any()


CONTAINER = {"words": "${{ task.container.args }}", "env": "${{ task.container.env }}"}


def dry_container(command: Command, here: Path, *arguments: str) -> Any:
    spec = {name: part for name, part in SPEC.items() if name not in ("inputs", "secrets")}
    request = {"method": "POST", "path": "/jobs", "json": CONTAINER}
    spec |= {"runs": "container", "create": {"request": request, "job_id": "$.id", "idempotent": True}}
    (here / "dry.yaml").write_text(json.dumps(spec), encoding="utf-8")
    return command("run", "dry.yaml", "--dry-run", "--format", "json", *arguments)


def test_a_container_can_be_tried_with_a_command_of_ones_own(command: Command, here: Path) -> None:
    done = dry_container(command, here, "--task", 'container={"image": "busybox", "args": ["echo", "two words"]}')
    assert json.loads(json.loads(done.stdout)["requests"][0]["body"]) == {"words": ["echo", "two words"], "env": {}}


def test_a_container_without_a_command_is_wrong_usage_that_says_what_to_do(command: Command, here: Path) -> None:
    done = dry_container(command, here)
    assert done.returncode == 2
    assert "dry runs containers: run a function with `flyte run`, or give a command here, --task" in done.stderr


def test_a_missing_secret_is_said_first_with_what_to_add_to_the_command(command: Command, here: Path) -> None:
    spec = {**SPEC, "secrets": {"key": {"env": "DRY_KEY"}}}
    (here / "dry.yaml").write_text(json.dumps(spec), encoding="utf-8")
    done = command("run", "dry.yaml", "--dry-run", "--input", "name=x")
    assert done.returncode == 1
    problem = "problem: the secret 'key' is missing: --secret key=env:VARIABLE, or set DRY_KEY"
    assert done.stdout.splitlines() == [problem, "", "(nothing was sent)"]
