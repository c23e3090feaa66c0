"""Python for workflow authors to copy: a task of a spec, with a value for everything that is required."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator
from typing import Any

from yaml_connector._expressions.value_types import SCALARS, ValueType
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.interface import ConfigField
from yaml_connector._spec.python_names import attribute_of, class_stem
from yaml_connector.cli._description.words import must_be_given

_LONGEST_DEFAULT = 50  # characters; longer ones are only in the table


def variable(spec: ConnectorSpec) -> str:
    """Return the name of the task's variable: `batch_job`."""
    name = re.sub(r"\W+", "_", spec.task_type_name, flags=re.ASCII).strip("_")
    return f"{name}_task" if keyword.iskeyword(name) or name in ("flyte", "yaml_connector") else name


def snippet(spec: ConnectorSpec, named: str) -> str:
    """Return Python that makes the task and its environment. `named`: the task type or the file of the spec."""
    name = variable(spec)
    if spec.runs is not None:
        return _function_snippet(spec, named, name)
    lines = [
        "import flyte",
        "import yaml_connector",
        "",
        f"{name} = yaml_connector.task_from_spec(",
        f"    {python_literal(named)},",
        *_config_lines(spec),
        *(['    inputs={"text": str},  # your own: names to Python types'] if spec.inputs is None else []),
        *(['    outputs={"answer": str},  # your own: names to Python types'] if "*" in spec.outputs else []),
        *_secret_lines(spec),
        ")",
        f'{name}_env = flyte.TaskEnvironment.from_task("{name.replace("_", "-").lower()}-env", {name})',
    ]
    return "\n".join(lines) + "\n"


def _function_snippet(spec: ConnectorSpec, named: str, name: str) -> str:
    """Return Python of a function that runs as a job of the spec."""
    config = f"{class_stem(spec.task_type_name)}Config"
    given = list(_config_lines(spec, keywords=True))
    secrets = ", ".join(f"{python_literal(key)}: {python_literal(secret_name(key))}" for key in spec.secrets)
    if secrets:
        mark = "" if any(map(must_be_given, spec.secrets.values())) else "# "
        given.append(f"        {mark}secrets={{{secrets}}},  # names in Flyte's secret store")
    lines = [
        "import flyte",
        "import yaml_connector",
        "",
        f"{config} = yaml_connector.task_plugin({python_literal(named)}).Config",
        f"{name}_env = flyte.TaskEnvironment(",
        f'    "{name.replace("_", "-").lower()}-env",',
        '    image=flyte.Image.from_debian_base().with_pip_packages("yaml-connector"),  # and what your code imports',
        "    include=yaml_connector.task_files(),  # the specs, which the job reads, too",
        *([f"    plugin_config={config}(", *given, "    ),"] if given else [f"    plugin_config={config}(),"]),
        ")",
        "",
        "",
        f"@{name}_env.task",
        f"async def {name}(text: str) -> str:  # your own",
        "    return text.upper()",
    ]
    return "\n".join(lines) + "\n"


def _config_lines(spec: ConnectorSpec, *, keywords: bool = False) -> Iterator[str]:
    lines = []
    for name, field in spec.config.items():
        key = f"{attribute_of(name)}=" if keywords else f"{python_literal(name)}: "
        if field.required:
            lines.append(f"        {key}{python_literal(sample(field))},")
        elif len(shown := python_literal(field.default)) <= _LONGEST_DEFAULT:
            lines.append(f"        # {key}{shown},")
    if keywords:
        yield from lines
    elif lines:
        yield from ["    config={", *lines, "    },"]


def _secret_lines(spec: ConnectorSpec) -> Iterator[str]:
    """Yield the secrets: those that the task must name, the others as comments."""
    if not spec.secrets:
        return
    yield "    secrets={  # names in Flyte's secret store"
    for name, secret in spec.secrets.items():
        comment = "" if must_be_given(secret) else "# "
        yield f"        {comment}{python_literal(name)}: {python_literal(secret_name(name))},"
    yield "    },"


def secret_name(name: str) -> str:
    """Return the name of a secret in Flyte's store: `my-api-key`."""
    return f"my-{name.replace('_', '-')}"


def secret_variable(name: str) -> str:
    """Return the variable from which Flyte reads a secret of its store in a local run: `MY_API_KEY`."""
    return name.upper().replace("-", "_")


def call_line(spec: ConnectorSpec) -> str:
    """Return how another task calls it: `result = await batch_job(name=...)`."""
    given = {"text": None} if spec.inputs is None else {k: v for k, v in spec.inputs.items() if not v.type.optional}
    names = ["answer"] if "*" in spec.outputs or spec.runs is not None else list(spec.outputs)
    names = [f"{name}_" if keyword.iskeyword(name) else name for name in names]
    result = f"{', '.join(names)} = " if names else ""
    arguments = ", ".join(f"{name}=..." for name in given)
    if any(keyword.iskeyword(name) for name in given):
        arguments = "**{" + ", ".join(f"{python_literal(name)}: ..." for name in given) + "}"
    return f"{result}await {variable(spec)}({arguments})"


def command_line(spec: ConnectorSpec) -> str:
    """Return the command of a local run, if the snippet is in main.py."""
    given = ["text"] if spec.inputs is None else [k for k, v in spec.inputs.items() if not v.type.optional]
    options = "".join(f" --{name} ..." for name in given)
    return f"flyte run --local main.py {variable(spec)}{options}"


def sample(field: ConfigField) -> Any:
    """Return a value that is valid for a config field."""
    if field.enum:
        return next((value for value in field.enum if value is not None), None)
    return _sample(field.type, field)


def _sample(kind: ValueType, field: ConfigField) -> Any:
    if kind.name == "list":
        return [_sample(kind.item, field)] if kind.item else []
    if kind.name == "dict":
        return {"...": _sample(kind.item, field)} if kind.item else {}
    value = SCALARS[kind.name].sample
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = kind.name == "int"
        if field.minimum is not None:
            value = max(value, math.ceil(field.minimum) if whole else field.minimum)
        if field.maximum is not None:
            value = min(value, math.floor(field.maximum) if whole else field.maximum)
    return value


def python_literal(value: Any) -> str:
    """Return a value as Python code, its strings in the quotes that need fewer escapes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python_literal(key)}: {python_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(python_literal, value))}]"
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if value.count('"') > value.count("'") else '"'
    inner = "".join(f"\\{char}" if char == quote else char if char in "\"'" else repr(char)[1:-1] for char in value)
    return f"{quote}{inner}{quote}"
