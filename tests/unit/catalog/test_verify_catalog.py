"""`make verify-catalog` holds recordings against a vendor's model, whichever of four forms it has."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.verify_catalog import report

SPEC = """\
spec_version: 1
task_type_name: tiny
name: Tiny
connection: {base_url: https://tiny.test/api}
create:
  request: {method: POST, path: /v1/jobs, query: {dry: "no"}, json: {name: n, size: 2}}
  job_id: $.id
get:
  request: GET /v1/jobs/${{ job.id }}
  phase: {path: $.info.state, map: {RUNNING: [on], SUCCEEDED: [done], FAILED: [lost]}}
delete:
  request: POST /v1/jobs/${{ job.id }}:stop
"""
TEST = """\
tests:
  - name: a job that is done
    calls:
      - create:
          exchanges:
            - {request: POST /api/v1/jobs, response: {json: {id: j1}}}
      - get:
          exchanges:
            - {request: GET /api/v1/jobs/j1, response: {json: {info: {state: on}, tags: {a: b}}}}
      - get: {exchanges: [{request: GET /api/v1/jobs/j1, response: {status: 503}, repeat: 3}]}
      - delete:
          exchanges: [{request: POST /api/v1/jobs/j1:stop}]
"""
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
STATE = {"type": "string", "enum": ["on", "done", "lost"]}
TAGS = {"type": "object", "additionalProperties": TEXT}
JOB = {"type": "object", "properties": {"id": TEXT, "info": {"$ref": "#/x/Info"}, "tags": TAGS}}
NEW = {"type": "object", "properties": {"name": TEXT, "size": NUMBER}, "required": ["name"]}
INFO = {"type": "object", "properties": {"state": STATE}}
DRY = {"name": "dry", "in": "query"}


def openapi() -> dict[str, Any]:
    def answer(schema: Any) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schema}}}

    return {
        "openapi": "3.1.0",
        "x": {"Info": {"oneOf": [{"type": "null"}, INFO]}},
        "paths": {
            "/v1/jobs": {"post": {"parameters": [DRY], "requestBody": answer(NEW), "responses": {"200": answer(JOB)}}},
            "/v1/jobs/{id}": {"get": {"responses": {"2XX": answer(JOB)}}},
            "/v1/jobs/{id}:stop": {"post": {"responses": {"default": {}}}},
        },
    }


def swagger() -> dict[str, Any]:
    body = {"in": "body", "name": "body", "schema": NEW}
    return {
        "swagger": "2.0",
        "basePath": "/api",
        "x": {"Info": INFO},
        "paths": {
            "/v1/jobs": {"post": {"parameters": [body, DRY], "responses": {"200": {"schema": JOB}}}},
            "/v1/jobs/{id}": {"get": {"responses": {"200": {"schema": JOB}}}},
            "/v1/jobs/{id}:stop": {"post": {"responses": {"200": {}}}},
        },
    }


def discovery() -> dict[str, Any]:
    job = {"type": "object", "properties": {"id": TEXT, "info": {"$ref": "Info"}, "tags": TAGS}}
    methods = {
        "create": {"httpMethod": "POST", "path": "v1/jobs", "request": {"$ref": "New"}, "response": {"$ref": "Job"}},
        "get": {"httpMethod": "GET", "path": "v1/{+name}", "flatPath": "v1/jobs/{id}", "response": {"$ref": "Job"}},
        "stop": {"httpMethod": "POST", "path": "v1/{+name}:stop"},
    }
    return {
        "discoveryVersion": "v1",
        "servicePath": "api/",
        "parameters": {"dry": {"type": "string", "location": "query"}},
        "schemas": {"Info": INFO, "Job": job, "New": NEW},
        "resources": {"jobs": {"methods": methods}},
    }


def aws() -> dict[str, Any]:
    text, query = {"shape": "Text"}, {"shape": "Text", "location": "querystring", "locationName": "dry"}
    return {
        "metadata": {"protocol": "rest-json"},
        "operations": {
            "Create": {
                "http": {"method": "POST", "requestUri": "/v1/jobs"},
                "input": {"shape": "New"},
                "output": {"shape": "Job"},
            },
            "Get": {"http": {"method": "GET", "requestUri": "/v1/jobs/{id}"}, "output": {"shape": "Job"}},
            "Stop": {"http": {"method": "POST", "requestUri": "/v1/jobs/{id}:stop"}},
        },
        "shapes": {
            "Text": TEXT,
            "Number": NUMBER,
            "State": STATE,
            "Tags": {"type": "map", "key": text, "value": text},
            "Info": {"type": "structure", "members": {"State": {"shape": "State", "locationName": "state"}}},
            "New": {
                "type": "structure",
                "members": {"name": text, "size": {"shape": "Number"}, "Dry": query},
                "required": ["name"],
            },
            "Job": {"type": "structure", "members": {"id": text, "info": {"shape": "Info"}, "tags": {"shape": "Tags"}}},
        },
    }


def verified(folder: Path, model: dict[str, Any], spec: str = SPEC, test: str = TEST) -> tuple[str, list[str], bool]:
    for name, text in (("tiny.yaml", spec), ("tiny.test.yaml", test)):
        (folder / name).write_text(text)
    (folder / "models" / "tiny").mkdir(parents=True)
    (folder / "models" / "tiny" / "api.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))
    [row] = report(folder, folder / "models", "")
    return row


@pytest.mark.parametrize("model", [openapi, swagger, discovery, aws])
def test_all_fields_are_found_in_each_form_of_a_model(model: Any, tmp_path: Path) -> None:
    line, details, good = verified(tmp_path, model())
    assert line == "| tiny | tiny/api.json.gz | 7 | 0 |"
    assert "3 of 3 states of $.info.state are in the phase rules" in details
    assert good


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{id: j1}", "{id: j1, Id: j1}", "POST /v1/jobs 200 $.Id: not in the model, which has id"),
        ("{a: b}", "{a: 1}", "GET /v1/jobs/{id} 200 $.tags.{}: 1 is not of type string"),
        ("{state: on}", "{state: off}", "GET /v1/jobs/{id} 200 $.info.state: 'off' is not in the enum: on, done, lost"),
        ("{state: on}", "{phase: on}", "GET /v1/jobs/{id} 200 $.info.phase: not in the model"),
        ("[lost]", "[lost, gone]", "state gone: not in the model's enum of $.info.state"),
        ("FAILED: [lost]", "FAILED: [on?]", "state on?: not in the model's enum of $.info.state"),
        ("size: 2", "size: true", "POST /v1/jobs request $.size: true is not of type integer"),
        ("name: n, ", "", "POST /v1/jobs request $.name: required, and not sent"),
        ("{dry: ", "{wet: ", "POST /v1/jobs ?wet: not a parameter of the operation"),
        (":stop", ":halt", "POST https://tiny.test/api/v1/jobs/j1:halt: no such operation in the model"),
    ],
)
def test_what_the_model_does_not_have_is_named_with_its_place(old: str, new: str, told: str, tmp_path: Path) -> None:
    _, details, good = verified(tmp_path, openapi(), SPEC.replace(old, new), TEST.replace(old, new))
    assert not good
    assert told in details


def test_a_state_of_the_model_that_no_rule_maps_is_named(tmp_path: Path) -> None:
    _, details, good = verified(tmp_path, openapi(), SPEC.replace("[lost]", "[]"))
    assert "2 of 3 states of $.info.state are in the phase rules; not: lost" in details
    assert good


def test_states_that_an_expression_reads_are_compared_with_the_enum_that_is_most_like_them(tmp_path: Path) -> None:
    path = "${{ body.info.state }}"
    spec = SPEC.replace("path: $.info.state", f'path: "{path}"').replace("[lost]", "[]")
    _, details, _ = verified(tmp_path, openapi(), spec)
    assert f"2 of 3 states of {path} are in the phase rules; not: lost" in details


def test_a_state_that_only_a_condition_names_counts_as_read(tmp_path: Path) -> None:
    rule = "path: $.info.state, map: {RUNNING: [on], SUCCEEDED: [done]}"
    rules = f"phase: [{{{rule}}}, {{when: body.info.state == 'lost', is: FAILED}}]"
    spec = re.sub(r"phase: \{.*\}", rules, SPEC)
    _, details, _ = verified(tmp_path, openapi(), spec)
    assert "3 of 3 states of $.info.state are in the phase rules" in details


def test_a_201_is_held_against_the_200_of_the_model_before_its_default(tmp_path: Path) -> None:
    model = openapi()
    error = {"type": "object", "properties": {"message": TEXT}}
    model["paths"]["/v1/jobs"]["post"]["responses"]["default"] = {"content": {"application/json": {"schema": error}}}
    _, details, good = verified(tmp_path, model, test=TEST.replace("{json: {id: j1}}", "{status: 201, json: {id: j1}}"))
    assert good, details


def test_calls_of_awss_json_protocol_are_told_apart_by_their_header(tmp_path: Path) -> None:
    """X-Amz-Target names the call: all have the path /."""
    shape = {"type": "structure", "members": {"id": {"shape": "Text"}}}
    http = {"method": "POST", "requestUri": "/"}
    model = {
        "metadata": {"protocol": "json", "targetPrefix": "Tiny_2020"},
        "operations": {
            "Start": {"http": http, "output": {"shape": "Id"}},
            "Look": {"http": http, "input": {"shape": "Id"}, "output": {"shape": "Id"}},
        },
        "shapes": {"Text": TEXT, "Id": shape},
    }
    call = "{method: POST, path: /, headers: {X-Amz-Target: Tiny_2020.%s}, json: {id: a}}"
    spec = f"""\
spec_version: 1
task_type_name: tiny
name: Tiny
connection: {{base_url: https://tiny.test}}
create: {{request: {call % "Look"}, job_id: $.id}}
get: {{request: {call % "Look"}, phase: {{is: SUCCEEDED}}}}
"""
    test = """\
tests:
  - name: looked up
    calls:
      - create: {exchanges: [{request: POST /, response: {json: {id: a}}}]}
"""
    line, details, good = verified(tmp_path, model, spec, test)
    assert (line, details, good) == ("| tiny | tiny/api.json.gz | 2 | 0 |", [], True)


def test_a_spec_without_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    assert list(report(tmp_path, tmp_path / "models", "")) == [("| tiny | no model | - | - |", [], True)]
