"""`yaml-connector run`: run one real job from the terminal, without Flyte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import json_of, printable
from yaml_connector.cli._options import (
    JobOptions,
    create_values,
    format_option,
    job_options,
    verbose_option,
)

if TYPE_CHECKING:
    from yaml_connector.cli._live.interactive_run import Ended, JobDriver


@click.command()
@click.argument("spec", metavar="SPEC")
@job_options
@click.option("--service", metavar="HOST:PORT", help="Run the job through this connector service, as Flyte does.")
@click.option(
    "--timeout", metavar="DURATION", help="Cancel a job that takes longer: 10m. The command ends at most 10 s after it."
)
@click.option("--dry-run", is_flag=True, help="Show the create request that would be sent, and send nothing.")
@verbose_option
@format_option
@click.pass_context
def run(
    ctx: click.Context,
    spec: str,
    job: JobOptions,
    service: str | None,
    timeout: str | None,
    dry_run: bool,
    verbose: bool,
    form: str,
) -> None:
    """Run one real job from the terminal, as Flyte would, without Flyte.

    SPEC is a task type, or the path of a spec. Phases, info, links and log lines are shown as they come, outputs at the
    end. Ctrl-C cancels the job; Ctrl-C twice leaves it running and says how to find it. Exit code 1 unless it
    succeeded.

    With --service, the calls go to a running service over gRPC: it sends the requests, with its own secrets where
    --secret names none. Its task type must be that of SPEC. This tests a deployment.

    Secrets come from --secret, else from the spec's env and file. (`flyte run --local` has no --secret: there, the
    secret alice-api-key of Flyte's store is read from the variable ALICE_API_KEY.)

    \b
    Example:
      yaml-connector run batch_job --input name=hello --config timeout_seconds=60 --secret api_key=env:ALICE_KEY
      yaml-connector run --service 127.0.0.1:8000 --timeout 10m batch_job --input name=hello
    """
    import asyncio
    from dataclasses import asdict

    from yaml_connector._loading.loader import resolve
    from yaml_connector.cli._live.interactive_run import InteractiveRun
    from yaml_connector.cli._live.recorder import RecordingJobClient
    from yaml_connector.cli._live.timeline import Timeline, echo_outputs, end_data, failure_data
    from yaml_connector.errors import YamlConnectorError

    loaded = resolve(spec)
    if service is not None and (dry_run or verbose):
        raise click.UsageError("--service shows no requests: the service sends them, and logs them at its debug level")
    limit = _seconds(timeout)
    values = create_values(loaded.spec, job, needs_secrets=not dry_run and service is None)
    as_json = form == "json"
    if dry_run:
        from yaml_connector.cli.run.dry_run import preview_create

        preview = asyncio.run(preview_create(loaded, values))
        click.echo(json_of(asdict(preview)) if as_json else printable(preview.text()))
        ctx.exit(0 if preview.problem is None else 1)

    async def drive() -> tuple[Ended, JobDriver]:
        client: JobDriver
        if service is not None:
            from yaml_connector.cli._live.service_job import RecordedServiceJob

            client = RecordedServiceJob(service, loaded, values, patience=limit)
        else:
            client = RecordingJobClient(loaded, values.secrets)
        options = [f"--config={text}" for text in job.config] + [f"--secret={text}" for text in job.secrets]
        tell = Timeline(quiet=as_json).tell
        running = InteractiveRun(client, values, tell, name=spec, options=options, verbose=verbose, timeout=limit)
        return await running.run(), client

    try:
        ended, client = asyncio.run(drive())
    except YamlConnectorError as error:
        if as_json:
            click.echo(json_of(failure_data(error)))
        raise
    if as_json:
        click.echo(json_of(end_data(ended, client)))
    else:
        echo_outputs(ended, client)
    ctx.exit(0 if ended.is_success else 1)


def _seconds(timeout: str | None) -> float | None:
    if timeout is None:
        return None
    from yaml_connector._expressions.value_types import parse_duration
    from yaml_connector.errors import EvaluationError

    try:
        seconds = parse_duration(timeout)
    except EvaluationError as problem:
        raise click.UsageError(f"--timeout: {problem}") from None
    if not seconds:
        raise click.UsageError("--timeout: no job can be submitted in 0s")
    return seconds
