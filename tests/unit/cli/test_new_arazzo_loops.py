"""`yaml-connector new --from-arazzo`: loops, logins and credentials as authors write them, played against answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.unit.cli.test_new_arazzo import OK, OPENAPI, RETRY, decided, document, imported, poll, start


def body(condition: str, kind: str = "jsonpath", context: str = "$response.body") -> list[dict[str, str]]:
    return [{"context": context, "condition": condition, "type": kind}]


def phase_of(command: Command, answer: Any) -> str:
    """The phase that the imported spec reads in an answer of the API."""
    Path("answer.json").write_text(json.dumps(answer), encoding="utf-8")
    done = command("eval", "--spec", "connectors.d/mine.yaml", "--section", "get", "--json", "answer.json")
    return str(json.loads(done.stdout)["phase"])


def end(name: str, criteria: list[dict[str, str]]) -> dict[str, Any]:
    return {"name": name, "type": "end", "criteria": criteria}


AGAIN = {"name": "again", "type": "goto", "stepId": "poll"}
LOOPS: dict[str, tuple[dict[str, Any], list[tuple[Any, str]]]] = {
    "regular expressions": (
        {
            "onSuccess": [
                end("ok", body("^(CONVERGED|DONE)$", "regex", "$response.body#/state")),
                end("no", body("^(DIVERGED|ERROR.*)$", "regex", "$response.body#/state")),
                AGAIN,
            ]
        },
        [({"state": "DONE"}, "SUCCEEDED"), ({"state": "ERROR 3"}, "FAILED"), ({"state": "BUSY"}, "RUNNING")],
    ),
    "a count of what is filtered": (
        {
            "successCriteria": [OK, *body("count($.tasks[?@.state != 'done']) == 0")],
            "onFailure": [end("some", body("$.tasks[?@.state == 'failed']")), RETRY],
        },
        [
            ({"tasks": [{"state": "done"}]}, "SUCCEEDED"),
            ({"tasks": [{"state": "done"}, {"state": "new"}]}, "RUNNING"),
            ({"tasks": [{"state": "new"}, {"state": "failed"}]}, "FAILED"),
        ],
    ),
    "a length of what is filtered": (
        {"successCriteria": [OK, *body("$.tasks[?(@.state == 'busy')].length == 0")], "onFailure": [RETRY]},
        [({"tasks": [{"state": "done"}]}, "SUCCEEDED"), ({"tasks": [{"state": "busy"}]}, "RUNNING")],
    ),
    "while a filter finds something": (
        {"onSuccess": [{**AGAIN, "criteria": body("$.tasks[?(@.state == 'busy')]")}]},
        [({"tasks": [{"state": "done"}]}, "SUCCEEDED"), ({"tasks": [{"state": "busy"}]}, "RUNNING")],
    ),
    "a result that is not null": (
        {"successCriteria": [OK, *body("$.result != null")], "onFailure": [RETRY]},
        [({"result": 1}, "SUCCEEDED"), ({"result": None}, "RUNNING"), ({}, "RUNNING")],
    ),
    "a flag and no error": (
        {
            "successCriteria": [OK, *body("$.done == true && $.error == null")],
            "onFailure": [end("err", body("$.error.code > 0")), RETRY],
        },
        [
            ({"done": True}, "SUCCEEDED"),
            ({"done": True, "error": {"code": 3}}, "FAILED"),
            ({"done": False}, "RUNNING"),
            ({}, "RUNNING"),
        ],
    ),
    "states of several meanings in one end": (
        {
            "onSuccess": [
                {**AGAIN, "criteria": body("$.kind == 'sent'")},
                end("over", body("$.kind == 'completed' || $.kind == 'declined' || $.kind == 'voided'")),
            ]
        },
        [
            ({"kind": "completed"}, "SUCCEEDED"),
            ({"kind": "declined"}, "FAILED"),
            ({"kind": "voided"}, "ABORTED"),
            ({"kind": "sent"}, "RUNNING"),
        ],
    ),
    "a state that says stopped beside one that failed": (
        {
            "onSuccess": [
                end("ok", body("$.kind == 'complete'")),
                end("bad", body("$.kind == 'failed' || $.kind == 'stopped'")),
                AGAIN,
            ]
        },
        [({"kind": "stopped"}, "ABORTED"), ({"kind": "failed"}, "FAILED"), ({"kind": "x"}, "RUNNING")],
    ),
    "while it runs, and nothing else": (
        {"onSuccess": [{**AGAIN, "criteria": body("$.kind == 'RUNNING'")}]},
        [({"kind": "RUNNING"}, "RUNNING"), ({"kind": "SUCCEEDED"}, "SUCCEEDED"), ({"kind": "FAILED"}, "FAILED")],
    ),
    "any status of success": (
        {
            "successCriteria": [
                {"context": "$statusCode", "condition": r"^2\d\d$", "type": "regex"},
                *body("(?i)^ready$", "regex", "$response.body#/kind"),
            ],
            "onFailure": [RETRY],
        },
        [({"kind": "Ready"}, "SUCCEEDED"), ({"kind": "busy"}, "RUNNING")],
    ),
}


@pytest.mark.parametrize(("fields", "answers"), LOOPS.values(), ids=LOOPS)
def test_a_loop_reads_the_phase_that_the_workflow_means(
    command: Command, fields: dict[str, Any], answers: list[tuple[Any, str]]
) -> None:
    imported(command, document(start(), poll(**fields), outputs={}))
    assert command("test", "connectors.d").returncode == 0
    assert {json.dumps(answer): phase_of(command, answer) for answer, _ in answers} == {
        json.dumps(answer): phase for answer, phase in answers
    }


SIGN_IN = {
    "stepId": "signIn",
    "operationId": "addScene",
    "requestBody": {"payload": {"user": "$inputs.scene", "password": "$inputs.token"}},
    "outputs": {"token": "$response.body#/message", "account": "$response.body#/id"},
}


def with_header(step: dict[str, Any], value: str) -> dict[str, Any]:
    others = [item for item in step["parameters"] if item["name"] != "Authorization"]
    return {**step, "parameters": [{"name": "Authorization", "in": "header", "value": value}, *others]}


def test_a_step_that_logs_in_is_the_auth_and_its_token_is_not_kept_with_the_job(command: Command) -> None:
    token = "Bearer {$steps.signIn.outputs.token}"
    first = with_header(start(requestBody={"payload": {"account": "$steps.signIn.outputs.account"}}), token)
    spec, _ = imported(command, document(SIGN_IN, first, with_header(poll(), token)))
    auth = spec["connection"]["auth"]
    assert (auth["type"], auth["token"]) == ("token", "$.message")
    assert auth["request"]["json"] == {"user": "${{ secrets.scene }}", "password": "${{ secrets.token }}"}
    assert spec["create"]["request"]["json"] == {"account": "${{ auth.account }}"}
    assert "token" not in json.dumps([spec["create"], spec["get"]])


@pytest.mark.parametrize("value", ["Bearer s3cr3t-t0ken", "Basic czNjcjN0LXQwa2Vu", "s3cr3t-t0ken"])
def test_a_credential_in_the_document_is_not_copied(command: Command, value: str) -> None:
    spec, done = imported(command, document(with_header(start(), value), with_header(poll(), value)))
    written = "".join(path.read_text(encoding="utf-8") for path in Path("connectors.d").glob("*.yaml"))
    assert [word for word in ("s3cr3t", "czNjcjN0") if word in written] == []
    assert "which is not copied" in decided(done)
    assert spec["connection"]["auth"]["type"] in ("bearer", "basic", "api_key")


def test_a_value_of_another_workflow_is_given_and_marked(command: Command) -> None:
    token = "Bearer {$workflows.login.outputs.token}"
    spec, done = imported(command, document(with_header(start(), token), with_header(poll(), token)))
    assert spec["connection"]["auth"]["token"] == "${{ secrets.token }}"
    assert "comes from the workflow login" in decided(done)


def test_a_cancel_that_is_reached_when_the_workflow_gives_up_is_delete(command: Command) -> None:
    drop = poll(stepId="drop", operationId="dropRender", outputs={})
    actions = [RETRY, {"name": "giveUp", "type": "goto", "stepId": "drop"}]
    waiting = poll(successCriteria=[OK, *body("$.state == 'succeeded'")], onSuccess=[end("e", [])], onFailure=actions)
    spec, _ = imported(command, document(start(), waiting, drop))
    assert spec["delete"]["request"] == "DELETE /renders/${{ job.id }}"


def test_of_two_ids_in_a_path_the_last_is_the_jobs(command: Command) -> None:
    openapi = json.loads(json.dumps(OPENAPI))
    openapi["paths"]["/scenes/{scene}/renders/{renderId}"] = openapi["paths"].pop("/renders/{renderId}")
    first = start(outputs={"scene": "$response.body#/url", "renderId": "$response.body#/id"})
    asks = poll()
    asks["parameters"] = [{"name": "scene", "in": "path", "value": "$steps.start.outputs.scene"}, *asks["parameters"]]
    spec, _ = imported(command, document(first, asks), openapi=openapi)
    assert spec["get"]["request"] == "GET /scenes/${{ job.scene }}/renders/${{ job.id }}"


def test_each_read_after_the_end_gives_its_outputs(command: Command) -> None:
    reads = [
        poll(stepId=name, operationId="getFrames", outputs={"n": "$response.body#/url"}) for name in ("one", "two")
    ]
    outputs = {"one": "$steps.one.outputs.n", "two": "$steps.two.outputs.n"}
    waiting = poll(onSuccess=[{**AGAIN, "criteria": body("$.state == 'waiting'")}])
    spec, done = imported(command, document(start(), waiting, *reads, outputs=outputs))
    assert {name: about["value"] for name, about in spec["outputs"].items()} == {
        "one": "${{ steps.one.saved.n }}",
        "two": "$.url",
    }
    assert json.loads(done.stdout)["not_used"] == []


def test_a_request_that_needs_its_own_answer_is_marked(command: Command) -> None:
    own = start(requestBody={"payload": {"before": "$steps.start.outputs.renderId"}})
    _, done = imported(command, document(own, poll()))
    assert "start needs its own answer" in decided(done)


@pytest.mark.parametrize("value", [None, ["a", "b"], {"a": 1}, True, 1.5])
def test_a_header_of_any_value_is_sent_as_text(command: Command, value: Any) -> None:
    asks = poll()
    asks["parameters"].append({"name": "X-Mode", "in": "header", "value": value})
    spec, _ = imported(command, document(start(), asks))
    assert isinstance(spec["get"]["request"]["headers"]["X-Mode"], str)


def test_actions_of_the_workflow_count_for_a_poll_without_its_own(command: Command) -> None:
    data = document(start(), poll(successCriteria=[OK, *body("$.state == 'succeeded'")]))
    data["workflows"][0]["failureActions"] = [{"reference": "$components.failureActions.wait"}]
    data["components"] = {"failureActions": {"wait": RETRY}}
    spec, _ = imported(command, data)
    assert spec["get"]["poll"]["min_interval"] == "5s"
    assert spec["get"]["phase"]["map"]["SUCCEEDED"] == ["succeeded"]


def test_an_id_of_every_item_of_a_list_is_the_first_one_and_marked(command: Command) -> None:
    spec, done = imported(command, document(start(outputs={"renderId": "$response.body.items[*].id"}), poll()))
    assert spec["create"]["job_id"] == "$.items[0].id"
    assert "here it is the first" in decided(done)


def test_a_spec_whose_generated_test_fails_is_written_with_a_smaller_test_and_marked(command: Command) -> None:
    criteria = [{"condition": "$statusCode == 201"}, *body("$.parts[?(@.size > 3)]")]
    _, done = imported(command, document(start(successCriteria=criteria), poll()))
    assert "the contract test could not show all of it" in decided(done)
    assert command("validate", "connectors.d").returncode == 0
    assert command("test", "connectors.d").returncode == 0
