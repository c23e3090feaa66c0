"""Options that commands share, and the values of a job that they hold, read by the types of the spec."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from yaml_connector._text import did_you_mean
from yaml_connector.errors import EvaluationError, YamlConnectorError

if TYPE_CHECKING:
    from yaml_connector._expressions.value_types import ValueType
    from yaml_connector._jobs.create import CreateValues
    from yaml_connector._spec import ConnectorSpec


def formats(*more: str, note: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds `--format`, and `--json` for short, to a command, which gets the argument `form`.

    `more` are formats besides text and json, `note` says what they are.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def function(*arguments: Any, form: str, as_json: bool, **options: Any) -> None:
            command(*arguments, form="json" if as_json else form, **options)

        choices = click.Choice(["text", "json", *more])
        text = f"Output format{note}."
        short = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
        return click.option("--format", "form", type=choices, default="text", show_default=True, help=text)(
            short(function)
        )

    return decorate


format_option = formats()
secret_option = click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=env:VARIABLE|file:PATH",
    help="Where to read the secret; default: the spec's `env`, then `file`.",
)
config_option = click.option("--config", "config", multiple=True, metavar="NAME=VALUE", help="A config field.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show requests and responses, with secrets masked.")


@dataclass(frozen=True)
class JobOptions:
    """The options that describe a job, as they were typed."""

    inputs: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that describe a job to a command, which gets them as one argument `job`."""

    @wraps(command)
    def function(*arguments: Any, **options: Any) -> None:
        job = JobOptions(**{field.name: options.pop(field.name) for field in fields(JobOptions)})
        command(*arguments, job=job, **options)

    for option in (
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="NAME=TYPE",
            help='An output of the task, if the spec allows any ("*").',
        ),
        click.option("--task", "task", multiple=True, metavar="NAME=VALUE", help="A value of `task.*`: task.sql=..."),
        secret_option,
        config_option,
        click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input."),
    ):
        function = option(function)
    return function


class UsageErrors:
    """Collects what is missing or wrong on a command line, so that one message names all of it."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, *messages: str) -> None:
        """Add messages."""
        self.messages += messages

    def raise_if_any(self) -> None:
        """Raise click.UsageError with a line for each message, if there are any."""
        if len(self.messages) > 1:
            self.messages.insert(0, f"{len(self.messages)} things are missing or wrong")
        if self.messages:
            raise click.UsageError("\n  ".join(self.messages))


def create_values(spec: ConnectorSpec, job: JobOptions, *, needs_secrets: bool = True) -> CreateValues:
    """Return what Flyte would send with create. Raises click.UsageError that names all that is missing or wrong."""
    import uuid

    from yaml_connector._jobs.create import CreateValues

    errors = UsageErrors()
    values = CreateValues(
        read_inputs(spec, job.inputs, errors),
        read_config(spec, job.config, errors),
        read_task(spec, job.task, f"run-{uuid.uuid4().hex[:16]}", errors),
        read_secrets(spec, job.secrets, errors),
        read_outputs(spec, job.outputs, errors),
        local=True,
    )
    if needs_secrets:
        require_secrets(spec, values.secrets, errors)
    container = values.task["container"]
    if spec.runs is not None and not (container.get("command") or container.get("args")):
        errors.add(
            f"{spec.task_type_name} runs containers: run a function with `flyte run`, or give a command here, --task "
            """'container={"image": "busybox", "args": ["echo", "hello"]}'"""
        )
    errors.raise_if_any()
    return values


def pairs(given: Iterable[str], option: str, errors: UsageErrors, form: str = "NAME=VALUE") -> dict[str, str]:
    """Return arguments `NAME=VALUE` as a mapping; `form` says how each is written."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (name and equals):
            errors.add(f"{option} {text!r}: write it as {form}")
        elif name in found:
            errors.add(f"{option} {name} is given twice")
        else:
            found[name] = value
    return found


def read_config(spec: ConnectorSpec, given: Iterable[str], errors: UsageErrors) -> dict[str, Any]:
    """Return the checked config, with its defaults."""
    from yaml_connector._spec.task_values import complete_config

    values = pairs(given, "--config", errors)
    kinds = {name: field.type for name, field in spec.config.items()}
    typed = {name: typed_value(text, kinds[name]) if name in kinds else text for name, text in values.items()}
    try:
        return complete_config(spec, typed)
    except YamlConnectorError as problem:
        errors.add(f"{problem} (--config NAME=VALUE)")
        return {}


def read_inputs(spec: ConnectorSpec, given: Iterable[str], errors: UsageErrors) -> dict[str, Any]:
    """Return the inputs, checked if the spec declares them; optional ones that are not given are None."""
    from yaml_connector._expressions.value_types import parse_type
    from yaml_connector._spec.task_values import check_inputs

    kinds = {name: field.type for name, field in (spec.inputs or {}).items()}
    texts = pairs(given, "--input", errors)
    inputs, problems = check_inputs(
        spec, {name: typed_value(text, kinds.get(name, parse_type("any"))) for name, text in texts.items()}
    )
    missing = [f"--input {name}=<{kind}>" for name, kind in kinds.items() if name not in texts and not kind.optional]
    errors.add(*([f"{spec.task_type_name} needs: {' '.join(missing)}"] if missing else []), *problems.values())
    return dict.fromkeys(kinds) | inputs


def typed_value(text: str, kind: ValueType) -> Any:
    """Return a value as its type is written on a command line: strings as they are, the rest as YAML (`[a, b]`, `3`).

    Invalid YAML stays a string, which the type then rejects.
    """
    from yaml_connector._expressions.value_types import SCALARS

    if kind.name in SCALARS and SCALARS[kind.name].is_text:
        return None if kind.optional and text == "null" else text
    from yaml_connector._loading.document import parse

    document = parse(text.encode(), "value")
    return text if document.problems else document.data


def read_outputs(spec: ConnectorSpec, given: Iterable[str], errors: UsageErrors) -> dict[str, str]:
    """Return the outputs of the task, name to type: the spec's, and with `"*"` those of the command line."""
    from yaml_connector._spec.task_values import check_outputs, spec_outputs

    outputs, problems = check_outputs(spec, pairs(given, "--output", errors, "NAME=TYPE"))
    errors.add(*problems.values())
    return spec_outputs(spec) | outputs


def read_secrets(spec: ConnectorSpec, given: Iterable[str], errors: UsageErrors) -> dict[str, str]:
    """Return secret values, read from variables and files, because a command line is visible to other users.

    One that cannot be read is "", so that it does not count as missing, too.
    """
    from yaml_connector._spec.task_values import unknown_name

    values = {}
    for name, source in pairs(given, "--secret", errors, "NAME=env:VARIABLE or NAME=file:PATH").items():
        if name not in spec.secrets:
            errors.add(unknown_name(spec, "secret", name, spec.secrets))
            continue
        try:
            values[name] = _secret_value(source, f"{name}=env:VARIABLE or {name}=file:PATH")
        except EvaluationError as problem:
            errors.add(f"the secret {name!r}: {problem}")
            values[name] = ""
    return values


def _secret_value(source: str, ways: str) -> str:
    """Return the value that `env:VARIABLE` or `file:PATH` names.

    Raises EvaluationError, which never quotes the source: somebody may have typed the value itself.
    """
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
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise EvaluationError(f"{where} cannot be read: {reason}") from None
    raise EvaluationError(f"write it as {ways}")


def require_secrets(spec: ConnectorSpec, given: Mapping[str, str], errors: UsageErrors) -> None:
    """Add an error for each required secret that is not given, with what to add to the command line."""
    for name, secret in spec.secrets.items():
        own = os.environ.get(secret.env) if secret.env else None
        if secret.required and name not in given and not own and secret.file is None:
            tail = f", or set {secret.env}" if secret.env else ""
            errors.add(f"the secret {name!r} is missing: --secret {name}=env:VARIABLE{tail}")


def read_task(spec: ConnectorSpec, given: Iterable[str], run: str, errors: UsageErrors) -> dict[str, Any]:
    """Return `task.*` of a run from the terminal; `run` is its key and execution id."""
    from yaml_connector._loading.document import parse
    from yaml_connector._spec.task_fields import TASK_NAMES, local_task

    task = local_task(spec.task_type_name, run)
    for name, text in pairs(given, "--task", errors).items():
        parts = name.removeprefix("task.").split(".")
        if parts[0] not in TASK_NAMES:
            errors.add(f"there is no task.{parts[0]}{did_you_mean(parts[0], TASK_NAMES)}")
            continue
        place: Any = task
        for part in parts[:-1]:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            errors.add(f"--task {name}: task.{'.'.join(parts[:-1])} has no fields")
            continue
        old = place.get(parts[-1])
        new = text if isinstance(old, str) or parts[-1] == "sql" else parse(text.encode(), "value").data
        place[parts[-1]] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
    return task
