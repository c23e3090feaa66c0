"""What is known of an API by its calls: for `new` on a terminal, and for an OpenAPI document."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from yaml_connector._spec.auth import AUTH_KINDS, AuthModel
from yaml_connector.cli.new.jsonpaths import data_at, response_with
from yaml_connector.cli.new.phases import USUAL
from yaml_connector.cli.new.sketch import (
    Exchange,
    Path,
    Play,
    Ref,
    Sketch,
    Text,
    Unused,
    each_leaf,
    literal,
    one_line,
    text_of,
)

# The choices of `new --auth`, each with its model.
AUTH_CHOICES: dict[str, type[AuthModel] | None] = {
    "none": None,
    **{name.removesuffix("_client_credentials"): kind for name, kind in AUTH_KINDS.items()},
}
_ASKED_AT: dict[str, Path] = {"create": ("create", "job_id"), "get": ("get", "phase")}  # where questions are written


@dataclass(frozen=True)
class DraftField:
    """A config field: its type, a value for the test (its default, if `has_default`), allowed values, a description."""

    kind: str
    example: Any
    enum: tuple[Any, ...] = ()
    about: str = ""
    has_default: bool = False

    @property
    def declared(self) -> Any:
        """Return the field as the spec declares it."""
        more: dict[str, Any] = {"default": self.example} if self.has_default else {}
        more |= {"enum": list(self.enum)} if self.enum else {}
        more |= {"description": self.about} if self.about else {}
        return {"type": self.kind, **more} if more else self.kind


@dataclass
class Draft:
    """What is known of an API.

    Calls are `METHOD /path`, where `{id}` is the job's id and `{name}` a config field of `params`. `fields` are the
    config fields that the body sends, `headers` constant headers of every request. `key_field` and `key_header` carry
    the idempotency key. `decide` has comments for a person to look at, by section.
    """

    name: str
    base_url: str
    auth: str = "bearer"
    auth_values: dict[str, str] = field(default_factory=dict)
    auth_hosts: tuple[str, ...] = ()
    description: str = ""
    create: str = "POST /jobs"
    get: str = "GET /jobs/{id}"
    delete: str | None = "POST /jobs/{id}/cancel"
    logs: str | None = None
    log_lines: tuple[str, str | None] | None = None
    id_path: str = "$.id"
    state_path: str = "$.status"
    message_path: str | None = "$.message"
    states: dict[str, list[Any]] = field(default_factory=lambda: {phase: words[:1] for phase, words in USUAL.items()})
    body: str = "json"
    empty_body: bool = False
    fields: dict[str, DraftField] = field(default_factory=lambda: {"name": DraftField("str", "hello")})
    params: dict[str, DraftField] = field(default_factory=dict)
    key_field: str | None = None
    key_header: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    not_used: list[Unused] = field(default_factory=list)
    decide: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def config(self) -> dict[str, DraftField]:
        """Return all config fields: those of the paths, then those of the body."""
        paths = " ".join(path for path in (self.create, self.get, self.delete, self.logs) if path)
        names = [name for name in re.findall(r"{(\w+)}", paths) if name != "id"]
        return {name: self.param(name) for name in names} | self.fields

    def param(self, name: str) -> DraftField:
        """Return a config field of a path."""
        return self.params.get(name, DraftField("str", f"my-{name}"))

    def call(self, call: str) -> Text:
        """Return a call, or a path, with templates in place of its `{names}`."""
        parts: list[str | Ref] = list(re.split(r"{(\w+)}", call))
        for number in range(1, len(parts), 2):
            name = str(parts[number])
            parts[number] = Ref("job.id" if name == "id" else f"config.{name}")
        return Text.of(*parts)

    def note(self, section: str, text: str) -> None:
        """Add a comment to decide on."""
        self.decide[section].append(one_line(text))


def sketch_of(draft: Draft) -> Sketch:
    """Return the sketch of a draft: the spec, and a contract test of a success, a failure, a cancel and a log."""
    sketch = Sketch(draft.name, not_used=draft.not_used)
    head = "`yaml-connector explain get.poll` explains a field, `yaml-connector check` tries the connection."
    sketch.begin(head, draft.description)
    base_url = sketch.base_url(draft.base_url)
    sketch.spec["connection"] = {"base_url": base_url} | ({"headers": draft.headers} if draft.headers else {})
    login = write_auth(sketch, draft.auth, draft.auth_values, draft.auth_hosts)
    sketch.spec |= {
        "config": {name: about.declared for name, about in draft.config.items()},
        "outputs": {"status": draft.state_path},
        **_sections(draft),
    }
    sketch.finish()
    sketch.remark(
        ("connection",), "`check: GET /health`, a request without side effects, is for `yaml-connector check`."
    )
    sketch.remark(("secrets",), "A secret comes from the task, else from this variable of the connector's environment.")
    sketch.remark(("config",), "The config of a task, with types; a field without a default is required.")
    if "idempotent" not in sketch.spec["create"]:
        sketch.remark(
            ("create",),
            "If the API accepts an idempotency key, send `task.key` and set `idempotent: true`: a create whose "
            "response is lost is then sent again, and there is still only one job.",
        )
    for section, notes in draft.decide.items():
        for note in notes:
            sketch.ask(_ASKED_AT.get(section, (section,)), note)
    sketch.fixtures["config"] = {name: about.example for name, about in draft.config.items()}
    _add_tests(sketch, draft, login)
    return sketch


def write_auth(
    sketch: Sketch, choice: str, values: Mapping[str, str] = MappingProxyType({}), hosts: Iterable[str] = ()
) -> list[Exchange]:
    """Write credentials of a kind of AUTH_CHOICES into a sketch that has its base URL: the auth, its secrets, and the
    hosts that it needs. Return the login of the contract test, if there is one.
    """
    kind = AUTH_CHOICES[choice]
    if kind is None:
        return []
    example, connection = kind.example, sketch.spec["connection"]
    found = {name: text_of(literal(value)) for name, value in {**example.defaults, **values}.items()}
    found["base_url"] = connection["base_url"]

    def filled(text: str) -> str:
        for name, value in found.items():
            text = text.replace(f"<{name}>", value.template)
        return text

    if hosts := [*connection.get("allowed_hosts", ()), *example.hosts, *hosts]:
        connection["allowed_hosts"] = hosts
    auth = connection["auth"] = each_leaf(example.auth, filled)
    for name, generated in example.secrets.items():
        sketch.secret(name)
        if generated is not None:
            sketch.fixture("secrets", name, {"generate": generated})
    return [Exchange(auth.get("request"), {"json": example.login})] if example.login else []


def _sections(draft: Draft) -> dict[str, Any]:
    """Return the calls of the spec."""
    method, _, path = draft.create.partition(" ")
    request: dict[str, Any] = {"method": method, "path": draft.call(path)}
    key = Text.of(Ref("task.key"))
    if draft.key_header:
        request["headers"] = {draft.key_header: key}
    body = {name: Text.of(Ref(f"config.{name}")) for name in draft.fields}
    body |= {draft.key_field: key} if draft.key_field else {}
    if body or draft.empty_body:
        request[draft.body] = body
    sections: dict[str, Any] = {
        "create": {"request": request}
        | ({"idempotent": True} if draft.key_field or draft.key_header else {})
        | {"job_id": draft.id_path},
        "get": {"request": draft.call(draft.get), "phase": {"path": draft.state_path, "map": draft.states}}
        | ({"message": draft.message_path} if draft.message_path else {}),
    }
    if draft.delete:
        sections["delete"] = {"request": draft.call(draft.delete)}
    if draft.logs:
        lines, message = draft.log_lines or (None, None)
        how = ({"lines": lines} | ({"message": message} if message else {})) if lines else {"format": "text"}
        sections["logs"] = {"request": draft.call(draft.logs), **how}
    return sections


def _add_tests(sketch: Sketch, draft: Draft, login: list[Exchange]) -> None:
    def exchange(section: str, **response: Any) -> Exchange:
        return Exchange(sketch.spec[section]["request"], response)

    def get(phase: str) -> Play:
        state = draft.states[phase][0]
        shown = {"outputs": {"status": str(state)}} if not draft.state_path.endswith("[*]") else {}
        answer = exchange("get", json=data_at({draft.state_path: state}))
        return Play("get", (answer,), {"phase": phase} | (shown if phase == "SUCCEEDED" else {}))

    answer = exchange("create", status=201, **response_with({draft.id_path: "job-1"}))
    create = Play("create", (*login, answer))
    ends = [phase for phase in ("SUCCEEDED", "FAILED") if phase in draft.states]
    running = [get("RUNNING")] if "RUNNING" in draft.states else []
    for phase in ends:
        sketch.tests[f"a job that ends as {phase}"] = [create, *running, get(phase)]
    if not ends:
        sketch.tests["a job that is submitted"] = [create, get(next(iter(draft.states)))]
    if draft.delete:
        sketch.tests["a job is cancelled"] = [create, Play("delete", (exchange("delete"),))]
    if draft.logs:
        items, message = draft.log_lines or (None, None)
        lines: list[Any] = ["first", "second"]
        rows = [data_at({message: line}) for line in lines] if message else lines
        log = {"json": data_at({items.removesuffix("[*]"): rows})} if items else {"text": "first\nsecond\n"}
        sketch.tests["the log of a job is read"] = [create, Play("logs", (exchange("logs", **log),), {"lines": lines})]
