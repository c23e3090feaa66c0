"""A first spec, as YAML with comments, and its contract test: what `new` writes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from yaml_connector._spec.auth import AUTH_KINDS, AuthExample, AuthModel

# The choices of `new --auth`, each with its model.
AUTH_CHOICES: dict[str, type[AuthModel] | None] = {
    "none": None,
    **{name.removesuffix("_client_credentials"): kind for name, kind in AUTH_KINDS.items()},
}
_TEST_URL = "https://api.test"
_STATES: dict[str, list[Any]] = {
    "QUEUED": ["queued"],
    "RUNNING": ["running"],
    "SUCCEEDED": ["succeeded"],
    "FAILED": ["failed"],
    "ABORTED": ["cancelled"],
}


@dataclass(frozen=True)
class DraftField:
    """A config field: its type, a value for the test (its default, if `has_default`), allowed values, a description."""

    kind: str
    example: Any
    enum: tuple[Any, ...] = ()
    about: str = ""
    has_default: bool = False

    def text(self) -> str:
        """Return the field as the spec writes it."""
        if not self.enum and not self.about and not self.has_default:
            return plain(self.kind)
        parts = [f"type: {plain(self.kind)}"]
        parts += [f"default: {quoted(self.example)}"] if self.has_default else []
        parts += [f"enum: {flow_list(self.enum)}"] if self.enum else []
        parts += [f"description: {quoted(self.about)}"] if self.about else []
        return f"{{{', '.join(parts)}}}"


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
    states: dict[str, list[Any]] = field(default_factory=lambda: {key: list(item) for key, item in _STATES.items()})
    body: str = "json"
    empty_body: bool = False
    fields: dict[str, DraftField] = field(default_factory=lambda: {"name": DraftField("str", "hello")})
    params: dict[str, DraftField] = field(default_factory=dict)
    key_field: str | None = None
    key_header: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    decide: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

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
        return _variable(f"{self.name}_URL")

    def param(self, name: str) -> DraftField:
        """Return a config field of a path."""
        return self.params.get(name, DraftField("str", f"my-{name}"))

    def example_url(self, call: str) -> str:
        """Return the URL of a call in the contract test."""
        path = call.split(" ", 1)[1].replace("{id}", "job-1")
        return _TEST_URL + re.sub(r"{(\w+)}", lambda found: str(self.param(found[1]).example), path)

    def note(self, section: str, text: str) -> None:
        """Add a comment to decide on."""
        words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        self.decide[section].append(words)


def spec_text(draft: Draft) -> str:
    """Return the spec of a draft, as YAML."""
    return _templates.get_template("spec.yaml.jinja").render(
        d=draft,
        auth=draft.auth_example,
        base_url=f"${{{{ env.{draft.variable} | default('{draft.base_url}') }}}}",
        hosts=(*draft.auth_example.hosts, *draft.auth_hosts),
    )


def contract_text(draft: Draft) -> str:
    """Return the contract test of a draft, as YAML: a success, a failure, a cancel and a log."""
    auth = draft.auth_example
    body = {name: about.example for name, about in draft.fields.items()}
    body |= {draft.key_field: "test-key"} if draft.key_field else {}
    sent = f", headers: {{{plain(draft.key_header)}: test-key}}" if draft.key_header else ""
    if body or draft.empty_body:
        shown = {name: str(value) for name, value in body.items()} if draft.body == "form" else body
        sent += f", {draft.body}: {quoted(shown)}"
    submitted = f"json: {quoted(data_with(draft.id_path, 'job-1'))}"
    if draft.id_path.startswith("${{"):
        submitted = f'headers: {{Location: "{_TEST_URL}/job-1"}}'
    lines: list[Any] = ["first", "second"]
    log = f"text: {quoted('first' + chr(10) + 'second' + chr(10))}"
    if draft.log_lines is not None:
        items, message = draft.log_lines
        given = [data_with(message, line) if message else line for line in lines]
        log = f"json: {quoted(data_with(items.removesuffix('[*]'), given))}"
    state = quoted(str(draft.states.get("SUCCEEDED", [""])[0]))
    return _templates.get_template("contract.test.yaml.jinja").render(
        d=draft,
        base_url=_TEST_URL,
        secrets=auth.secrets,
        config={name: about.example for name, about in draft.config.items()},
        ends=[phase for phase in ("SUCCEEDED", "FAILED") if phase in draft.states],
        login=auth.filled(auth.login, {**draft.auth_values, "base_url": _TEST_URL}),
        sent=sent,
        submitted=submitted,
        outputs="" if draft.state_path.endswith("[*]") else f", outputs: {{status: {state}}}",
        log=log,
        lines=lines,
    )


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


def data_with(path: str, value: Any) -> Any:
    """Return data in which a path (`$.jobs[0].state[*]`) finds a value."""
    for part in reversed(re.findall(r"\[(?:\d+|\*)\]|[^.\[\]]+", path.removeprefix("$"))):
        value = [value] if part.startswith("[") else {part: value}
    return value


def _template(call: str) -> str:
    """Return a call or a path with templates in place of its `{names}`."""
    call = call.replace("{id}", "${{ job.id }}")
    return re.sub(r"(?<![{$]){(\w+)}", r"${{ config.\1 }}", call)


def _variable(text: str) -> str:
    """Return the name of an environment variable."""
    return re.sub(r"\W", "_", text).upper()


_templates = Environment(  # noqa: S701 - the output is YAML; texts go through `quoted` and `plain`
    loader=PackageLoader("yaml_connector.cli.new"),
    undefined=StrictUndefined,
    variable_start_string="<<",
    variable_end_string=">>",
    block_start_string="<%",
    block_end_string="%>",
    trim_blocks=True,
    keep_trailing_newline=True,
)
_templates.filters |= {
    "data_with": data_with,
    "flow_list": flow_list,
    "plain": plain,
    "quoted": quoted,
    "template": _template,
    "variable": _variable,
}
