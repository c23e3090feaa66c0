"""The typed `Config` of a generated plugin: a dataclass whose values are checked against the spec when it is made.

It reaches the connector as the `custom` of the task's template.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from yaml_connector._expressions.value_types import SCALARS, ValueType
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.interface import SECRETS_FIELD
from yaml_connector._spec.python_names import attribute_of
from yaml_connector._spec.task_values import complete_config, unknown_name
from yaml_connector.errors import ConfigError
from yaml_connector.flyte.connector import CONFIG_KEY, check_config_size
from yaml_connector.flyte.literals import python_type_of
from yaml_connector.flyte.routing import SPEC_KEY, reference_to


def make_config(spec: ConnectorSpec, name: str) -> type[Any]:
    """Make the config dataclass of a spec: fields by keyword, checked when it is made."""

    def check(self: Any) -> None:
        complete_config(spec, config_values(spec, self))
        secrets_in(spec, self)

    fields: list[Any] = []
    for name_in_spec, field in spec.config.items():
        key = attribute_of(name_in_spec)
        annotation = _config_annotation(field.type)
        if field.required:
            fields.append((key, annotation))
        elif isinstance(field.default, list | dict):
            fields.append(
                (key, annotation, dataclasses.field(default_factory=functools.partial(deepcopy, field.default)))
            )
        else:
            fields.append((key, annotation, dataclasses.field(default=field.default)))
    about = [f"Configuration of a task: {spec.title}.", ""]
    about += ["Attributes:"] if spec.config else []
    for name_in_spec, field in spec.config.items():
        key = attribute_of(name_in_spec)
        rules = [str(field.type)]
        rules += [f"{rule} {value}" for rule in ("minimum", "maximum") if (value := getattr(field, rule)) is not None]
        rules += [f"one of {', '.join(map(repr, field.enum))}"] if field.enum else []
        rules += ["required" if field.required else f"default {field.default!r}"]
        about.append(f"    {key}: {(field.description + ' ') if field.description else ''}({'; '.join(rules)})")
    if spec.runs is not None:
        fields.append((SECRETS_FIELD, dict[str, str], dataclasses.field(default_factory=dict)))
        names = ", ".join(spec.secrets) or "the spec has none"
        about += [] if spec.config else ["Attributes:"]
        about.append(f"    {SECRETS_FIELD}: Secrets of the spec ({names}) to their names in Flyte's store.")
    namespace = {"__doc__": "\n".join(about), "__post_init__": check, "__module__": __name__}
    made = dataclasses.make_dataclass(name, fields, namespace=namespace, kw_only=True)
    made.__init__ = _named_errors(made, spec)  # type: ignore[misc]
    return made


def config_values(spec: ConnectorSpec, config: Any) -> dict[str, Any]:
    """Return the values of a config object by the spec's names."""
    return {name: getattr(config, attribute_of(name)) for name in spec.config}


def secrets_in(spec: ConnectorSpec, config: Any) -> dict[str, str]:
    """Return the secrets that a config object names; only that of a spec with `runs: container` can.

    Raises ConfigError.
    """
    return {} if spec.runs is None else checked_secrets(spec, getattr(config, SECRETS_FIELD))


def checked_secrets(spec: ConnectorSpec, secrets: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets that a task names, by their names in the spec. Raises ConfigError."""
    if not isinstance(secrets, Mapping):
        raise ConfigError("secrets must be a mapping: names of the spec's secrets to names in Flyte's secret store")
    checked = {}
    for name, value in secrets.items():
        if name not in spec.secrets:
            raise ConfigError(unknown_name(spec, "secret", name, spec.secrets))
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise ConfigError(f"secret {name!r}: give its name in Flyte's secret store, as a string")
        checked[name] = value
    return checked


def _config_annotation(kind: ValueType) -> Any:
    if kind.name == "any":
        return Any
    base: Any
    if kind.name == "list":
        base = list[_config_annotation(kind.item)] if kind.item else list  # type: ignore[misc]
    elif kind.name == "dict":
        base = dict[str, _config_annotation(kind.item)] if kind.item else dict  # type: ignore[misc]
    else:
        base = str if SCALARS[kind.name].is_uri else python_type_of(ValueType(kind.name))
    return base | None if kind.optional else base


def _named_errors(made: type[Any], spec: ConnectorSpec) -> Any:
    original = made.__init__

    def __init__(self: Any, **values: Any) -> None:
        by_name = {attribute_of(name): name for name in spec.config}
        secrets = {SECRETS_FIELD: values.pop(SECRETS_FIELD)} if spec.runs and SECRETS_FIELD in values else {}
        given = {by_name.get(key, key): value for key, value in values.items()}
        missing = [name for name, field in spec.config.items() if field.required and name not in given]
        if missing or any(name not in spec.config for name in given):
            complete_config(spec, given)  # raises with every field that is wrong
        original(self, **{attribute_of(name): value for name, value in given.items()}, **secrets)

    __init__.__doc__ = original.__doc__
    __init__.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    return __init__


def config_from(config: type[Any], spec: ConnectorSpec, values: Mapping[str, Any]) -> Any:
    """Make a config from a mapping; raises ConfigError with every field that is wrong."""
    complete_config(spec, values)
    return config(**values)


def custom_of(spec: ConnectorSpec, config: Any, secrets: Mapping[str, str], *, names_spec: bool) -> dict[str, Any]:
    """Return the `custom` of a task's template.

    It is the config as JSON text, so that numbers stay exact, the secrets' names, and with `names_spec` (all specs
    share one task type) the spec's name. Raises ConfigError.
    """
    text = json.dumps(complete_config(spec, config_values(spec, config)), ensure_ascii=False)
    check_config_size(text)
    custom: dict[str, Any] = {CONFIG_KEY: text}
    if names_spec:
        custom[SPEC_KEY] = reference_to(spec.task_type_name, spec.task_type_version)
    if secrets:
        custom["secrets"] = dict(secrets)
    return custom
