"""`yaml-connector backend-config`: print the configuration that makes Flyte's executor send tasks to the service.

The names were read in the sources of Flyte 2 (flyteorg/flyte at 6fadb90): the plugin `connector` and
`executor/pkg/config` for the executor, `flytestdlib/config/viper` for how it reads files, and the charts flyte-binary
v0.2.0 and flyteconnector v2.0.0, which were rendered with these values by Helm 3.18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click

from yaml_connector._text import short
from yaml_connector.cli._files import load_specs

_ENDPOINT = re.compile(r"(?:dns:///)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PLUGIN = "connector-service"
_CHART_SERVICE = "dns:///flyteconnector.flyte.svc.cluster.local:8000"
_TOLD = """\
# Flyte's open-source executor sends a task to a connector service only if its task type is listed, and reads this when
# it starts: restart it. A list of `supportedTaskTypes` or a `defaultConnector` in an earlier file is replaced by these.
"""
_EXECUTOR = "# Put this into a file of the executor's configuration.\n"
_HELM = "# Values for the chart flyte-binary of Flyte 2 (v0.2.0). Its `configuration.connectorService` has no effect.\n"
_SERVICE = """\
# The service itself, by the chart flyteconnector (v2.0.0) in the namespace flyte. With --endpoint it is not started.
# DECIDE: the image. The chart starts the command c0: in the image, let it be a script that ends with
# `exec yaml-connector serve --host 0.0.0.0 --port 8000 --specs ...`.
# DECIDE: the signing key, the same for both replicas, as an item of `podEnv`:
# {name: YAML_CONNECTOR_SIGNING_KEY, valueFrom: {secretKeyRef: {name: SECRET, key: KEY}}}.
# Helm warns that it "cannot overwrite table with non table" for podEnv: the list is right, the chart's default is not.
"""
_NO_SERVICE = "# The chart would start Flyte's own connector service beside yours.\n"


@click.command(name="backend-config")
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--endpoint",
    metavar="HOST:PORT",
    help="Where Flyte reaches the service; dns:///HOST:PORT for all addresses of a name.  [default: 127.0.0.1:8000; "
    "with helm, that of the chart flyteconnector]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["executor", "helm"]),
    default="executor",
    show_default=True,
    help="The executor's configuration, or values for Flyte's charts.",
)
def backend_config(paths: tuple[str, ...], endpoint: str | None, form: str) -> None:
    """Print the YAML that makes Flyte's executor send the tasks of these specs to the connector service.

    A task type that the executor is not told is run as a pod, which fails with
    `spec.containers[0].image: Required value`.

    PATHS are spec files or folders. If all specs share one task type (YAML_CONNECTOR_SHARED_TYPE), only that one is
    listed, and a new spec needs no new configuration.

    \b
    Examples:
      yaml-connector backend-config connectors.d --endpoint dns:///connectors.flyte:8000
      yaml-connector backend-config connectors.d --format helm > values.yaml
    """
    if endpoint is not None:
        found = _ENDPOINT.fullmatch(endpoint)
        if found is None or not 0 < int(found[1]) < 65536:
            raise click.UsageError(
                f"--endpoint: {short(endpoint)} is not valid; write it as HOST:PORT or dns:///HOST:PORT"
            )
    loaded = load_specs(paths)
    from yaml_connector._loading.shared_type import shared_type

    shared = shared_type(loaded)
    names = [shared] if shared else list(dict.fromkeys(item.spec.task_type_name for item in loaded))
    if form == "executor":
        text = (
            _EXECUTOR + _TOLD + _unmapped(names) + _yaml(_settings(names, endpoint or "127.0.0.1:8000") | _tasks(names))
        )
    else:
        values = {
            "configuration": {"inline": _settings(names, endpoint or _CHART_SERVICE)},
            "enabled_plugins": _tasks(names),
        }
        text = _HELM + _TOLD + _unmapped(names) + _yaml(values)
        if endpoint is None:
            text += _SERVICE + _yaml({"flyteconnector": _service(shared)})
        else:
            text += _NO_SERVICE + _yaml({"flyteconnector": {"enabled": False}})
    click.echo(text, nl=False)


def _settings(names: list[str], endpoint: str) -> dict[str, Any]:
    caching = {"maxSystemFailures": 1000, "resyncInterval": "30s"}
    connector = {"endpoint": endpoint, "insecure": True}
    settings = {"supportedTaskTypes": names, "defaultConnector": connector, "webApi": {"caching": caching}}
    return {"plugins": {_PLUGIN: settings}}


def _tasks(names: Iterable[str]) -> dict[str, Any]:
    return {"tasks": {"task-plugins": {"default-for-task-types": {name: _PLUGIN for name in names if _is_kept(name)}}}}


def _is_kept(name: str) -> bool:
    """Tell whether Flyte keeps this key of a mapping as it is: it reads keys in lower case, unless they have a dot."""
    return name == name.lower() or "." in name


def _unmapped(names: Iterable[str]) -> str:
    changed = [name for name in names if not _is_kept(name)]
    if not changed:
        return ""
    return (
        f"# Only in `supportedTaskTypes`, since Flyte reads the keys of a mapping in lower case: {', '.join(changed)}\n"
    )


def _service(shared: str | None) -> dict[str, Any]:
    from yaml_connector._loading.shared_type import SHARED_VARIABLE

    values: dict[str, Any] = {
        "enabled": True,
        "replicaCount": 2,
        "image": {"repository": "registry.example.com/yaml-connector", "tag": "v1"},
        "resources": {"limits": {"memory": "1Gi"}},  # the chart's own limit is too low for large responses
    }
    if shared is not None:
        values["podEnv"] = [{"name": SHARED_VARIABLE, "value": shared}]
    return values


def _yaml(data: Any) -> str:
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False))
