"""`yaml-connector new --from-openapi`: what a document says gets into the spec, what it leaves open is marked."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command, Done
from tests.support.paths import ROOT
from tests.support.yaml_data import yaml_data

RENDERS = yaml_data(ROOT / "tests" / "unit" / "cli" / "openapi" / "renders.yaml")


def answers(schema: dict[str, Any]) -> dict[str, Any]:
    """An operation whose good answer has this schema."""
    return {"responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}}


def job(**properties: Any) -> dict[str, Any]:
    """An object with an id, a state and these properties."""
    state = {"type": "string", "enum": ["queued", "running", "done", "failed"]}
    return {"type": "object", "properties": {"id": {"type": "string"}, "state": state, **properties}}


def document(paths: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": paths, **others}


def simple(create: dict[str, Any] | None = None, get: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """A document with one kind of job."""
    paths = {"/jobs": {"post": create or answers(job())}, "/jobs/{id}": {"get": get or answers(job())}}
    return document(paths, **others)


def drafted(command: Command, data: dict[str, Any], *arguments: str) -> tuple[dict[str, Any], Done]:
    """The spec that is made of a document, which passes with its test as it is; and what the command said."""
    Path("api.json").write_text(json.dumps(data), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json", "--force", *arguments)
    assert done.returncode == 0, done.stderr
    checked = command("test", "connectors.d/mine.yaml")
    assert checked.returncode == 0, checked.stdout
    spec: dict[str, Any] = yaml_data(Path("connectors.d/mine.yaml"))
    return spec, done


def test_a_call_that_submits_may_stand_beside_the_jobs_or_answer_with_one(command: Command) -> None:
    one = {"$ref": "#/components/schemas/Run"}
    paths = {
        "/accounts/{account_id}/jobs/{job_id}/run/": {"post": answers(one)},
        "/accounts/{account_id}/runs/{run_id}/": {"get": answers(one)},
        "/accounts/{account_id}/runs/{id}/cancel/": {"post": {}},
        "/accounts/{account_id}/jobs/": {"post": answers({"type": "object"})},
        "/accounts/{account_id}/jobs/{id}/": {"get": answers(job())},
    }
    spec, done = drafted(command, document(paths, components={"schemas": {"Run": job()}}))
    assert spec["create"]["request"]["path"] == "/accounts/${{ config.account_id }}/jobs/${{ config.job_id }}/run/"
    assert spec["get"]["request"] == "GET /accounts/${{ config.account_id }}/runs/${{ job.id }}/"
    assert spec["delete"]["request"] == "POST /accounts/${{ config.account_id }}/runs/${{ job.id }}/cancel/"
    assert "other calls that may submit a job (--create): POST /accounts/{account_id}/jobs/" in done.stdout
    schemas = {"schemas": {"Run": job()}}
    other, _ = drafted(command, document(paths, components=schemas), "--create", "POST /accounts/{id}/jobs/")
    assert other["get"]["request"] == "GET /accounts/${{ config.account_id }}/jobs/${{ job.id }}/"


def test_a_verb_beside_the_id_submits_too(command: Command) -> None:
    spec, _ = drafted(
        command, document({"/v1/job/submit": {"post": answers(job())}, "/v1/job/{job_id}": {"get": answers(job())}})
    )
    assert spec["create"]["request"]["path"] == "/v1/job/submit"
    assert spec["get"]["request"] == "GET /v1/job/${{ job.id }}"


def test_calls_that_the_document_lacks_are_told_with_the_closest(command: Command) -> None:
    Path("api.json").write_text(json.dumps(simple()), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json", "--create", "POST /job")
    assert done.returncode == 1
    assert "has no call POST /job (--create); did you mean POST /jobs?" in done.stderr


@pytest.mark.parametrize(
    ("servers", "base_url", "told"),
    [
        ([{"url": "https://api.acme.com/v1/"}], "https://api.acme.com/v1", None),
        ([{"url": "/api/v1"}], "https://api.example.com/api/v1", "the document has no server"),
        ([], "https://api.example.com", "the document has no server"),
        (
            [
                {"url": "https://{region}.acme.com", "variables": {"region": {"default": "eu"}}},
                {"url": "https://b.com"},
            ],
            "https://eu.acme.com",
            "region in the URL is set to eu: change it if needed",
        ),
    ],
    ids=["whole", "relative", "none", "variables"],
)
def test_the_server_gives_the_base_url(command: Command, servers: Any, base_url: str, told: str | None) -> None:
    spec, done = drafted(command, simple(servers=servers))
    assert spec["connection"]["base_url"] == f"${{{{ env.MINE_URL | default('{base_url}') }}}}"
    assert told is None or told in done.stdout


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "http", "scheme": "Bearer"}, {"type": "bearer"}),
        ({"type": "http", "scheme": "basic"}, {"type": "basic"}),
        ({"type": "apiKey", "in": "query", "name": "key"}, {"type": "api_key", "in": "query", "name": "key"}),
        ({"type": "apiKey", "in": "header", "name": "X-T"}, {"type": "api_key", "in": "header", "name": "X-T"}),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/token", "scopes": {}}}},
            {"type": "oauth2_client_credentials", "token_url": "${{ env.MINE_URL | default('https://a.test') }}/token"},
        ),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://login.test/token"}}},
            {"type": "oauth2_client_credentials", "token_url": "https://login.test/token"},
        ),
        ({"type": "oauth2", "flows": {"password": {"tokenUrl": "/login/token"}}}, {"type": "token"}),
        ({"type": "oauth2", "flows": {"implicit": {}}}, {"type": "bearer"}),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://a.test"}, {"type": "bearer"}),
    ],
    ids=[
        "bearer",
        "basic",
        "key in query",
        "key in header",
        "client",
        "client elsewhere",
        "password",
        "implicit",
        "openid",
    ],
)
def test_a_security_scheme_gives_the_auth(command: Command, scheme: Any, auth: dict[str, str]) -> None:
    data = simple(
        servers=[{"url": "https://a.test"}],
        components={"securitySchemes": {"mutual": {"type": "mutualTLS"}, "mine": scheme}},
        security=[{"mutual": []}, {"mine": []}],
    )
    spec, done = drafted(command, data)
    assert {name: spec["connection"]["auth"].get(name) for name in auth} == auth
    assert "auth is mine of the document: do you use that?" in done.stdout
    assert "the API also accepts: mutual" in done.stdout


def test_the_security_of_the_call_itself_counts(command: Command) -> None:
    schemes = {"a": {"type": "http", "scheme": "bearer"}, "b": {"type": "http", "scheme": "basic"}}
    create = {**answers(job()), "security": [{"b": []}]}
    spec, _ = drafted(command, simple(create, components={"securitySchemes": schemes}, security=[{"a": []}]))
    assert spec["connection"]["auth"]["type"] == "basic"


STATE_NUMBER = {"type": "integer", "description": "The state.\n  1: Queued\n  3: Running\n  10: Success\n  20: Error\n"}


@pytest.mark.parametrize(
    ("answer", "path", "phases"),
    [
        (job(), "$.state", {"QUEUED": ["queued"], "RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["failed"]}),
        (
            {"properties": {"data": job(status={"type": "object", "properties": {"code": {"type": "integer"}}})}},
            "$.data.state",
            {"SUCCEEDED": ["done"]},
        ),
        (
            {"properties": {"jobs": {"type": "array", "items": {"properties": {"state": {"type": "array", "items": {
                "type": "string", "enum": ["PENDING", "COMPLETED", "FAILED"]}}}}}}},
            "$.jobs[0].state[*]",
            {"QUEUED": ["PENDING"], "SUCCEEDED": ["COMPLETED"]},
        ),
        (
            {"properties": {"state": {"oneOf": [{"const": "JOB_STATE_RUNNING"}, {"const": "JOB_STATE_SUCCEEDED"}]}}},
            "$.state",
            {"RUNNING": ["JOB_STATE_RUNNING"], "SUCCEEDED": ["JOB_STATE_SUCCEEDED"]},
        ),
        (
            {"properties": {"status": {"anyOf": [{"type": "string", "enum": ["ok", "error"]}, {"type": "null"}]}}},
            "$.status",
            {"SUCCEEDED": ["ok"], "FAILED": ["error"]},
        ),
        ({"properties": {"status": STATE_NUMBER}}, "$.status", {"QUEUED": [1], "SUCCEEDED": [10], "FAILED": [20]}),
        (
            {"properties": {"status": {"type": "integer", "enum": [0, 1], "x-enum-varnames": ["Running", "Done"]}}},
            "$.status",
            {"RUNNING": [0], "SUCCEEDED": [1]},
        ),
    ],
    ids=["enum", "envelope", "list", "const", "nullable", "described numbers", "named numbers"],
)  # fmt: skip
def test_the_states_become_the_phase_map(command: Command, answer: Any, path: str, phases: dict[str, Any]) -> None:
    spec, _ = drafted(command, simple(get=answers(answer)))
    assert spec["get"]["phase"]["path"] == path
    assert phases.items() <= spec["get"]["phase"]["map"].items()


def test_states_that_nobody_named_are_marked(command: Command) -> None:
    answer = {"properties": {"status": {"type": "object"}, "job": {"properties": {"state": {"type": "string"}}}}}
    spec, done = drafted(command, simple(get=answers(answer)))
    assert spec["get"]["phase"]["path"] == "$.job.state"
    assert "decide: the document lists no values of $.job.state: write the states of the API" in done.stdout


def test_required_fields_of_the_body_become_config(command: Command) -> None:
    base = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "description": "A name."}},
    }
    more = {
        "required": ["size", "cpus", "tags", "created", "note"],
        "properties": {
            "size": {"type": "string", "enum": ["small", "big"]},
            "cpus": {"type": ["integer", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "created": {"type": "string", "readOnly": True},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "extra": {"type": "string"},
        },
    }
    body = {"required": True, "content": {"application/json": {"schema": {"allOf": [base, more]}}}}
    spec, done = drafted(command, simple({**answers(job()), "requestBody": body}))
    assert spec["config"] == {
        "name": {"type": "str", "description": "A name"},
        "size": {"type": "str", "enum": ["small", "big"]},
        "cpus": "int",
        "tags": "list[str]",
        "note": "str",
    }
    assert list(spec["create"]["request"]["json"]) == ["name", "size", "cpus", "tags", "note"]
    assert "decide: the body may also have: extra" in done.stdout


@pytest.mark.parametrize(
    ("kind", "schema", "sent"),
    [
        ("application/json", {"type": "object"}, {"json": {}}),
        ("application/x-www-form-urlencoded", {"required": ["n"], "properties": {"n": {"type": "integer"}}}, {"form"}),
        ("multipart/form-data", {"required": ["n"], "properties": {"n": {"type": "string"}}}, {}),
    ],
)
def test_the_body_is_of_the_documents_kind(command: Command, kind: str, schema: Any, sent: Any) -> None:
    body = {"required": True, "content": {kind: {"schema": schema}}}
    spec, done = drafted(command, simple({**answers(job()), "requestBody": body}))
    request = {name: value for name, value in spec["create"]["request"].items() if name not in ("method", "path")}
    assert request == sent if isinstance(sent, dict) else request.keys() == sent
    assert ("the body is multipart/form-data: write it" in done.stdout) is ("multipart" in kind)


def test_an_idempotency_key_is_sent_and_said_so(command: Command) -> None:
    body = {"content": {"application/json": {"schema": {"properties": {"idempotency_key": {"type": "string"}}}}}}
    spec, _ = drafted(command, simple({**answers(job()), "requestBody": body}))
    assert spec["create"]["request"]["json"] == {"idempotency_key": "${{ task.key }}"}
    assert spec["create"]["idempotent"] is True
    header = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
    spec, _ = drafted(command, simple({**answers(job()), "parameters": [header]}))
    assert spec["create"]["request"]["headers"] == {"Idempotency-Key": "${{ task.key }}"}


def test_parameters_of_a_path_are_typed_and_required_ones_of_the_query_are_told(command: Command) -> None:
    paths = {
        "/t/{tenant-id}/jobs": {
            "parameters": [
                {"name": "tenant-id", "in": "path", "required": True, "schema": {"type": "integer"}},
                {"name": "api-version", "in": "query", "required": True, "schema": {"type": "string"}},
            ],
            "post": answers(job()),
        },
        "/t/{tenant-id}/jobs/{id}": {"get": answers(job())},
    }
    spec, done = drafted(command, document(paths))
    assert spec["config"] == {"tenant_id": "int"}
    assert "decide: the call needs api-version in its query: add it to the request" in done.stdout


def test_an_id_in_a_location_header_is_read_there(command: Command) -> None:
    create = {"responses": {"202": {"description": "", "headers": {"Location": {"schema": {"type": "string"}}}}}}
    spec, _ = drafted(command, simple(create))
    assert spec["create"]["job_id"] == "${{ headers['Location'] | basename }}"


def test_a_log_of_json_gives_its_lines(command: Command) -> None:
    line = {"type": "object", "properties": {"time": {"type": "string"}, "message": {"type": "string"}}}
    data = simple()
    data["paths"]["/jobs/{job}/logs"] = {
        "get": answers({"type": "object", "properties": {"lines": {"type": "array", "items": line}}})
    }
    spec, _ = drafted(command, data)
    assert (spec["logs"]["lines"], spec["logs"]["message"]) == ("$.lines[*]", "$.message")


def test_a_document_of_several_files_is_read_and_nothing_outside_its_folder(command: Command) -> None:
    Path("parts").mkdir()
    Path("parts/job.yaml").write_text(json.dumps({"Job": job(next={"$ref": "#/Job"})}), encoding="utf-8")
    Path("parts/create.yaml").write_text(json.dumps(answers({"$ref": "job.yaml#/Job"})), encoding="utf-8")
    data = simple(
        create={"$ref": "parts/create.yaml"},
        get=answers({"allOf": [{"$ref": "parts/job.yaml#/Job"}, {"$ref": "../outside.yaml"}, {"$ref": "http://a/b"}]}),
    )
    spec, _ = drafted(command, data)
    assert spec["get"]["phase"]["map"]["SUCCEEDED"] == ["done"]


def test_schemas_that_hold_themselves_are_no_trap(command: Command) -> None:
    schemas = {
        "Node": {"properties": {"status": {"$ref": "#/components/schemas/Node"}}},
        "Loop": {"$ref": "#/components/schemas/Loop"},
        "All": {"allOf": [{"$ref": "#/components/schemas/All"}, job()]},
        "One": {"oneOf": [{"$ref": "#/components/schemas/One"}, {"items": {"$ref": "#/components/schemas/One"}}]},
    }
    for name in schemas:
        schema = {"$ref": f"#/components/schemas/{name}"}
        drafted(command, simple(answers(schema), answers(schema), components={"schemas": schemas}))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_a_damaged_document_gives_a_draft_or_a_message(command: Command, seed: int) -> None:
    chance = random.Random(seed)
    data = copy.deepcopy(RENDERS)
    for _ in range(chance.randint(1, 6)):
        damage(data, chance)
    Path("api.json").write_text(json.dumps(data), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json")
    if done.returncode == 0:
        assert command("test", "connectors.d").returncode == 0
    else:
        assert done.stderr.startswith("Error: api.json")


def damage(data: Any, chance: random.Random) -> None:
    """Put something else in some place of the data."""
    places: list[tuple[Any, Any]] = []
    nodes = [data]
    while nodes:
        node = nodes.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
        places += [(node, key) for key in keys]
        nodes += [node[key] for key in keys]
    node, key = chance.choice(places)
    node[key] = chance.choice(
        [None, 7, "x: 'y", [], {}, [None, [1]], {"": None}, {"$ref": "#/paths"}, True, "é\u0085{"]
    )


def test_an_example_body_gives_the_defaults_and_a_header_with_one_value_is_sent(command: Command) -> None:
    schema = {"type": "object", "required": ["scene"], "properties": {"scene": {"type": "string"}, "frames": {}}}
    create = {
        **answers(job()),
        "parameters": [{"name": "X-Version", "in": "header", "schema": {"type": "string", "enum": ["2024-11-06"]}}],
        "requestBody": {
            "content": {
                "application/json": {"schema": schema, "example": {"scene": "s10", "frames": {"from": 1, "to": 9}}}
            }
        },
    }
    spec, done = drafted(command, simple(create))
    assert spec["config"]["scene"] == {"type": "str", "default": "s10"}
    assert spec["config"]["frames"] == {"type": "any", "default": {"from": 1, "to": 9}}
    assert spec["create"]["request"]["json"] == {"scene": "${{ config.scene }}", "frames": "${{ config.frames }}"}
    assert spec["connection"]["headers"] == {"X-Version": "2024-11-06"}
    assert "the defaults of the config are the document's example" in done.stdout


def test_the_calls_are_listed_if_none_is_a_jobs(command: Command) -> None:
    Path("api.json").write_text(json.dumps(document({"/a": {"get": {}}, "/b": {"post": {}}})), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json")
    assert (done.returncode, "It has: POST /b, GET /a" in done.stderr) == (1, True)


def test_json_has_the_files_and_the_questions_with_their_lines(command: Command) -> None:
    Path("api.json").write_text(json.dumps(simple()), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json", "--json", "--to", "out")
    found = json.loads(done.stdout)
    assert found["files"] == ["out/mine.yaml", "out/mine.test.yaml"]
    assert found["not_used"] == []
    lines = Path("out/mine.yaml").read_text(encoding="utf-8").splitlines()
    assert found["decide"]
    assert all(lines[item["line"] - 1].strip() == f"# DECIDE: {item['question']}" for item in found["decide"])
