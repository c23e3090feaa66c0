"""What a running service tells: its errors are words, and name nothing that the caller need not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from flyteidl2.connector.connector_pb2 import GetConnectorRequest
from flyteidl2.connector.service_pb2_grpc import ConnectorMetadataServiceStub

from tests.support.flyte_side import CONTEXT, FlyteSide, metadata_of, state
from tests.support.real_api import RealApi
from tests.support.serving import Serving, serving
from yaml_connector import task_from_spec
from yaml_connector.flyte.service_client import ServiceClient, attempt_of

SPEC = """
spec_version: 1
task_type_name: told
connection:
  base_url: ${{ env.REAL_API }}/told
  retry: {max_attempts: 1}
create:
  request: {method: POST, path: /jobs, json: {key: "${{ task.key }}"}}
  job_id: $.id
  idempotent: true
get: {request: "GET /jobs/${{ job.id }}", phase: [{when: body.result is defined, is: SUCCEEDED}, {is: RUNNING}]}
outputs: {result: $.result}
logs: {request: "GET /jobs/${{ job.id }}/log", lines: "$.lines[*]"}
"""
NO_VARIABLE = """
spec_version: 1
task_type_name: no_variable
config: {region: {type: str, default: EU}}
connection:
  base_url: ${{ env.REAL_API }}/told
  headers: {X-Team: "${{ env.TEAM_NAM }}"}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
"""


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The specs of these tests."""
    folder = tmp_path_factory.mktemp("told") / "connectors.d"
    folder.mkdir()
    (folder / "told.yaml").write_text(SPEC)
    allow = "allow: {projects: [flytesnacks, ml], domains: [development]}\nconnection:"
    (folder / "allowing.yaml").write_text(SPEC.replace("told\nconnection:", f"allowing\n{allow}"))
    (folder / "no_variable.yaml").write_text(NO_VARIABLE)
    computed = NO_VARIABLE.replace("no_variable", "computed").replace("env.TEAM_NAM", "env[config.region]")
    (folder / "computed.yaml").write_text(computed)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, specs: Path, api: RealApi) -> Iterator[Serving]:
    """The service, with a variable that no spec names."""
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, specs, REAL_API=api.url, TEAM_NAME="data", HIDDEN_FROM_ALL="x", REGION="y") as service:
        yield service


def refused(service: Serving, specs: Path, name: str, **values: str) -> str:
    with FlyteSide(service.port) as calls:
        resource = calls.get(calls.create(task_from_spec(specs / f"{name}.yaml", config=values), name))
    assert state(resource) == "FAILED"
    assert "HIDDEN_FROM_ALL" not in resource.message
    return str(resource.message)


def test_a_variable_that_is_not_set_is_named_with_those_of_the_spec_and_the_closest(
    service: Serving, specs: Path
) -> None:
    assert refused(service, specs, "no_variable").endswith(
        "the variable 'TEAM_NAM' is not set in the connector's environment; did you mean TEAM_NAME? "
        "this spec uses: REAL_API, TEAM_NAM"
    )


def test_a_task_cannot_ask_for_the_names_of_the_environment(service: Serving, specs: Path) -> None:
    """A name that the task chooses is compared with those of the spec alone."""
    for name in ("HIDDEN_FROM_AL", "REGIO", "TEAM_NAM"):
        message = refused(service, specs, "computed", region=name)
        assert message.endswith("is not set in the connector's environment; this spec uses: REAL_API")


def test_keys_differ_between_organizations(service: Serving, specs: Path, api: RealApi) -> None:
    api.case("told", lambda received: {"id": "1"})
    task = task_from_spec(specs / "told.yaml")
    for organization in ("acme", "other", "acme"):
        context = replace(CONTEXT, org=organization)
        client = ServiceClient(f"127.0.0.1:{service.port}", context=context)
        client.create(task, {}, attempt_of(task, "run-1", context=context))
        client.close()
    first, other, again = (item.json["key"] for item in api.received("told", "POST"))
    assert first == again != other


@pytest.mark.parametrize(
    ("project", "domain", "refusal"),
    [
        ("flytesnacks", "development", None),
        ("ml", "development", None),
        ("flytesnacks2", "development", "tasks of the project 'flytesnacks2' may not use this connector; "),
        ("", "", "tasks of the project "),
        ("FLYTESNACKS", "development", "tasks of the project 'FLYTESNACKS' may not use this connector; "),
        ("ml", "production", "tasks of the domain 'production' may not use this connector; it allows: development"),
    ],
)
def test_only_tasks_that_a_spec_allows_are_submitted(
    service: Serving, specs: Path, api: RealApi, project: str, domain: str, refusal: str | None
) -> None:
    api.case("told", lambda received: {"id": "1"})
    task = task_from_spec(specs / "allowing.yaml")
    context = replace(CONTEXT, project=project, domain=domain)
    client = ServiceClient(f"127.0.0.1:{service.port}", context=context)
    resource = client.get(client.create(task, {}, attempt_of(task, "run-1", context=context)))
    client.close()
    assert state(resource) == ("FAILED" if refusal else "RUNNING"), resource.message
    assert resource.message.startswith(refusal or "")
    assert len(api.received("told", "POST")) == (0 if refusal else 1)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (503, grpc.StatusCode.UNAVAILABLE, "answered 503"),
        (403, grpc.StatusCode.INTERNAL, "answered 403"),
        ("html", grpc.StatusCode.UNAVAILABLE, "answered 200 with no JSON (text/html; charset=utf-8)"),
    ],
)
def test_errors_of_logs_are_words(
    service: Serving, specs: Path, api: RealApi, answer: object, code: grpc.StatusCode, words: str
) -> None:
    page = web.Response(text="<p>", content_type="text/html")
    api.case(
        "told", lambda received: {"id": "1"} if received.method == "POST" else page if answer == "html" else answer
    )
    task = task_from_spec(specs / "told.yaml")
    with FlyteSide(service.port) as calls:
        job = calls.client.create(task, {}, metadata_of(task, "log"))
        with pytest.raises(grpc.RpcError) as raised:
            calls.logs(job)
        assert raised.value.code() == code
        assert raised.value.details() == f"GET {api.url}/told/jobs/1/log {words}"
        with pytest.raises(grpc.RpcError, match="invalid log token; omit it to read from the start") as raised:
            calls.logs(job, "???")
        assert raised.value.code() == grpc.StatusCode.INTERNAL
    assert "Traceback" not in service.process.output


@pytest.mark.parametrize("name", ["nobody", "\u202e" * 900_000])
def test_a_connector_that_there_is_not_is_words(service: Serving, name: str) -> None:
    with FlyteSide(service.port) as calls, pytest.raises(grpc.RpcError, match="Cannot find connector for name") as told:
        ConnectorMetadataServiceStub(calls.channel).GetConnector(GetConnectorRequest(name=name), timeout=10)
    assert told.value.code() == grpc.StatusCode.NOT_FOUND
    assert "Traceback" not in service.process.output


def test_long_lines_and_long_logs_arrive_whole_in_messages_that_grpc_takes(
    service: Serving, specs: Path, api: RealApi
) -> None:
    lines = ["x" * 5_000_000, *["é✓" * 30_000] * 12, "end"]
    api.case("told", lambda received: {"id": "1"} if received.method == "POST" else {"lines": lines})
    task = task_from_spec(specs / "told.yaml")
    with FlyteSide(service.port) as calls:
        job = calls.client.create(task, {}, metadata_of(task, "long"))
        first, token = calls.logs(job)
        rest, _ = calls.logs(job, token)
    found = [line.message for line in [*first, *rest]]
    assert "".join(found) == "".join(lines)
    assert max(map(len, found)) == 65_536
    assert found[-1] == "end"


@pytest.mark.parametrize(("size", "phase"), [(3_000_000, "SUCCEEDED"), (3_600_000, "FAILED"), (6_000_000, "FAILED")])
def test_outputs_that_grpc_does_not_take_fail_the_job_with_words(
    service: Serving, specs: Path, api: RealApi, size: int, phase: str
) -> None:
    api.case("told", lambda received: {"id": "1", "result": "x" * size} if received.method == "GET" else {"id": "1"})
    task = task_from_spec(specs / "told.yaml", outputs={"result": str})
    with FlyteSide(service.port) as calls:
        resource = calls.get(calls.client.create(task, {}, metadata_of(task, "large")))
    assert state(resource) == phase, resource.message
    assert phase == "SUCCEEDED" or "the outputs are larger than 3.5 MB" in resource.message
