"""`yaml-connector explain`: print the documentation of a field, or describe a whole spec."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from yaml_connector._text import did_you_mean
from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._options import format_option

if TYPE_CHECKING:
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector.cli.explain.fields import Field


@click.command()
@click.argument("what", metavar="[PATH|SPEC]", default="")
@click.option("--tests", is_flag=True, help="PATH is a field of a contract test.")
@format_option
def explain(what: str, tests: bool, form: str) -> None:
    """Explain a field of the language, or a whole spec.

    PATH is a field as messages write it (create.adopt, get.phase.map); without PATH all sections are listed. SPEC is a
    task type, or the path of a spec. The description of a spec says what is sent, how responses are read, what is kept
    with a job, and what the author of a task provides.

    \b
    Examples:
      yaml-connector explain create.adopt
      yaml-connector explain connectors.d/batch_job.yaml
    """
    from yaml_connector._loading.loader import LoadedSpec, load
    from yaml_connector.cli._description.words import spec_lines

    data: dict[str, Any]
    found = load(what)[0] if os.path.isfile(what) or what.endswith((".yaml", ".yml")) else _named(what, tests)
    if isinstance(found, LoadedSpec):
        lines = list(spec_lines(found))
        data = {"file": found.file, "lines": lines}
    else:
        lines, data = list(found.lines()), found.data()
    click.echo(json.dumps(data, indent=2, ensure_ascii=False) if form == "json" else printable("\n".join(lines)))


def _named(what: str, tests: bool) -> Field | LoadedSpec:
    """Return the field of this path, else the spec of this task type; raise click.UsageError if there is neither."""
    from yaml_connector._loading.loader import load_all, specs_path
    from yaml_connector.cli.explain.fields import field_of

    try:
        return field_of(what, tests=tests)
    except click.UsageError as no_field:
        if tests:
            raise
        folder = specs_path()
        loaded, _ = load_all([folder])
        named = [item for item in loaded if item.spec.task_type_name == what]
        if named:
            return max(named, key=lambda item: item.spec.task_type_version)
        tail = did_you_mean(what, [item.spec.task_type_name for item in loaded], what="there is")
        raise click.UsageError(f"{no_field.message}\n  there is also no task type {what!r} in {folder}{tail}") from None
