"""`backend-config`: what Flyte's executor and its charts read. The keys are those of Flyte's own sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import Command, Done

SPEC = """
spec_version: 1
task_type_name: "%s"
task_type_version: %d
connection: {base_url: "https://api.test"}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
"""


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A folder with two task types, one of them in two versions."""
    for file, name, version in (("b", "beta", 0), ("a", "alpha", 0), ("a2", "alpha", 2)):
        (tmp_path / f"{file}.yaml").write_text(SPEC % (name, version))
    return tmp_path


def data_of(done: Done) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return yaml.safe_load(done.stdout)


def test_the_executor_is_told_every_task_type_in_both_places(command: Command, specs: Path) -> None:
    assert data_of(command("backend-config", str(specs), "--endpoint", "connectors.flyte:8000")) == {
        "plugins": {
            "connector-service": {
                "supportedTaskTypes": ["alpha", "beta"],
                "defaultConnector": {"endpoint": "connectors.flyte:8000", "insecure": True},
                "webApi": {"caching": {"maxSystemFailures": 1000, "resyncInterval": "30s"}},
            }
        },
        "tasks": {
            "task-plugins": {
                "default-for-task-types": {"alpha": "connector-service", "beta": "connector-service"},
            }
        },
    }


def test_flyte_s_chart_gets_the_same_where_it_reads_it(command: Command, specs: Path) -> None:
    executor = data_of(command("backend-config", str(specs), "--endpoint", "dns:///c:8000"))
    values = data_of(command("backend-config", str(specs), "--endpoint", "dns:///c:8000", "--format", "helm"))
    assert values == {
        "configuration": {"inline": {"plugins": executor["plugins"]}},
        "enabled_plugins": {"tasks": executor["tasks"]},
        "flyteconnector": {"enabled": False},  # what is not switched off is started
    }


def test_without_an_endpoint_the_chart_runs_the_service_too(command: Command, specs: Path) -> None:
    values = data_of(command("backend-config", str(specs), "--format", "helm"))
    connector = values["configuration"]["inline"]["plugins"]["connector-service"]["defaultConnector"]
    assert connector["endpoint"] == "dns:///flyteconnector.flyte.svc.cluster.local:8000"
    assert values["flyteconnector"]["replicaCount"] == 2
    assert "podEnv" not in values["flyteconnector"]


def test_a_shared_task_type_is_the_only_one_that_is_listed(
    command: Command, specs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YAML_CONNECTOR_SHARED_TYPE", "shared")
    told = data_of(command("backend-config", str(specs)))
    assert told["plugins"]["connector-service"]["supportedTaskTypes"] == ["shared"]
    assert told["tasks"]["task-plugins"]["default-for-task-types"] == {"shared": "connector-service"}
    values = data_of(command("backend-config", str(specs), "--format", "helm"))
    assert values["flyteconnector"]["podEnv"] == [{"name": "YAML_CONNECTOR_SHARED_TYPE", "value": "shared"}]
    monkeypatch.setenv("YAML_CONNECTOR_SHARED_TYPE", "alpha")
    done = command("backend-config", str(specs))
    assert (done.returncode, "has that task type itself" in done.stderr) == (1, True)


def test_a_name_with_capitals_is_listed_only_where_flyte_keeps_them(command: Command, tmp_path: Path) -> None:
    """Flyte reads the keys of a mapping in lower case, unless they have a dot; yes and null are words."""
    for number, name in enumerate(["BatchJob", "Team.Job", "team.job", "yes", "null"]):
        (tmp_path / f"{number}.yaml").write_text(SPEC % (name, 0))
    done = command("backend-config", str(tmp_path))
    told = data_of(done)
    assert told["plugins"]["connector-service"]["supportedTaskTypes"] == [
        "BatchJob",
        "Team.Job",
        "null",
        "team.job",
        "yes",
    ]
    assert list(told["tasks"]["task-plugins"]["default-for-task-types"]) == ["Team.Job", "null", "team.job", "yes"]
    assert "reads the keys of a mapping in lower case: BatchJob\n" in done.stdout


@pytest.mark.parametrize("endpoint", ["h:8000", "dns:///a.b-c.d:1", "[::1]:65535", "dns:///10.0.0.1:8000"])
def test_an_endpoint_is_an_address_of_grpc(command: Command, specs: Path, endpoint: str) -> None:
    told = data_of(command("backend-config", str(specs), "--endpoint", endpoint))
    assert told["plugins"]["connector-service"]["defaultConnector"]["endpoint"] == endpoint


@pytest.mark.parametrize(
    "endpoint",
    ["", "h", "h:", "h:0", "h:65536", "http://h:80", "k8s://s.n:8000", "h:80/x", "h :80", "h:80\nx: y", "{{x}}:1"],
)
def test_any_other_endpoint_is_refused(command: Command, specs: Path, endpoint: str) -> None:
    done = command("backend-config", str(specs), "--endpoint", endpoint)
    assert done.returncode == 2
    assert "is not valid; write it as HOST:PORT or dns:///HOST:PORT" in done.stderr


def test_a_wrong_spec_is_reported_as_validate_reports_it(command: Command, specs: Path) -> None:
    (specs / "b.yaml").write_text((SPEC % ("beta", 0)).replace("base_url", "base_ulr"))
    done = command("backend-config", str(specs))
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean base_url?" in done.stderr
