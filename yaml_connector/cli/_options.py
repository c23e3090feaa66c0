"""What the command line gives a job: the spec by name or path, inputs, config, secrets, read by the spec's types."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from yaml_connector.errors import ConfigError, EvaluationError, SpecError, YamlConnectorError, did_you_mean

if TYPE_CHECKING:
    from yaml_connector._expressions.value_types import ValueType
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector._spec import ConnectorSpec


@dataclass(frozen=True)
class JobOptions:
    """What the options of a command say of a job, as it was typed."""

    inputs: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of the commands that run a job; the command gets them as one: `given`."""

    @wraps(command)
    def function(*arguments: Any, **options: Any) -> None:
        given = JobOptions(**{field.name: options.pop(field.name) for field in fields(JobOptions)})
        command(*arguments, given=given, **options)

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
    from yaml_connector._loading.loader import load, load_all, specs_path

    if os.path.isfile(name) or name.endswith((".yaml", ".yml")):
        return load(name)[0]
    folder = specs_path()
    loaded, problems = load_all([folder])
    found = [item for item in loaded if item.spec.task_type_name == name]
    if found:
        return max(found, key=lambda item: item.spec.task_type_version)
    if os.path.isdir(name):
        raise ConfigError(f"{name} is a folder: name one spec, by its file or its task type")
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise SpecError(errors)
    tail = did_you_mean(name, [item.spec.task_type_name for item in loaded], what="there is")
    raise ConfigError(f"there is no spec {name!r} in {folder}{tail}; a file is named by its path")


class UsageErrors:
    """What is missing or wrong on a command line: all of it is found before anything is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """One thing more."""
        self.lines.append(line)

    def tell(self) -> None:
        """Wrong usage if anything was noted: a line for each."""
        if len(self.lines) > 1:
            self.lines.insert(0, f"{len(self.lines)} things are missing or wrong")
        if self.lines:
            raise click.UsageError("\n  ".join(self.lines))


def pairs(given: Iterable[str], option: str, wrong: UsageErrors) -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping; others are noted."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name and equals:
            found[name.strip()] = value
        else:
            wrong.note(f"{option} {text!r}: write it as NAME=VALUE")
    return found


def given_config(spec: ConnectorSpec, given: Iterable[str], wrong: UsageErrors) -> dict[str, Any]:
    """The whole config, checked; what is missing or wrong is noted."""
    from yaml_connector._spec.task_values import complete_config

    values = pairs(given, "--config", wrong)
    kinds = {name: field.type for name, field in spec.config.items()}
    typed = {name: typed_value(text, kinds[name]) if name in kinds else text for name, text in values.items()}
    try:
        return complete_config(spec, typed)
    except YamlConnectorError as problem:
        wrong.note(f"{problem} (--config NAME=VALUE)")
        return {}


def given_inputs(spec: ConnectorSpec, given: Iterable[str], wrong: UsageErrors) -> dict[str, Any]:
    """The inputs, checked against the spec's, if it has any; what is missing or wrong is noted."""
    from yaml_connector._expressions.value_types import check_config, parse_type

    values = pairs(given, "--input", wrong)
    if spec.inputs is None:
        return {name: typed_value(text, parse_type("any")) for name, text in values.items()}
    for name in values:
        if name not in spec.inputs:
            wrong.note(f"{spec.task_type_name} has no input {name!r}{did_you_mean(name, spec.inputs)}")
    missing = [name for name, field in spec.inputs.items() if name not in values and not field.type.optional]
    if missing:
        wanted = " ".join(f"--input {name}=<{spec.inputs[name].type}>" for name in missing)
        wrong.note(f"{spec.task_type_name} needs: {wanted}")
    inputs = {}
    for name, field in spec.inputs.items():
        try:
            inputs[name] = check_config(typed_value(values[name], field.type), field.type) if name in values else None
        except EvaluationError as problem:
            wrong.note(f"the input {name!r}: {problem}")
    return inputs


def typed_value(text: str, kind: ValueType) -> Any:
    """A value as the command line spells it: a text is itself, everything else is YAML (`[a, b]`, `3`, `true`). What is
    no YAML stays a text, which is a value of no other type."""
    if kind.name in ("str", "datetime", "file", "dir", "dataframe"):
        return None if kind.optional and text == "null" else text
    from yaml_connector._loading.document import parse

    document = parse(text.encode(), "value")
    return text if document.problems else document.data


def given_outputs(spec: ConnectorSpec, given: Iterable[str], wrong: UsageErrors) -> dict[str, str]:
    """The declared outputs, name to type: the spec's, and with `"*"` the command line's too; wrong ones are noted."""
    from yaml_connector._expressions.value_types import parse_type

    outputs = {name: str(field.type) for name, field in spec.outputs.items() if name != "*"}
    for name, kind in pairs(given, "--output", wrong).items():
        if name not in outputs and "*" not in spec.outputs:
            wrong.note(f"the spec has no output {name!r}{did_you_mean(name, spec.outputs)}")
            continue
        try:
            outputs[name] = str(parse_type(kind))
        except EvaluationError as problem:
            wrong.note(f"the output {name!r}: {problem}")
    return outputs


def given_secrets(spec: ConnectorSpec, given: Iterable[str], wrong: UsageErrors) -> dict[str, str]:
    """Secret values from variables and files, for a value itself never stands on a command line; wrong ones are noted,
    and stand for an empty text."""
    values = {}
    for name, source in pairs(given, "--secret", wrong).items():
        if name not in spec.secrets:
            wrong.note(f"the spec has no secret {name!r}{did_you_mean(name, spec.secrets)}")
            continue
        try:
            values[name] = _secret_value(source, f"{name}=env:VARIABLE or {name}=file:PATH")
        except EvaluationError as problem:
            wrong.note(f"the secret {name!r}: {problem}")
            values[name] = ""
    return values


def _secret_value(source: str, ways: str) -> str:
    """The value that `env:VARIABLE` or `file:PATH` names; raises EvaluationError, which never quotes the source: it
    may be the value itself."""
    kind, _, where = source.partition(":")
    if kind == "env" and where:
        value = os.environ.get(where)
        if value is None:
            raise EvaluationError(f"the variable {where} is not set")
        return value
    if kind == "file" and where:
        try:
            with open(where, encoding="utf-8") as handle:
                return handle.read(2**20).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise EvaluationError(f"{where} cannot be read: {reason}") from None
    raise EvaluationError(f"say where its value is: {ways}")


def note_missing_secrets(spec: ConnectorSpec, given: Mapping[str, str], wrong: UsageErrors) -> None:
    """Note the required secrets that nobody gives here, each with what to add to the command line. Those that were
    given wrongly have been noted."""
    for name, secret in spec.secrets.items():
        own = os.environ.get(secret.env) if secret.env else None
        if secret.required and name not in given and not own and secret.file is None:
            tail = f", or set {secret.env}" if secret.env else ""
            wrong.note(f"the secret {name!r} is missing: --secret {name}=env:VARIABLE{tail}")


def given_task(spec: ConnectorSpec, given: Iterable[str], run: str, wrong: UsageErrors) -> dict[str, Any]:
    """`task.*` of a run from the terminal; `run` makes its key. Wrong names are noted."""
    from yaml_connector._loading.document import parse
    from yaml_connector._spec.task_fields import TASK_NAMES, local_task

    task = local_task(spec.task_type_name, run)
    for name, text in pairs(given, "--task", wrong).items():
        parts = name.removeprefix("task.").split(".")
        if parts[0] not in TASK_NAMES:
            wrong.note(f"there is no task.{parts[0]}{did_you_mean(parts[0], TASK_NAMES)}")
            continue
        place: Any = task
        for part in parts[:-1]:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            wrong.note(f"--task {name}: task.{'.'.join(parts[:-1])} holds no names")
            continue
        old = place.get(parts[-1])
        place[parts[-1]] = text if isinstance(old, str) or parts[-1] == "sql" else parse(text.encode(), "value").data
    return task
