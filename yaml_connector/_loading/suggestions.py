"""What to write instead of a name or a value that a spec may not have there: the ends of messages."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector._loading.yaml_hints import without_blank
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Path
from yaml_connector._text import did_you_mean, short_yaml

_LONGEST = 40  # characters of a value that is written anew
_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "y", "true", "1"), "true"),
    **dict.fromkeys(("no", "off", "n", "false", "0"), "false"),
}
# Words that people use for a field, by the fields that may be meant.
_SYNONYMS = {
    **dict.fromkeys(("cancel", "stop", "abort", "kill", "terminate", "destroy"), ("delete",)),
    **dict.fromkeys(("submit", "start", "run", "launch", "post"), ("create",)),
    **dict.fromkeys(("status", "state", "poll", "check", "describe", "read"), ("get",)),
    **dict.fromkeys(("log", "stdout"), ("logs",)),
    **dict.fromkeys(("data", "body", "payload", "content"), ("json", "text")),
    **dict.fromkeys(("params", "parameters", "query_params", "args"), ("query",)),
    **dict.fromkeys(("endpoint", "host", "server", "uri", "url", "base", "address"), ("base_url", "url", "path")),
    **dict.fromkeys(("id", "job"), ("job_id",)),
    **dict.fromkeys(("authentication", "authorization", "credentials"), ("auth",)),
    **dict.fromkeys(("states", "mapping", "values", "statuses"), ("map",)),
    **dict.fromkeys(("phase", "then"), ("is",)),
    **dict.fromkeys(("condition", "if"), ("when",)),
    **dict.fromkeys(("verb", "http_method"), ("method",)),
    **dict.fromkeys(("type_name", "task_type"), ("task_type_name",)),
    **dict.fromkeys(("environment", "variable", "env_var", "from_env"), ("env",)),
    "when": ("if",),
    "version": ("spec_version",),
    "output": ("outputs", "logs"),
    "results": ("result", "outputs"),
    "parameters": ("config", "inputs", "query"),
}
# Words of APIs for phases.
_PHASES = {
    **dict.fromkeys(("pending", "waiting", "submitted", "accepted", "created", "scheduled"), "QUEUED"),
    **dict.fromkeys(("started", "active", "in_progress", "processing", "executing"), "RUNNING"),
    **dict.fromkeys(("starting", "preparing", "provisioning"), "INITIALIZING"),
    **dict.fromkeys(("done", "complete", "completed", "finished", "success", "successful", "ok"), "SUCCEEDED"),
    **dict.fromkeys(("error", "errored", "failure", "fail", "crashed"), "FAILED"),
    **dict.fromkeys(("cancel", "cancelled", "canceled", "stopped", "killed", "terminated"), "ABORTED"),
    **dict.fromkeys(("retry", "retryable", "preempted"), "RETRYABLE_FAILED"),
}
# Where a field belongs that is written one level too high.
_DEEPER = {
    **{name: f"connection.{name}" for name in ("base_url", "auth", "timeout", "retry", "headers", "allowed_hosts")},
    **{name: f"request.{name}" for name in ("path", "method", "json", "form", "query", "multipart")},
    "map": "phase.map",
    "job_id": "create.job_id",
    "tolerance": "poll.tolerance",
    "min_interval": "poll.min_interval",
}
SECTIONS = frozenset(ConnectorSpec.model_fields) & {
    *("connection", "secrets", "config", "inputs", "outputs"),
    *("create", "get", "result", "delete", "logs"),
}


def for_unknown_key(location: list[Any], value: Any, allowed: list[str]) -> str:
    """Return the end of the message about an unknown key: what was probably meant, and which keys are allowed."""
    name = str(location[-1])
    if name == "default" and location[:1] == ["inputs"]:
        given = f"${{{{ inputs.{location[1]} | default(...) }}}}"
        return (
            f"; an input has no default: give it an optional type (str?) and write {given}, or make it a config field"
        )
    if name.strip() != name:
        return "; it begins or ends with a blank that is not a normal one; write it anew"
    shown = ", ".join(allowed)
    words = _SYNONYMS.get(name.lower(), ())
    if isinstance(value, str) and value.startswith("/") and "path" in words:
        words = ("path",)
    meant = next((word for word in words if word in allowed), None)
    if meant is not None:
        return f"; did you mean {meant}? allowed: {shown}"
    where, _, _ = _DEEPER.get(name, "").partition(".")
    if where in allowed:
        return f"; did you mean {_DEEPER[name]}? allowed: {shown}"
    if len(location) > 1 and name in SECTIONS:
        return f"; {name} is a section of its own: begin its line with {name}: without blanks before it"
    return did_you_mean(name, allowed)


def required_field(path: Path) -> str:
    """Return the required field that an unknown key probably is; "" if it is none."""
    words = _SYNONYMS.get(str(path[-1]).lower(), ())
    return next(
        (word for word in words if word in ("create", "base_url", "job_id", "task_type_name", "spec_version")), ""
    )


def not_allowed(value: Any, allowed: list[str]) -> str:
    """Return the message about a value that is not allowed."""
    name = value if isinstance(value, str) else ""
    meant = _PHASES.get(name.lower(), "")
    if meant in allowed:
        return f"{short_yaml(value)} is not allowed; did you mean {meant}? allowed: {', '.join(allowed)}"
    return f"{short_yaml(value)} is not allowed" + did_you_mean(name, allowed)


def for_wrong_kind(kind: str, value: Any, path: Path = ()) -> str:
    """Return the end of the message about a value of the wrong kind, by pydantic's name for it."""
    key = without_blank(value)
    if key is not None and kind != "string_type":
        return f"; a blank is missing after the colon: write {key[0]}: {key[1]}"
    if kind == "string_type" and value is None:
        return "; leave the key out, or write a string"
    if kind == "string_type" and isinstance(value, int | float | bool):
        return "; put quotes around it"
    if kind == "list_type" and isinstance(value, str | int | float) and len(str(value)) <= _LONGEST:
        return f"; write [{', '.join(_items(value))}]"
    if kind == "list_type" and isinstance(value, dict):
        return "; write - before its first key"
    if kind.startswith("model_") and path[-1:] == ("response",) and isinstance(value, int):
        return f"; write {{status: {value}}}"
    if kind == "bool_type" and (meant := boolean(value)):
        return f"; write {meant}"
    if kind.startswith("model_") and len(path) == 2 and path[0] == "secrets" and isinstance(value, str):
        name = _as_name(value)
        return f"; write {{env: {name}}}" if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) else "; write {env: VARIABLE}"
    return ""


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
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"[\w .-]+", part) for part in parts):
        return parts
    return [f'"{text}"' if re.search(r"[\[\]{},:#\"']", text) else text]


def boolean(value: Any) -> str:
    """Return `true` or `false` for a word that means it, as YAML or with a comma behind it; else ""."""
    return _BOOLEANS.get(value.strip(" ,;.").lower(), "") if isinstance(value, str) else ""


def valid_name(value: Any, pattern: str) -> str:
    """Return the end of the message about a name that does not match: the same name without what it may not have."""
    name = _as_name(value) if isinstance(value, str) else ""
    return f"; write {name}" if re.fullmatch(pattern, name) else ""


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_") if len(text) <= _LONGEST else ""
