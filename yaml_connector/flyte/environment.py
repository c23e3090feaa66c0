"""Deploys the connector service: an environment of Flyte that checks specs, ships them, and asks for their secrets."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import flyte
from flyte.app import ConnectorEnvironment, Port, Scaling
from flyte.models import SerializationContext

from yaml_connector._jobs.signing import KEY_VARIABLE
from yaml_connector._loading.loader import DEFAULT_FOLDER, SPEC_PATH_VARIABLE, LoadedSpec, load
from yaml_connector._loading.shared_type import SHARED_VARIABLE, shared_type
from yaml_connector.errors import ConfigError

METRICS_PORT = 9092  # of /metrics and /healthz in the container; Flyte uses this port for metrics, too
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass
class YamlConnectorEnvironment(ConnectorEnvironment):
    """The connector service of a folder of specs.

    `specs` is the folder (or one file), relative to the file that builds the environment. Everything else is as for a
    `ConnectorEnvironment`; the defaults differ in: `image` has what the specs need, `scaling` keeps two replicas (Flyte
    waits 10 s, too short for a cold start, and fails new tasks while no replica answers), `secrets` are those that the
    specs name by `env`.
    `signing_key` is the name in Flyte's store of the key that signs jobs.

    If all specs share one task type here (YAML_CONNECTOR_SHARED_TYPE), they do in the service.

    Raises SpecError with all that is wrong in the specs, ConfigError if `env_vars` hold a signing key.
    """

    specs: str = DEFAULT_FOLDER
    signing_key: str | None = None
    scaling: Scaling = field(default_factory=lambda: Scaling(replicas=(2, 2)))
    loaded: tuple[LoadedSpec, ...] = field(init=False, default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        here = Path(self._get_declaring_file() or os.getcwd()).parent
        self.loaded = tuple(load(here / self.specs))
        self.include = (*self.include, *_files_to_ship(here, self.specs))
        shared = shared_type(self.loaded)
        own = {SPEC_PATH_VARIABLE: self._inside_bundle(here)} | ({SHARED_VARIABLE: shared} if shared else {})
        self.env_vars = own | (self.env_vars or {})
        if KEY_VARIABLE in self.env_vars:
            raise ConfigError(f"{KEY_VARIABLE} in env_vars would be readable in the deployment: use signing_key")
        self.secrets = _with_named_secrets(self.secrets, self.loaded, self.signing_key)
        if self.image == "auto":
            self.image = default_image(here, self.loaded)
        super().__post_init__()  # type: ignore[no-untyped-call]  # Flyte's has no annotations

    def _get_declaring_file(self) -> str | None:
        """Return the user's file: Flyte skips its own frames, and here ours are to be skipped as well."""
        frame = inspect.currentframe()
        flyte_package = str(Path(flyte.__file__).parent)
        while frame is not None:
            name = frame.f_code.co_filename
            if os.path.exists(name) and not name.startswith(flyte_package) and Path(name) != Path(__file__):
                return os.path.abspath(name)
            frame = frame.f_back
        return None

    def _inside_bundle(self, here: Path) -> str:
        path = Path(self.specs)
        return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)

    def container_args(self, serialize_context: SerializationContext) -> list[str]:
        """Return the command that the container runs: `serve`, reachable from outside. A wrong spec stops its start."""
        if self.args is not None:
            return super().container_args(serialize_context)
        port = self.port.port if isinstance(self.port, Port) else self.port
        args = ["python", "-m", "yaml_connector.flyte.serve", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
        args += ["--http", str(METRICS_PORT)]
        root, declared = serialize_context.root_dir, self._declaring_file
        if root is not None and declared is not None:
            below = os.path.relpath(Path(declared).parent / self.specs, root)
            if below != (self.env_vars or {}).get(SPEC_PATH_VARIABLE):
                args += ["--specs", below]
        return args


def _files_to_ship(here: Path, specs: str) -> tuple[str, ...]:
    """Return the specs, and the package if it lies beside them, as in this repository, and not in the image."""
    return (specs, _PACKAGE.name) if _is_shipped(here) else (specs,)


def _is_shipped(here: Path) -> bool:
    """Tell whether the package lies beside the user's file. In a virtual environment below it, it is installed."""
    return _PACKAGE.parent == here.resolve()


def task_files(specs: Iterable[str] | str = DEFAULT_FOLDER) -> tuple[str, ...]:
    """Return what a TaskEnvironment must `include` when its tasks await YAML tasks in a deployed bundle.

    These are the specs, and the package where it is not installed in the task's image. Paths are relative to the
    caller's file.
    """
    caller = inspect.stack()[1].filename
    here = Path(caller).resolve().parent
    folders = [specs] if isinstance(specs, str) else list(specs)
    shipped = [file for folder in folders for file in _files_to_ship(here, folder)]
    return tuple(dict.fromkeys(shipped))


def _with_named_secrets(given: Any, loaded: Iterable[LoadedSpec], signing_key: str | None) -> Any:
    """Return the secrets given, and one for each variable that a spec names and for the key, if they are missing."""
    if given is None:
        asked: list[Any] = []
    else:
        asked = [given] if isinstance(given, str | flyte.Secret) else list(given)
    present = {(item if isinstance(item, flyte.Secret) else flyte.Secret(key=item)).as_env_var for item in asked}
    named = [(secret.env, secret.env) for item in loaded for secret in item.spec.secrets.values() if secret.env]
    if signing_key is not None:
        named.append((signing_key, KEY_VARIABLE))
    for key, variable in named:
        if variable not in present:
            present.add(variable)
            asked.append(flyte.Secret(key=key, as_env_var=variable))
    return asked or None


def default_image(here: Path, loaded: Iterable[LoadedSpec]) -> flyte.Image:
    """Return an image that has what these specs need: the package, or only what it depends on if it is shipped."""
    connections = [item.spec.connection for item in loaded]
    extras = sorted(
        {each.auth.extra for each in connections if each.auth is not None and each.auth.extra is not None}
        | {"http2" for each in connections if each.http2}
        | {"socks" for each in connections if str(each.proxy).startswith("socks")}
    )
    base = flyte.Image.from_debian_base()
    if _is_shipped(here):
        try:
            return base.with_pip_packages(*requirements(extras))
        except metadata.PackageNotFoundError:
            return base  # in the unpacked bundle itself, which Flyte imports in the image that was made for it
    suffix = f"[{','.join(extras)}]" if extras else ""
    return base.with_pip_packages(f"yaml-connector{suffix}=={metadata.version('yaml-connector')}")


def requirements(extras: Iterable[str] = ()) -> list[str]:
    """Return what the package depends on, as pip writes it, with the extras named."""
    wanted = set(extras)
    found = []
    for line in metadata.requires("yaml-connector") or []:
        requirement, _, marker = line.partition(";")
        extra = marker.split("==")[-1].strip(" '\"") if "extra" in marker else None
        if extra is None or extra in wanted:
            found.append(requirement.strip())
    return found
