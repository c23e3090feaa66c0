"""A first spec, as YAML with comments: what `new` writes. `contract_text` makes its contract test."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._spec.auth import AUTH_KINDS, AuthExample, AuthModel

# The choices of `new --auth`, each with its model.
AUTH_CHOICES: dict[str, type[AuthModel] | None] = {
    "none": None,
    **{name.removesuffix("_client_credentials"): kind for name, kind in AUTH_KINDS.items()},
}
_STATES: dict[str, list[Any]] = {
    "QUEUED": ["queued"],
    "RUNNING": ["running"],
    "SUCCEEDED": ["succeeded"],
    "FAILED": ["failed"],
    "ABORTED": ["cancelled"],
}


@dataclass(frozen=True)
class DraftField:
    """A config field: its type, a value for the test, allowed values, and a description."""

    kind: str
    example: Any
    enum: tuple[Any, ...] = ()
    about: str = ""

    def text(self) -> str:
        """Return the field as the spec writes it."""
        if not self.enum and not self.about:
            return plain(self.kind)
        parts = [f"type: {plain(self.kind)}"]
        parts += [f"enum: {flow_list(self.enum)}"] if self.enum else []
        parts += [f"description: {quoted(self.about)}"] if self.about else []
        return f"{{{', '.join(parts)}}}"


@dataclass
class Draft:
    """What is known of an API.

    Calls are `METHOD /path`, where `{id}` is the job's id and `{name}` a config field of `params`. `fields` are the
    config fields that the body sends. `key_field` and `key_header` carry the idempotency key. `decide` has comments
    for a person to look at, by section.
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
    states: dict[str, list[Any]] = field(default_factory=lambda: {key: list(item) for key, item in _STATES.items()})
    body: str = "json"
    empty_body: bool = False
    fields: dict[str, DraftField] = field(default_factory=lambda: {"name": DraftField("str", "hello")})
    params: dict[str, DraftField] = field(default_factory=dict)
    key_field: str | None = None
    key_header: str | None = None
    decide: dict[str, list[str]] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, DraftField]:
        """Return all config fields: those of the paths, then those of the body."""
        paths = " ".join(path for path in (self.create, self.get, self.delete, self.logs) if path)
        names = [name for name in re.findall(r"{(\w+)}", paths) if name != "id"]
        return {name: self.param(name) for name in names} | self.fields

    @property
    def auth_example(self) -> AuthExample:
        """Return what is written for the kind of credentials; nothing without credentials."""
        kind = AUTH_CHOICES[self.auth]
        return kind.example if kind is not None else AuthExample()

    @property
    def variable(self) -> str:
        """Return the environment variable of the base URL."""
        return re.sub(r"\W", "_", self.name).upper() + "_URL"

    def param(self, name: str) -> DraftField:
        """Return a config field of a path."""
        return self.params.get(name, DraftField("str", f"my-{name}"))

    def secret_variable(self, secret: str) -> str:
        """Return the environment variable of a secret."""
        return re.sub(r"\W", "_", f"{self.name}_{secret}").upper()

    def note(self, section: str, text: str) -> None:
        """Add a comment to decide on."""
        words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        self.decide.setdefault(section, []).append(words)


def spec_text(draft: Draft) -> str:
    """Return the spec of a draft, as YAML."""
    base_url = f"${{{{ env.{draft.variable} | default('{draft.base_url}') }}}}"
    kind = draft.auth_example
    lines = [
        "# `yaml-connector explain get.poll` explains a field, `yaml-connector check` tries the connection.",
        "spec_version: 1",
        f"task_type_name: {draft.name}",
        f"name: {quoted(draft.name.replace('_', ' ').capitalize())}",
        f"description: {quoted(draft.description or 'Describe here what it runs.')}",
        "",
        "connection:",
        f"  base_url: {base_url}",
    ]
    hosts = (*kind.hosts, *draft.auth_hosts)
    lines += [f"  allowed_hosts: {flow_list(hosts)}"] if hosts else []
    lines += [f"  {line}" for line in kind.filled(kind.lines, {**draft.auth_values, "base_url": base_url})]
    lines += _notes(draft, "connection")
    lines += ["  # check: GET /health          # a request without side effects, for `yaml-connector check`", ""]
    if kind.secrets:
        lines += ["# A secret comes from the task, else from this variable of the connector's environment.", "secrets:"]
        lines += [f"  {secret}: {{env: {draft.secret_variable(secret)}}}" for secret, _ in kind.secrets]
        lines.append("")
    if draft.config:
        lines += ["# The config of a task, with types; a field without a default is required.", "config:"]
        lines += [f"  {plain(name)}: {about.text()}" for name, about in draft.config.items()]
        lines.append("")
    lines += ["outputs:", f"  status: {draft.state_path}", *_notes(draft, "outputs"), ""]
    lines += [*_create(draft), "", *_get(draft)]
    if draft.delete:
        lines += ["", "delete:", f"  request: {_template(draft.delete)}", *_notes(draft, "delete")]
    if draft.logs:
        lines += ["", *_logs(draft)]
    return "\n".join(lines) + "\n"


def _create(draft: Draft) -> list[str]:
    method, path = draft.create.split(" ", 1)
    lines = ["create:", "  request:", f"    method: {method}", f"    path: {_template(path)}"]
    if draft.key_header:
        lines += [f'    headers: {{{plain(draft.key_header)}: "${{{{ task.key }}}}"}}']
    if draft.fields or draft.key_field:
        lines += [f"    {draft.body}:"]
        lines += [f"      {plain(name)}: ${{{{ config.{name} }}}}" for name in draft.fields]
        lines += [f"      {plain(draft.key_field)}: ${{{{ task.key }}}}"] if draft.key_field else []
    elif draft.empty_body:
        lines += [f"    {draft.body}: {{}}"]
    if draft.key_field or draft.key_header:
        lines += ["  idempotent: true"]
    else:
        lines += [
            "  # If the API accepts an idempotency key, send `task.key` and set `idempotent`: a create whose response",
            "  # is lost is then sent again, and there is still only one job.",
            "  # idempotent: true",
        ]
    return [*lines, f"  job_id: {draft.id_path}", *_notes(draft, "create")]


def _get(draft: Draft) -> list[str]:
    lines = ["get:", f"  request: {_template(draft.get)}", "  phase:", f"    path: {draft.state_path}", "    map:"]
    lines += [f"      {phase}: {flow_list(values)}" for phase, values in draft.states.items()]
    lines += [f"  message: {draft.message_path}"] if draft.message_path else []
    return [*lines, *_notes(draft, "get")]


def _logs(draft: Draft) -> list[str]:
    lines = ["logs:", f"  request: {_template(draft.logs or '')}"]
    if draft.log_lines is None:
        lines.append("  format: text")
    else:
        items, message = draft.log_lines
        lines += [f"  lines: {items}", *([f"  message: {message}"] if message else [])]
    return [*lines, *_notes(draft, "logs")]


def _template(path: str) -> str:
    path = path.replace("{id}", "${{ job.id }}")
    return re.sub(r"(?<![{$]){(\w+)}", r"${{ config.\1 }}", path)


def quoted(value: Any) -> str:
    """Return a value as JSON, which is also YAML."""
    return json.dumps(value, ensure_ascii=False)


def flow_list(values: Any) -> str:
    """Return a list as YAML on one line."""
    return f"[{', '.join(plain(value) for value in values)}]"


def plain(value: Any) -> str:
    """Return a scalar as YAML, without quotes if it needs none."""
    safe = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w-]*", value)
    return str(value) if safe and str(value).lower() not in ("null", "true", "false") else quoted(value)


def _notes(draft: Draft, section: str) -> list[str]:
    return [f"  # DECIDE: {note}" for note in draft.decide.get(section, [])]
