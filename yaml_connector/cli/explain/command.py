"""`yaml-connector explain`: print the documentation of a field, or describe a whole spec."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from yaml_connector.cli._diagnostics import json_of, printable
from yaml_connector.cli._options import format_option
from yaml_connector.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector.cli.explain.fields import Field


@click.command()
@click.argument("what", metavar="[PATH|SPEC]", default="")
@click.option("--tests", is_flag=True, help="PATH is a field of a contract test.")
@format_option
def explain(what: str, tests: bool, form: str) -> None:
    """Explain a field of the language, or a whole spec.

    PATH is a field as messages write it (create.adopt, get.phase.map), a phase, a filter, a function, or a name of
    the task (task.key); without PATH all sections are listed. SPEC is a
    task type, or the path of a spec. The description of a spec says what is sent, how responses are read, what is kept
    with a job, and what the author of a task provides.

    \b
    Examples:
      yaml-connector explain create.adopt
      yaml-connector explain connectors.d/batch_job.yaml
    """
    from yaml_connector._loading.loader import LoadedSpec, resolve
    from yaml_connector.cli._description.words import spec_lines

    data: dict[str, Any]
    found = resolve(what) if os.path.exists(what) or what.endswith((".yaml", ".yml")) else _named(what, tests)
    if isinstance(found, LoadedSpec):
        lines = list(spec_lines(found))
        data = {"file": found.file, "lines": lines}
    else:
        lines, data = list(found.lines()), found.data()
    click.echo(json_of(data) if form == "json" else printable("\n".join(lines)))


def _named(what: str, tests: bool) -> Field | LoadedSpec:
    """Return the field of this path, else the spec of this task type; raise click.UsageError if there is neither."""
    from yaml_connector._loading.loader import resolve
    from yaml_connector._text import closest
    from yaml_connector.cli.explain.fields import field_of, paths_of
    from yaml_connector.cli.explain.names import all_names, named

    try:
        return field_of(what, tests=tests)
    except click.UsageError as no_field:
        if tests:
            raise
        if (found := named(what)) is not None:
            return found
        message, places, other = no_field.message, paths_of(what), closest(what, all_names())
        if places:
            message = f"there is no field {what!r} at the top; did you mean {' or '.join(places)}?"
        elif other is not None and "did you mean" not in message:
            message = f"{what!r} is not known here; did you mean {other}?"
        try:
            return resolve(what)
        except ConfigError as no_spec:
            raise click.UsageError(f"{message}\n  {no_spec}") from None
        except SpecError:
            raise click.UsageError(message) from None
