"""Which connectors Flyte finds: one for each spec that is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from yaml_connector._jobs.signing import Signer, signer_from
from yaml_connector._loading.loader import LoadedSpec, load
from yaml_connector.flyte._internals import put_connector, remove_connector
from yaml_connector.flyte.connector import YamlConnector

_registered: dict[tuple[str, int], YamlConnector] = {}
_removed: dict[tuple[str, int], YamlConnector] = {}  # they get no new jobs, and serve those that they have signed


def register(path: str | None = None, *, environment: Mapping[str, str] | None = None) -> list[YamlConnector]:
    """Load specs and register one connector for each with Flyte. Raises SpecError.

    `path` is a spec or a folder of specs (default: YAML_CONNECTOR_PATH, else connectors.d), `environment` is what the
    connectors read variables from (default: the process's environment, as it is at each call). A spec whose task type
    and version are registered already replaces the older one.
    """
    return register_all(load(path), environment)


def register_spec(loaded: LoadedSpec) -> YamlConnector:
    """Register the connector of one loaded spec, and return it. An identical spec keeps the connector that it has."""
    return register_all([loaded])[0]


def register_all(
    specs: Sequence[LoadedSpec], environment: Mapping[str, str] | None = None, signer: Signer | None = None
) -> list[YamlConnector]:
    """Register the connectors of loaded specs: all, or none if one cannot be compiled (ConfigError).

    `signer` signs what Flyte keeps of jobs (default: with the keys of the environment).
    """
    if signer is None:
        signer = signer_from(os.environ if environment is None else environment)
    connectors = [_connector_of(loaded, environment, signer) for loaded in specs]
    for connector in connectors:
        key = (connector.task_type_name, connector.task_type_version)
        if _registered.get(key) is not connector:
            put_connector(connector)
            _registered[key] = connector
            _removed.pop(key, None)
    return connectors


def _connector_of(loaded: LoadedSpec, environment: Mapping[str, str] | None, signer: Signer) -> YamlConnector:
    key = (loaded.spec.task_type_name, loaded.spec.task_type_version)
    known = _registered.get(key)
    if known is not None and known.loaded.is_same(loaded):
        return known
    connector = YamlConnector(loaded, environment=environment, signer=signer)
    before = known or _removed.get(key)
    if before is not None:
        connector.jobs.take_over(before.jobs)
    return connector


def unregister(connector: YamlConnector) -> None:
    """Give a connector no new jobs any more, unless another one has taken its place already."""
    key = (connector.task_type_name, connector.task_type_version)
    if _registered.get(key) is connector:
        _removed[key] = _registered.pop(key)
        remove_connector(*key)


def find(task_type: str, version: int) -> YamlConnector | None:
    """Return the connector of a spec, if it is registered."""
    return _registered.get((task_type, version))


def find_removed(task_type: str, version: int) -> YamlConnector | None:
    """Return the connector of a spec that was unregistered, if there is one."""
    return _removed.get((task_type, version))


def registered() -> list[tuple[str, int]]:
    """Return the task types, with versions, that are registered."""
    return list(_registered)
