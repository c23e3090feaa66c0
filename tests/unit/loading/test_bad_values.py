"""Values that cannot be meant: a literal for a part of the response, a template of another tool, a wrong `success`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.spec_problems import problems
from yaml_connector._loading.loader import load_text


def _everything() -> dict[str, Any]:
    return {
        "spec_version": 1,
        "task_type_name": "everything",
        "connection": {
            "base_url": "https://api.test",
            "auth": {"type": "token", "request": "POST /login", "token": "$.token"},
        },
        "create": {
            "request": {"method": "POST", "path": "/jobs"},
            "job_id": "$.id",
            "adopt": {"request": "GET /found", "job_id": "$.id"},
        },
        "get": {
            "steps": [
                {"name": "a", "request": "GET /a", "each": "$.a[*]"},
                {"name": "b", "request": "GET /b", "follow": "$.next"},
            ],
            "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "FAILED": ["error"]}},
            "batch": {"request": "GET /jobs", "items": "$.jobs[*]", "id": "$.id"},
        },
        "logs": {"request": "GET /log", "lines": "$.lines[*]", "next": "$.next"},
    }


@pytest.mark.parametrize(
    ("literal", "instead"),
    [
        ("id", "write $.id"),
        ("data[0].run_id", "write $.data[0].run_id"),
        ("{{ body.id }}", "write ${{ body.id }}"),
        ("the id", "write a JSONPath such as $.id, or a template"),
        (7, "write a JSONPath such as $.id, or a template"),
        (["a", "b"], "write a JSONPath such as $.id, or a template"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "create.job_id",
        "create.adopt.job_id",
        "get.phase.path",
        "get.steps[0].each",
        "get.steps[1].follow",
        "get.batch.items",
        "get.batch.id",
        "logs.lines",
        "logs.next",
        "connection.auth.token",
    ],
)
def test_a_literal_where_only_a_part_of_the_response_makes_sense_is_an_error(
    place: str, literal: Any, instead: str
) -> None:
    data: Any = _everything()
    *path, last = place.replace("[", ".").replace("]", "").split(".")
    inner = data
    for key in path:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = literal
    (found,) = problems(json.dumps(data))
    assert f"{place}: {literal!r} is the same for every response" in found
    assert instead in found


@pytest.mark.parametrize(
    ("success", "said"),
    [
        (["2xx", 404], None),
        ("status == 200 and body.ok", None),
        ("2xx", "get.success: '2xx' is neither a condition nor a list of statuses; write [2xx]"),
        (200, "get.success: 200 is neither a condition nor a list of statuses; write [200]"),
        (True, "get.success: true is neither a condition nor a list of statuses; write a list such as [2xx, 404]"),
        ([20], "get.success[0]: 20 is not a valid status"),
        ("status ==", "get.success: syntax error in the expression"),
        ("${{ status == 200 }}", "get.success: a condition is a bare expression"),
        ("bdy.ok", "get.success: 'bdy' cannot be used here; did you mean body?"),
    ],
)
def test_success_is_a_list_of_statuses_or_a_condition(success: Any, said: str | None) -> None:
    data = _everything()
    data["get"] = {"request": "GET /job", "phase": data["get"]["phase"], "success": success}
    found = problems(json.dumps(data))
    assert [said in line for line in found] == [True] if said else not found


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("path", "/jobs/{id}", "'{id}' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/jobs/{job_id}", "'{job_id}' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/jobs/{name}", "'{name}' is sent as it is written; ${{ name }} was meant"),
        ("path", "/jobs/${job.id}", "'${job.id}' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/jobs/${ job.id }", "'${ job.id }' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/jobs/{ id }", "'{ id }' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/jobs/{{ job.id }}", "'{{ job.id }}' is sent as it is written; ${{ job.id }} was meant"),
        ("path", "/a/${{ job.id }}/{job.id}", "'{job.id}' is sent as it is written; ${{ job.id }} was meant"),
        ("url", "https://api.test/{{job.id}}", "'{{job.id}}' is sent as it is written; ${{ job.id }} was meant"),
        ("query", {"a": 1, "b": "{job}"}, "'{job}' is sent as it is written; ${{ job }} was meant"),
        ("path", "/jobs/${{ job.id }}", None),
        ("path", "/jobs/${{ {'a': job.id}.a }}", None),
        ("query", {"q": '{"a": 1}', "filter": "{}"}, None),
    ],
)
def test_what_looks_like_a_template_in_a_url_or_its_query_is_a_warning(
    place: str, value: Any, said: str | None
) -> None:
    data = _everything()
    request = {"path": "/job", place: value}
    if place == "url":
        del request["path"]
    data["get"] = {"request": request, "phase": data["get"]["phase"]}
    found = [str(problem) for problem in load_text(json.dumps(data).encode(), "s.yaml")[1] if "written" in str(problem)]
    if said is None:
        assert found == []
    else:
        assert [said in line and "warning" in line for line in found] == [True]


def test_two_links_without_a_condition_have_different_names() -> None:
    data = _everything()
    data["get"]["links"] = [
        {"name": "Log", "url": "$.a"},
        {"name": "Log", "url": "$.b", "if": "body.b"},
        {"name": "Log ${{ job.id }}", "url": "$.c"},
        {"name": "Log ${{ job.id }}", "url": "$.d"},
    ]
    assert problems(json.dumps(data)) == []
    data["get"]["links"].append({"name": "Log", "url": "$.e"})
    (found,) = problems(json.dumps(data))
    assert "get.links[4].name: two links are called 'Log'; Flyte shows one of them, so give one an `if`" in found


def test_collect_needs_follow() -> None:
    data = _everything()
    data["get"]["steps"][0]["collect"] = "$.items[*]"
    (found,) = problems(json.dumps(data))
    assert "collect takes something from each page, so it needs follow" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delete": {"request": "DELETE /job", "success": True}}, "delete.success: true is neither"),
        ({"logs": {"request": "GET /logs", "format": None}}, "logs.format: null is not allowed; allowed: json, text"),
        ({"logs": {"request": "GET /logs", "format": [True]}}, "logs.format: [true] is not allowed; allowed: json"),
        ({"connection": {"base_url": "https://h.test", "auth": {"type": [None]}}}, "auth.type: [null] is not allowed;"),
    ],
)
def test_values_are_quoted_in_the_words_of_yaml(change: dict[str, Any], said: str) -> None:
    (problem,) = problems(json.dumps(_everything() | change))
    assert said in problem
