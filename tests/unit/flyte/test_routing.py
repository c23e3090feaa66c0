"""Which connector serves a call: the shared task type, what a task may claim, and jobs whose spec is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flyte.connectors import ConnectorRegistry
from flyteidl2.connector.connector_pb2 import CreateTaskRequest, DeleteTaskRequest, GetTaskLogsRequest, GetTaskRequest
from flyteidl2.connector.connector_pb2 import TaskCategory as Category
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate

from tests.support.fake_api import run
from tests.support.flyte_side import template_of
from yaml_connector import ConfigError, task_from_spec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import Signer
from yaml_connector._loading.loader import load
from yaml_connector._loading.shared_type import SHARED_VARIABLE, shared_type
from yaml_connector._spec.interface import RESERVED_SECRETS
from yaml_connector.errors import EvaluationError
from yaml_connector.flyte import registry
from yaml_connector.flyte.connector import JobResourceMeta
from yaml_connector.flyte.registry import register_all, unregister
from yaml_connector.flyte.routing import JobRouter, UnknownSpecError, install_router, prepare
from yaml_connector.testing.clock import FakeClock

SIGNER = Signer((b"k" * 32,))
SPEC = """
spec_version: 1
task_type_name: %s
task_type_version: %d
connection: {base_url: "http://127.0.0.1:1"}
secrets: {key: {required: false}}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three specs, registered as a service with the shared type registers them; all is put back afterwards."""
    for name, version in (("alpha", 0), ("beta", 2)):
        (tmp_path / f"{name}.yaml").write_text(SPEC % (name, version))
    (tmp_path / "gone.yaml").write_text(SPEC % ("gone", 0))
    monkeypatch.setattr(ConnectorRegistry, "_REGISTRY", dict(ConnectorRegistry._REGISTRY))
    monkeypatch.setattr(ConnectorRegistry, "_METADATA", dict(ConnectorRegistry._METADATA))
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_removed", {})
    monkeypatch.setenv(SHARED_VARIABLE, "shared")
    connectors = register_all(load(tmp_path), {}, SIGNER)
    unregister(connectors[-1])
    install_router(SIGNER, "shared")
    return tmp_path


def request_of(task: Any) -> CreateTaskRequest:
    return CreateTaskRequest(template=template_of(task))


def claiming(spec: Any) -> CreateTaskRequest:
    """A task of the shared type that claims to belong to a spec."""
    template = TaskTemplate(type="shared")
    template.custom.update({} if spec is None else {"spec": spec})
    return CreateTaskRequest(template=template)


def test_all_tasks_have_the_shared_type_and_name_their_spec(folder: Path) -> None:
    for name, version in (("alpha", 0), ("beta", 2)):
        request = request_of(task_from_spec(folder / f"{name}.yaml"))
        assert (request.template.type, request.template.task_type_version) == ("shared", 0)
        prepare(request)
        assert (request.template.type, request.template.task_type_version) == (name, version)


def test_a_task_of_a_type_of_its_own_is_served_beside_the_shared_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SHARED_VARIABLE)
    task = task_from_spec(folder / "beta.yaml")
    assert "spec" not in template_of(task).custom.fields
    monkeypatch.setenv(SHARED_VARIABLE, "shared")
    request = request_of(task)
    prepare(request)
    assert (request.template.type, request.template.task_type_version) == ("beta", 2)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("alhpa", "this service has no spec alhpa; did you mean alpha? served: alpha, beta; nothing was submitted"),
        ("beta", "no spec beta in version 0; there is version 2; nothing was submitted"),
        ("beta:3", "no spec beta in version 3; there is version 2"),
        ("gone", "no spec gone"),
        ("shared", "no spec shared"),
        (None, "does not name its spec: was it built with YAML_CONNECTOR_SHARED_TYPE?"),
        ("", "does not name its spec"),
        (7, "does not name its spec"),
        (["alpha"], "does not name its spec"),
        ({"a": 1}, "does not name its spec"),
        (None, "does not name its spec"),
        ("alpha\n", "does not name its spec"),
        ("../alpha", "does not name its spec"),
        ("alpha:²", "does not name its spec"),
        ("alpha:99999999999999999999", "does not name its spec"),
        ("a" * 1_000_000, "does not name its spec"),
        ("a" * 200, "no spec '" + "a" * 20),
    ],
)
def test_a_claim_that_is_not_a_spec_of_the_service_is_refused(folder: Path, claim: Any, message: str) -> None:
    with pytest.raises(UnknownSpecError) as raised:
        prepare(claiming(claim))
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300


def test_an_unknown_task_type_is_said_with_the_closest_one(folder: Path) -> None:
    with pytest.raises(UnknownSpecError, match=r"for task type: bata; did you mean beta\? served: alpha, beta"):
        prepare(CreateTaskRequest(template=TaskTemplate(type="bata")))
    with pytest.raises(UnknownSpecError, match="for task type: gone"):
        prepare(CreateTaskRequest(template=TaskTemplate(type="gone")))


@pytest.mark.parametrize("name", ["1st", "a b", "x" * 101, "a/b", "ä"])
def test_a_shared_type_that_cannot_be_one_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, name)
    with pytest.raises(ConfigError, match=r"YAML_CONNECTOR_SHARED_TYPE: '.* is not a valid task type: a letter"):
        shared_type()
    monkeypatch.setenv(SHARED_VARIABLE, "")
    assert shared_type() is None


def test_a_spec_cannot_have_the_shared_type_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, "alpha")
    with pytest.raises(ConfigError, match=r"SHARED_TYPE is 'alpha', and .*alpha\.yaml has that task type itself"):
        task_from_spec(folder / "alpha.yaml")


def kept(task_type: str, version: int = 0, signer: Signer = SIGNER) -> bytes:
    return JobMeta(task_type, version, id="7", created_at=1.0).encode(signer)


@pytest.mark.parametrize("data", [kept("elsewhere"), kept("gone", signer=Signer()), b"\xff"])
def test_a_job_without_a_spec_is_unreadable_and_its_delete_has_an_end(folder: Path, data: bytes) -> None:
    """Flyte would repeat a delete that fails every ten seconds, for ever."""
    router, meta, clock = JobRouter(SIGNER, None), JobResourceMeta(data), FakeClock()
    assert "unreadable since" in (run(router.get(meta), clock).message or "")
    with pytest.raises(EvaluationError, match="nothing was sent"):
        run(router.delete(meta), clock)
    clock.move(601)
    run(router.delete(meta), clock)


@pytest.mark.parametrize(
    ("call", "category", "meta", "routed"),
    [
        (GetTaskRequest, "alpha", kept("alpha"), False),
        (GetTaskRequest, "gone", kept("gone"), True),
        (GetTaskRequest, "elsewhere", kept("elsewhere"), True),
        (GetTaskRequest, "elsewhere", b"\xff", True),
        (DeleteTaskRequest, "gone", kept("gone"), True),
        (DeleteTaskRequest, "elsewhere", kept("elsewhere"), True),
        (GetTaskLogsRequest, "gone", kept("gone", signer=Signer()), False),
        (GetTaskLogsRequest, "gone", kept("gone", signer=Signer((b"x" * 32,))), False),
        (GetTaskLogsRequest, "gone", kept("gone"), True),
        (GetTaskLogsRequest, "elsewhere", b"{}", False),
        (GetTaskLogsRequest, "was_shared", kept("beta", 2), True),
    ],
)
def test_calls_for_a_task_type_that_is_not_there_are_routed_by_what_is_kept(
    folder: Path, call: Any, category: str, meta: bytes, routed: bool
) -> None:
    """What is not routed is left to Flyte, which answers NOT_FOUND."""
    request = call(resource_meta=meta, task_category=Category(name=category, version=0))
    prepare(request)
    assert request.task_category.name == ("" if routed else category)


def test_only_secrets_of_the_spec_reach_the_connector(folder: Path) -> None:
    """Flyte would hand over the `configs` of a connection as if they were secrets."""
    connection = Connection(secrets={"key": "k", "other": "o"}, configs={"key": "not a secret"})
    for request in (
        CreateTaskRequest(template=TaskTemplate(type="alpha"), connection=connection),
        GetTaskRequest(task_category=Category(name="alpha"), connection=connection),
        DeleteTaskRequest(task_category=Category(name="shared"), connection=connection),
    ):
        prepare(request)
        assert (dict(request.connection.configs), request.connection.secrets["key"]) == ({}, "k")
    alpha = registry.find("alpha", 0)
    assert alpha is not None
    assert alpha.secrets_in({"key": "k", "other": "o"}) == {"key": "k"}


def test_a_removed_spec_serves_no_job_that_is_not_signed(folder: Path) -> None:
    install_router(Signer(), "shared")
    request = GetTaskLogsRequest(resource_meta=kept("gone", signer=Signer()), task_category=Category(name="gone"))
    prepare(request)
    assert request.task_category.name == "gone"


def test_secrets_with_the_names_of_flytes_own_arguments_are_dropped(folder: Path) -> None:
    reserved = dict.fromkeys((*RESERVED_SECRETS, "self"), "x")
    connection = Connection(secrets={**reserved, "key": "k"})
    request = GetTaskRequest(task_category=Category(name="alpha"), connection=connection)
    prepare(request)
    assert dict(request.connection.secrets) == {"key": "k"}
