"""What the command line gives a job: the spec by name or path, inputs, config, secrets, read by the spec's types."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from yaml_connector.errors import ConfigError, SpecError, ValueProblem, YamlConnectorError, did_you_mean

if TYPE_CHECKING:
    from yaml_connector.loading.loader import LoadedSpec
    from yaml_connector.spec import ConnectorSpec
    from yaml_connector.values.types import ValueType

F = TypeVar("F", bound=Callable[..., Any])


def job_options(function: F) -> F:
    """The options of the commands that run a job."""
    for option in (
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="NAME=TYPE",
            help='A declared output, where the spec says "*".',
        ),
        click.option("--task", "task", multiple=True, metavar="NAME=VALUE", help="A value of `task.*`: task.sql=..."),
        click.option(
            "--secret",
            "secrets",
            multiple=True,
            metavar="NAME=env:VARIABLE|file:PATH",
            help="Where a secret's value is; else the spec's own env and file count.",
        ),
        click.option("--config", "config", multiple=True, metavar="NAME=VALUE", help="A config field."),
        click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input."),
    ):
        function = option(function)
    return function


def find_spec(name: str) -> LoadedSpec:
    """A spec by the path of its file, or by its task type where specs are looked for.

    Raises SpecError, or ConfigError that says which names there are and where they were looked for.
    """
    from yaml_connector.loading.loader import examine, load, specs_path

    if os.path.isfile(name) or name.endswith((".yaml", ".yml")):
        return load(name)[0]
    folder = specs_path()
    loaded, problems = examine([folder])
    found = [item for item in loaded if item.spec.task_type_name == name]
    if found:
        return max(found, key=lambda item: item.spec.task_type_version)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise SpecError(errors)
    tail = did_you_mean(name, [item.spec.task_type_name for item in loaded], what="there is")
    raise ConfigError(f"there is no spec {name!r} in {folder}{tail}; a file is named by its path")


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping; wrong ones are wrong usage."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} {text!r}: write it as NAME=VALUE")
        found[name.strip()] = value
    return found


def given_config(spec: ConnectorSpec, given: Iterable[str]) -> dict[str, Any]:
    """The whole config, checked; wrong values are wrong usage."""
    from yaml_connector.job.config import complete_config

    values = pairs(given, "--config")
    try:
        typed = {
            name: typed_value(text, spec.config[name].type) if name in spec.config else text
            for name, text in values.items()
        }
        return complete_config(spec, typed)
    except YamlConnectorError as problem:
        raise click.UsageError(f"{problem} (--config NAME=VALUE)") from None


def given_inputs(spec: ConnectorSpec, given: Iterable[str]) -> dict[str, Any]:
    """The inputs, checked against the spec's, if it has any; wrong ones are wrong usage."""
    from yaml_connector.values.types import check_config, parse_type

    values = pairs(given, "--input")
    if spec.inputs is None:
        return {name: typed_value(text, parse_type("any")) for name, text in values.items()}
    unknown = [name for name in values if name not in spec.inputs]
    if unknown:
        raise click.UsageError(
            f"{spec.task_type_name} has no input {unknown[0]!r}{did_you_mean(unknown[0], spec.inputs)}"
        )
    missing = [name for name, field in spec.inputs.items() if name not in values and not field.type.optional]
    if missing:
        wanted = " ".join(f"--input {name}=<{spec.inputs[name].type}>" for name in missing)
        raise click.UsageError(f"{spec.task_type_name} needs: {wanted}")
    inputs = {}
    for name, field in spec.inputs.items():
        try:
            inputs[name] = check_config(typed_value(values[name], field.type), field.type) if name in values else None
        except ValueProblem as problem:
            raise click.UsageError(f"the input {name!r}: {problem}") from None
    return inputs


def typed_value(text: str, kind: ValueType) -> Any:
    """A value as the command line spells it: a text is itself, everything else is YAML (`[a, b]`, `3`, `true`)."""
    if kind.name in ("str", "datetime", "file", "dir", "dataframe"):
        return None if kind.optional and text == "null" else text
    from yaml_connector.loading.yaml12 import parse

    document = parse(text.encode(), "value")
    if document.problems:
        if kind.name == "any":
            return text
        raise ValueProblem(f"{text!r} is no {kind}: {document.problems[0].message}")
    return document.data


def given_outputs(spec: ConnectorSpec, given: Iterable[str]) -> dict[str, str]:
    """The declared outputs, name to type: the spec's, and with `"*"` those of the command line."""
    from yaml_connector.values.types import parse_type

    outputs = {name: str(field.type) for name, field in spec.outputs.items() if name != "*"}
    for name, kind in pairs(given, "--output").items():
        if name not in outputs and "*" not in spec.outputs:
            raise click.UsageError(f"the spec has no output {name!r}{did_you_mean(name, spec.outputs)}")
        try:
            outputs[name] = str(parse_type(kind))
        except ValueProblem as problem:
            raise click.UsageError(f"the output {name!r}: {problem}") from None
    return outputs


def given_secrets(spec: ConnectorSpec, given: Iterable[str]) -> dict[str, str]:
    """Secret values from variables and files; a value itself never stands on a command line."""
    values = {}
    for name, source in pairs(given, "--secret").items():
        if name not in spec.secrets:
            raise click.UsageError(f"the spec has no secret {name!r}{did_you_mean(name, spec.secrets)}")
        kind, _, where = source.partition(":")
        if kind == "env" and where:
            value = os.environ.get(where)
            if value is None:
                raise click.UsageError(f"the secret {name!r}: the variable {where} is not set")
            values[name] = value
        elif kind == "file" and where:
            try:
                with open(where, encoding="utf-8") as handle:
                    values[name] = handle.read(2**20).rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
                raise click.UsageError(f"the secret {name!r}: {where} cannot be read: {reason}") from None
        else:
            raise click.UsageError(
                f"the secret {name!r}: say where its value is: {name}=env:VARIABLE or {name}=file:PATH"
            )
    return values


def given_task(spec: ConnectorSpec, given: Iterable[str], run: str) -> dict[str, Any]:
    """`task.*` of a run from the terminal; `run` makes its key."""
    from yaml_connector.loading.names import TASK_NAMES
    from yaml_connector.loading.yaml12 import parse

    task: dict[str, Any] = {
        "name": f"{spec.task_type_name}_run",
        "type": spec.task_type_name,
        "project": "local",
        "domain": "local",
        "version": "1",
        "execution_id": run,
        "attempt": 0,
        "namespace": "local",
        "labels": {},
        "annotations": {},
        "output_prefix": f"file:///tmp/{run}",
        "container": {"image": "", "args": [], "env": {}},
        "sql": None,
        "key": run,
    }
    for name, text in pairs(given, "--task").items():
        parts = name.removeprefix("task.").split(".")
        if parts[0] not in TASK_NAMES:
            raise click.UsageError(f"there is no task.{parts[0]}{did_you_mean(parts[0], TASK_NAMES)}")
        place = task
        for part in parts[:-1]:
            if not isinstance(place.get(part), dict):
                raise click.UsageError(f"--task {name}: task.{part} holds no names")
            place = place[part]
        old = place.get(parts[-1])
        place[parts[-1]] = text if isinstance(old, str) or parts[-1] == "sql" else parse(text.encode(), "value").data
    return task


def missing_secrets(spec: ConnectorSpec, given: Mapping[str, str]) -> list[str]:
    """The required secrets that nobody gives here, each with what to add to the command line."""
    return [
        name
        for name, secret in spec.secrets.items()
        if secret.required
        and not given.get(name)
        and not (secret.env is not None and os.environ.get(secret.env))
        and secret.file is None
    ]
