"""Specs with `runs: container`: what is the function's is not the spec's, and what it needs must be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fake_api import spec_data
from yaml_connector._loading.loader import load_text

BODY = {"args": "${{ task.container.args }}", "env": "${{ task.container.env }}"}


def problems(severity: str = "error", body: Any = BODY, **sections: Any) -> list[str]:
    create = {"request": {"method": "POST", "path": "/jobs", "json": body}, "idempotent": True, "job_id": "$.id"}
    text = json.dumps(spec_data(**{"runs": "container", "create": create, **sections}))
    return [
        f"{item.path}: {item.message}" for item in load_text(text.encode(), "s.yaml")[1] if item.severity == severity
    ]


def test_a_spec_of_containers_has_no_problem() -> None:
    assert problems() == []
    assert problems("warning") == []


@pytest.mark.parametrize(
    ("section", "value"), [("inputs", {"a": "str"}), ("outputs", {"a": "$.a"}), ("result", {"request": "GET /r"})]
)
def test_inputs_outputs_and_result_are_the_functions_own(section: str, value: Any) -> None:
    message = f"{section}: a spec with `runs: container` has no {section}: the function's own pass through its storage"
    assert problems(**{section: value}) == [message]


def test_no_expression_sees_inputs() -> None:
    (problem,) = problems(body={**BODY, "n": "${{ inputs.n }}"})
    assert problem.startswith("create.request.json.n: 'inputs' cannot be used here")


def test_a_config_field_cannot_be_called_as_the_secrets_of_a_task() -> None:
    (problem,) = problems(config={"secrets": {"type": "str", "default": ""}})
    assert problem.startswith("config.secrets: with `runs: container`, secrets of a task's config are its secrets")
    assert problems(config={"secrets": {"type": "str", "default": ""}}, runs=None, body={}) == []


@pytest.mark.parametrize("name", ["imag", "resources.cpus", "resources.memory.bytes.x"])
def test_a_name_that_a_container_has_not_is_an_error(name: str) -> None:
    found = problems(body={**BODY, "n": f"${{{{ task.container.{name} }}}}"})
    assert bool(found) == (name != "resources.memory.bytes.x"), found
    assert all("there is no task.container." in problem for problem in found)


def test_another_kind_of_runs_is_an_error() -> None:
    (problem,) = problems(runs="pod")
    assert problem.startswith("runs: ")
    assert "container" in problem


def test_a_function_that_cannot_start_and_a_job_that_nobody_waits_for_are_warnings() -> None:
    assert problems("warning", body={}) == [
        "runs: task.container.args is never used: a function does not start without it",
        "runs: task.container.env is never used: a function does not start without it",
    ]
    assert problems("warning", get=None) == [
        "runs: without get, a job is over as soon as create returns, before its container has run"
    ]


def test_a_spec_that_uses_the_container_without_runs_is_as_it_was() -> None:
    assert problems(runs=None, inputs={"a": "str"}, outputs={"a": "$.a"}) == []
    assert problems("warning", runs=None, inputs={"a": "str"}, outputs={"a": "$.a"}) == []
