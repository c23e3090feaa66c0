"""A task's config, completed with the defaults and checked against the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yaml_connector._spec import ConnectorSpec
from yaml_connector._text import did_you_mean
from yaml_connector.errors import ConfigError, EvaluationError


def complete_config(spec: ConnectorSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of the config; raises ConfigError that names each field that is wrong, and why."""
    problems = [
        f"{spec.task_type_name} has no config field {name!r}{did_you_mean(name, spec.config)}"
        for name in given
        if name not in spec.config
    ]
    config: dict[str, Any] = {}
    for name, field in spec.config.items():
        if name not in given and field.required:
            problems.append(f"config field {name!r} ({field.type}) is required")
            continue
        try:
            config[name] = field.check(given.get(name, field.default))
        except EvaluationError as problem:
            problems.append(f"config field {name!r}: {problem}")
    if problems:
        raise ConfigError("; ".join(problems))
    return config
