"""What all models of the language share: closed objects, and marks that say what a field may contain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo

from yaml_connector._expressions.compile import compile_field
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.value_types import parse_duration, parse_size
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

T = TypeVar("T")


class Model(BaseModel):
    """A closed object of the language: unknown keys are errors, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


@dataclass(frozen=True)
class Slot:
    """Marks a field that may contain expressions. A field without a mark may not contain a template.

    `kind` is `template` (a string or a tree of them), `extraction` (of one value), `extractions` (a mapping of them) or
    `condition`. `literal`: an extraction may be the same for every response.
    """

    kind: Literal["template", "extraction", "extractions", "condition"]
    literal: bool = True


def with_value_error(parse: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return the function with its EvaluationError raised as a ValueError, which pydantic reports with its place."""

    @wraps(parse)
    def validate(value: Any) -> T:
        try:
            return parse(value)
        except EvaluationError as problem:
            raise ValueError(str(problem)) from None

    return validate


def _parsed(parse: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(with_value_error(parse))


def short_form(name: str, *kinds: type) -> Any:
    """Return the validator of a model that may be written as the value of one field alone: as a value of these kinds,
    or without kinds as any value but a mapping."""

    def expand(value: Any) -> Any:
        is_short = isinstance(value, kinds) if kinds else not isinstance(value, dict)
        return {name: value} if is_short else value

    return model_validator(mode="before")(expand)


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("is empty; write a JSONPath such as $.id, or a template")
    return value


def has_dot_segments(url: str) -> bool:
    """Return whether the path of a URL has a segment `.` or `..`."""
    return not {".", ".."}.isdisjoint(re.split("[?#]", url, maxsplit=1)[0].split("/"))


def _no_dots(url: str) -> str:
    if "${{" not in url and has_dot_segments(url):
        raise ValueError(f"{short(url)} must not contain the segments '.' and '..'")
    return url


def _no_backslashes(url: str) -> str:
    if "${{" not in url and "\\" in url:
        raise ValueError(f"{short(url)} contains a backslash, which no URL does; write /, or %5C for one that is sent")
    return url


def _mapping_or_template(value: dict[str, Any] | str) -> dict[str, Any] | str:
    if isinstance(value, str) and "${{" not in value:
        pairs = re.fullmatch(r"[\w.-]+=[\w.-]+(?:&[\w.-]+=[\w.-]+)*", value)
        instead = f"; write {{{value.replace('=', ': ').replace('&', ', ')}}}" if pairs is not None else ""
        raise ValueError(f"must be a mapping, or one template, not the string {short(value)}{instead}")
    return value


def _duration_text(text: str) -> str:
    if "${{" not in text and not with_value_error(parse_duration)(text):
        raise ValueError("must be longer than 0s; leave it out for no limit")
    return text


DURATION = r"\d+(\.\d+)?(ms|s|m|h|d)"
"""A duration, as the pattern of a JSON Schema writes it."""
Duration = Annotated[
    float,
    _parsed(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION}$", "examples": ["10s"]}),
]
DurationText = Annotated[
    str,
    AfterValidator(_duration_text),
    Slot("template"),
    WithJsonSchema({"type": "string", "pattern": rf"^{DURATION}$|\$\{{\{{", "examples": ["2h"]}),
]
"""A duration as written, or a template of one."""
Size = Annotated[
    int,
    _parsed(parse_size),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$", "examples": ["10MiB"]}),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Text = Annotated[str, Slot("template")]
UrlText = Annotated[str, AfterValidator(_no_dots), Slot("template")]
LinkText = Annotated[Text, AfterValidator(_no_backslashes)]
"""A whole URL, or one that is resolved against another."""
WholeUrlText = Annotated[UrlText, AfterValidator(_no_backslashes)]
Tree = Annotated[Any, Slot("template")]
TreeMap = Annotated[dict[str, Any] | str, AfterValidator(_mapping_or_template), Slot("template")]
Extract = Annotated[Any, Slot("extraction")]
READ = Slot("extraction", literal=False)
ReadExtract = Annotated[Any, READ]
GivenExtract = Annotated[Any, BeforeValidator(_given), READ]
"""An extraction without which there is nothing: `job_id:` alone, which is null, is an error."""
ExtractMap = Annotated[dict[str, Any] | str, Slot("extractions")]
Condition = Annotated[str | bool, Slot("condition")]

Path = tuple[str | int, ...]


def fields_of(kind: Any) -> dict[str, FieldInfo]:
    """Return the fields of a model by the names that files use; none of what is not a model."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def items_of(kind: Any) -> list[Any]:
    """Return the types of the items of a list; none of what is not a list."""
    return types_in(get_args(kind)[0]) if get_origin(kind) is list else []


def types_in(annotation: Any) -> list[Any]:
    """Return the types that an annotation allows, one by one: models, mappings, lists, plain types."""
    if isinstance(annotation, type) or get_origin(annotation) in (dict, list):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in types_in(part)]


def slots(model: Model, path: Path = ()) -> Iterator[tuple[Path, Slot | None, Any]]:
    """Yield every given field below a model, as (path, mark or None, value); marked values come whole."""
    for name, field in type(model).model_fields.items():
        if name in model.model_fields_set:
            yield from _inside(getattr(model, name), (*path, field.alias or name), _mark(type(model), name))


@lru_cache(maxsize=1024)
def _mark(model: type[Model], name: str) -> Slot | None:
    field = model.model_fields[name]
    return next(_marks([*field.metadata, field.annotation]), None)


def _marks(parts: Iterable[Any]) -> Iterator[Slot]:
    for part in parts:
        if isinstance(part, Slot):
            yield part
        else:
            yield from _marks([*getattr(part, "__metadata__", ()), *get_args(part)])


def _inside(value: Any, path: Path, mark: Slot | None) -> Iterator[tuple[Path, Slot | None, Any]]:
    if isinstance(value, Model):
        yield from slots(value, path)
    elif isinstance(value, dict | list) and (mark is None or _holds_models(value)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _inside(item, (*path, key), mark)
    elif value is not None:
        is_list_of_statuses = isinstance(value, list) and mark is not None and mark.kind == "condition"
        yield path, None if is_list_of_statuses else mark, value


def _holds_models(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, Model) or (isinstance(item, list) and _holds_models(item)) for item in items)


def names_in(model: Model) -> Iterator[Reference]:
    """Yield every name that the expressions below a model refer to."""
    for _, mark, value in slots(model):
        if mark is not None:
            yield from compile_field(mark.kind, value).names
