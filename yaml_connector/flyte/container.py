"""Tasks of specs with `runs: container`: a decorated Python function, whose container runs as a job of the spec's API.

The generated config is the `plugin_config` of a `flyte.TaskEnvironment`. The class is one of Flyte's function tasks
alone, without its connector mixin: inside the job, that would look for a connector instead of calling the function.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry
from flyte.models import SerializationContext

from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._loading.shared_type import shared_type
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import names_in
from yaml_connector.errors import ConfigError
from yaml_connector.flyte.cache_version import cache_of
from yaml_connector.flyte.config_class import custom_of, make_config, secrets_in

_REFUSED = {
    "secrets": "Flyte sends a connector no values of them: declare them in the spec's `secrets`, give their names as "
    "`secrets` of the config, and let the spec's create put them into the container's environment",
    "pod_template": "its job is not one of Flyte's pods: give image, resources and env_vars to the environment, and "
    "the rest as fields of the config",
    "reusable": "its job is not one of Flyte's pods, and runs one attempt: leave it out",
}


@dataclass(kw_only=True)
class YamlContainerTask(AsyncFunctionTaskTemplate[..., Any, Any]):
    """The base of all generated classes: `spec` is the spec that made the class, `Config` its config class."""

    loaded: ClassVar[LoadedSpec]
    spec: ClassVar[ConnectorSpec]
    Config: ClassVar[type[Any]]
    # Flyte would refuse `reusable` before the task is built, without saying what to do.
    supports_reuse_policy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        shared = shared_type([self.loaded])
        self.is_of_shared_type = shared is not None
        self.task_type = shared or self.spec.task_type_name
        self.task_type_version = 0 if shared else self.spec.task_type_version
        super().__post_init__()  # type: ignore[no-untyped-call]  # Flyte's has no annotations
        for name, advice in _REFUSED.items():
            if getattr(self, name):
                raise ConfigError(f"{self.name} runs by the spec {self.spec.task_type_name}, without {name}: {advice}")
        if self.image is None and ("task", "container", "image") in names_in(self.spec):
            raise ConfigError(f"{self.name} needs an image: its spec {self.spec.task_type_name} sends it with the job")
        if isinstance(self.plugin_config, self.Config):  # else Flyte makes a task of another class of this one
            self.cache = cache_of(self.cache, self.loaded, self.plugin_config, self._secrets())

    def _secrets(self) -> dict[str, str]:
        return secrets_in(self.spec, self.plugin_config)

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        """Return what Flyte hands to the connector. Raises ConfigError if the job would lack the spec."""
        self._check_bundle(sctx)
        return custom_of(self.spec, self.plugin_config, self._secrets(), names_spec=self.is_of_shared_type)

    def _check_bundle(self, sctx: SerializationContext) -> None:
        """Raise ConfigError if the function's code travels to the job without the spec that its module needs."""
        files = sctx.code_bundle.files if sctx.code_bundle is not None and sctx.code_bundle.tgz else None
        spec, root = os.path.realpath(self.loaded.file), os.path.realpath(sctx.root_dir or "")
        if not files or sctx.root_dir is None or os.path.commonpath([spec, root]) != root:
            return
        if all(os.path.realpath(os.path.join(root, file)) != spec for file in files):
            raise ConfigError(
                f"{self.name}: the code bundle lacks the spec {os.path.relpath(spec, root)}, which its module reads in "
                "the job, too; give its TaskEnvironment include=yaml_connector.task_files()"
            )


def make_container_plugin(loaded: LoadedSpec, stem: str) -> type[YamlContainerTask]:
    """Make the class and the config of a spec, and register them with Flyte; names begin with `stem`."""
    spec = loaded.spec
    config = make_config(spec, f"{stem}Config")
    about = spec.description or f"A function that runs as a job of {spec.title}."
    members = {"__doc__": about, "__module__": __name__, "loaded": loaded, "spec": spec, "Config": config}
    plugin = type(f"{stem}Task", (YamlContainerTask,), members)
    TaskPluginRegistry.register(config, plugin)
    return plugin


def refuse_functions(config: type[Any], task_type: str) -> None:
    """Let Flyte say what to do if the config of a spec without `runs: container` is given for a function."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ConfigError(
            f"{task_type} runs jobs that exist at its API, not functions: its spec lacks `runs: container`. Make the "
            f'task with yaml_connector.task_from_spec("{task_type}", ...)'
        )

    TaskPluginRegistry.register(config, type("NotForFunctions", (AsyncFunctionTaskTemplate,), {"__init__": refuse}))
