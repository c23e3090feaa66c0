"""The files in `deploy/` fit the service: its options, ports, signals and metrics."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.support.paths import ROOT
from yaml_connector._jobs import metrics
from yaml_connector.flyte import _internals  # registers Flyte's own metrics
from yaml_connector.flyte.serve import serve

DEPLOY = ROOT / "deploy"
KUBERNETES = {item["kind"]: item for item in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
POD = KUBERNETES["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
ALERTS = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}  # of prometheus_client, on Linux


def options_of(words: list[str]) -> dict[str, Any]:
    """What `yaml-connector serve` makes of a command line; raises click's errors."""
    assert words[0] == "serve"
    return serve.make_context("serve", words[1:]).params


def docker_command() -> list[str]:
    text = (DEPLOY / "Dockerfile").read_text()
    return list(json.loads(text.rpartition("\nCMD ")[2]))


def test_the_image_installs_the_package_with_extras_that_it_has() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    found = re.search(r"pip install .*--constraint (\S+) \"\.\[(.+)\]\"", text)
    assert found is not None
    assert (ROOT / found[1]).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(found[2].split(",")) <= set(project["optional-dependencies"])
    (entry_point,) = json.loads(text.rpartition("\nENTRYPOINT ")[2].partition("\n")[0])
    assert entry_point in project["scripts"]


def systemd_command() -> list[str]:
    found = re.search(r"^ExecStart=\S+/yaml-connector (.*)$", (DEPLOY / "yaml-connector.service").read_text(), re.M)
    assert found is not None
    return shlex.split(found[1])


@pytest.mark.parametrize(
    "words", [docker_command(), systemd_command(), CONTAINER["args"]], ids=["docker", "systemd", "k8s"]
)
def test_each_file_starts_the_service_with_options_that_it_has(words: list[str]) -> None:
    options = options_of(words)
    assert (options["port"], options["http"]) == (8000, 9092)
    assert options["specs"] == "/etc/yaml-connector/connectors.d"


def test_the_parts_for_kubernetes_belong_together() -> None:
    labels = POD["metadata"]["labels"]
    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["Service"]["spec"]["selector"] == labels
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert {item["targetPort"]: item["port"] for item in KUBERNETES["Service"]["spec"]["ports"]} == ports
    assert ports == {"grpc": options_of(CONTAINER["args"])["port"], "http": options_of(CONTAINER["args"])["http"]}
    mounts = {mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounts == {volume["name"] for volume in POD["spec"]["volumes"]}
    assert KUBERNETES["Service"]["spec"]["clusterIP"] == "None"
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["minAvailable"] < KUBERNETES["Deployment"]["spec"]["replicas"]


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:yaml_connector|flyte_connector|process)_\w+", expression))


def exported() -> Iterator[str]:
    assert metrics.RETRIES
    assert _internals.AsyncConnectorService
    for metric in REGISTRY.collect():
        yield metric.name
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ()):
            yield metric.name + suffix


def test_alerts_and_dashboard_name_metrics_that_the_service_has() -> None:
    dashboard = json.loads((DEPLOY / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    asked += [rule["expr"] for rule in ALERTS]
    unknown = set().union(*map(names_in, asked)) - set(exported()) - PROCESS
    assert not unknown


def test_every_alert_says_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["annotations"]["action"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in ("page", "warning"), rule["alert"]


def test_every_alert_is_tested_to_fire_and_to_keep_quiet() -> None:
    quiet, firing, _ = yaml.safe_load((DEPLOY / "alerts.test.yaml").read_text())["tests"]
    names = {rule["alert"] for rule in ALERTS}
    assert {item["alertname"] for item in quiet["alert_rule_test"]} == names
    (counted,) = firing["promql_expr_test"]
    assert {re.search(r'alertname="(\w+)"', item["labels"])[1] for item in counted["exp_samples"]} == names  # type: ignore[index]


def test_panels_do_not_overlap() -> None:
    panels = [panel["gridPos"] for panel in json.loads((DEPLOY / "dashboard.json").read_text())["panels"]]
    cells = [(x, y) for p in panels for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
