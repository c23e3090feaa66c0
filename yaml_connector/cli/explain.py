"""`yaml-connector explain`: the documentation of a field, or what a spec does, in plain words (section 11)."""

from __future__ import annotations

import json
import os

import click

from yaml_connector.cli.problems import printable


@click.command(short_help="Explain a field, or a whole spec.")
@click.argument("what", metavar="[PATH|SPEC]", default="")
@click.option("--tests", is_flag=True, help="PATH is a field of a contract test in place of a spec.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)
def explain(what: str, tests: bool, form: str) -> None:
    """Explain a field of the language, or a whole spec.

    PATH is a field as messages write it (create.adopt, get.phase.map); without one all sections are listed. SPEC is a
    spec's file: what is sent, how answers are judged, what is kept with a job, and what a task's author must give.

    \b
    Examples:
      yaml-connector explain create.adopt
      yaml-connector explain connectors.d/batch_job.yaml
    """
    if os.path.isfile(what) or what.endswith((".yaml", ".yml")):
        from yaml_connector.cli.plain_words import spec_lines
        from yaml_connector.loading.loader import load

        found = load(what)[0]
        lines = list(spec_lines(found))
        data: object = {"file": found.file, "lines": lines}
    else:
        from yaml_connector.cli.fields import field_of

        field = field_of(what, tests=tests)
        lines, data = list(field.lines()), field.data()
    click.echo(json.dumps(data, indent=2, ensure_ascii=False) if form == "json" else printable("\n".join(lines)))
