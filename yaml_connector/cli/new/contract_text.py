"""The contract test of a draft: a success, a failure, a cancel and a log, with responses made from the draft."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.draft import Draft, plain, quoted

_BASE = "https://api.test"


def contract_text(draft: Draft) -> str:
    """Return the contract test of a draft, as YAML."""
    kind = draft.auth_example
    lines = [
        "# Responses as the API documents them. `yaml-connector record` writes such a test from a real job.",
        "defaults:",
        f"  env: {{{draft.variable}: {_BASE}}}",
    ]
    if kind.secrets:
        lines += ["  secrets:", *(f"    {name}: {value}" for name, value in kind.secrets)]
    values = {name: about.example for name, about in draft.config.items()}
    lines += [f"  config: {quoted(values)}"] if values else []
    lines += ["tests:"]
    for phase in ("SUCCEEDED", "FAILED"):
        if phase in draft.states:
            lines += [f"  - name: a job that ends as {phase}", "    calls:", *_create(draft)]
            if "RUNNING" in draft.states:
                lines += _get(draft, "RUNNING")
            lines += _get(draft, phase)
    if not {"SUCCEEDED", "FAILED"} & draft.states.keys():
        lines += [
            "  - name: a job that is submitted",
            "    calls:",
            *_create(draft),
            *_get(draft, next(iter(draft.states))),
        ]
    if draft.delete:
        lines += [
            "  - name: a job is cancelled",
            "    calls:",
            *_create(draft),
            "      - delete:",
            "          exchanges:",
        ]
        lines += [_request(draft, draft.delete)]
    if draft.logs:
        lines += ["  - name: the log of a job is read", "    calls:", *_create(draft), *_logs(draft)]
    return "\n".join(lines) + "\n"


def _request(draft: Draft, call: str, more: str = "") -> str:
    method, path = call.split(" ", 1)
    return f"            - request: {{method: {method}, url: {quoted(_url(draft, path))}{more}}}"


def _url(draft: Draft, path: str) -> str:
    return _BASE + re.sub(r"{(\w+)}", lambda found: str(draft.param(found[1]).example), path.replace("{id}", "job-1"))


def _create(draft: Draft) -> list[str]:
    body = {name: about.example for name, about in draft.fields.items()}
    body |= {draft.key_field: "test-key"} if draft.key_field else {}
    sent = f", headers: {{{plain(draft.key_header)}: test-key}}" if draft.key_header else ""
    if body or draft.empty_body:
        shown = {name: str(value) for name, value in body.items()} if draft.body == "form" else body
        sent += f", {draft.body}: {quoted(shown)}"
    login = draft.auth_example.filled(draft.auth_example.login, {**draft.auth_values, "base_url": _BASE})
    return [
        "      - create:",
        "          exchanges:",
        *(f"            {line}" for line in login),
        _request(draft, draft.create, sent),
        f"              response: {{status: 201, {_submitted(draft)}}}",
        "          expect: {job_id: job-1}",
    ]


def _submitted(draft: Draft) -> str:
    if draft.id_path.startswith("${{"):
        return f'headers: {{Location: "{_BASE}/job-1"}}'
    return f"json: {quoted(data_with(draft.id_path, 'job-1'))}"


def _get(draft: Draft, phase: str) -> list[str]:
    state = draft.states[phase][0]
    outputs = f", outputs: {{status: {quoted(str(state))}}}" if phase == "SUCCEEDED" and not _is_list(draft) else ""
    return [
        "      - get:",
        "          exchanges:",
        _request(draft, draft.get),
        f"              response: {{json: {quoted(data_with(draft.state_path, state))}}}",
        f"          expect: {{phase: {phase}{outputs}}}",
    ]


def _is_list(draft: Draft) -> bool:
    return draft.state_path.endswith("[*]")


def _logs(draft: Draft) -> list[str]:
    lines: Any = ["first", "second"]
    if draft.log_lines is None:
        content = f"text: {quoted('first' + chr(10) + 'second' + chr(10))}"
    else:
        items, message = draft.log_lines
        given = [data_with(message, line) if message else line for line in lines]
        content = f"json: {quoted(data_with(items.removesuffix('[*]'), given))}"
    return [
        "      - logs:",
        "          exchanges:",
        _request(draft, draft.logs or ""),
        f"              response: {{{content}}}",
        f"          expect: {{lines: {quoted(lines)}}}",
    ]


def data_with(path: str, value: Any) -> Any:
    """Return data in which a path (`$.jobs[0].state[*]`) finds a value."""
    for part in reversed(re.findall(r"\[(?:\d+|\*)\]|[^.\[\]]+", path.removeprefix("$"))):
        value = [value] if part.startswith("[") else {part: value}
    return value
