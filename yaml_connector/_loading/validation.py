"""From plain data to a model, with pydantic's errors as diagnostics in the language's own words."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from yaml_connector._expressions.value_types import UnknownType
from yaml_connector._loading.document import MOST_PROBLEMS, Document, TooManyDiagnostics
from yaml_connector._loading.one_mistake import Finding, value_at, without_consequences
from yaml_connector._loading.suggestions import (
    for_unknown_key,
    for_wrong_kind,
    kind_of,
    meant_by,
    not_allowed,
    valid_name,
)
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.auth import AUTH_KINDS
from yaml_connector._spec.fields import Path, fields_of, items_of, types_in
from yaml_connector._text import short, short_name

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_OWN_KEYS = frozenset({"spec_version", "task_type_name", "connection", "create", "get"})
_MOST_FOUND = 10 * MOST_PROBLEMS  # of pydantic's errors; several may be one problem


def build(model: type[M], document: Document) -> M | None:
    """Return the document's data as `model`, or None after adding what is invalid to the document's problems."""
    if not isinstance(document.data, dict):
        with suppress(TooManyDiagnostics):
            document.report((), f"must be a mapping, not {describe(document.data)}; a spec starts with spec_version: 1")
        return None
    if model is ConnectorSpec and not document.data.keys() & _OWN_KEYS and document.data:
        with suppress(TooManyDiagnostics):
            there = ", ".join(short_name(key) for key in islice(document.data, 10))
            document.report((), f"this is not a spec: it has {there}, and none of {', '.join(sorted(_OWN_KEYS))}")
        return None
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        with suppress(TooManyDiagnostics):
            _note(model, document, error)
        return None


def _note(model: type[BaseModel], document: Document, error: ValidationError) -> None:
    """Note what pydantic found: one problem for a value that fits none of several kinds, and each mistake only once."""
    found: list[Finding] = []
    kinds: dict[Path, dict[str, str]] = {}  # of pydantic's types of errors, by what they want
    for item in map(dict, error.errors(include_url=False)):
        found.append(finding := _finding(model, document, item))
        if item["type"] in _KINDS:
            kinds.setdefault(finding.path, {})[_KINDS[item["type"]]] = item["type"]
        if len(found) > _MOST_FOUND:
            break
    noted = set()
    for path, message, on_key, item, _ in without_consequences(
        found, document.data, lambda at: _types_at(model, at, document.data)
    ):
        several = kinds.get(path, {})
        if item["type"] in _KINDS and len(several) > 1:
            container = next((several[kind] for kind in ("a list", "a mapping") if kind in several), item["type"])
            instead = for_wrong_kind(container, item["input"], path)
            wanted = [kind for kind in several if not (kind == "a whole number" and "a number" in several)]
            message = f"must be {' or '.join(wanted)}, not {describe(item['input'])}{instead}"
        if (path, message, on_key) not in noted:
            noted.add((path, message, on_key))
            document.report(path, message, key=on_key)


def describe(value: Any) -> str:
    """Return what kind of value this is, in the words of YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {short(value)}"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    return "a list" if isinstance(value, list) else "a mapping"


def _finding(model: type[BaseModel], document: Document, item: dict[str, Any]) -> Finding:
    """Return one of pydantic's errors in the words of the language, with its place in the file."""
    kind, value = item["type"], item["input"]
    location = list(item["loc"])
    if location[-1:] == ["[key]"] and kind not in ("extra_forbidden", "missing"):
        location.pop()  # pydantic's mark for the key itself
    path = walk(document.data, location)
    shown: Path = path
    on_key = False
    meant = None
    if kind == "extra_forbidden":
        fields = next(filter(None, map(fields_of, _types_at(model, path[:-1], document.data))), {})
        siblings = value_at(document.data, path[:-1])
        meant = meant_by(location, value, fields, siblings)
        message = "unknown key" + for_unknown_key(location, value, list(fields), meant)
        on_key = True
    elif kind == "missing":
        shown = (*path, str(location[-1]))
        message = "is required"
    elif kind == "literal_error":
        expected = [choice.strip("'") for choice in item["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        message = not_allowed(value, [{"True": "true", "False": "false"}.get(choice, choice) for choice in expected])
        on_key = item["loc"][-1] == "[key]"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag.strip("'") for tag in item["ctx"].get("expected_tags", "").split(", ") if tag]
        tag = item["ctx"].get("tag")
        shown = (*path, "type") if isinstance(value, dict) else path
        if tag is None:
            message = f"is required{kind_of(value)}; allowed: {', '.join(tags or AUTH_KINDS)}"
        else:
            message = not_allowed(value["type"], tags)
    elif kind in _KINDS:
        message = f"must be {_KINDS[kind]}, not {describe(value)}{for_wrong_kind(kind, value, path)}"
    elif kind == "unknown_type":
        message = str(UnknownType(item["ctx"]["text"]))
    elif kind == "value_error":
        message = str(item["ctx"]["error"])
    elif kind == "string_pattern_mismatch":
        message = f"{short(value)} is not a valid name here: it must match {item['ctx']['pattern']}"
        message += valid_name(value, item["ctx"]["pattern"], path)
        on_key = item["loc"][-1] == "[key]"
    elif kind in ("too_short", "string_too_short"):
        message = "must not be empty"
    elif kind == "at":
        shown, message = (*path, *item["ctx"]["at"]), item["ctx"]["message"]
    else:
        message = item["msg"][0].lower() + item["msg"][1:]
    return Finding(shown, message, on_key, item, meant)


def walk(data: Any, location: list[Any]) -> Path:
    """Return the part of a pydantic location that exists in the data.

    Tags of unions and indices that a short form added are not in the data, and are passed over.
    """
    path: list[str | int] = []
    for number, part in enumerate(location):
        if location[number - 1 : number] == ["auth"] and isinstance(data, dict) and data.get("type") == part:
            continue  # the tag of the union, also if a key has the same name: the kind `token` has a field `token`
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        else:
            if all(not _has(data, later) for later in location[number:]):
                return tuple(path)
            continue
        path.append(part)
    return tuple(path)


def _has(data: Any, part: Any) -> bool:
    return (isinstance(data, dict) and part in data) or (
        isinstance(data, list) and isinstance(part, int) and not isinstance(part, bool) and part < len(data)
    )


def _types_at(model: type[BaseModel], path: Path, data: Any) -> list[Any]:
    """Return the types that the value at a path may have; of several models, the one that the value's `type` names."""
    types: list[Any] = [model]
    for part in path:
        types = [below for kind in _meant(types, data) for below in _below(kind, part)]
        data = data[part]
    return _meant(types, data)


def _meant(types: list[Any], data: Any) -> list[Any]:
    """Return those types that a value is meant to have. A list of one item may be written as that item, a mapping."""
    if not isinstance(data, dict):
        return types
    types = [item for kind in types for item in (items_of(kind) or [kind])]
    tag = data.get("type")
    tags = [(get_args(fields_of(kind)["type"].annotation), kind) for kind in types if "type" in fields_of(kind)]
    return [kind for names, kind in tags if tag in names] or types


def _below(kind: Any, part: str | int) -> list[Any]:
    """Return the types of a field of a model, of a value of a mapping, or of an item of a list."""
    if get_origin(kind) is dict:
        return types_in(get_args(kind)[1])
    field = fields_of(kind).get(str(part))
    return items_of(kind) if field is None else types_in(field.annotation)


# --- what can still be checked of an invalid spec ------------------------------------------------------------------

_MOST_ROUNDS = 6  # removing a part may make another one invalid
_LARGEST = 200_000  # characters; the problems of a larger file come in two steps
_PLACEHOLDERS: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "x",
    "connection": {"base_url": "https://host"},
    "base_url": "https://host",
    "create": {"request": "POST /", "job_id": "$"},
    "job_id": "$",
    "phase": [{"when": "true", "is": "RUNNING"}],
    "request": "POST /",
}
_MAP = {"RUNNING": ["x"]}
_NAMED: dict[str, Any] = {"config": {"type": "any", "default": None}, "inputs": "any", "secrets": {}}


def prune_invalid(document: Document) -> ConnectorSpec | None:
    """Return the spec without its invalid parts, so that the rest can be checked and all problems come at once.

    Where something else may refer to a part, a placeholder takes its place. What pydantic checks of a whole model only
    when its fields are valid is added to the document's problems. Returns None if there is nothing left to check.
    """
    if not isinstance(document.data, dict) or len(document.text) > _LARGEST:
        return None
    data = deepcopy(document.data)
    changed: set[Path] = set()  # what lacks a part that it had, under another name maybe: nothing more is told of it
    for turn in range(_MOST_ROUNDS):
        try:
            return ConnectorSpec.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            found = [(item, walk(data, [part for part in item["loc"] if part != "[key]"])) for item in errors]
            gone: set[Path] = set()  # places whose errors went with them
            for item, path in found:
                if turn and item["type"] == "value_error" and path not in changed:
                    document.report(path, str(item["ctx"]["error"]))
                changed.update((path, path[:-1]))
                if any(path[:length] in gone for length in range(1, len(path) + 1)):
                    continue
                field, whole = item["loc"][-1], value_at(data, path)
                if item["type"] == "missing" and field == "name" and isinstance(whole, dict):
                    whole["name"] = f"unnamed{len(changed)}"
                elif item["type"] == "missing" and field in _PLACEHOLDERS and isinstance(whole, dict):
                    whole[field] = deepcopy(_PLACEHOLDERS[str(field)])
                elif path:
                    gone.add(_remove(data, path))
    return None


def _remove(data: dict[str, Any], path: Path) -> Path:
    """Remove the value at a path, or put another one there, and return the path. An item goes with its whole list,
    because removing it would move those after it."""
    root = str(path[0])
    if root in _NAMED and len(path) > 1 and isinstance(data[root], dict):
        data[root][path[1]] = deepcopy(_NAMED[root])
        return path[:2]
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if path[-1:] == ("request",):  # without it, the whole section would go, too
        value_at(data, path[:-1])["request"] = _PLACEHOLDERS["request"]
        return path
    if path[-1:] == ("map",) and "phase" in path:  # without a map, the rest of the rule would go, too
        value_at(data, path[:-1])["map"] = deepcopy(_MAP)
        return path
    value_at(data, path[:-1]).pop(path[-1], None)
    return path
