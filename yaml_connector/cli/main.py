"""The command line's entry: `yaml-connector`, also as `flyte yaml-connector` (section 11).

Exit codes: 0 good, also with warnings; 1 problems found; 2 wrong usage. Only click is imported here; what a command
needs is imported when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from yaml_connector.cli.catalog import catalog
from yaml_connector.cli.check.command import check
from yaml_connector.cli.demo import demo
from yaml_connector.cli.docs.command import docs
from yaml_connector.cli.explain.command import explain
from yaml_connector.cli.new.command import new
from yaml_connector.cli.record.command import record
from yaml_connector.cli.run.command import run
from yaml_connector.cli.schema import schema
from yaml_connector.cli.stubs.command import stubs
from yaml_connector.cli.test import test
from yaml_connector.cli.validate import validate
from yaml_connector.errors import YamlConnectorError


class _Commands(click.Group):
    """A group whose commands end with a message, never with a traceback, when the input is bad."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except YamlConnectorError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            named = error.filename is not None and error.strerror
            raise click.ClickException(f"{error.filename}: {error.strerror}" if named else str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yaml-connector")
def cli() -> None:
    """One YAML file makes a Flyte connector: check it, test it, try it.

    Specs are looked for in the paths given, else in YAML_CONNECTOR_PATH, else in connectors.d.

    \b
    Example:
      yaml-connector validate connectors.d && yaml-connector test connectors.d
    """


for _command in (
    validate,
    test,
    schema,
    run,
    check,
    explain,
    record,
    catalog,
    demo,
    new,
    docs,
    stubs,
):
    cli.add_command(_command)


def main() -> None:
    """The console script: runs the command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another one
    cli(prog_name="yaml-connector")


if __name__ == "__main__":
    main()
