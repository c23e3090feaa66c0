"""What the modules rely on that `yaml-connector stubs` writes: names at run time, and what every Flyte task takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import flyte

from yaml_connector._text import did_you_mean
from yaml_connector.flyte.task import task_from_spec, task_plugin


class TaskOptions(TypedDict, total=False):
    """What every Flyte task takes besides what its spec says; the fields of `flyte.extend.TaskTemplate`."""

    short_name: str
    image: str | flyte.Image | None
    resources: flyte.Resources | None
    cache: flyte.CacheRequest
    interruptible: bool
    retries: int | flyte.RetryStrategy
    reusable: flyte.ReusePolicy | None
    docs: flyte.Documentation | None
    env_vars: dict[str, str] | None
    service_account: str | None
    timeout: flyte.TimeoutType | None
    pod_template: str | flyte.PodTemplate | None
    report: bool
    queue: str | None
    debuggable: bool
    entrypoint: bool
    produces_artifacts: bool
    max_inline_io_bytes: int
    triggers: tuple[flyte.Trigger, ...]
    links: tuple[flyte.Link, ...]


_KINDS: dict[str, Callable[[str], Any]] = {
    "ConfigDict": lambda task_type: dict,
    "Config": lambda task_type: task_plugin(task_type).Config,
    "Secrets": lambda task_type: dict,
    "Task": task_plugin,
}


def names_of(module: str, task_types: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of such a module: `BatchJobTask` is the plugin class of the task type under `BatchJob`.

    A spec is found as `task_plugin` finds it, when one of its names is first used: a wrong spec does not stop the
    tasks of the others. Names that are only types are `dict`. The function raises AttributeError for an unknown name,
    SpecError or ConfigError for a spec that cannot be used.
    """

    def get(name: str) -> Any:
        if name == "task_from_spec":
            return task_from_spec
        for kind, make in _KINDS.items():
            stem = name.removesuffix(kind)
            if stem != name and stem in task_types:
                return make(task_types[stem])
        known = ["task_from_spec", *(f"{stem}{kind}" for stem in task_types for kind in _KINDS)]
        raise AttributeError(f"module {module!r} has no {name!r}{did_you_mean(name, known)}")

    return get
