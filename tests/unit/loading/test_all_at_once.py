"""All problems of a spec come at once, whatever their kind: what does not fit the models does not hide the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import spec_data
from yaml_connector._loading.loader import load_text

WRONG = """
spec_version: 1
task_type_name: wrong
connection:
  base_url: https://api.test
  auth: {type: bearer, token: "${{ secrets.api_kee }}"}
  timeot: 5s
secrets: {api_key: {env: KEY}}
config:
  size: {typ: int}
  count: itn
inputs: {name: str}
outputs: {result: "$.result["}
create:
  request:
    method: POST
    path: /jobs
    json: {a: "${{ inputs.nmae }}", b: "${{ config.size }}", c: "${{ config.sise }}", d: "${{ inputs.name | uper }}"}
  idempotent: maybe
  save: {url: $.url}
  job_id: $.id
get:
  request: GET /jobs/${{ jobs.id }}
  phase:
    - {path: $.state, map: {RUNING: [a], FAILED: b}}
    - {when: "status ==", phase: FAILED}
  links: [{name: x, url: "${{ job.url }}", wen: a}]
delete: {request: "/jobs/${{ job.id }}"}
"""


def problems_of(data: str | Mapping[str, Any]) -> dict[str, str]:
    text = data if isinstance(data, str) else yaml.safe_dump(data)
    loaded, problems = load_text(text.encode(), "s.yaml")
    errors = [problem for problem in problems if problem.severity == "error"]
    assert (loaded is None) == bool(errors)
    assert len(errors) == len({(problem.path, problem.message) for problem in errors})
    return {problem.path: problem.message for problem in errors}


def test_mistakes_of_every_kind_are_found_together() -> None:
    assert set(problems_of(WRONG)) == {
        "connection.auth.token",
        "connection.timeot",
        "config.size.typ",
        "config.count",
        "outputs.result",
        "create.request.json.a",
        "create.request.json.c",
        "create.request.json.d",
        "create.idempotent",
        "get.request.path",
        "get.phase[0].map.RUNING",
        "get.phase[0].map.FAILED",
        "get.phase[1].phase",
        "get.links[0].wen",
        "delete.request",
    }


@pytest.mark.parametrize("states", [["a"], "x", {"SUCCEEDED": "done"}, {"SUCCEDED": ["x"]}, {"running": "RUNNING"}])
def test_a_state_without_a_path_is_told_beside_a_wrong_map(states: Any) -> None:
    found = problems_of(spec_data(get={"request": "GET /x", "phase": {"path": "state", "map": states}}))
    assert len(found) == 2
    assert "write $.state" in found["get.phase.path"]


@pytest.mark.parametrize("section", ["connection", "create", "task_type_name", "spec_version"])
def test_a_required_section_that_is_missing_hides_nothing(section: str) -> None:
    data = spec_data(inputs={"name": "str"}, outputs={"out": "${{ inputs.nmae }}"})
    del data[section]
    found = problems_of(data)
    assert found[section] == "is required"
    assert "did you mean name?" in found["outputs.out"]


def test_names_of_a_field_that_is_wrong_itself_are_known() -> None:
    wrong = {"inputs": {"size": "itn"}, "config": {"size": {"tipe": "int"}}, "secrets": {"key": {"enw": "K"}}}
    used = "${{ inputs.size }} ${{ config.size }}"
    data = spec_data(
        **wrong,
        outputs={"out": used},
        connection={"base_url": "https://a.test", "headers": {"k": "${{ secrets.key }}"}},
    )
    assert set(problems_of(data)) == {"inputs.size", "config.size.tipe", "secrets.key.enw"}


def test_what_is_there_and_wrong_does_not_count_as_missing() -> None:
    data = spec_data(create={"request": {"method": 7, "path": "/jobs"}, "job_id": "$.id", "idempotent": True})
    (problem,) = load_text(yaml.safe_dump(data).encode(), "s.yaml")[1]
    assert problem.message == "must be a string, not the number 7; put quotes around it"


def test_what_a_wrong_step_saves_may_still_be_asked_for() -> None:
    wrong = mutated(WHOLE, ("result", "steps", 0, "name"), "x y")
    assert set(problems_of(wrong)) == {"result.steps[0].name"}


def test_what_concerns_several_fields_is_found_beside_an_unknown_key() -> None:
    """What is checked of several fields together is told with its place, whatever else is wrong in their section."""
    data = spec_data(
        create={
            "request": {"method": "POST", "path": "/jobs", "jsn": {}},
            "job_id": "$.id",
            "idempotent": "1h",
            "tolerance": "2h",
        },
        secrets={"inputs": {"env": "A"}, "resource_meta": {"env": "B"}},
        get={
            "steps": [
                {"name": "a", "request": {"path": "/a", "jsn": {}}, "save": {"n": "$.n"}},
                {"name": "b", "request": "GET /${{ job.idd }}/${{ steps.a.saved.m }}", "collect": "$.i"},
                {"nam": "c", "request": "GET /c"},
            ],
            "read": "z",
            "phase": {"path": "$.s", "map": {"RUNNING": ["r", 10], "FAILED": ["R", "10"], "DONE": ["d"]}},
            "links": [{"name": "l", "url": "$.a"}, {"name": "l", "url": "$.b"}],
        },
        delete={"request": {"path": "/x", "jsn": {}}},
    )
    assert set(problems_of(data)) == {
        "create.request.jsn",
        "create.tolerance",
        "secrets.inputs",
        "secrets.resource_meta",
        "get.steps[0].request.jsn",
        "get.steps[1].request.path",
        "get.steps[1].collect",
        "get.steps[2].nam",
        "get.read",
        "get.phase.map.DONE",
        "get.phase.map.RUNNING[0]",
        "get.phase.map.RUNNING[1]",
        "get.links[1].name",
        "delete.request.jsn",
        "delete.request.method",
    }


def mutated(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = mutated(data[path[0]], path[1:], value)
    return copy


def paths_of(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, item in children for found in paths_of(item, (*path, key)))]


LOG = {
    "steps": [{"name": "pods", "request": "GET /pods"}],
    "each": "$.items[*]",
    "request": "GET /log/${{ item.name }}",
    "lines": "$.lines[*]",
    "message": "${{ line.text }}",
}
RESULT = [
    {"name": "a", "request": "GET /a/${{ job.id }}", "save": {"b": "$.b"}},
    {"name": "c", "request": "GET /${{ steps.a.saved.b }}"},
]
WHOLE: dict[str, Any] = spec_data(
    inputs={"name": "str"},
    config={"size": {"type": "int", "default": 1}},
    secrets={"key": {"env": "KEY"}},
    outputs={"out": {"type": "str", "value": "${{ steps.a.saved.b }}"}},
    result={"steps": RESULT},
    logs=LOG,
)


@given(st.sampled_from(paths_of(WHOLE)[1:]), st.sampled_from([None, 7, "", "x y", [], [1], {}, {"a": {}}, True]))
def test_one_wrong_value_makes_problems_only_where_it_stands_or_is_asked_for(path: tuple[Any, ...], value: Any) -> None:
    assert problems_of(WHOLE) == {}
    for found in problems_of(mutated(WHOLE, path, value)):
        inner = found.replace("[", ".").replace("]", "").split(".")
        same = list(map(str, path[: len(inner)])) == inner[: len(path)]
        read_by_the_next = path[:3] == ("result", "steps", 0) and inner[:3] == ["result", "steps", "1"]
        asked_for = read_by_the_next or inner[0] == "outputs" or path[0] in ("inputs", "config", "secrets")
        assert same or asked_for, found


def test_an_item_that_is_not_a_mapping_hides_no_mistake_of_those_after_it() -> None:
    steps = [{"name": "a", "request": "GET /a"}, "nothing", {"name": "b"}]
    found = problems_of(WHOLE | {"get": {"request": None, "phase": WHOLE["get"]["phase"], "steps": steps}})
    assert found == {
        "get": "give either request or steps",
        "get.steps[1]": "must be a mapping, not the string 'nothing'",
        "get.steps[2].request": "is required",
    }
