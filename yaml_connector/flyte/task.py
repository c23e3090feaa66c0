"""Task plugins, generated from specs: a class as a hand-written one, and its typed `Config`."""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import typing
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

from flyte.connectors import AsyncConnectorExecutorMixin
from flyte.extend import TaskTemplate
from flyte.models import NativeInterface, SerializationContext

from yaml_connector._expressions.value_types import ValueType
from yaml_connector._loading.loader import LoadedSpec, resolve
from yaml_connector._loading.shared_type import shared_type
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.python_names import class_stem
from yaml_connector._spec.task_values import unknown_name
from yaml_connector._text import closest
from yaml_connector.errors import ConfigError
from yaml_connector.flyte.cache_version import cache_of
from yaml_connector.flyte.config_class import checked_secrets, config_from, custom_of, make_config
from yaml_connector.flyte.container import YamlContainerTask, make_container_plugin, refuse_functions
from yaml_connector.flyte.literals import kind_of_python, never_pickled, python_type_of
from yaml_connector.flyte.local_run import run_locally
from yaml_connector.flyte.registry import register_spec

_OF_FLYTE = frozenset(field.name for field in dataclasses.fields(TaskTemplate) if field.init)
_OF_PLUGINS = frozenset({"self", "name", "plugin_config", "inputs", "outputs", "connector_secrets", "kwargs"})


class YamlConnectorTask(AsyncConnectorExecutorMixin, TaskTemplate[..., Any, Any]):
    """The base of all generated plugins: `spec` is the spec that made the class, `Config` its config class."""

    loaded: ClassVar[LoadedSpec]
    spec: ClassVar[ConnectorSpec]
    Config: ClassVar[type[Any]]

    def __init__(
        self,
        name: str,
        plugin_config: Any = None,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        connector_secrets: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        spec = self.spec
        secrets = {**(connector_secrets or {}), **_taken(kwargs, secret_parameters(spec))}
        for key in kwargs:
            if key not in _OF_FLYTE:
                own = ["name", "plugin_config", "inputs", "outputs", *secret_parameters(spec)]
                guess = closest(key, [*own, *sorted(_OF_FLYTE)])
                raise ConfigError(
                    f"{type(self).__name__} takes no argument {key!r}{f'; did you mean {guess}?' if guess else ';'} "
                    f"allowed: {', '.join(own)}, and what every Flyte task takes (retries, timeout, cache ...)"
                )
        shared = shared_type([self.loaded])
        self.is_of_shared_type = shared is not None
        self.plugin_config = self._checked_config(plugin_config)
        self.connector_secrets = checked_secrets(spec, secrets)
        kwargs.setdefault("image", None)
        kwargs.setdefault("parent_env_name", name)
        super().__init__(
            name=name,
            task_type=shared or spec.task_type_name,
            task_type_version=0 if shared else spec.task_type_version,
            interface=NativeInterface(
                {key: (kind, _default_input(kind)) for key, kind in input_types(spec, inputs).items()},
                output_types(spec, outputs),
            ),
            **kwargs,
        )
        self._version_cache()
        register_spec(self.loaded)

    def override(self, *, plugin_config: Any = None, **kwargs: Any) -> YamlConnectorTask:
        """Return the task with other options, as Flyte's own `override`; also `plugin_config` and secrets by name."""
        secrets = _taken(kwargs, secret_parameters(self.spec))
        options = TaskTemplate(**{name: getattr(self, name) for name in _OF_FLYTE}).override(**kwargs)
        task = copy(self)
        for name in _OF_FLYTE:
            setattr(task, name, getattr(options, name))
        if plugin_config is not None:
            task.plugin_config = self._checked_config(plugin_config)
        task.connector_secrets = self.connector_secrets | checked_secrets(self.spec, secrets)
        task._version_cache()
        return task

    def _version_cache(self) -> None:
        self.cache = cache_of(self.cache, self.loaded, self.plugin_config, self.connector_secrets)

    def _checked_config(self, config: Any) -> Any:
        if config is None:
            return self.Config()
        if isinstance(config, Mapping):
            return config_from(self.Config, self.spec, config)
        if not isinstance(config, self.Config):
            raise ConfigError(f"plugin_config must be a {self.Config.__name__}, not {type(config).__name__}")
        return config

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        """Return what Flyte hands to the connector."""
        return custom_of(self.spec, self.plugin_config, self.connector_secrets, names_spec=self.is_of_shared_type)

    async def execute(self, **kwargs: Any) -> Any:
        """Run the job from this process (a local run)."""
        return await run_locally(self, register_spec(self.loaded), kwargs, self.connector_secrets)


def secret_parameters(spec: ConnectorSpec) -> list[str]:
    """Return the secrets that are arguments of the plugin; if a name is taken, `connector_secrets` has the secret."""
    return [name for name in spec.secrets if not keyword.iskeyword(name) and name not in _OF_FLYTE | _OF_PLUGINS]


def _taken(kwargs: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take out these arguments, and return them."""
    return {name: kwargs.pop(name) for name in names if name in kwargs}


def _default_input(annotation: Any) -> Any:
    """Return the default of an input: an optional one may be left out."""
    return None if type(None) in typing.get_args(annotation) else inspect.Parameter.empty


def input_types(spec: ConnectorSpec, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the Python types of a task's inputs: the spec's, narrowed by what is given. Raises ConfigError."""
    if spec.inputs is None:
        for name, annotation in (given or {}).items():
            kind_of_python(annotation, where=f"input {name!r}")
        return {name: never_pickled(annotation) for name, annotation in (given or {}).items()}
    if given is None:
        return {name: python_type_of(field.type) for name, field in spec.inputs.items()}
    for name, annotation in given.items():
        if name not in spec.inputs:
            raise ConfigError(unknown_name(spec, "input", name, spec.inputs))
        kind = kind_of_python(annotation, where=f"input {name!r}")
        if not _narrows(kind, spec.inputs[name].type):
            raise ConfigError(f"input {name!r} is {spec.inputs[name].type} in the spec, and {kind} is something else")
    for name, field in spec.inputs.items():
        if name not in given and not field.type.optional:
            raise ConfigError(f"input {name!r} ({field.type}) of {spec.task_type_name} is missing")
    return {name: never_pickled(annotation) for name, annotation in given.items()}


def _narrows(kind: ValueType, wide: ValueType) -> bool:
    if wide.name == "any" or (wide.name == "float" and kind.name == "int"):
        return True
    if kind.optional and not wide.optional:
        return False
    if kind.name != wide.name:
        return False
    return kind.item is None or wide.item is None or _narrows(kind.item, wide.item)


def output_types(spec: ConnectorSpec, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the Python types of a task's outputs: those given, else the spec's. Raises ConfigError."""
    named = {name: field for name, field in spec.outputs.items() if name != "*"}
    if given is None:
        return {name: python_type_of(field.type) for name, field in named.items()}
    for name, annotation in given.items():
        if name not in spec.outputs and "*" not in spec.outputs:
            raise ConfigError(unknown_name(spec, "output", name, named))
        kind_of_python(annotation, where=f"output {name!r}")
    return {name: never_pickled(annotation) for name, annotation in given.items()}


# --- generating the classes -----------------------------------------------------------------------------------------


Plugin = type[YamlConnectorTask] | type[YamlContainerTask]
_plugins: dict[str, Plugin] = {}


def plugin_of(loaded: LoadedSpec) -> type[YamlConnectorTask]:
    """Return the plugin class of a loaded spec; the same class for the same spec.

    Raises ConfigError for a spec with `runs: container`: a function makes its tasks.
    """
    plugin = _any_plugin_of(loaded)
    if issubclass(plugin, YamlConnectorTask):
        return plugin
    raise ConfigError(
        f"{loaded.spec.task_type_name} runs functions: give its config to an environment, "
        f"flyte.TaskEnvironment(..., plugin_config={plugin.Config.__name__}(...)), and decorate the function with "
        "@env.task"
    )


def _any_plugin_of(loaded: LoadedSpec) -> Plugin:
    key = f"{loaded.spec.task_type_name}:{loaded.spec.task_type_version}"
    known = _plugins.get(key)
    if known is None or not known.loaded.is_same(loaded):
        stem = class_stem(loaded.spec.task_type_name)
        known = _plugins[key] = (_make_plugin if loaded.spec.runs is None else make_container_plugin)(loaded, stem)
    return known


def _make_plugin(loaded: LoadedSpec, stem: str) -> type[YamlConnectorTask]:
    spec = loaded.spec
    config = make_config(spec, f"{stem}Config")
    refuse_functions(config, spec.task_type_name)
    parameters = [
        inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str),
        inspect.Parameter("plugin_config", inspect.Parameter.KEYWORD_ONLY, annotation=config, **_default(spec)),
        inspect.Parameter("inputs", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="dict[str, type] | None"),
        inspect.Parameter("outputs", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="dict[str, type] | None"),
        *(
            inspect.Parameter(secret, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None")
            for secret in secret_parameters(spec)
        ),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]

    def __init__(self: YamlConnectorTask, name: str, plugin_config: Any = None, **kwargs: Any) -> None:
        YamlConnectorTask.__init__(self, name, plugin_config, **kwargs)

    document = _plugin_doc(spec, config)
    signature = inspect.Signature(parameters)
    __init__.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    __init__.__doc__ = document
    return type(
        f"{stem}Task",
        (YamlConnectorTask,),
        {
            "__init__": __init__,
            "__doc__": document,
            "__module__": __name__,
            "__signature__": signature,
            "loaded": loaded,
            "spec": spec,
            "Config": config,
        },
    )


def _default(spec: ConnectorSpec) -> dict[str, Any]:
    return {} if any(field.required for field in spec.config.values()) else {"default": None}


def _plugin_doc(spec: ConnectorSpec, config: type[Any]) -> str:
    lines = [spec.description or f"A job of {spec.title}.", "", "Args:"]
    lines.append("    name: The task's name, unique in the project.")
    lines.append(f"    plugin_config: A {config.__name__}.")
    for label, fields in (("inputs", spec.inputs), ("outputs", {k: v for k, v in spec.outputs.items() if k != "*"})):
        shown = ", ".join(f"{name}: {field.type}" for name, field in (fields or {}).items())
        default = f"default: {shown}" if shown else "default: none"
        lines.append(f"    {label}: Names to Python types; {default}.")
    for name, secret in spec.secrets.items():
        about = f" {secret.description}" if secret.description else ""
        fallback = f"; default: the connector's own {secret.env}" if secret.env else ""
        lines.append(f"    {name}: The name of a secret in Flyte's store{fallback}.{about}")
    lines.append("    kwargs: Anything else that a Flyte task takes: retries, timeout, cache, docs ...")
    return "\n".join(lines)


def task_plugin(spec: str | Path) -> type[Any]:
    """Return the generated plugin class of a spec, with its `Config`.

    `spec` is a task type's name in the specs folder, or a path. The class makes tasks; that of a spec with
    `runs: container` is not called: its `Config` is the `plugin_config` of a `flyte.TaskEnvironment`, whose decorator
    makes them. Raises SpecError or ConfigError.
    """
    return _any_plugin_of(resolve(spec))


def task_from_spec(
    spec: str | Path,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | Any | None = None,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    **kwargs: Any,
) -> YamlConnectorTask:
    """Make a task that runs as a job of the spec's API.

    `name` is the task's (default: the task type's), `config` its typed configuration, `inputs` and `outputs` names to
    Python types (default: the spec's), `secrets` names to names in Flyte's secret store; further arguments are those of
    any Flyte task (`retries`, `timeout`, `cache` ...). Raises SpecError or ConfigError, with the field that is wrong.
    """
    plugin = plugin_of(resolve(spec))
    task_name = name or plugin.spec.task_type_name
    return plugin(task_name, plugin_config=config, inputs=inputs, outputs=outputs, connector_secrets=secrets, **kwargs)
