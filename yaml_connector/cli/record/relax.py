"""Relaxes a recorded test until it passes: a request may hold a time, or a hash of an id, that differs each time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import yaml

from yaml_connector._loading.document import show_path
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.fields import Path
from yaml_connector.testing.loader import load_runnable
from yaml_connector.testing.runner import Failure, run_tests

_MOST_ROUNDS = 40
_ANYTHING = "/(?s).*/"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(data: Any) -> str:
    """Return data as YAML 1.2 that is read back unchanged."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    plain = re.fullmatch(r"[A-Za-z/][\w ./:@*+()-]*", value) and ": " not in value and not value.endswith((":", " "))
    if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n"):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)  # header names are a subclass


def relax(data: dict[str, Any], file: str, short: Mapping[str, str]) -> tuple[str, list[str], str | None]:
    """Return the text of a test file that passes, each change with its reason, and what still fails (None: nothing).

    `file` is where the text will be written: the test uses the spec beside it. `short` maps secrets that are too short
    to be replaced to their names.
    """
    changes: list[str] = []
    failure: Failure | None = None
    for _ in range(_MOST_ROUNDS):
        text = as_yaml(data)
        tests, problems = load_runnable(text.encode(), file)
        if tests is None or tests.loaded is None:
            return text, changes, "; ".join(problem.message for problem in problems)
        failures = run_tests(tests).results[0].failures
        if not failures:
            return text, changes, None
        failure = failures[0]
        cause = _source(tests.loaded, failure)
        change = _relax(data, failure, short, cause)
        if change is None:
            return text, changes, f"{failure.call}: {failure.what}{cause}"
        changes.append(change)
    return as_yaml(data), changes, failure.what if failure else None


_SECTIONS = {"create": ("create", "create.adopt"), "get": ("get", "get.batch", "result", "outputs")}
_EXPECTED = {"lines": "message"}  # what `expect` names otherwise than the section


def _source(loaded: LoadedSpec, failure: Failure) -> str:
    """Return, for the end of a message, the line of the spec that makes what differs; "" if it is not found."""
    if failure.call is None or not failure.differences:
        return ""
    kind = failure.call.partition("(")[2].rstrip(")")
    parts = _parts(failure.differences[0].field)
    sections = [tuple(name.split(".")) for name in _SECTIONS.get(kind, (kind,))]
    if failure.exchange is None:
        name = str(parts[0])
        places: list[Path] = [(*section, _EXPECTED.get(name, name)) for section in sections]
        places += [("outputs", *parts[1:])] if name == "outputs" else []
    else:
        requests = [*_requests(loaded.document.data, sections), ("connection",)]
        places = [(*request, *parts) for request in requests]
        places += [path[:-1] for path in places]  # what a template makes as a whole
        if parts[0] in ("path", "url", "query"):
            places += [(*request, *name) for request in requests for name in (["path"], ["url"], [])]
    made = next((path for path in places if _is_made(loaded.document.data, path)), None)
    if made is None:
        return ""
    return f" ({loaded.file}:{loaded.document.position(made)[0]}: {show_path(made)})"


def _requests(data: Any, sections: Iterable[Path]) -> Iterator[Path]:
    for section in sections:
        steps = _value(data, (*section, "steps"))
        yield from ((*section, "steps", number, "request") for number in range(len(steps or ())))
        yield (*section, "request")


def _value(data: Any, path: Path) -> Any:
    """Return the value at a path; None if there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _is_made(data: Any, path: Path) -> bool:
    """Tell whether a field is there, and not the same in every run."""
    value = _value(data, path)
    return isinstance(value, str) and ("${{" in value or value.startswith("$."))


def _relax(data: dict[str, Any], failure: Failure, short: Mapping[str, str], cause: str) -> str | None:
    if failure.call is None or not failure.differences:
        return None
    number = int(re.findall(r"\d+", failure.call)[0]) - 1
    kind = failure.call.partition("(")[2].rstrip(")")
    call: dict[str, Any] = data["tests"][0]["calls"][number][kind]
    place = call["expect"] if failure.exchange is None else call["exchanges"][failure.exchange - 1]["request"]
    field, recorded = failure.differences[0].field, failure.differences[0].expected
    if field.startswith("query."):
        _take_out_of_url(place, field.removeprefix("query."))
    if not _accept_any(place, _parts(field)):
        return None
    part = "expect" if failure.exchange is None else f"request {failure.exchange}"
    names = [name for value, name in short.items() if isinstance(recorded, str) and value and value in recorded]
    why = (
        f"the secret {names[0]} is too short to be found in text" if names else f"it differed when the test ran{cause}"
    )
    return f"{failure.call}, {part}: {field} accepts any value, because {why}"


def _take_out_of_url(request: dict[str, Any], name: str) -> None:
    """Move a parameter from a recorded URL to the request's `query`, where any value can be accepted."""
    url, _, query = str(request.get("url")).partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    values = [value for key, value in pairs if key == name]
    if values:
        rest = urlencode([pair for pair in pairs if pair[0] != name])
        request["url"] = f"{url}?{rest}" if rest else url
        request.setdefault("query", {})[name] = values[0] if len(values) == 1 else values


def _parts(field: str) -> list[str | int]:
    """Split `json.items[0]['a b']` into its parts."""
    kind, _, name = field.partition(".")
    if kind in ("query", "headers"):
        return [kind, name]
    parts: list[str | int] = []
    for index, quoted, name in re.findall(r"\[(\d+)\]|\['([^']*)'\]|([\w-]+)", field):
        parts.append(int(index) if index else name or quoted)
    return parts


def _accept_any(place: Any, parts: list[str | int]) -> bool:
    """Accept any value at this path; return False if there is no such path."""
    for part in parts[:-1]:
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            return False
    last = parts[-1] if parts else None
    if isinstance(place, dict) and last in place:
        if place[last] == _ANYTHING:
            del place[last]
        else:
            place[last] = _ANYTHING
        return True
    if isinstance(place, list) and isinstance(last, int) and last < len(place) and place[last] != _ANYTHING:
        place[last] = _ANYTHING
        return True
    return False
