"""`yaml-connector stubs`: write a typed Python module for the specs of a folder."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from yaml_connector.cli._diagnostics import exit_with
from yaml_connector.cli._files import load_specs, write_output
from yaml_connector.errors import ConfigError

_LONGEST_DIFFERENCE = 20  # lines


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--output",
    default="connector_tasks.py",
    show_default=True,
    metavar="FILE",
    help="The module to write; - for the standard output.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if the file is out of date.")
def stubs(paths: tuple[str, ...], output: str, check: bool) -> None:
    """Write a Python module that tells editors and type checkers about the tasks of specs.

    PATHS are spec files or folders. For the task type batch_job the module has BatchJobTask, BatchJobConfig, and
    task_from_spec("batch_job", ...), with the fields, types, defaults and descriptions of the spec. At run time it
    finds the specs as task_from_spec does: in YAML_CONNECTOR_PATH, else in connectors.d.

    \b
    Examples:
      yaml-connector stubs
      yaml-connector stubs connectors.d --output tasks/connector_tasks.py
      yaml-connector stubs connectors.d --check

    \b
    Then, in a workflow:
      from connector_tasks import BatchJobConfig, BatchJobTask
      job = BatchJobTask("my_job", plugin_config=BatchJobConfig(timeout_seconds=60))
    """
    loaded = load_specs(paths)
    from yaml_connector._loading.loader import newest
    from yaml_connector.cli.stubs.module_text import MARK, module_text, name_problems

    exit_with(name_problems(loaded))
    text = module_text([item.spec for _, item in sorted(newest(loaded).items())])
    if check:
        _compare(output, text)
        return
    if output != "-" and not output.endswith(".py"):
        raise click.UsageError(f"--output: {output!r} is not the name of a Python module; write it as NAME.py, or -")
    target = Path(output)
    if output != "-" and target.exists() and MARK not in target.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(
            f"{output} already exists, and was not written by `yaml-connector stubs`; choose another name"
        )
    write_output(text, output)


def _compare(output: str, text: str) -> None:
    """Raise ConfigError, and print the difference, if a file does not have this text."""
    current = Path(output).read_text(encoding="utf-8") if Path(output).exists() else ""
    if current == text:
        return
    difference = list(difflib.unified_diff(current.splitlines(), text.splitlines(), "file", "specs", lineterm=""))
    if current:
        click.echo("\n".join(difference[:_LONGEST_DIFFERENCE]), err=True)
        if len(difference) > _LONGEST_DIFFERENCE:
            click.echo(f"... and {len(difference) - _LONGEST_DIFFERENCE} more lines", err=True)
    what = "is out of date" if current else "does not exist"
    raise ConfigError(f"{output} {what}: run `yaml-connector stubs` with the same paths and --output, without --check")
