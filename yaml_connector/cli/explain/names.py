"""Names of the language that are not fields: phases, `task.*`, filters and functions."""

from __future__ import annotations

from yaml_connector._spec.phases import PHASES
from yaml_connector._spec.task_fields import Container, Task
from yaml_connector.cli.explain.fields import Field

# How each is written, and what it returns; all return null for null.
FILTERS = {
    "json": ("json", "The value as compact JSON text; the order is kept."),
    "fromjson": ("fromjson", "JSON text, parsed."),
    "b64encode": ("b64encode", "The text in base64."),
    "b64decode": ("b64decode", "The text that base64 stands for."),
    "regex": ("regex(pattern, group=1)", "The group of the first match, or null. Patterns are RE2's."),
    "regex_replace": ("regex_replace(pattern, new)", r"The text with every match replaced; \1 to \9 are its groups."),
    "jsonpath": ("jsonpath(path)", "What a JSONPath reads; a list if it can match several places."),
    "basename": ("basename", "The last part of a path or URL."),
    "slug": ("slug(n)", "The text in a-z, 0-9 and -, at most n characters."),
    "sha256": ("sha256", "The SHA-256 of the text, in hex."),
    "kv": ("kv(name, value)", "A mapping as a list: {a: 1} becomes [{name: a, value: 1}]."),
    "kvjoin": ("kvjoin(sep)", 'A mapping as strings: {a: 1} becomes ["a=1"].'),
    "merge": ("merge(other)", "Two mappings as one; the other wins."),
    "timestamp": ("timestamp", "A time (RFC 3339, an HTTP date, epoch seconds or milliseconds) as epoch seconds."),
    "bytelen": ("bytelen", "The length of the text in UTF-8."),
    "quote": ("quote", "The text, URL-encoded, slashes too."),
    "fingerprint": ("fingerprint", "The SHA-256 of a private key's public part, in base64."),
    "path": ("path", "In `path`: the slashes of the text are kept, the rest is encoded."),
    "find": (
        "find(attribute, value)",
        "The first item of a list whose attribute is the value, as text; else null.",
    ),
    "shell": ("shell", "A list of words, or a string, quoted for a POSIX shell."),
    "resolve": ("resolve(base)", "A relative URL made absolute, against the URL that answered if there is no base."),
    "default": ("default(x)", "x if the value is missing or null."),
}
FUNCTIONS = {
    "now": ("now()", "The time in epoch seconds."),
    "uuid5": ("uuid5(text)", "A UUID that is always the same for the same text."),
}


def named(name: str) -> Field | None:
    """Return what is known of a phase, a name of `task`, a filter or a function; None if it is unknown."""
    if name.upper() in PHASES:
        about = PHASES[name.upper()]
        over = "The job is over." if about.terminal else "The job goes on."
        return Field(name.upper(), "phase", f"{about.meaning} {over}")
    if name in FILTERS:
        written, text = FILTERS[name]
        return Field(written, "filter", text)
    if name.removesuffix("()") in FUNCTIONS:
        written, text = FUNCTIONS[name.removesuffix("()")]
        return Field(written, "function", text)
    root, _, rest = name.partition(".")
    if root == "task":
        return _task(rest)
    return None


def _task(rest: str) -> Field | None:
    model, path = (Container, "task.container") if rest.startswith("container") else (Task, "task")
    below = tuple(
        Field(f"{path}.{name}", "value", str(field.description)) for name, field in model.model_fields.items()
    )
    if rest in ("", "container"):
        about = "What is known of the task; not in `connection`." if not rest else "The task's container."
        return Field(path, "names", about, below=below)
    return next((field for field in below if field.path == f"task.{rest}"), None)


def all_names() -> list[str]:
    """Return all these names."""
    return [*PHASES, *FILTERS, *FUNCTIONS, *(f"task.{name}" for name in Task.model_fields)]
