"""`yaml-connector record`: run one job and write a contract test of what happened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._files import write_file
from yaml_connector.cli._options import JobOptions, create_values, job_options

if TYPE_CHECKING:
    from yaml_connector._spec import ConnectorSpec
    from yaml_connector.cli._live.interactive_run import CallRecord, Ended
    from yaml_connector.cli._live.recorder import RecordingJobClient

_HEADER = """\
# Recorded by `yaml-connector record {task_type}`: {replaced} are replaced.
# {check}
# Remove from `exchanges` and `expect` what the test does not need.
"""


_CHECK = "Before you commit it, check the recorded responses for names, addresses and data that should not be kept."


@click.command()
@click.argument("paths", nargs=-1, metavar="SPEC")
@job_options
@click.option("-o", "--to", metavar="FILE", type=click.Path(dir_okay=False), help="Default: the spec's NAME.test.yaml.")
@click.option("--name", help="The name of the test; default: how the job ended.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--add", is_flag=True, help="Add the test to a file that is there; its other lines stay.")
@click.option("--again", is_flag=True, help="Make the recordings of [PATHS] anew, with the same inputs.")
@click.option("--yes", is_flag=True, help="With --again: write without asking.")
@click.pass_context
def record(
    ctx: click.Context,
    paths: tuple[str, ...],
    job: JobOptions,
    to: str | None,
    name: str | None,
    force: bool,
    add: bool,
    again: bool,
    yes: bool,
) -> None:
    """Run one real job and write a contract test of what happened. The test passes as it is written.

    SPEC is a task type, or the path of a spec. Secrets are never written. Times are replaced, and so is the job's id,
    unless it is a number, shorter than 6 characters, or composed by the spec. Exit code 0 if the test was written and
    passes, however the job ended.

    --again runs the job of each recorded test of specs, tests or folders ([PATHS]) once more, with the same inputs,
    shows what has changed, and asks before it writes. A test that cancels its job cancels it in the same phase. Exit
    code 1 if a test does not pass, or is not written.

    \b
    Examples:
      yaml-connector record batch_job --input name=hello --secret api_key=env:ALICE_KEY -o hello.test.yaml
      yaml-connector record batch_job --input name=fail --secret api_key=env:ALICE_KEY --add
      yaml-connector record --again connectors.d --secret api_key=env:ALICE_KEY
    """
    if again:
        from yaml_connector.cli.record.again import record_again

        if add or force or to is not None or name is not None or job.inputs or job.config:
            raise click.UsageError("--again takes paths, --secret and --yes: inputs and names are those of the tests")
        ctx.exit(0 if record_again(paths, job.secrets, yes=yes) else 1)
    if len(paths) != 1:
        raise click.UsageError("name one SPEC, or tests to record --again")
    import asyncio

    from yaml_connector._loading.loader import resolve
    from yaml_connector.cli._live.interactive_run import InteractiveRun
    from yaml_connector.cli._live.recorder import RecordingJobClient
    from yaml_connector.cli._live.timeline import Timeline, echo_outputs
    from yaml_connector.cli.record.contract_writer import Scrubber, contract_test
    from yaml_connector.cli.record.relax import relax
    from yaml_connector.cli.record.test_file import Addition

    loaded = resolve(paths[0])
    file = to or os.path.splitext(loaded.file)[0] + ".test.yaml"
    exists = os.path.exists(file)
    if exists and not (force or add):
        ways = "add to it with --add, choose another file with --to, or overwrite it with --force"
        raise click.UsageError(f"{file} already exists; {ways}")
    folder = os.path.dirname(file) or "."
    if not os.path.isdir(folder):
        raise click.UsageError(f"there is no folder {folder}")
    if not os.access(file if exists else folder, os.W_OK):
        raise click.UsageError(f"{file} cannot be written: it would be lost after the job has run")
    addition = Addition(file, loaded.file) if add and exists else None
    values = create_values(loaded.spec, job)
    calls: list[CallRecord] = []

    async def drive() -> tuple[Ended, RecordingJobClient]:
        client = RecordingJobClient(loaded, values.secrets)
        return await InteractiveRun(client, values, Timeline().tell, remember=calls.append).run(), client

    ended, client = asyncio.run(drive())
    echo_outputs(ended, client)
    beside = os.path.relpath(loaded.file, folder)
    for field, value in values.inputs.items():  # paths in a test are relative to its folder
        if isinstance(value, str) and _is_file(loaded.spec, field) and os.path.isfile(value):
            values.inputs = {**values.inputs, field: os.path.relpath(value, folder)}
    title = name or f"ends as {ended.status.phase}"
    if addition is not None:
        title = addition.new_name(title)
    scrub = Scrubber(loaded, client, values, calls)
    data = contract_test(scrub, values, calls, beside, title)
    text, relaxed, failing = relax(data, file, scrub.short)
    replaced = "secrets, times and the job's id" if scrub.replaces_id else "secrets and times"
    if addition is not None:
        text = addition.text(data)
    else:
        text = _HEADER.format(task_type=loaded.spec.task_type_name, replaced=replaced, check=_CHECK) + text
    try:
        write_file(file, text)
    except OSError:
        click.echo(text)  # the job has run: what was recorded is not lost
        raise
    click.echo(f"wrote {file}")
    for change in relaxed:
        click.echo(printable(f"  relaxed: {change}"))
    if failing is not None:
        click.echo(printable(f"  it does not pass yet: {failing}"), err=True)
    click.echo(_CHECK)
    ctx.exit(0 if failing is None else 1)


def _is_file(spec: ConnectorSpec, name: str) -> bool:
    return spec.inputs is not None and spec.inputs[name].type.name == "file"
