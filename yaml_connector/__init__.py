"""One YAML file makes a Flyte connector.

Operations teams write specs (docs/reference.md); workflow authors write `task_from_spec(...)`. The names below are
imported when they are first used: checking a spec does not need Flyte.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from yaml_connector._loading.loader import load as load
    from yaml_connector.errors import ConfigError as ConfigError
    from yaml_connector.errors import Diagnostic as Diagnostic
    from yaml_connector.errors import SpecError as SpecError
    from yaml_connector.errors import YamlConnectorError as YamlConnectorError
    from yaml_connector.flyte.connector import YamlConnector as YamlConnector
    from yaml_connector.flyte.environment import YamlConnectorEnvironment as YamlConnectorEnvironment
    from yaml_connector.flyte.environment import task_files as task_files
    from yaml_connector.flyte.literals import Json as Json
    from yaml_connector.flyte.registry import register as register
    from yaml_connector.flyte.task import task_from_spec as task_from_spec
    from yaml_connector.flyte.task import task_plugin as task_plugin

_WHERE = {
    "ConfigError": "errors",
    "Json": "flyte.literals",
    "Diagnostic": "errors",
    "SpecError": "errors",
    "YamlConnector": "flyte.connector",
    "YamlConnectorEnvironment": "flyte.environment",
    "YamlConnectorError": "errors",
    "load": "_loading.loader",
    "register": "flyte.registry",
    "task_files": "flyte.environment",
    "task_from_spec": "flyte.task",
    "task_plugin": "flyte.task",
}

__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("yaml-connector")
    if name not in _WHERE:
        raise AttributeError(f"module 'yaml_connector' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"yaml_connector.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
