"""Names of the language that are not fields: phases, `task.*`, filters and functions."""

from __future__ import annotations

from yaml_connector._expressions.filters import FUNCTIONS, explained
from yaml_connector._spec.phases import PHASES
from yaml_connector._spec.task_fields import Container, Task
from yaml_connector.cli.explain.fields import Field


def named(name: str) -> Field | None:
    """Return what is known of a phase, a name of `task`, a filter or a function; None if it is unknown."""
    if name.upper() in PHASES:
        phase = PHASES[name.upper()]
        over = "The job is over." if phase.terminal else "The job goes on."
        return Field(name.upper(), "phase", f"{phase.meaning} {over}")
    if (about := explained().get(name.removesuffix("()"))) is not None:
        return Field(about[0], "function" if name.removesuffix("()") in FUNCTIONS else "filter", about[1])
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
    return [*PHASES, *explained(), *(f"task.{name}" for name in Task.model_fields)]
