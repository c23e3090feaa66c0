"""What commands share that make one file of many specs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import Sources, errors_of, problem_text

if TYPE_CHECKING:
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector.errors import Diagnostic


def good_specs(paths: Sequence[str]) -> list[LoadedSpec]:
    """The specs that the paths stand for (none: where specs are looked for), by task type and version.

    If one cannot be used, all problems are shown, as `validate` does, and the command ends with 1.
    """
    from yaml_connector._loading.loader import load_all
    from yaml_connector.cli.validate import find_files

    files = find_files(paths)
    loaded, problems = load_all(files.specs)
    end_with([*files.problems, *errors_of(problems)])
    return sorted(loaded, key=lambda item: (item.spec.task_type_name, item.spec.task_type_version))


def end_with(problems: Iterable[Diagnostic]) -> None:
    """Show problems and end the command with 1; without a problem, go on."""
    sources = Sources()
    shown = [problem_text(problem, sources) for problem in problems]
    if shown:
        click.echo("\n".join(shown), err=True)
        raise click.exceptions.Exit(1)


def write(text: str, output: str) -> None:
    """Write what a command made to a file, and say so, or to the standard output (`-`)."""
    if output == "-":
        sys.stdout.buffer.write(text.encode())
        return
    Path(output).write_bytes(text.encode())
    click.echo(f"wrote {output}")
