"""Secrets, config, inputs and outputs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from yaml_connector._expressions.value_types import SCALARS, UnknownType, ValueType, check_config, parse_type
from yaml_connector._spec.fields import Extract, Model, Text, short_form
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

RESERVED_SECRETS = ("task_template", "inputs", "output_prefix", "task_execution_metadata", "resource_meta")
SECRETS_FIELD = "secrets"  # of the config of a task whose function runs as a job: its secrets by name


def _type(value: Any) -> Any:
    if isinstance(value, ValueType):
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"{short(value)} is not a valid type; inside {{}} and [] quote types such as 'list[str]' and 'str?'"
        )
    try:
        return parse_type(value)
    except UnknownType as problem:
        raise PydanticCustomError("unknown_type", "there is no such type", {"text": problem.text}) from None
    except EvaluationError as problem:
        raise ValueError(str(problem)) from None


Type = Annotated[
    ValueType,
    BeforeValidator(_type),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(SCALARS)},
                {
                    "type": "string",
                    "pattern": r"^(list|dict)\[|\?$",
                    "examples": ["str?", "list[str]", "dict[str, int]"],
                },
            ]
        }
    ),
]


class Secret(Model):
    """A secret. Its value comes from the task, else from `env`, else from `file`."""

    env: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            description="An environment variable of the connector that holds the value.",
        ),
    ] = None
    file: Annotated[
        Text | None, Field(description="A file that holds the value. It is read again when it changes.")
    ] = None
    description: Annotated[str | None, Field(description="A description for the authors of tasks.")] = None
    required: Annotated[bool, Field(description="If false, the secret may be missing; it is then null.")] = True
    sensitive: Annotated[
        bool | None,
        Field(
            description="If false, the value is not masked, and outputs may hold it. The default is true, but false "
            "for a secret that is only used as `username`, `client_id`, `access_key_id` or `key_id` of `auth`."
        ),
    ] = None


class ConfigField(Model):
    """A field of the task's configuration. Short form: `name: type`."""

    type: Annotated[Type, Field(description="The type of the field.")]
    default: Annotated[
        Any, Field(description="The default value. Without one the field is required, or null if its type is optional.")
    ] = None
    minimum: Annotated[float | int | None, Field(description="The smallest allowed number.")] = None
    maximum: Annotated[float | int | None, Field(description="The largest allowed number.")] = None
    enum: Annotated[list[Any] | None, Field(min_length=1, description="The allowed values.")] = None
    description: Annotated[str | None, Field(description="A description for the authors of tasks.")] = None

    _short = short_form("type", str)

    @property
    def required(self) -> bool:
        """Whether the author of a task must give a value."""
        return "default" not in self.model_fields_set and not self.type.optional

    def check(self, value: Any) -> Any:
        """Return the value as the language sees it; raise EvaluationError with the rule that it breaks."""
        checked = check_config(value, self.type)
        if checked is None:
            return None
        if self.enum is not None:
            allowed = [check_config(item, self.type) for item in self.enum]
            if not any(checked == item and type(checked) is type(item) for item in allowed):
                raise EvaluationError(
                    f"{short(checked, 80)} is not allowed; allowed: {', '.join(map(short, self.enum[:40]))}"
                )
        if self.minimum is None and self.maximum is None:
            return checked
        for item in checked if isinstance(checked, list) else [checked]:
            if isinstance(item, int | float) and not isinstance(item, bool):
                if self.minimum is not None and item < self.minimum:
                    raise EvaluationError(f"{short(item)} is less than the minimum {self.minimum}")
                if self.maximum is not None and item > self.maximum:
                    raise EvaluationError(f"{short(item)} is more than the maximum {self.maximum}")
        return checked

    @model_validator(mode="after")
    def _good_default(self) -> ConfigField:
        for label, values in (
            ("the default", [self.default] if self.default is not None else []),
            ("enum", self.enum or []),
        ):
            for value in values:
                try:
                    (self.check if label == "the default" else lambda item: check_config(item, self.type))(value)
                except EvaluationError as problem:
                    raise ValueError(f"{label}: {problem}") from None
        if (
            "default" in self.model_fields_set
            and self.default is None
            and not self.type.optional
            and self.type.name != "any"
        ):
            raise ValueError(f"the default: null is not a valid {self.type}; write the type as '{self.type}?'")
        return self


class InputField(Model):
    """An input of the task. Short form: `name: type`."""

    type: Annotated[Type, Field(description="The type of the input.")]
    description: Annotated[str | None, Field(description="A description for the authors of tasks.")] = None

    _short = short_form("type", str)


class OutputField(Model):
    """An output of the task. Short form: only the value, of type str."""

    type: Annotated[Type, Field(description="The type of the output.")] = ValueType("str")
    value: Annotated[Extract, Field(description="Where the value is in the response.")]
    default: Annotated[Any, Field(description="The value if the response does not have it.")] = None
    description: Annotated[str | None, Field(description="A description for the authors of tasks.")] = None

    _short = short_form("value")

    @property
    def has_default(self) -> bool:
        """Return whether the spec has a default, which may be null."""
        return "default" in self.model_fields_set
