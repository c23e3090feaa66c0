"""`yaml-connector run`: one real job from the terminal, without Flyte (section 11)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._options import (
    JobOptions,
    UsageErrors,
    find_spec,
    given_config,
    given_inputs,
    given_outputs,
    given_secrets,
    given_task,
    job_options,
    note_missing_secrets,
)

if TYPE_CHECKING:
    from yaml_connector._jobs.create import CreateValues
    from yaml_connector._spec import ConnectorSpec
    from yaml_connector.cli._live.interactive_run import Ended
    from yaml_connector.cli._live.recorder import RecordingJobClient


@click.command(short_help="Run one real job, without Flyte.")
@click.argument("spec", metavar="SPEC")
@job_options
@click.option("--dry-run", is_flag=True, help="Show the create request that would be sent, and send nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is sent and answered, without secrets.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_context
def run(
    ctx: click.Context,
    spec: str,
    given: JobOptions,
    dry_run: bool,
    verbose: bool,
    form: str,
    as_json: bool,
) -> None:
    """Run one real job from the terminal, as Flyte would, without Flyte.

    SPEC is a task type, or the path of a spec. Phases, info, links and log lines are shown as they come, outputs at the
    end. Ctrl-C cancels the job; Ctrl-C twice leaves it running and says how to find it. Exit code 1 unless it
    succeeded.

    Secrets come from --secret, else from the spec's own env and file. (`flyte run --local` has no --secret: there a
    task's own secret, alice-api-key in Flyte's store, is the variable ALICE_API_KEY.)

    \b
    Example:
      yaml-connector run batch_job --input name=hello --config timeout_seconds=60 --secret api_key=env:ALICE_KEY
    """
    import asyncio

    from yaml_connector.cli._live.interactive_run import Drive
    from yaml_connector.cli._live.recorder import RecordingJobClient

    loaded = find_spec(spec)
    values = job_values(loaded.spec, given, needs_secrets=not dry_run)
    as_json = as_json or form == "json"
    if dry_run:
        from yaml_connector.cli.run.dry_run import preview_create

        found = asyncio.run(preview_create(loaded, values))
        click.echo(json.dumps(found.data(), indent=2, ensure_ascii=False) if as_json else printable(found.text()))
        ctx.exit(0 if found.problem is None else 1)

    async def drive() -> tuple[Ended, RecordingJobClient]:
        connector = RecordingJobClient(loaded, values.secrets.values())
        return await Drive(connector, values, Timeline(quiet=as_json), verbose=verbose).run(), connector

    ended, connector = asyncio.run(drive())
    if as_json:
        click.echo(json.dumps(ended_data(ended, connector), indent=2, ensure_ascii=False))
    else:
        echo_end(ended, connector)
    ctx.exit(0 if ended.status.phase == "SUCCEEDED" else 1)


def job_values(spec: ConnectorSpec, given: JobOptions, *, needs_secrets: bool = True) -> CreateValues:
    """What Flyte would send with create, from the command line; wrong usage that names all that is missing or wrong."""
    import uuid

    from yaml_connector._jobs.create import CreateValues

    wrong = UsageErrors()
    values = CreateValues(
        given_inputs(spec, given.inputs, wrong),
        given_config(spec, given.config, wrong),
        given_task(spec, given.task, f"run-{uuid.uuid4().hex[:16]}", wrong),
        given_secrets(spec, given.secrets, wrong),
        given_outputs(spec, given.outputs, wrong),
    )
    if needs_secrets:
        note_missing_secrets(spec, values.secrets, wrong)
    wrong.tell()
    return values


class Timeline:
    """Tells what happens, each line with the seconds since the start."""

    def __init__(self, *, quiet: bool) -> None:
        self.began = time.monotonic()
        self.quiet = quiet

    def tell(self, kind: str, text: str) -> None:
        """One line, or the lines of a text. For programs only the end counts; notes and exchanges go to the standard
        error."""
        if self.quiet and kind not in ("note", "wire"):
            return
        from yaml_connector._spec import PHASES

        mark = {"log": "| ", "link": "link ", "info": "info ", "wire": "  "}.get(kind, "")
        phase = PHASES.get(text.split(":")[0]) if kind == "phase" else None
        colour = phase.colour if phase else None
        for line in printable(text).split("\n"):
            shown = click.style(line, fg=colour, bold=kind == "phase") if kind in ("phase", "note") else line
            when = click.style(f"{time.monotonic() - self.began:6.1f} s", dim=True)
            click.echo(f"{when}  {mark}{shown}", err=self.quiet)


def ended_data(ended: Ended, connector: RecordingJobClient) -> dict[str, Any]:
    """The end of a run for programs."""
    from yaml_connector._expressions.value_types import as_plain

    status = ended.status
    data = {
        "job_id": ended.meta.id or None,
        "phase": status.phase,
        "message": status.message,
        "outputs": {name: as_plain(value) for name, (_, value) in status.outputs.items()},
        "links": [{"name": name, "url": url} for name, url in status.links],
        "info": status.info,
        "log": ended.lines,
        "phases": [{"seconds": round(at, 1), "phase": phase} for at, phase in ended.phases],
        "seconds": round(ended.seconds, 1),
        "left_running": ended.left,
    }
    redacted: dict[str, Any] = connector.redact_tree(data)
    return redacted


def echo_end(ended: Ended, connector: RecordingJobClient) -> None:
    """The end of a run for people: the outputs, if there are any."""
    data = ended_data(ended, connector)
    if data["outputs"]:
        click.echo("outputs")
    for name, value in data["outputs"].items():
        click.echo(printable(f"  {name} = {json.dumps(value, ensure_ascii=False)}"))
