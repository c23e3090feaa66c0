"""A first spec and its contract test, as text with comments: what `new` writes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

AUTHS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("", ()),
    "bearer": ('{type: bearer, token: "${{ secrets.api_key }}"}', ("api_key",)),
    "basic": (
        '{type: basic, username: "${{ secrets.username }}", password: "${{ secrets.password }}"}',
        ("username", "password"),
    ),
    "api_key": ('{type: api_key, in: header, name: X-API-Key, value: "${{ secrets.api_key }}"}', ("api_key",)),
    "oauth2": (
        '{type: oauth2_client_credentials, token_url: "%s/oauth/token", '
        'client_id: "${{ secrets.client_id }}", client_secret: "${{ secrets.client_secret }}"}',
        ("client_id", "client_secret"),
    ),
}
_STATES = {
    "QUEUED": ["queued"],
    "RUNNING": ["running"],
    "SUCCEEDED": ["succeeded"],
    "FAILED": ["failed"],
    "ABORTED": ["cancelled"],
}


@dataclass
class Draft:
    """What is known of an API. Paths hold `{id}` where the job's id stands, `{name}` for a config field;
    `fields` are the config fields that the
    body sends, name to type and example; `decide` are comments by section: what a person has to look at."""

    name: str
    base_url: str
    auth: str = "bearer"
    description: str = ""
    create: str = "POST /jobs"
    get: str = "GET /jobs/{id}"
    delete: str | None = "POST /jobs/{id}/cancel"
    logs: str | None = None
    id_path: str = "$.id"
    state_path: str = "$.status"
    message_path: str | None = "$.message"
    states: dict[str, list[str]] = field(default_factory=lambda: {key: list(item) for key, item in _STATES.items()})
    fields: dict[str, tuple[str, Any]] = field(default_factory=lambda: {"name": ("str", "hello")})
    decide: dict[str, list[str]] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, tuple[str, Any]]:
        """All config fields: those of the paths, then those of the body."""
        paths = " ".join(path for path in (self.create, self.get, self.delete, self.logs) if path)
        names = [name for name in re.findall(r"{(\w+)}", paths) if name != "id"]
        return {name: ("str", f"my-{name}") for name in names} | self.fields

    @property
    def variable(self) -> str:
        """The environment variable of the base URL."""
        return re.sub(r"\W", "_", self.name).upper() + "_URL"

    def secret_variable(self, secret: str) -> str:
        """The environment variable of a secret."""
        return re.sub(r"\W", "_", f"{self.name}_{secret}").upper()


def _template(path: str) -> str:
    path = path.replace("{id}", "${{ job.id }}")
    return re.sub(r"(?<![{$]){(\w+)}", r"${{ config.\1 }}", path)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def spec_text(draft: Draft) -> str:
    """The spec."""
    auth, secrets = AUTHS[draft.auth]
    base_url = f"${{{{ env.{draft.variable} | default('{draft.base_url}') }}}}"
    auth = auth % base_url if "%s" in auth else auth
    lines = [
        "# `yaml-connector explain get.poll` explains a field, `yaml-connector check` tries the connection.",
        "spec_version: 1",
        f"task_type_name: {draft.name}",
        f"name: {_quoted(draft.name.replace('_', ' ').capitalize())}",
        f"description: {_quoted(draft.description or 'Say here what it runs.')}",
        "",
        "connection:",
        f"  base_url: {base_url}",
    ]
    lines += [f"  auth: {auth}"] if auth else []
    lines += _notes(draft, "connection", "  ")
    lines += ["  # check: GET /health          # a request that changes nothing, for `yaml-connector check`", ""]
    if secrets:
        lines += ["# A secret comes from the task, else from this variable of the connector's environment.", "secrets:"]
        lines += [f"  {secret}: {{env: {draft.secret_variable(secret)}}}" for secret in secrets]
        lines.append("")
    if draft.config:
        lines += ["# What a task's author gives, typed; without a default it is required.", "config:"]
        lines += [f"  {_quoted_key(name)}: {_quoted(kind)}" for name, (kind, _) in draft.config.items()]
        lines.append("")
    lines += ["outputs:", f"  status: {draft.state_path}", *_notes(draft, "outputs", "  "), "", "create:"]
    method, path = draft.create.split(" ", 1)
    lines += ["  request:", f"    method: {method}", f"    path: {_template(path)}"]
    if draft.fields:
        lines += ["    json:"]
        lines += [f"      {_quoted_key(name)}: ${{{{ config.{name} }}}}" for name in draft.fields]
    lines += [f"  job_id: {draft.id_path}"]
    lines += [
        "  # If the API takes an idempotency key, send `task.key` as it and say so: then a create whose answer was"
    ]
    lines += ["  # lost can be sent again, and there is still one job.", "  # idempotent: true"]
    lines += [*_notes(draft, "create", "  "), "", "get:", f"  request: {_template(draft.get)}"]
    lines += ["  phase:", f"    path: {draft.state_path}", "    map:"]
    lines += [f"      {phase}: {_list(values)}" for phase, values in draft.states.items()]
    lines += [f"  message: {draft.message_path}"] if draft.message_path else []
    lines += _notes(draft, "get", "  ")
    if draft.delete:
        lines += ["", "delete:", f"  request: {_template(draft.delete)}", *_notes(draft, "delete", "  ")]
    if draft.logs:
        lines += ["", "logs:", f"  request: {_template(draft.logs)}", "  format: text", *_notes(draft, "logs", "  ")]
    return "\n".join(lines) + "\n"


def _list(values: list[str]) -> str:
    return f"[{', '.join(_plain(value) for value in values)}]"


def _plain(value: str) -> str:
    safe = re.fullmatch(r"[A-Za-z][\w-]*", value) and value.lower() not in ("null", "true", "false")
    return value if safe else _quoted(value)


def _quoted_key(name: str) -> str:
    return name if _plain(name) == name else _quoted(name)


def _notes(draft: Draft, section: str, indent: str) -> list[str]:
    return [f"{indent}# DECIDE: {note}" for note in draft.decide.get(section, [])]


def test_text(draft: Draft) -> str:
    """Its contract test: a success, a failure, a cancel."""
    _, secrets = AUTHS[draft.auth]
    lines = [
        "# Answers as the API's documentation has them. `yaml-connector record` writes such a test from a real job.",
        "defaults:",
        f"  env: {{{draft.variable}: https://api.test}}",
    ]
    if secrets:
        lines += [f"  secrets: {{{', '.join(f'{secret}: test-{secret}' for secret in secrets)}}}"]
    values = {name: example for name, (_, example) in draft.config.items()}
    lines += [f"  config: {_quoted(values)}"] if values else []
    lines += ["tests:"]
    for phase in ("SUCCEEDED", "FAILED"):
        if phase in draft.states:
            lines += [f"  - name: a job that ends as {phase}", "    calls:", *_create(draft)]
            if "RUNNING" in draft.states:
                lines += _get(draft, "RUNNING")
            lines += _get(draft, phase)
    if draft.delete:
        lines += ["  - name: a job is cancelled", "    calls:", *_create(draft)]
        method, path = draft.delete.split(" ", 1)
        lines += ["      - delete:", "          exchanges:"]
        lines += [f"            - request: {{method: {method}, url: {_quoted(_url(path))}}}"]
    return "\n".join(lines) + "\n"


def _url(path: str) -> str:
    return "https://api.test" + re.sub(r"{(\w+)}", r"my-\1", path.replace("{id}", "job-1"))


def _answer(path: str, value: Any) -> Any:
    """An answer in which a path finds a value."""
    for part in reversed(path.removeprefix("$.").split(".")):
        value = {part: value}
    return value


def _login(draft: Draft) -> list[str]:
    if draft.auth != "oauth2":
        return []
    return [
        f"            - request: {{method: POST, url: {_quoted(_url('/oauth/token'))}}}",
        "              response: {json: {access_token: test-token, expires_in: 3600}}",
    ]


def _create(draft: Draft) -> list[str]:
    method, path = draft.create.split(" ", 1)
    body = {name: example for name, (_, example) in draft.fields.items()}
    sent = f", json: {_quoted(body)}" if body else ""
    return [
        "      - create:",
        "          exchanges:",
        *_login(draft),
        f"            - request: {{method: {method}, url: {_quoted(_url(path))}{sent}}}",
        f"              response: {{status: 201, json: {_quoted(_answer(draft.id_path, 'job-1'))}}}",
        "          expect: {job_id: job-1}",
    ]


def _get(draft: Draft, phase: str) -> list[str]:
    state = draft.states[phase][0]
    method, path = draft.get.split(" ", 1)
    outputs = f", outputs: {{status: {_quoted(state)}}}" if phase == "SUCCEEDED" else ""
    return [
        "      - get:",
        "          exchanges:",
        f"            - request: {{method: {method}, url: {_quoted(_url(path))}}}",
        f"              response: {{json: {_quoted(_answer(draft.state_path, state))}}}",
        f"          expect: {{phase: {phase}{outputs}}}",
    ]
