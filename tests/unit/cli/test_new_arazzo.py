"""`yaml-connector new --from-arazzo`: a workflow becomes the spec that it describes, what it leaves open is marked."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command_line import Command, Done
from tests.support.yaml_data import yaml_data
from yaml_connector.cli.new.arazzo.conditions import Untranslatable, body_operand, jinja, parse_condition

STATES = ["waiting", "rendering", "succeeded", "crashed"]
RENDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": STATES},
        "message": {"type": "string"},
        "url": {"type": "string"},
    },
}
ANSWER = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Render"}}}}
BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Renders", "version": "1"},
    "servers": [{"url": "https://render.example/api"}],
    "components": {
        "schemas": {"Render": RENDER},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    },
    "paths": {
        "/scenes": {"post": {"operationId": "addScene", "requestBody": BODY, "responses": {"200": ANSWER}}},
        "/renders": {"post": {"operationId": "startRender", "requestBody": BODY, "responses": {"201": ANSWER}}},
        "/renders/{renderId}": {
            "get": {"operationId": "getRender", "responses": {"200": ANSWER}},
            "delete": {"operationId": "dropRender", "responses": {"204": {"description": ""}}},
        },
        "/renders/{renderId}/frames": {"get": {"operationId": "getFrames", "responses": {"200": ANSWER}}},
    },
}
OK = {"condition": "$statusCode == 200"}


def is_state(*states: str) -> list[dict[str, str]]:
    """Criteria as documents write them, though the standard wants a filter."""
    condition = " || ".join(f"$.state == '{state}'" for state in states)
    return [{"context": "$response.body", "condition": condition, "type": "jsonpath"}]


def start(**fields: Any) -> dict[str, Any]:
    return {
        "stepId": "start",
        "operationId": "startRender",
        "parameters": [{"name": "Authorization", "in": "header", "value": "Bearer $inputs.token"}],
        "requestBody": {"contentType": "application/json", "payload": {"scene": "$inputs.scene", "fast": True}},
        "successCriteria": [{"condition": "$statusCode == 201"}],
        "outputs": {"renderId": "$response.body#/id"},
        **fields,
    }


def poll(**fields: Any) -> dict[str, Any]:
    return {
        "stepId": "poll",
        "operationId": "getRender",
        "parameters": [
            {"name": "Authorization", "in": "header", "value": "Bearer {$inputs.token}"},
            {"name": "renderId", "in": "path", "value": "$steps.start.outputs.renderId"},
        ],
        "successCriteria": [OK],
        "outputs": {"url": "$response.body#/url"},
        **fields,
    }


GOTO = [
    {"name": "again", "type": "goto", "stepId": "poll", "criteria": is_state("waiting", "rendering")},
    {"name": "done", "type": "end", "criteria": is_state("succeeded")},
    {"name": "broken", "type": "end", "criteria": is_state("crashed")},
]


def document(*steps: dict[str, Any], outputs: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    inputs = {
        "type": "object",
        "required": ["token", "scene"],
        "properties": {"token": {"type": "string"}, "scene": {"type": "string"}, "frames": {"type": "integer"}},
    }
    workflow = {"workflowId": "render", "inputs": inputs, "steps": list(steps)}
    workflow["outputs"] = outputs if outputs is not None else {"url": "$steps.poll.outputs.url"}
    sources = [{"name": "renders", "url": "renders.json", "type": "openapi"}]
    return {"arazzo": "1.0.1", "info": {}, "sourceDescriptions": sources, "workflows": [workflow], **fields}


def imported(
    command: Command, data: dict[str, Any], *arguments: str, openapi: dict[str, Any] | None = None
) -> tuple[dict[str, Any], Done]:
    """The spec of a document, and what the command printed; it has passed `validate` and `test`."""
    Path("flows.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    Path("renders.json").write_text(json.dumps(openapi or OPENAPI), encoding="utf-8")
    done = command("new", "mine", "--from-arazzo", "flows.yaml", "--force", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    spec: dict[str, Any] = yaml_data(Path("connectors.d/mine.yaml"))
    return spec, done


def decided(done: Done) -> str:
    return "\n".join(item["question"] for item in json.loads(done.stdout)["decide"])


def test_a_workflow_that_starts_and_polls_is_a_spec(command: Command) -> None:
    frames = poll(stepId="frames", operationId="getFrames", outputs={"all": "$response.body#/message"})
    goto = [*GOTO[:1], {**GOTO[1], "type": "goto", "stepId": "frames"}, GOTO[2]]
    outputs = {
        "id": "$steps.start.outputs.renderId",
        "url": "$steps.poll.outputs.url",
        "all": "$steps.frames.outputs.all",
    }
    spec, done = imported(command, document(start(), poll(onSuccess=goto), frames, outputs=outputs))
    for check in ("validate", "test"):
        assert command(check, "connectors.d").returncode == 0
    assert spec["connection"]["base_url"] == "${{ env.MINE_URL | default('https://render.example/api') }}"
    assert spec["connection"]["auth"] == {"type": "bearer", "token": "${{ secrets.token }}"}
    assert spec["inputs"] == {"scene": "str"}
    assert spec["create"] == {
        "request": {"method": "POST", "path": "/renders", "json": {"scene": "${{ inputs.scene }}", "fast": True}},
        "success": [201],
        "job_id": "$.id",
    }
    assert spec["get"]["steps"][0]["request"] == "GET /renders/${{ job.id }}"
    assert spec["get"]["phase"]["map"] == {
        "FAILED": ["crashed"],
        "SUCCEEDED": ["succeeded"],
        "QUEUED": ["waiting"],
        "RUNNING": ["rendering"],
    }
    assert spec["result"]["request"] == "GET /renders/${{ job.id }}/frames"
    values = {name: about["value"] for name, about in spec["outputs"].items()}
    assert values == {"id": "${{ job.id }}", "url": "${{ steps.poll.saved.url }}", "all": "$.message"}
    assert json.loads(done.stdout) == {
        "files": ["connectors.d/mine.yaml", "connectors.d/mine.test.yaml"],
        "decide": [],
        "not_used": [],
    }


RETRY = {"name": "wait", "type": "retry", "retryAfter": 5, "retryLimit": 12}
READY = {"FAILED": ["crashed"], "SUCCEEDED": ["succeeded"], "QUEUED": ["waiting"], "RUNNING": ["rendering"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"successCriteria": [OK, *is_state("succeeded")], "onFailure": [RETRY]},
        {"successCriteria": [OK, *is_state("succeeded")], "onFailure": [{**RETRY, "stepId": "poll"}]},
        {"successCriteria": [OK, *is_state("succeeded")], "onFailure": [{**RETRY, "criteria": [OK]}]},
        {"onSuccess": [GOTO[1], {**RETRY, "criteria": is_state("waiting", "rendering")}]},
        {"onSuccess": [{**GOTO[0], "criteria": [{**is_state("succeeded")[0], "condition": "$.state != 'succeeded'"}]}]},
        {"onSuccess": [{**GOTO[0], "criteria": [{"condition": "$response.body#/state != succeeded"}]}]},
        {
            "onSuccess": [
                {**GOTO[1], "criteria": [{**is_state("x")[0], "condition": "$[?@.state == 'succeeded']"}]},
                RETRY,
            ]
        },
    ],
    ids=["retry", "names itself", "on 200", "in onSuccess", "while not", "simple, no quotes", "filter"],
)
def test_a_loop_is_read_as_it_is_meant(command: Command, fields: dict[str, Any]) -> None:
    spec, done = imported(command, document(start(), poll(**fields)))
    assert spec["get"]["phase"] == {"path": "$.state", "map": READY}
    assert "the workflow does not name these states of $.state" in decided(done)
    assert ("poll" in spec["get"]) is ("retryAfter" in json.dumps(fields))
    if "poll" in spec["get"]:
        assert spec["get"]["poll"] == {"min_interval": "5s", "timeout": "60s"}


def test_the_http_status_may_be_the_state(command: Command) -> None:
    criteria = [{"condition": "$statusCode == 200 || $statusCode == 202"}]
    again = {"name": "again", "type": "goto", "stepId": "poll", "criteria": [{"condition": "$statusCode == 202"}]}
    end = {"name": "end", "type": "end", "criteria": [OK]}
    spec, done = imported(command, document(start(), poll(successCriteria=criteria, onSuccess=[again, end])))
    assert spec["get"]["success"] == [200, 202]
    rules = [{"when": "status == 202", "is": "RUNNING"}, {"when": "status == 200", "is": "SUCCEEDED"}]
    assert spec["get"]["phase"] == rules
    assert "names no failed state" in decided(done)


def test_without_a_loop_the_states_are_the_documents_and_marked(command: Command) -> None:
    spec, done = imported(command, document(start(), poll()))
    assert spec["get"]["phase"]["path"] == "$.state"
    assert spec["get"]["phase"]["map"]["QUEUED"] == ["waiting"]
    assert "the workflow names no state; is this what the states mean? waiting is QUEUED" in decided(done)


def test_a_state_that_only_says_that_it_is_over_asks_how(command: Command) -> None:
    openapi = copy.deepcopy(OPENAPI)
    properties = openapi["components"]["schemas"]["Render"]["properties"]
    properties["state"]["enum"] = ["running", "completed"]
    properties["result"] = {"type": "string", "enum": ["succeeded", "failed"]}
    action = {"type": "goto", "stepId": "poll", "criteria": [{"condition": '$response.body#/state != "completed"'}]}
    spec, done = imported(command, document(start(), poll(onSuccess=[action])), openapi=openapi)
    assert spec["get"]["phase"][0] == {"path": "$.result", "map": {"FAILED": ["failed"], "SUCCEEDED": ["succeeded"]}}
    assert spec["get"]["phase"][1]["map"]["FAILED"] == ["completed"]
    assert "is the end, good or bad" in decided(done)


def test_an_id_that_is_the_whole_answer_is_the_field_that_is_meant_and_marked(command: Command) -> None:
    spec, done = imported(command, document(start(outputs={"renderId": "$response.body"}), poll(onSuccess=GOTO)))
    assert spec["create"]["job_id"] == "$.id"
    assert "the workflow takes the whole answer of start as the id; $.id is a guess" in decided(done)


def test_an_id_in_a_header_is_its_end_and_marked(command: Command) -> None:
    spec, done = imported(
        command, document(start(outputs={"renderId": "$response.header.Location"}), poll(onSuccess=GOTO))
    )
    assert spec["create"]["job_id"] == "${{ headers['Location'] | basename }}"
    assert "is the id the end of the header Location?" in decided(done)


def test_a_status_that_the_document_does_not_have_is_marked(command: Command) -> None:
    spec, done = imported(command, document(start(successCriteria=[OK]), poll(onSuccess=GOTO)))
    assert spec["create"]["success"] == [200, 201]
    assert "expects 200, but the OpenAPI document only has 201" in decided(done)


def test_steps_before_the_start_belong_to_create(command: Command) -> None:
    scene = {
        "stepId": "scene",
        "operationId": "addScene",
        "requestBody": {"payload": '{"name": "{$inputs.scene}", "frames": $inputs.frames}'},
        "successCriteria": [OK],
        "outputs": {"sceneId": "$response.body#/id"},
    }
    body = {"payload": {"scene": "", "label": "of {$steps.scene.outputs.sceneId}"},
            "replacements": [{"target": "/scene", "value": "$steps.scene.outputs.sceneId"}]}  # fmt: skip
    spec, _ = imported(command, document(scene, start(requestBody=body), poll(onSuccess=GOTO)))
    first, second = spec["create"]["steps"]
    assert first["request"]["json"] == {"name": "${{ inputs.scene }}", "frames": "${{ inputs.frames }}"}
    assert first["save"] == {"sceneId": "$.id"}
    saved = "${{ steps.scene.saved.sceneId }}"
    assert second["request"]["json"] == {"scene": saved, "label": f"of {saved}"}
    assert spec["inputs"] == {"scene": "str", "frames": "int?"}


def test_a_delete_at_the_end_is_delete_and_marked(command: Command) -> None:
    gone = [{"condition": "$statusCode == 204"}]
    drop = poll(stepId="drop", operationId="dropRender", successCriteria=gone, outputs={})
    goto = [{**GOTO[1], "type": "goto", "stepId": "drop"}, *GOTO[::2]]
    spec, done = imported(command, document(start(), poll(onSuccess=goto), drop))
    assert spec["delete"]["request"] == "DELETE /renders/${{ job.id }}"
    assert "does it cancel a job that runs?" in decided(done)


def test_what_has_no_counterpart_is_named_with_its_line(command: Command) -> None:
    criteria = [OK, {"context": "$response.body", "condition": "count(//x) > 1", "type": "xpath"}]
    more = start(stepId="more")
    goto = [{**GOTO[1], "type": "goto", "stepId": "more"}, *GOTO[::2]]
    _, done = imported(command, document(start(), poll(successCriteria=criteria, onSuccess=goto), more))
    listed = json.loads(done.stdout)["not_used"]
    unused = {item["what"]: item["line"] for item in listed}
    assert len(unused) == len(listed)
    lines = Path("flows.yaml").read_text(encoding="utf-8").splitlines()
    xpath = next(line for what, line in unused.items() if "XPath" in what)
    assert "count(//x)" in "".join(lines[xpath - 1 : xpath + 2])
    step = next(line for what, line in unused.items() if "the step more" in what)
    assert "stepId: more" in lines[step - 1]
    assert "XPath has no counterpart" in decided(done)
    assert "goes on with more" in decided(done)


def test_the_fields_of_a_body_that_is_not_json_are_asked_about(command: Command) -> None:
    body = {"contentType": "text/plain", "payload": {"scene": "$inputs.scene", "fast": True}}
    spec, done = imported(command, document(start(requestBody=body), poll()))
    assert re.fullmatch(r'\{"scene": "[^"]*inputs.scene[^"]*", "fast": true\}', spec["create"]["request"]["text"])
    assert "the body of start is text/plain" in decided(done)


def test_the_workflow_that_polls_is_taken_and_others_can_be_named(command: Command) -> None:
    data = document(start(), poll(onSuccess=GOTO))
    data["workflows"].insert(0, {"workflowId": "only", "steps": [start()]})
    _, done = imported(command, data)
    assert "the workflow only (--workflow)" in done.stdout
    spec, done = imported(command, data, "--workflow", "only")
    assert "get" not in spec
    assert "the workflow reads no state" in decided(done)
    wrong = command("new", "mine", "--from-arazzo", "flows.yaml", "--workflow", "rendr", "--force")
    assert (wrong.returncode, "did you mean render?" in wrong.stderr) == (1, True)


def test_a_source_is_found_above_the_document_and_calls_by_path(command: Command) -> None:
    Path("a/b").mkdir(parents=True)
    data = document(start(operationId=None), poll(onSuccess=GOTO))
    data["sourceDescriptions"][0]["url"] = "./apis/renders.json"
    data["workflows"][0]["steps"][0]["operationPath"] = "{$sourceDescriptions.renders.url}#/paths/~1renders/post"
    Path("apis").mkdir()
    Path("apis/renders.json").write_text(json.dumps(OPENAPI), encoding="utf-8")
    Path("a/b/flows.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    done = command("new", "mine", "--from-arazzo", "a/b/flows.yaml")
    assert done.returncode == 0, done.stderr


def test_parameters_of_components_and_of_the_workflow_are_sent(command: Command) -> None:
    data = document(start(), poll(onSuccess=GOTO, parameters=[{"reference": "$components.parameters.id"}]))
    value = "$steps.start.outputs.renderId"
    data["components"] = {"parameters": {"id": {"name": "renderId", "in": "path", "value": value}}}
    data["workflows"][0]["parameters"] = [{"name": "version", "in": "query", "value": 2}]
    spec, _ = imported(command, data)
    assert spec["get"]["request"] == {"method": "GET", "path": "/renders/${{ job.id }}", "query": {"version": "2"}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "is neither JSON nor YAML"),
        ("openapi: 3.0.0\n", "is not an Arazzo 1 document"),
        ("arazzo: 1.0.1\n", "has no workflows"),
        (
            "arazzo: 1.0.1\nworkflows: [1, {steps: 3}, {workflowId: x, steps: [null, {stepId: a}]}]\n",
            "starts something",
        ),
        (yaml.safe_dump(document(start(operationId="nowhere"))), "these operations were not found: nowhere"),
        (yaml.safe_dump(document(start())).replace("renders.json", "away.json"), "there is no file away.json beside"),
        ("[" * 5000, ""),
    ],
)
def test_what_is_no_such_document_is_told(command: Command, content: str, told: str) -> None:
    Path("flows.yaml").write_text(content, encoding="utf-8")
    Path("renders.json").write_text(json.dumps(OPENAPI), encoding="utf-8")
    done = command("new", "mine", "--from-arazzo", "flows.yaml")
    assert done.returncode == 1
    assert told in done.stderr


KEYS = ["name", "in", "value", "criteria", "type", "condition", "payload", "stepId"]
JSON = st.recursive(
    st.none() | st.integers(0, 300) | st.sampled_from(["$inputs.x", "$steps.a.outputs.b", "x", "$.a == 'b'"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.slow
@given(st.sampled_from(["parameters", "requestBody", "successCriteria", "outputs", "onSuccess", "onFailure"]), JSON)
def test_an_odd_part_of_a_step_gives_no_traceback(part: str, value: Any) -> None:
    from yaml_connector.cli.new.arazzo.translate import sketch_of
    from yaml_connector.cli.new.checked import files_of
    from yaml_connector.errors import ConfigError

    data = document(start(), poll(**{part: value}))
    data["sourceDescriptions"][0]["document"] = OPENAPI
    with contextlib.suppress(ConfigError):
        files_of(sketch_of(json.dumps(data).encode(), "flows.json", "mine"))


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("$statusCode == 200 || $statusCode == 202", "simple", "status == 200 or status == 202"),
        ("$statusCode >= 200 && $statusCode < 300", "simple", "status >= 200 and status < 300"),
        ("$response.body#/a/b == 'x y'", "simple", "body.a.b == 'x y'"),
        ("$response.body#/items/0/id != null", "simple", "(body.items[0].id | default(none)) is not none"),
        ("($.a == 1 || $.b == true) && !($.c == 'it\\'s')", "jsonpath",
         "(body.a == 1 or body.b == true) and not (body.c == 'it\\'s')"),
        ("$[?(@.state == \"done\")]", "jsonpath", "body.state == 'done'"),
        ("$[?@.n > 3]", "jsonpath", "body.n > 3"),
        ("$.items.length > 0", "jsonpath", "(body.items | length) > 0"),
        ("#/message == Order not found", "jsonpath", "body.message == 'Order not found'"),
        ("$.items[?(@.kind == 'x')]", "jsonpath", "(body | jsonpath('$.items[?(@.kind == \\'x\\')]'))"),
        ("$.done", "jsonpath", "body.done"),
        ("^2\\d\\d$", "regex", "(status | string | regex('^2\\\\d\\\\d$', 0)) is not none"),
    ],
)  # fmt: skip
def test_conditions_mean_the_same_in_the_spec(text: str, kind: str, expected: str) -> None:
    from yaml_connector.cli.new.arazzo.conditions import Operand, source_of

    def operand(word: str) -> Operand:
        source = source_of(word)
        return Operand("status", "status") if source.kind == "status" else body_operand(source.path or "$")

    assert jinja(parse_condition(text, kind, "", operand)) == expected


@pytest.mark.slow
@given(st.text(max_size=60), st.sampled_from(["simple", "jsonpath", "regex", "xpath"]))
def test_any_condition_is_read_or_refused(text: str, kind: str) -> None:
    with contextlib.suppress(Untranslatable):
        jinja(parse_condition(text, kind, "", lambda word: body_operand("$")))
