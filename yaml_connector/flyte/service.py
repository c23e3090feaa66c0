"""What `c0 --modules yaml_connector.flyte.service` imports: it registers every spec of `YAML_CONNECTOR_PATH` (else of
`connectors.d`), and stops the start with all their errors if one is wrong."""

from __future__ import annotations

import gc
import logging
import os

import click

from yaml_connector._loading.loader import gc_disabled, specs_path
from yaml_connector.errors import ConfigError, SpecError
from yaml_connector.flyte.files import guard
from yaml_connector.flyte.registry import register
from yaml_connector.flyte.shutdown import stop_on_sigterm


def start() -> None:
    """Register the specs; says what is wrong and stops the start if one cannot be used.

    Raises click.ClickException, with which `c0` ends with exit code 1. (A SystemExit would not do: `c0` imports this
    module in a thread, which alone would end.)
    """
    with gc_disabled():
        _register()
        gc.freeze()  # what is loaded now stays: looking through it again and again for garbage is a tenth of a call
    logger = logging.getLogger("yaml_connector")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
    if not logger.isEnabledFor(logging.INFO):  # changes of phase are worth a line each
        logger.setLevel(logging.INFO)
    stop_on_sigterm()


def _register() -> None:
    try:
        # a copy, since reading the process's own takes its time, and nobody changes it here
        loaded = [connector.loaded for connector in register(environment=dict(os.environ))]
    except SpecError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        count = f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}"
        raise click.ClickException(f"{count} in {specs_path()}: the connector service does not start") from None
    except ConfigError as error:
        raise click.ClickException(f"{specs_path()}: {error}") from None
    guard(secret.file for item in loaded for secret in item.spec.secrets.values() if secret.file)
    for item in loaded:
        for warning in item.warnings:
            click.echo(str(warning), err=True)


start()

__all__ = ["start"]
