"""The typed `Config` of a generated plugin: a dataclass whose values are checked against the spec when it is made."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from yaml_connector._expressions.value_types import SCALARS, ValueType
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.task_values import complete_config
from yaml_connector.flyte.literals import python_type_of


def make_config(spec: ConnectorSpec, name: str) -> type[Any]:
    """Make the config dataclass of a spec: fields by keyword, checked when it is made."""

    def check(self: Any) -> None:
        complete_config(spec, config_values(spec, self))

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
    namespace = {"__doc__": "\n".join(about), "__post_init__": check, "__module__": __name__}
    made = dataclasses.make_dataclass(name, fields, namespace=namespace, kw_only=True)
    made.__init__ = _named_errors(made, spec)  # type: ignore[misc]
    return made


def attribute_of(name: str) -> str:
    """Return the attribute of the config class for a field: its name, with an underscore if Python has that name."""
    return f"{name}_" if keyword.iskeyword(name) or name == "self" or name.startswith("__") else name


def config_values(spec: ConnectorSpec, config: Any) -> dict[str, Any]:
    """Return the values of a config object by the spec's names."""
    return {name: getattr(config, attribute_of(name)) for name in spec.config}


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
        given = {by_name.get(key, key): value for key, value in values.items()}
        missing = [name for name, field in spec.config.items() if field.required and name not in given]
        if missing or any(name not in spec.config for name in given):
            complete_config(spec, given)  # raises with every field that is wrong
        original(self, **{attribute_of(name): value for name, value in given.items()})

    __init__.__doc__ = original.__doc__
    __init__.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    return __init__


def config_from(config: type[Any], spec: ConnectorSpec, values: Mapping[str, Any]) -> Any:
    """Make a config from a mapping; raises ConfigError with every field that is wrong."""
    complete_config(spec, values)
    return config(**values)
