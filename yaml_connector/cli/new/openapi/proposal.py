"""Drafts a spec from a job's calls in an OpenAPI document; what the document leaves open is marked `DECIDE`."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector._spec import PHASES
from yaml_connector.cli.new.draft import Draft, DraftField
from yaml_connector.cli.new.names import phase_of
from yaml_connector.cli.new.openapi.calls import Calls, find_calls, id_place, message_place, state_place, states_of
from yaml_connector.cli.new.openapi.credentials import credentials_of, server_of
from yaml_connector.cli.new.openapi.document import Document, Node, Operation, as_list, bare
from yaml_connector.cli.new.sketch import Unused, one_line

_KINDS: dict[str, tuple[str, Any]] = {
    "string": ("str", "hello"),
    "integer": ("int", 1),
    "number": ("float", 1.5),
    "boolean": ("bool", True),
}
_KEYS = re.compile(r"(x-)?idempotency[-_]?key|idempotency[-_]?token|client[-_]?token|requestId", re.IGNORECASE)
_LINES = ("message", "text", "line", "log", "content")  # names of the text of a log's line
_MOST_NAMES = 20  # listed in a comment
_LONGEST_ABOUT = 90  # characters of a field's description


def draft_of(content: bytes, file: str, name: str | None, create: str | None = None, get: str | None = None) -> Draft:
    """Return the draft; `create` and `get` (`POST /jobs`, `GET /jobs/{id}`) name calls that are not to be guessed.

    Raises ConfigError if it is not an OpenAPI 3 document, lacks these calls, or has no call that may submit a job.
    """
    document = Document.read(content, file)
    calls, others = find_calls(document, create, get)
    segments = [part for part in bare(calls.get.path).split("/") if part and part != "{}"]
    word = re.sub(r"\W+", "_", segments[-1].lower() if segments else "job").strip("_") or "job"
    base_url, notes = server_of(calls.create)
    draft = Draft(name or (word if word[0].isalpha() else f"api_{word}"), base_url, fields={})
    credentials = credentials_of(calls.create, base_url)
    draft.auth, draft.auth_values, draft.auth_hosts = credentials.auth, credentials.values, credentials.hosts
    for note in (*notes, *credentials.notes):
        draft.note("connection", note)
    about = calls.create.node
    draft.description = _sentence(str(about.get("summary") or about.get("description") or ""))
    if others:
        draft.note("create", f"other calls that may submit a job (--create): {_some_of(others)}")
    if calls.is_loose:
        draft.note("get", f"does {calls.get} read what {calls.create} submits? Only its name says so")
    _set_id(draft, calls)
    _set_states(draft, calls.get)
    _set_body(draft, calls.create)
    _set_paths(draft, calls)
    told = "the reference to {}: there is no such file in the folder of the document, and nothing is fetched"
    draft.not_used = [Unused(told.format(name), file, 1) for name in sorted(document.not_read)]
    return draft


def _set_id(draft: Draft, calls: Calls) -> None:
    param = calls.get.path.rpartition("{")[2].partition("}")[0]
    noun = bare(calls.get.path).removesuffix("/{}").rpartition("/")[2].removesuffix("s")
    place = id_place(calls.create, [param, "id", "uuid", f"{noun}_id", f"{noun}id"])
    if place is not None:
        draft.id_path = place
        return
    answers = (calls.create.document.node(answer.get("headers")) for answer in calls.create.responses)
    if any(str(name).lower() == "location" for headers in answers for name in headers):
        draft.id_path = "${{ headers['Location'] | basename }}"
        draft.note("create", "the job's id is taken from the end of the header Location")
        return
    draft.note("create", "where does the response have the job's id? The document shows none")


def _set_states(draft: Draft, call: Operation) -> None:
    draft.message_path = message_place(call)
    found = states_of(call)
    if found is None:
        draft.state_path = state_place(call)
        draft.note("get", f"the document lists no values of {draft.state_path}: write the states of the API")
        return
    draft.state_path, words = found
    phases = {value: phase_of(word) for value, word in words.items()}
    draft.states = {
        phase: mapped for phase in PHASES if (mapped := [value for value, means in phases.items() if means == phase])
    }
    meanings = ", ".join(f"{value} is {word}" for value, word in words.items() if str(value) != word)
    draft.note("get", f"is this what each state means?{f' ({meanings})' if meanings else ''}")
    unknown = [str(value) for value, phase in phases.items() if phase is None]
    if unknown:
        draft.note("get", f"these states are not mapped and count as RUNNING: {', '.join(unknown)}")
    for phase in ("SUCCEEDED", "FAILED"):
        if phase not in draft.states:
            draft.note("get", f"no state means {phase}")


def _set_body(draft: Draft, call: Operation) -> None:
    document = call.document
    kind, schema, needed = call.body
    for name, about in call.parameters.items():
        if about.get("in") == "header" and _KEYS.fullmatch(name.replace("_", "-")):
            draft.key_header = name
        elif about.get("in") == "header" and (value := _only_value(document, about)) is not None:
            draft.headers[name] = value
        elif about.get("in") in ("query", "header") and about.get("required") is True:
            draft.note("create", f"the call needs {name} in its {about['in']}: add it to the request")
    if kind is None:
        return
    if "json" not in kind and "form-urlencoded" not in kind:
        draft.note("create", f"the body is {kind}: write it (yaml-connector explain create.request)")
        return
    draft.body = "json" if "json" in kind else "form"
    forms = [form for form in document.options(schema) if "properties" in form] or [schema]
    if len(forms) > 1:
        draft.note("create", f"the body has {len(forms)} forms; this is the first")
    properties = {str(name): document.node(raw) for name, raw in document.node(forms[0].get("properties")).items()}
    properties = {name: about for name, about in properties.items() if about.get("readOnly") is not True}
    listed = [*(schema.get("required") or []), *(forms[0].get("required") or [])]
    required = [name for name in dict.fromkeys(map(str, listed)) if name in properties or not properties]
    keys = [name for name, about in properties.items() if _is_key(name, about)]
    if keys and not draft.key_header:
        draft.key_field = keys[0]
        if properties[keys[0]].get("format") == "uuid":
            draft.note("create", f"{keys[0]} is a UUID: send ${{{{ uuid5(task.key) }}}}")
    example = call.example or {}
    if example:
        draft.note("create", "the defaults of the config are the document's example of a body: change them")
        required = list(dict.fromkeys([*required, *map(str, example)]))
    for name in required:
        if name == draft.key_field:
            continue
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            field = field_of(document, properties.get(name, {}))
            draft.fields[name] = _with_default(field, example[name]) if name in example else field
        else:
            draft.note("create", f"the body needs {name!r}")
    draft.empty_body = needed or bool(properties)
    rest = [name for name in properties if name not in required and name != draft.key_field]
    if rest:
        draft.note("create", f"the body may also have: {_some_of(rest)}")


def _some_of(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")


def _only_value(document: Document, about: Node) -> str | None:
    """Return the one value that a header may have, as text; None if it may have others."""
    schema = document.node(about.get("schema"))
    values = as_list(schema.get("enum")) or ([schema["const"]] if "const" in schema else [])
    if about.get("required") is True and not values and "default" in schema:
        values = [schema["default"]]
    return str(values[0]) if values and len(values) == 1 and isinstance(values[0], str | int) else None


def _with_default(field: DraftField, value: Any) -> DraftField:
    """Return a config field with a default; of any type, if the value does not fit the field's."""
    kinds = {"str": str, "int": int, "float": float, "bool": bool}
    kind = field.kind if type(value) is kinds.get(field.kind) else "any"
    enum = field.enum if value in field.enum else ()
    return DraftField(kind, value, enum, field.about, has_default=True)


def _is_key(name: str, about: Node) -> bool:
    """Return whether this is the field of an idempotency key."""
    described = re.search(r"(?i)idempotency[- ](key|token)", str(about.get("description", ""))) is not None
    is_key = _KEYS.fullmatch(name) is not None or (described and about.get("type") == "string")
    return is_key and re.fullmatch(r"\w+", name) is not None


def field_of(document: Document, about: Node) -> DraftField:
    """Return a config field for a schema."""
    kinds = document.kinds(about)
    kind, example = _KINDS.get(next(iter(kinds)), ("any", {"key": "value"})) if len(kinds) == 1 else ("any", "hello")
    if kinds == {"array"}:
        items = document.kinds(document.node(about.get("items")))
        inner, one = _KINDS.get(next(iter(items)), ("any", {})) if len(items) == 1 else ("any", "hello")
        kind, example = f"list[{inner}]", [one]
    values = [value for form in document.options(about) for value in form.get("enum") or [] if value is not None]
    matching = tuple(value for value in values if kind != "any" and type(value) is type(example))
    described = _sentence(str(about.get("description", "")))
    return DraftField(kind, matching[0] if matching else example, matching, described)


def _sentence(text: str) -> str:
    """Return the first sentence of a text; "" if that is too long."""
    first = re.split(r"(?<=[.!?]) ", one_line(text))[0].rstrip(".")
    return first if len(first) <= _LONGEST_ABOUT and "${{" not in first else ""


def _set_paths(draft: Draft, calls: Calls) -> None:
    """Set the calls, with the job's id and config fields in place of the document's parameters."""
    draft.create = _with_fields(draft, calls.create, None)
    position = bare(calls.get.path).count("{}")
    draft.get = _with_fields(draft, calls.get, position)
    draft.delete = draft.logs = None
    if calls.delete:
        draft.delete = _with_fields(draft, calls.delete, position)
        if calls.delete.path == calls.get.path:
            draft.note("delete", "does this cancel the job, or only delete its record?")
        kind, schema, needed = calls.delete.body
        if needed or schema.get("required"):
            draft.note("delete", f"the call needs a body ({kind}): add it to the request")
    if calls.logs:
        draft.logs = _with_fields(draft, calls.logs, position)
        _set_log_lines(draft, calls.logs)


def _with_fields(draft: Draft, call: Operation, position: int | None) -> str:
    """Return a call whose parameter number `position` in the path is the job's id; the others are config fields."""
    document, described = call.document, call.parameters
    number = 0

    def field(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        if number == position:
            return "{id}"
        name = re.sub(r"\W", "_", found[1])
        name = f"path_{name}" if name == "id" or name in draft.fields or not name[:1].isalpha() else name
        about = field_of(document, document.node(described.get(found[1], {}).get("schema")))
        example = f"my-{name}" if about.kind not in ("int", "float") and not about.enum else about.example
        kind = about.kind if about.kind in ("int", "float") else "str"
        draft.params.setdefault(name, DraftField(kind, example, about.enum if kind == "str" else ()))
        return f"{{{name}}}"

    return re.sub(r"\{([^}]*)\}", field, str(call))


def _set_log_lines(draft: Draft, call: Operation) -> None:
    document, schema = call.document, call.schema
    if not schema or document.kinds(schema) == {"string"}:
        draft.note("logs", "is the log text? For JSON, set `lines` (yaml-connector explain logs)")
        return
    places = [("$", schema), *((place, about) for place, _, about in call.fields)]
    for place, about in places:
        if "items" in about:
            item = document.node(about["items"])
            texts = {name.lower(): where for where, name, _ in document.fields(item)}
            message = next((texts[name] for name in _LINES if name in texts), None)
            draft.log_lines = (f"{place}[*]", message)
            draft.note("logs", "are these the lines? Is there a next page? (yaml-connector explain logs)")
            return
    draft.logs = None
    draft.note("get", f"{call} may be the log, but the document shows no lines in it")
