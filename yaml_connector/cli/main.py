"""Entry point of the command line: `yaml-connector`, also as `flyte yaml-connector`.

Exit codes: 0 success, also with warnings; 1 problems found; 2 wrong usage. Importing this module loads only click; a
command's module is imported when the command is looked up.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

try:
    import click

    from yaml_connector.errors import YamlConnectorError
except KeyboardInterrupt:  # nothing has been done yet, so there is nothing to say
    raise SystemExit(130) from None

# Each command with its module in this package and its line in `--help`.
_COMMANDS = {
    "backend-config": ("backend_config", "Print what Flyte's backend must be told."),
    "call": ("call.command", "Make one call on a job that exists."),
    "catalog": ("catalog.command", "Find and copy specs of well-known APIs."),
    "check": ("check.command", "Check the live API before the first job."),
    "demo": ("demo", "Run a tour of all parts."),
    "docs": ("docs.command", "Write a page for workflow authors."),
    "eval": ("eval.command", "Try an expression on a saved response."),
    "explain": ("explain.command", "Explain a field, or a whole spec."),
    "new": ("new.command", "Write a first spec and its contract test."),
    "record": ("record.command", "Run one job and write a test of it."),
    "run": ("run.command", "Run one real job, without Flyte."),
    "schema": ("schema", "Print the JSON Schema for editors."),
    "serve": ("serve", "Serve the specs to Flyte."),
    "stubs": ("stubs.command", "Write typed tasks for editors and mypy."),
    "test": ("test", "Run contract tests of recorded calls."),
    "validate": ("validate", "Check specs and their contract tests."),
}


class CommandGroup(click.Group):
    """A group that imports its commands on demand and reports bad input as a message, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*self.commands, *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module; None if there is no such command."""
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name in _COMMANDS:
            module, short_help = _COMMANDS[cmd_name]
            command = getattr(import_module(f"yaml_connector.cli.{module}"), cmd_name.replace("-", "_"))
            command.short_help = short_help
            self.add_command(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, so that `--help` imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in sorted(_COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn the errors of bad input into click's, which are printed as a message."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except YamlConnectorError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(_reason(error)) from None


def _reason(error: OSError) -> str:
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return f"the output cannot be written: {error.strerror}"
    return str(error)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yaml-connector")
def cli() -> None:
    """One YAML file makes a Flyte connector: check it, test it, try it.

    Specs are read from the paths given, else from YAML_CONNECTOR_PATH, else from connectors.d.

    \b
    Example:
      yaml-connector validate connectors.d && yaml-connector test connectors.d
    """


def main() -> None:
    """Run the command line and exit with its code."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed (`<&-`), as services do
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115 - stays open
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a character that the terminal lacks must not end the command
    try:
        code = cli(prog_name="yaml-connector", standalone_mode=True)
    except SystemExit as end:
        code = end.code
    except RuntimeError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C while Python makes a class
            raise
        click.echo("Aborted!", err=True)
        code = 1
    except OSError as error:  # of the help, which no command prints
        code = _lost(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or _lost(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at its end
    sys.exit(code)


def _lost(error: OSError) -> int:
    click.echo(f"Error: {_reason(error)}", err=True)
    return 1


if __name__ == "__main__":
    main()
