"""`yaml-connector eval`: evaluate an expression, or a section of a spec, on a saved response."""

from __future__ import annotations

import click

from yaml_connector.cli._diagnostics import json_of, printable
from yaml_connector.cli._options import JobOptions, format_option, job_options

_SECTIONS = ["create", "get", "result", "delete", "logs"]
_BASE = "http://localhost/"


@click.command()
@click.argument("words", nargs=-1, metavar="[EXPRESSION] [FILE|-]")
@click.option("--spec", metavar="SPEC", help="Judge the response as a section of this spec does.")
@click.option("--section", type=click.Choice(_SECTIONS), help="With --spec: the section; default: get.")
@click.option("--status", type=click.IntRange(100, 599), help="The status; default: that of the head, else 200.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the response.")
@click.option("--job-id", default="job-id", metavar="ID", help="With --spec: job.id.")
@click.option("--saved", multiple=True, metavar="NAME=VALUE", help="With --spec: a value that create.save keeps.")
@job_options
@format_option
@click.pass_context
def eval(  # the name of the command
    ctx: click.Context,
    words: tuple[str, ...],
    spec: str | None,
    section: str | None,
    status: int | None,
    headers: tuple[str, ...],
    job_id: str,
    saved: tuple[str, ...],
    job: JobOptions,
    form: str,
) -> None:
    """Evaluate EXPRESSION on a saved response: a JSONPath, a template, or a bare condition.

    FILE is the body of a response, JSON or text, or what `curl -i` printed, with the head; - or nothing is the standard
    input. The value is printed as JSON. If it is not there, the names that are there are listed, with exit code 1; a
    condition that is false is exit code 0.

    With --spec there is no EXPRESSION: the response is judged as a section of the spec does, and phase, rule, message,
    outputs or lines are shown. Nothing is sent.

    \b
    Examples:
      yaml-connector eval '$.data.state' answer.json
      curl -si https://api.acme.com/jobs/7 | yaml-connector eval "status == 200 and body.state == 'done'"
      yaml-connector eval --spec batch_job answer.json --status 404
    """
    import asyncio

    from yaml_connector._loading.loader import resolve
    from yaml_connector._spec.connection import Connection
    from yaml_connector.cli.eval.saved_response import read_file_or_stdin, saved_response

    expression = "" if spec is not None else words[0] if words else ""
    files = words if spec is not None else words[1:]
    if len(files) > 1 or not (spec or expression):
        raise click.UsageError("give an EXPRESSION, or --spec SPEC, and at most one FILE")
    if section is not None and spec is None:
        raise click.UsageError("--section needs --spec: an expression is evaluated on the response alone")
    loaded = resolve(spec) if spec is not None else None
    limit = loaded.spec.connection.max_response if loaded else Connection.model_fields["max_response"].default
    content = read_file_or_stdin(files[0] if files else None, limit)
    response = saved_response(content, status=status, headers=headers, url=_BASE, limit=limit)
    if loaded is None:
        ctx.exit(_evaluate(expression, response, form))

    from yaml_connector.cli._live.judged_text import echo_judged
    from yaml_connector.cli.eval.section import judge_section

    section = section or "get"
    if getattr(loaded.spec, section) is None:
        there = [name for name in _SECTIONS if getattr(loaded.spec, name) is not None]
        raise click.UsageError(f"the spec has no {section}; it has: {', '.join(there)}")
    judged, client = asyncio.run(judge_section(loaded, section, response, job, job_id, saved))
    echo_judged(judged, client, form)
    ctx.exit(0 if judged.error is None else 1)


def _evaluate(expression: str, response: object, form: str) -> int:
    from yaml_connector._http.messages import Response
    from yaml_connector.cli.eval.expression import evaluate
    from yaml_connector.errors import EvaluationError

    assert isinstance(response, Response)
    try:
        result = evaluate(expression, response)
    except EvaluationError as problem:
        told = str(problem)  # a JSONPath is quoted in it
        what = "" if told.startswith(repr(expression)) else f"{expression!r} is not a valid expression: "
        raise click.UsageError(f"{what}{told}") from None
    data = {"value": result.value, "found": result.found, "names": result.names}
    click.echo(json_of(data if form == "json" else result.value))
    if result.why is not None:
        click.echo(printable(result.why), err=True)
    return 0 if result.found else 1
