"""What `c0 --modules yaml_connector.service` imports: it registers every spec of `YAML_CONNECTOR_PATH` (else of
`connectors.d`), and stops the start with all their errors if one is wrong."""

from __future__ import annotations

import logging
import sys

import click

from yaml_connector.connector import register
from yaml_connector.errors import ConfigError, SpecError
from yaml_connector.load.loader import specs_path


def start() -> None:
    """Register the specs; prints what is wrong and exits with 1 if one cannot be used."""
    try:
        for connector in register():
            for warning in connector.loaded.warnings:
                click.echo(str(warning), err=True)
    except SpecError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        click.echo(f"{len(error.problems)} problems in {specs_path()}: the connector service does not start", err=True)
        sys.exit(1)
    except ConfigError as error:
        click.echo(f"{specs_path()}: {error}", err=True)
        sys.exit(1)
    if not logging.getLogger("yaml_connector").handlers:
        logging.getLogger("yaml_connector").addHandler(logging.StreamHandler())


start()

__all__ = ["start"]
