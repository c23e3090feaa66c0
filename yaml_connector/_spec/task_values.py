"""A task's config, inputs and outputs, checked against the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from yaml_connector._expressions.value_types import check_config, parse_type
from yaml_connector._spec import ConnectorSpec
from yaml_connector._text import did_you_mean, short
from yaml_connector.errors import ConfigError, EvaluationError

_MOST_NAMED = 10  # of the names that a spec does not have: a task may send any number of them


def unknown_name(spec: ConnectorSpec, kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message about a name that the spec does not have; `kind`: input, config field, secret, output."""
    return f"{spec.task_type_name} has no {kind} {short(name)}{did_you_mean(name, known)}"


def unknown_names(spec: ConnectorSpec, kind: str, given: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the message about each name that the spec does not have; of many, about the first ones."""
    known = dict.fromkeys(known)
    unknown = [name for name in given if name not in known]
    messages = {name: unknown_name(spec, kind, name, known) for name in unknown[:_MOST_NAMED]}
    if more := unknown[_MOST_NAMED:]:
        messages[more[0]] = f"{spec.task_type_name} has no {kind} of {len(more)} more names that are given"
    return messages


def complete_config(spec: ConnectorSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of the config; raises ConfigError that names each field that is wrong, and why."""
    problems = list(unknown_names(spec, "config field", given, spec.config).values())
    return _checked(spec, given, spec.config, problems)


def recheck_config(spec: ConnectorSpec, kept: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return these fields of a kept config; raises ConfigError that names each field that is wrong, and why."""
    return _checked(spec, kept, names, [])


def _checked(
    spec: ConnectorSpec, given: Mapping[str, Any], names: Iterable[str], problems: list[str]
) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name in names:
        field = spec.config.get(name)
        if field is None:  # looked for with default(): it is not declared
            continue
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


def check_inputs(spec: ConnectorSpec, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the inputs by the types of the spec, and a message for each name that is wrong.

    Optional ones that are not given are None.
    """
    if spec.inputs is None:
        return dict(given), {}
    problems = unknown_names(spec, "input", given, spec.inputs)
    inputs = {}
    for name, field in spec.inputs.items():
        if name in given:
            try:
                inputs[name] = check_config(given[name], field.type)
            except EvaluationError as problem:
                problems[name] = f"the input {name!r}: {problem}"
        elif field.type.optional:
            inputs[name] = None
    return inputs, problems


def check_outputs(spec: ConnectorSpec, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the outputs that a task declares, name to type, and a message for each name that is wrong."""
    free = "*" in spec.outputs or spec.runs is not None  # a container's are those of its function
    problems = {} if free else unknown_names(spec, "output", given, spec.outputs)
    outputs = {}
    for name, kind in given.items():
        try:
            outputs[name] = str(parse_type(kind))
        except EvaluationError as problem:
            problems.setdefault(name, f"the output {name!r}: {problem}")
    return outputs, problems


def spec_outputs(spec: ConnectorSpec) -> dict[str, str]:
    """Return the outputs that the spec declares, name to type."""
    return {name: str(field.type) for name, field in spec.outputs.items() if name != "*"}
