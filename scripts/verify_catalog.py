"""`make verify-catalog MODELS=DIR [ONLY=spec]`: the recordings of the catalog, held against the vendors' own models.

DIR has the models that somebody fetched: `NAME.json`, `NAME.yaml`, or a folder `NAME` with several, for the spec NAME
(OpenAPI 3, Swagger 2, Google discovery, botocore's service-2.json, also compressed). They are not part of the project.
Every request that the contract tests of a spec send, and every response recorded for it, is looked up there: its
operation, its fields, their types and enums; and the states of the phase rules against the enum of the state.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from scripts.api_models import Operation, operations_in
from yaml_connector._loading.loader import LoadedSpec, read_file, read_spec
from yaml_connector._spec.phases import state_key
from yaml_connector.cli.new.openapi.document import Document, Node
from yaml_connector.testing.loader import load_tests
from yaml_connector.testing.matching import SentRequest
from yaml_connector.testing.recorded import RecordedExchange, RecordedResponse
from yaml_connector.testing.runner import run_tests

CATALOG = Path(__file__).parents[1] / "yaml_connector" / "catalog"
_STATE_PATH = re.compile(r"\$((?:\.\w+|\[(?:\d+|\*)\])+)")
_MOST_NODES = 3000
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
    "object": (dict,), "array": (list,), "null": (type(None),),
}  # fmt: skip


class Findings:
    """What was looked at, and what of it the models do not have, each once."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self.problems: dict[str, str] = {}  # by place: what is wrong there
        self.notes: set[str] = set()
        self.states: list[str] = []

    def add(self, other: Findings) -> None:
        self.fields |= other.fields
        self.problems |= other.problems

    @property
    def not_found(self) -> list[str]:
        return [f"{place}: {what}" for place, what in sorted(self.problems.items())]


def check(value: Any, schema: Node, document: Document, place: str) -> Findings:
    """Hold a value against a schema. Of several forms, the one that fits best counts."""
    own = {key: part for key, part in schema.items() if key not in ("oneOf", "anyOf")}
    forms = [form if form is schema else _joined(own, form) for form in document.options(schema)] or [schema]
    tried = [_check_form(value, form, document, place) for form in forms]
    return min(tried, key=lambda found: len(found.problems))


def _joined(schema: Node, form: Node) -> Node:
    both = [schema.get("properties"), form.get("properties")]
    return {**schema, **form, **({"properties": {**(both[0] or {}), **(both[1] or {})}} if any(both) else {})}


def _check_form(value: Any, schema: Node, document: Document, place: str) -> Findings:
    found = Findings()
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or (["object"] if "properties" in schema else [])
    allowed = tuple(kind for name in kinds for kind in _KINDS.get(name, (object,)))
    is_bool = isinstance(value, bool) and bool not in allowed and object not in allowed
    if value is not None and allowed and (not isinstance(value, allowed) or is_bool):
        found.problems[place] = f"{json.dumps(value)[:60]} is not of type {' or '.join(kinds)}"
        return found
    if isinstance(value, dict):
        for key, item in value.items():
            found.add(_check_field(key, item, schema, document, place))
    elif isinstance(value, list):
        for item in value:
            found.add(check(item, document.node(schema.get("items")), document, f"{place}[*]"))
    elif value is not None and schema.get("enum") and value not in schema["enum"]:
        found.problems[place] = f"{value!r} is not in the enum: {', '.join(map(str, schema['enum']))}"
    return found


def _check_field(key: str, item: Any, schema: Node, document: Document, place: str) -> Findings:
    properties = document.node(schema.get("properties"))
    others = schema.get("additionalProperties")
    if key not in properties and (others is True or isinstance(others, dict)):
        return check(item, document.node(others), document, f"{place}.{{}}")
    found = Findings()
    if not properties:
        return found  # an object of which the model says nothing
    found.fields.add(f"{place}.{key}")
    if key not in properties:
        close = next((name for name in properties if name.casefold() == key.casefold()), None)
        found.problems[f"{place}.{key}"] = f"not in the model{f', which has {close}' if close else ''}"
    else:
        found.add(check(item, document.node(properties[key]), document, f"{place}.{key}"))
    return found


class Verifier:
    """Collects what is found for one spec."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
        self.found = Findings()
        self.met: dict[str, Operation] = {}
        self.elsewhere: set[str] = set()  # URLs that redirects lead to

    def watch(self, sent: SentRequest, exchange: RecordedExchange) -> None:
        operation = self.operation_of(sent)
        place = f"{sent.method} {sent.url.partition('?')[0]}"
        if 300 <= exchange.response.status < 400:
            self.elsewhere.add(str(exchange.response.headers.get("Location")))
        if sent.url in self.elsewhere or (operation is None and "grant_type=" in sent.text):
            self.found.notes.add(f"{place}: not part of the API: a call for a token, or where a redirect leads")
            return
        if operation is None:
            self.found.problems[place] = "no such operation in the model"
            return
        self.met[operation.name] = operation
        self.request(operation, sent)
        self.response(operation, exchange.response)

    def operation_of(self, sent: SentRequest) -> Operation | None:
        """Return the operation that fits a request best."""
        target = sent.headers.get("X-Amz-Target", "")
        ranked = [
            (rank, number)
            for number, item in enumerate(self.operations)
            if item.method.upper() == sent.method and item.target == target
            if (rank := item.rank(sent.path or "/")) is not None
        ]
        return self.operations[max(ranked)[1]] if ranked else None

    def request(self, operation: Operation, sent: SentRequest) -> None:
        known = operation.query
        for name in dict.fromkeys(name.partition("[")[0] for name in sent.query):  # metadata[team] is one of metadata
            place = f"{operation.name} ?{name}"
            self.found.fields.add(place)
            if name not in known:
                self.found.problems[place] = "not a parameter of the operation"
        for name, about in known.items():
            if about.get("required") is True and name not in sent.query:
                self.found.problems[f"{operation.name} ?{name}"] = "required, and not sent"
        if not sent.content:
            return
        media = sent.headers.get("Content-Type", "").partition(";")[0]
        schemas, place = operation.bodies, f"{operation.name} request"
        if not schemas:
            self.found.notes.add(f"{place}: the model has no body")
            return
        schema = schemas.get(media) or next(iter(schemas.values()))
        value = _body(media, sent.text)
        if isinstance(value, dict):
            for name in schema.get("required") or []:
                if name not in value:
                    self.found.problems[f"{place} $.{name}"] = "required, and not sent"
            if "json" not in media:  # the values of a form are text
                value = dict.fromkeys(value)
        if value is not None:
            self.found.add(check(value, schema, operation.document, f"{place} $"))

    def response(self, operation: Operation, response: RecordedResponse) -> None:
        if response.fault is not None:
            return
        schemas = operation.answers(response.status)
        place = f"{operation.name} {response.status}"
        if schemas is None:
            self.found.notes.add(f"{place}: the model does not know this status")
        elif "json_body" in response.model_fields_set:
            json_ones = [schema for kind, schema in schemas.items() if "json" in kind or "*" in kind]
            if not json_ones:
                self.found.notes.add(f"{place}: the model has no JSON body")
            else:
                self.found.add(check(response.json_body, json_ones[0], operation.document, f"{place} $"))

    def states(self, loaded: LoadedSpec) -> None:
        """Compare the states of the phase rules with the enum of the field that they are read from."""
        rules = loaded.spec.get.phase if loaded.spec.get else []
        said = {state_key(word) for rule in rules for word in re.findall(r"'([^']+)'", str(rule.when))}
        by_path: dict[str, dict[str, Any]] = {}
        for rule in rules:
            for states in (rule.map or {}).values():
                by_path.setdefault(str(rule.path), {}).update({state_key(state): state for state in states})
        for path, mapped in by_path.items():
            enum = self.enum_of(path, mapped)
            for key in mapped.keys() - enum.keys() if enum else ():
                self.found.problems[f"state {mapped[key]}"] = f"not in the model's enum of {path}"
            missing = sorted(str(enum[key]) for key in enum.keys() - mapped.keys() - said)
            if enum:
                shown = f"{len(enum) - len(missing)} of {len(enum)} states of {path} are in the phase rules"
                self.found.states.append(shown + (f"; not: {', '.join(missing)}" if missing else ""))

    def enum_of(self, path: str, mapped: dict[str, Any]) -> dict[str, Any]:
        """Return the enum that the states at a path have in the model; of an expression, the enum that is most like
        them."""
        simple = _STATE_PATH.fullmatch(path)
        found = [
            enum for item in self.met.values() for enum in ([_enum_at(item, simple[1])] if simple else _enums(item))
        ]
        enums = [{state_key(state): state for state in values} for values in found]
        enum = max(enums, key=lambda known: len(known.keys() & mapped.keys()), default={})  # other calls have others
        return enum if simple or 2 * len(enum.keys() & mapped.keys()) >= len(mapped) else {}


def _body(media: str, text: str) -> Any:
    if "json" in media and "line" not in media:
        try:
            return json.loads(text)
        except ValueError:
            return None
    return dict(parse_qsl(text, keep_blank_values=True)) if "form-urlencoded" in media else None


def _enum_at(operation: Operation, path: str) -> list[Any]:
    """Return the enum of a field of an operation's successful response; empty if there is none."""
    schemas = operation.answers(200) or {}
    nodes = list(schemas.values())
    for name, _ in re.findall(r"\.(\w+)|(\[)", path):
        document = operation.document
        forms = [form for node in nodes for form in document.options(node)]
        nodes = [document.node(form.get("properties", {}).get(name) if name else form.get("items")) for form in forms]
    forms = [form for node in nodes for form in operation.document.options(node)]
    return [value for form in forms for value in form.get("enum") or [] if value is not None]


def _enums(operation: Operation) -> Iterator[list[Any]]:
    """Yield the enums in an operation's successful response, outer ones first."""
    document, seen = operation.document, set[int]()
    nodes = list((operation.answers(200) or {}).values())
    while nodes and len(seen) < _MOST_NODES:
        node = nodes.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.get("enum"):
            yield [value for value in node["enum"] if value is not None]
        below = [*document.node(node.get("properties")).values(), node.get("items"), node.get("additionalProperties")]
        nodes += [form for form in document.options(node) if form is not node]
        nodes += [document.node(raw) for raw in below if isinstance(raw, dict)]


def verify(spec_file: Path, models: Path) -> tuple[list[str], Findings] | None:
    """Return the names of the models of a spec and what was found; None if there are none.

    Raises SystemExit if the spec or its contract tests have problems.
    """
    by_file = operations_in(models, spec_file.stem)
    if not by_file:
        return None
    loaded, problems = read_spec(str(spec_file))
    test_file = str(spec_file.with_suffix(".test.yaml"))
    tests, more = load_tests(read_file(test_file), test_file)
    if loaded is None or tests is None:
        sys.exit("\n".join(map(str, [*problems, *more])))
    verifier = Verifier([item for items in by_file.values() for item in items])
    result = run_tests(tests, watch=verifier.watch)
    for failed in (test.name for test in result.results if not test.passed):
        verifier.found.problems[f"test {failed!r}"] = "fails: see yaml-connector test"
    verifier.states(loaded)
    used = Counter(item.document.file for item in verifier.met.values())
    return [file for file in by_file if str(models / file) in used] or list(by_file), verifier.found


def report(folder: Path, models: Path, only: str) -> Iterator[tuple[str, list[str], bool]]:
    """Yield for each spec the line of the table, the details, and whether all was found."""
    for file in sorted(folder.glob("*.yaml")):
        if file.name.endswith(".test.yaml") or only not in ("", file.stem):
            continue
        done = verify(file, models)
        if done is None:
            yield f"| {file.stem} | no model | - | - |", [], True
            continue
        documents, found = done
        line = f"| {file.stem} | {', '.join(documents)} | {len(found.fields)} | {len(found.problems)} |"
        yield line, [*found.not_found, *found.states, *sorted(found.notes)], not found.problems


def main() -> None:
    """Print the table and the details; exit with 1 if something was not found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("models", type=Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--folder", type=Path, default=CATALOG)
    given = arguments.parse_args()
    rows = list(report(given.folder, given.models.resolve(), given.only))
    for line, details, _ in rows:
        if details:
            print(
                "\n" + line.split(" | ")[0].removeprefix("| ") + "\n" + "\n".join(f"  {detail}" for detail in details)
            )
    print("\n| spec | documents | fields checked | not found |\n|---|---|---|---|")
    print("\n".join(line for line, _, _ in rows))
    sys.exit(0 if all(good for _, _, good in rows) else 1)


if __name__ == "__main__":
    main()
