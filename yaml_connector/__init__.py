"""One YAML file makes a Flyte connector.

Operations teams write specs (see the language page); workflow authors write `task_from_spec(...)`. The names below are
imported when they are first used: checking a spec does not need Flyte.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml_connector.connector import YamlConnector as YamlConnector
    from yaml_connector.connector import register as register
    from yaml_connector.environment import YamlConnectorEnvironment as YamlConnectorEnvironment
    from yaml_connector.environment import task_files as task_files
    from yaml_connector.errors import ConfigError as ConfigError
    from yaml_connector.errors import Problem as Problem
    from yaml_connector.errors import SpecError as SpecError
    from yaml_connector.errors import YamlConnectorError as YamlConnectorError
    from yaml_connector.literals import Json as Json
    from yaml_connector.loading.loader import load as load
    from yaml_connector.task.plugin import task_from_spec as task_from_spec
    from yaml_connector.task.plugin import task_plugin as task_plugin

_WHERE = {
    "ConfigError": "errors",
    "Json": "literals",
    "Problem": "errors",
    "SpecError": "errors",
    "YamlConnector": "connector",
    "YamlConnectorEnvironment": "environment",
    "YamlConnectorError": "errors",
    "load": "loading.loader",
    "register": "connector",
    "task_files": "environment",
    "task_from_spec": "task.plugin",
    "task_plugin": "task.plugin",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'yaml_connector' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"yaml_connector.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
