"""`yaml-connector record`: a run that also writes a contract test of what happened (section 11)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._options import JobOptions, find_spec, job_options
from yaml_connector.cli.run.command import Timeline, echo_end, job_values

if TYPE_CHECKING:
    from yaml_connector._spec import ConnectorSpec
    from yaml_connector.cli._live.interactive_run import CallRecord, Ended
    from yaml_connector.cli._live.recorder import RecordingJobClient

_HEADER = """\
# Recorded by `yaml-connector record {task_type}`: {replaced} are replaced.
# Before you commit it, look for names, addresses and data in the answers that should not be kept,
# and leave out of `exchanges` and `expect` what no test needs.
"""


@click.command(short_help="Run one job, and write a test of it.")
@click.argument("spec", metavar="SPEC")
@job_options
@click.option("-o", "--to", metavar="FILE", type=click.Path(dir_okay=False), help="Default: NAME.test.yaml beside it.")
@click.option("--name", help="What holds, in a sentence; default: how the job ended.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def record(
    ctx: click.Context,
    spec: str,
    given: JobOptions,
    to: str | None,
    name: str | None,
    force: bool,
) -> None:
    """Run one real job, and write a contract test of what happened, which passes right away.

    SPEC is a task type, or the path of a spec. Secrets do not get into the file; times are replaced, and so is the
    job's id, unless it is a number, shorter than 6 characters, or put together by the spec. Exit code 0 if the test was
    written and passes, however the job ended.

    \b
    Example:
      yaml-connector record batch_job --input name=hello --secret api_key=env:ALICE_KEY -o hello.test.yaml
    """
    import asyncio

    from yaml_connector.cli._live.interactive_run import Drive
    from yaml_connector.cli._live.recorder import RecordingJobClient
    from yaml_connector.cli.record.contract_writer import Scrubber, contract_test
    from yaml_connector.cli.record.relax import relax

    loaded = find_spec(spec)
    file = to or os.path.splitext(loaded.file)[0] + ".test.yaml"
    if os.path.exists(file) and not force:
        raise click.UsageError(f"{file} is there already: name another with --to, or write over it with --force")
    values = job_values(loaded.spec, given)
    calls: list[CallRecord] = []

    async def drive() -> tuple[Ended, RecordingJobClient]:
        connector = RecordingJobClient(loaded, values.secrets.values())
        drive = Drive(connector, values, Timeline(quiet=False), remember=calls.append)
        return await drive.run(), connector

    ended, connector = asyncio.run(drive())
    echo_end(ended, connector)
    folder = os.path.dirname(file) or "."
    beside = os.path.relpath(loaded.file, folder)
    for field, value in values.inputs.items():  # a test finds files from its own folder
        if isinstance(value, str) and _is_file(loaded.spec, field) and os.path.isfile(value):
            values.inputs = {**values.inputs, field: os.path.relpath(value, folder)}
    title = name or f"ends as {ended.status.phase}"
    scrub = Scrubber(connector, values, calls)
    data = contract_test(scrub, values, calls, beside, title)
    text, loosened, failing = relax(data, file, scrub.short)
    replaced = "secrets, times and the job's id" if scrub.replaces_id else "secrets and times"
    with open(file, "w", encoding="utf-8") as handle:
        handle.write(_HEADER.format(task_type=loaded.spec.task_type_name, replaced=replaced) + text)
    click.echo(f"wrote {file}")
    for change in loosened:
        click.echo(printable(f"  loosened: {change}"))
    if failing is not None:
        click.echo(printable(f"  it does not pass yet: {failing}"), err=True)
    click.echo("Before you commit it, look for names, addresses and data in the answers that should not be kept.")
    ctx.exit(0 if failing is None else 1)


def _is_file(spec: ConnectorSpec, name: str) -> bool:
    return spec.inputs is not None and spec.inputs[name].type.name == "file"
