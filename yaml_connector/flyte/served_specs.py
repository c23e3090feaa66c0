"""The specs of a service: loaded and registered at its start, and again when their files have changed."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import click

from yaml_connector._jobs.signing import ACCEPT_UNSIGNED_VARIABLE, KEY_VARIABLE, signer_from, without_keys
from yaml_connector._loading.loader import LoadedSpec, load, specs_path
from yaml_connector._loading.shared_type import shared_type
from yaml_connector.errors import ConfigError, SpecError
from yaml_connector.flyte.connector import YamlConnector
from yaml_connector.flyte.files import PREFIXES_VARIABLE, restrict_files
from yaml_connector.flyte.registry import register_all, unregister
from yaml_connector.flyte.routing import install_router


class SpecsRejectedError(Exception):
    """The specs cannot be used. Each problem has been printed; the message sums them up."""


@dataclass(frozen=True)
class Changes:
    """What an update changed: a line for each change, and the connectors that get no new calls any more."""

    lines: list[str]
    retired: list[YamlConnector]


class ServedSpecs:
    """The connectors of one path, a spec or a folder (default: YAML_CONNECTOR_PATH, else connectors.d).

    Raises SpecsRejectedError if the signing key or the shared task type cannot be used.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = specs_path(path)
        self._environment = without_keys(os.environ)  # a copy: reading the process's own costs time
        try:
            self._signer = signer_from(os.environ)
            shared = shared_type()
        except ConfigError as error:
            raise SpecsRejectedError(str(error)) from None
        install_router(self._signer, shared)
        self._served: dict[str, YamlConnector] = {}
        self._removed: dict[str, YamlConnector] = {}

    @property
    def names(self) -> list[str]:
        """The task types with their versions, sorted: `batch_job (0)`."""
        return sorted(self._served)

    @property
    def current(self) -> list[YamlConnector]:
        """The connectors of the specs that are loaded."""
        return list(self._served.values())

    @property
    def removed(self) -> list[YamlConnector]:
        """The connectors that serve only the jobs that they have."""
        return list(self._removed.values())

    @property
    def connectors(self) -> list[YamlConnector]:
        """The connectors that are served now, also those that serve only the jobs that they have."""
        return [*self.current, *self.removed]

    def warn_about_keys(self) -> None:
        """Print a line if jobs are not signed, or if unsigned ones are accepted."""
        if not self._signer.keys:
            click.echo(
                f"warning: without {KEY_VARIABLE} jobs are not signed: every caller of the port can name any job, and "
                "running jobs follow a changed spec",
                err=True,
            )
        elif self._signer.accept_unsigned:
            click.echo(f"warning: with {ACCEPT_UNSIGNED_VARIABLE}=1 jobs without a signature are accepted", err=True)

    def update(self) -> Changes:
        """Serve the specs as their files are now. Raises SpecsRejectedError, and then nothing has changed."""
        return self._serve(self._read())

    def _read(self) -> list[LoadedSpec]:
        """Load the files. Prints every problem and raises SpecsRejectedError if there is an error among them."""
        try:
            return load(self.path)
        except OSError as error:  # no rights, no file descriptor, or the folder has just been replaced
            raise SpecsRejectedError(f"{self.path} cannot be read: {error.strerror}") from None
        except SpecError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            count = len(error.problems)
            raise SpecsRejectedError(f"{count} problem{'s' if count > 1 else ''} in {self.path}") from None

    def _serve(self, loaded: Sequence[LoadedSpec]) -> Changes:
        """Serve these specs and no others, and print the warnings about those that are new.

        Raises SpecsRejectedError, and then nothing has changed.
        """
        try:
            restrict_files(self._environment.get(PREFIXES_VARIABLE, ""))
            shared_type(loaded)
            connectors = register_all(loaded, self._environment, self._signer)
        except ConfigError as error:
            raise SpecsRejectedError(f"{self.path}: {error}") from None
        before = self._served
        self._served = {f"{item.task_type_name} ({item.task_type_version})": item for item in connectors}
        lines, retired = [], []
        for name, connector in self._served.items():
            old = before.get(name)
            if old is connector:
                continue
            for warning in connector.loaded.warnings:
                click.echo(str(warning), err=True)
            lines.append(f"{'changed' if old else 'added'}: {name}, from {connector.loaded.file}")
            retired += [gone for gone in (old, self._removed.pop(name, None)) if gone is not None]
        for name, old in before.items():
            if name not in self._served:
                unregister(old)
                lines.append(f"removed: {name}")
                self._removed[name] = old
        return Changes(lines, retired)


def log_to_stderr() -> None:
    """Write the log of this package to stderr, unless it is set up already; changes of phase are a line each."""
    logger = logging.getLogger("yaml_connector")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
