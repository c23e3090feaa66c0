"""`yaml-connector stubs`: a typed module for the specs of a folder (section 11)."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from yaml_connector.cli._folder import end_with, good_specs, write
from yaml_connector.errors import ConfigError

_LONGEST_DIFFERENCE = 20  # lines


@click.command(short_help="Write typed tasks for editors and mypy.")
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--output",
    default="connector_tasks.py",
    show_default=True,
    metavar="FILE",
    help="The module to write; - for the standard output.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if the file is not what would be written.")
def stubs(paths: tuple[str, ...], output: str, check: bool) -> None:
    """Write a Python module by which editors and type checkers know the tasks of specs.

    PATHS are spec files or folders. For the task type batch_job the module has BatchJobTask, BatchJobConfig, and
    task_from_spec("batch_job", ...), with the fields, types, defaults and descriptions of the spec. When it runs, it
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
    loaded = good_specs(paths)
    from yaml_connector.cli.stubs.module_text import MARK, found_by_name, module_text, name_problems

    end_with(name_problems(loaded))
    text = module_text(found_by_name(loaded))
    if check:
        _compare(output, text)
        return
    if output != "-" and not output.endswith(".py"):
        raise click.UsageError(f"--output: {output!r} is no name of a Python module; write it as NAME.py, or - ")
    target = Path(output)
    if output != "-" and target.exists() and MARK not in target.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(
            f"{output} is there already, and `yaml-connector stubs` did not write it; choose another name"
        )
    write(text, output)


def _compare(output: str, text: str) -> None:
    """End with 1, and show where they differ, if a file is not this text."""
    there = Path(output).read_text(encoding="utf-8") if Path(output).exists() else ""
    if there == text:
        return
    difference = list(difflib.unified_diff(there.splitlines(), text.splitlines(), "there", "now", lineterm=""))
    if there:
        click.echo("\n".join(difference[:_LONGEST_DIFFERENCE]), err=True)
        if len(difference) > _LONGEST_DIFFERENCE:
            click.echo(f"... and {len(difference) - _LONGEST_DIFFERENCE} lines more", err=True)
    what = "is out of date" if there else "is not there"
    raise ConfigError(f"{output} {what}: run `yaml-connector stubs` with the same paths and --output, without --check")
