"""What a task's author must know of a field or a secret, in a few words."""

from __future__ import annotations

from typing import Any

from yaml_connector._spec.interface import ConfigField, Secret


def limits_of(field: ConfigField) -> list[str]:
    """The rules that a config value must keep: `from 1`, `up to 64`, `one of short, long`."""
    rules = [f"from {field.minimum}"] if field.minimum is not None else []
    rules += [f"up to {field.maximum}"] if field.maximum is not None else []
    rules += [f"one of {', '.join(map(str, field.enum))}"] if field.enum is not None else []
    return rules


def sources_of(secret: Secret) -> str:
    """Where a secret's value comes from: `the task, else the connector's BATCH_API_KEY`."""
    ways = ["the task"] + ([f"the connector's {secret.env}"] if secret.env else [])
    ways += [f"the file {secret.file}"] if secret.file else []
    return ", else ".join(ways)


def variable_of(secret_name: str) -> str:
    """The variable that holds a secret of Flyte's store in a local run, as Flyte itself calls it: `MY_API_KEY`."""
    return secret_name.upper().replace("-", "_")


def python_literal(value: Any) -> str:
    """A value as Python code, its texts in the quotes that need fewer escapes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python_literal(key)}: {python_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(python_literal, value))}]"
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if value.count('"') > value.count("'") else '"'
    inner = "".join(f"\\{char}" if char == quote else char if char in "\"'" else repr(char)[1:-1] for char in value)
    return f"{quote}{inner}{quote}"
