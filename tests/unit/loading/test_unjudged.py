"""A section whose errors would be read as answers is a warning, if another section shows that there are such errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from yaml_connector._loading.loader import load_text

FLAG = "body.message if body.ok == false"


def spec_with(**errors: Any) -> dict[str, Any]:
    """A spec with these conditions as the `error` of its sections."""
    spec: dict[str, Any] = {
        "spec_version": 1,
        "task_type_name": "flags",
        "connection": {"base_url": "https://api.test"},
        "create": {"request": "POST /jobs", "job_id": "$.id", "adopt": {"request": "GET /find", "job_id": "$.id"}},
        "get": {"request": "GET /jobs", "phase": {"path": "$.state", "map": {"SUCCEEDED": ["a"], "FAILED": ["b"]}}},
        "result": {"request": "GET /result"},
        "delete": {"request": "DELETE /jobs"},
        "logs": {"request": "GET /logs", "lines": "$.lines[*]"},
    }
    for section, condition in errors.items():
        place = spec["create"]["adopt"] if section == "adopt" else spec[section]
        place["error"] = condition
    return spec


def warned(spec: dict[str, Any]) -> dict[str, str]:
    """The warnings about a spec, by path."""
    loaded, problems = load_text(json.dumps(spec).encode(), "s.yaml")
    assert loaded is not None, problems
    return {problem.path: problem.message for problem in problems}


def test_a_look_up_that_takes_an_error_for_no_job_is_warned_of_with_what_to_write() -> None:
    assert warned(spec_with(create=FLAG, delete=FLAG)) == {
        "create.adopt": 'an error that comes as 200 would count as "there is no job", and a second be submitted: '
        f"say create's `error: {FLAG}` here too, or `error: false`"
    }


def test_what_reads_is_compared_with_get_and_what_writes_with_create() -> None:
    assert list(warned(spec_with(get=FLAG))) == ["create.adopt", "result", "logs"]
    assert list(warned(spec_with(create=FLAG))) == ["create.adopt", "delete"]


def test_a_section_that_says_anything_of_errors_is_left_alone() -> None:
    said: dict[str, Any] = {"adopt": False, "result": "status == 200", "delete": False, "logs": "body.x"}
    assert warned(spec_with(create=FLAG, get=FLAG, **said)) == {}
    spec = spec_with(get=FLAG, result=FLAG, logs=FLAG)
    steps = [{"name": "a", "request": "GET /a", "error": FLAG}, {"name": "b", "request": "GET /b"}]
    spec["create"]["adopt"] = {"steps": steps, "job_id": "$.id"}
    assert warned(spec) == {}


@pytest.mark.parametrize(
    "condition",
    [
        "body.error",
        "body.code == 'X'",
        "status == 500 and not body.ok",
        "body.errors[0] is defined",
        "not body.jobs",
        True,
    ],
)
def test_what_may_come_with_a_status_or_concerns_this_call_alone_is_no_reason(condition: str | bool) -> None:
    assert warned(spec_with(create=condition, get=condition)) == {}


def test_a_long_condition_is_not_quoted() -> None:
    message = warned(spec_with(create=f"{FLAG} and {' and '.join(['body.ok'] * 20)}", delete=False))["create.adopt"]
    assert message.endswith("say create's `error` here too, or `error: false`")
