"""What to write instead of a name or a value that a spec may not have there: the ends of messages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from yaml_connector._expressions.compile import has_template
from yaml_connector._loading.words import AUTH_KINDS as AUTH_WORDS
from yaml_connector._loading.words import DEEPER, FIELDS, FORMATS, snake
from yaml_connector._loading.words import PHASES as PHASES_WORDS
from yaml_connector._loading.yaml_hints import without_blank
from yaml_connector._spec import PHASES, ConnectorSpec
from yaml_connector._spec.auth import AUTH_KINDS as KINDS
from yaml_connector._spec.fields import Path
from yaml_connector._spec.requests import METHODS
from yaml_connector._text import closest, did_you_mean, short_name, short_yaml

_LONGEST = 40  # characters of a value that is written anew
_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "y", "t", "true", "1", "enabled", "enable"), "true"),
    **dict.fromkeys(("no", "off", "n", "f", "false", "0", "disabled", "disable"), "false"),
}
SECTIONS = frozenset(ConnectorSpec.model_fields) & {
    *("connection", "secrets", "config", "inputs", "outputs"),
    *("create", "get", "result", "delete", "logs"),
}


def meant_by(location: Sequence[Any], value: Any, fields: Mapping[str, Any], siblings: Any) -> str | None:
    """Return the key that an unknown one probably means, with the key below it if it belongs there; or None.

    `fields` are those of the place, by name; what is among its `siblings` already is not meant.
    """
    name, word = str(location[-1]), snake(str(location[-1]))
    free = [field for field in fields if field not in siblings]
    if word in free:
        return word
    required = [field for field in free if fields[field].is_required() and _fits(value, fields[field])]
    if len(required) == 1:
        return required[0]
    words = FIELDS.get(word, ())
    if isinstance(value, str) and value.startswith("/") and "path" in words:
        words = ("path",)
    if (found := next((other for other in words if other in free), None)) is not None:
        return found
    if DEEPER.get(word, "").partition(".")[0] in fields:
        return DEEPER[word]
    if name in PHASES and "map" in fields:
        return f"map.{name}"
    if len(location) == 1 and isinstance(value, dict) and value and not words and not closest(word, free):
        fitting = [field for field in free if field in SECTIONS and _fits(value, fields[field])]
        return fitting[0] if len(fitting) == 1 else None
    return None


def _fits(value: Any, field: Any) -> bool:
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValidationError:
        return False
    return True


def kind_of(auth: Any) -> str:
    """Return the end of the message about credentials without a type: the one that they probably are."""
    if not isinstance(auth, dict):
        return ""
    nested = [key for key in auth if key in KINDS and isinstance(auth[key], dict)]
    if nested:
        return f"; write type: {nested[0]}, and its fields beside it"
    named = [str(value) for value in auth.values() if str(value) in KINDS]
    fitting = [kind for kind, model in KINDS.items() if auth and set(auth) <= set(model.model_fields)]
    return f"; write type: {[*named, *fitting][0]}" if named or fitting else ""


# Keys that have no place of their own here, and what to do instead.
_NOT_THERE = {
    ("secrets", "value"): "; a spec never holds the secret itself: write env: VARIABLE or file: PATH",
    ("secrets", "default"): "; a spec never holds the secret itself: write env: VARIABLE or file: PATH",
    ("config", "required"): "; a field without a default is required, and optional with a type such as str?",
    ("inputs", "required"): "; an input is required, and optional with a type such as str?",
    ("inputs", "enum"): "; the values of an input cannot be restricted; those of a config field can",
}


def for_unknown_key(location: list[Any], value: Any, allowed: list[str], meant: str | None) -> str:
    """Return the end of the message about an unknown key: what was probably meant, and which keys are allowed."""
    name = str(location[-1])
    if name == "default" and location[:1] == ["inputs"]:
        given = f"${{{{ inputs.{location[1]} | default(...) }}}}"
        return (
            f"; an input has no default: give it an optional type (str?) and write {given}, or make it a config field"
        )
    if (told := _NOT_THERE.get((str(location[0]), name))) is not None:
        return told
    odd = odd_characters(name)
    if odd and name.strip() != name:
        return "; it begins or ends with a blank that is not a normal one; write it anew"
    shown = ", ".join(allowed)
    if location[-2:-1] == ["request"] and name.upper() in METHODS and isinstance(value, str):
        return f"; write request: {name.upper()} {value}"
    if meant is not None:
        return f"{odd}; did you mean {meant}? allowed: {shown}"
    if len(location) > 1 and name in SECTIONS:
        return f"; {name} is a section of its own: begin its line with {name}: without blanks before it"
    there = next((word for word in FIELDS.get(snake(name), ()) if word in allowed), None)
    return f"; {there} means the same, and is there already" if there is not None else odd + did_you_mean(name, allowed)


def odd_characters(text: str) -> str:
    """Return the part of a message that names the first character that looks like another, or like nothing."""
    for character in text[:_LONGEST]:
        if not character.isascii():
            name = unicodedata.name(character, "").lower()
            return f"; it contains U+{ord(character):04X}" + (f" ({name})" if name else "")
    return ""


def not_allowed(value: Any, allowed: list[str]) -> str:
    """Return the message about a value that is not allowed."""
    if isinstance(value, list) and len(value) == 1 and str(value[0]) in allowed:
        return f"must be one value, not a list; write {value[0]}"
    told = f"{short_yaml(value)} is not allowed"
    if len(allowed) == 1 and str(value).strip("vV ") in (allowed[0], f"{allowed[0]}.0"):
        return f"{told}; write {allowed[0]}, without quotes"
    name = value if isinstance(value, str) else ""
    told += odd_characters(name)
    word = snake(name)
    if word in ("unknown", "undefined") and "RUNNING" in allowed:
        return f"{told}; leave such states out: a job whose state no rule maps is RUNNING"
    if word in ("default", "else", "other", "_") and "RUNNING" in allowed:
        return f"{told}; for all other states, end the list of rules with one like {{is: FAILED}}"
    for table in (PHASES_WORDS, AUTH_WORDS, FORMATS):
        for meant in table.get(word, ()):
            if meant in allowed:
                return f"{told}; did you mean {meant}? allowed: {', '.join(allowed)}"
    return told + did_you_mean(word if word in allowed else name, allowed)


# What is written for a mapping by those who know one field of it: that field, by the key of the mapping.
_FIELD_OF = {
    "retry": "max_attempts",
    "rate_limit": "requests",
    "poll": "min_interval",
    "response": "status",
    "config": "default",
}


def for_wrong_kind(kind: str, value: Any, path: Path = ()) -> str:
    """Return the end of the message about a value of the wrong kind, by pydantic's name for it."""
    key = without_blank(value)
    if key is not None and kind != "string_type":
        return f"; a blank is missing after the colon: write {key[0]}: {key[1]}"
    if isinstance(value, str) and has_template(value) and kind not in _CONTAINERS:
        return "; templates are not allowed in this field"
    name = str(path[-1]) if path else ""
    if kind == "list_type":
        return _for_list(value, name)
    if kind in _CONTAINERS:
        return _for_mapping(value, path)
    if value is None:
        return "; leave the key out, or write a string" if kind == "string_type" else ""
    if kind == "string_type" and isinstance(value, int | float | bool):
        return "; put quotes around it"
    if kind == "bool_type" and (meant := boolean(value)):
        return f"; write {meant}"
    if kind == "int_type" and (number := _whole(value)) is not None:
        return f"; write {number}"
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | int | float):
        return f"; write {value[0]}, without brackets"
    return ""


_CONTAINERS = frozenset({"list_type", "dict_type", "model_type", "model_attributes_type"})


def _for_list(value: Any, name: str) -> str:
    if name == "phase" and isinstance(value, str):
        return f"; write {{path: {value}, map: {{SUCCEEDED: [done], FAILED: [error]}}}}, with the states of the API"
    if isinstance(value, str | int | float) and len(str(value)) <= _LONGEST:
        return f"; write [{', '.join(_items(value))}]"
    if isinstance(value, dict):
        if value and all(item is None for item in value.values()):  # {a, b}
            return f"; write [{', '.join(map(str, value))}]"
        if name in PHASES and len(value) == 1 and isinstance(only := next(iter(value.values())), str | int):
            return f"; write [{only}]"
        if value and all(isinstance(item, dict) for item in value.values()):
            return f"; write - before its first key, and its name as name: {short_name(next(iter(value)))}"
        return "; write - before its first key"
    return ""


def _for_mapping(value: Any, path: Path) -> str:
    """Return what to write where a mapping is wanted, and something else is."""
    name, owner = str(path[-1]) if path else "", str(path[0]) if len(path) == 2 else ""
    if isinstance(value, list):
        if name == "request":
            return "; several requests are a list under steps, each with its request"
        if value and all(isinstance(item, str) for item in value) and name in ("inputs", "config"):
            return f"; write {{{', '.join(f'{item}: str' for item in value[:3])}}}, each with its type"
        if value and all(isinstance(item, dict) and "name" in item for item in value):
            return f"; write each name as a key: {short_name(str(value[0]['name']))}: ..., without the dash"
        if len(value) == 1 and name in SECTIONS and re.match(r"[A-Za-z]+ /", str(value[0])):
            return f"; write request: {value[0]}, without the dash"
        if len(value) == 1 and isinstance(value[0], dict):
            return "; take the dash off"
        return "; take the dashes off, and write key: value" if value else ""
    if owner == "secrets" and isinstance(value, str):
        text = _as_name(value)
        return f"; write {{env: {text}}}" if re.fullmatch(r"[A-Z][A-Z0-9_]*", text) else "; write {env: VARIABLE}"
    if owner == "inputs" and value is None:
        return "; write its type, such as str"
    if isinstance(value, str):
        if name == "auth":
            text = _as_name(value)
            meant = text if text in KINDS else next(iter(AUTH_WORDS.get(snake(text), ("bearer",))))
            return (
                f'; write {{type: {meant}, token: "..."}}' if meant == "bearer" else f"; write {{type: {meant}, ...}}"
            )
        if re.match(r"[A-Za-z]+ /", value) and name in SECTIONS:
            return f"; write it on the next line, as request: {value}"
        if name == "" or isinstance(path[-1], int):
            return ""
    if name == "retry" and value is False:
        return "; write {max_attempts: 1}"
    if name == "tls" and value is False:
        return "; write {verify: false}, or a base_url with http:// if there is no TLS"
    if isinstance(value, bool) or value is None:
        return "; leave the key out" if value is False else ""
    field = _FIELD_OF.get(name) or _FIELD_OF.get(owner)
    if field is not None and isinstance(value, int | float | str):
        kind = {"config": f"type: {_TYPES.get(type(value), 'str')}, "}.get(owner, "")
        return f"; write {{{kind}{field}: {value}}}"
    return ""


_TYPES = {int: "int", float: "float", str: "str"}


def _whole(value: Any) -> int | None:
    """Return the whole number that a text or a number means, or None."""
    text = str(value).replace("_", "") if isinstance(value, str | float) else ""
    if not re.fullmatch(r"\s*-?\d{1,9}(\.0*)?\s*", text):
        return None
    return int(float(text))


def _items(value: str | float) -> list[str]:
    """Return the items of a list that is written without brackets, as YAML."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if not isinstance(value, str):
        return [str(value)]
    text = value.strip()
    if re.fullmatch(r"\([^()]*\)", text):
        text = text[1:-1]
    dashes = re.findall(r"(?:^|\s)-([A-Za-z_]\S*)", text)
    if dashes and " ".join(f"-{item}" for item in dashes) == text:  # `-item`: YAML wants a blank after the dash
        return dashes
    if text[:1] not in "[{" and text[-1:] in ("]", "}", ","):
        text = text[:-1].strip()
    parts = [part.strip() for part in re.split(r",|;| \| | or ", text)]
    if all(re.fullmatch(r"[\w .-]+", part) for part in parts):
        return parts
    return [f'"{text}"' if re.search(r"[\[\]{},:#\"']", text) else text]


def boolean(value: Any) -> str:
    """Return `true` or `false` for a word that means it, as YAML or with a comma behind it; else ""."""
    word = str(value).strip(" ,;.").lower() if isinstance(value, str | int) else ""
    return _BOOLEANS.get(word, "")


def valid_name(value: Any, pattern: str, path: Path) -> str:
    """Return the end of the message about a name that does not match: the same name without what it may not have."""
    if not isinstance(value, str):
        return ""
    template = re.fullmatch(r"\$\{\{\s*env\.(\w+)\s*\}\}", value.strip())
    if has_template(value) and (template is None or path[-1:] != ("env",)):
        return "; templates are not allowed in this field"
    name = template[1] if template is not None else _as_name(value)
    meant = next((text for text in (name, re.sub(r"\W", "_", name)) if re.fullmatch(pattern, text)), None)
    return f"; write {meant}" if meant is not None else ""


def _as_name(text: str) -> str:
    if len(text) > _LONGEST:
        return ""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    plain = "".join(char for char in plain if unicodedata.category(char) != "Cf")  # characters without any width
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_")
