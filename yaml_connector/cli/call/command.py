"""`yaml-connector call`: make one call on a job that exists, and show how its response is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from yaml_connector.cli._options import (
    JobOptions,
    UsageErrors,
    format_option,
    job_options,
    read_secrets,
    require_secrets,
    verbose_option,
)

if TYPE_CHECKING:
    from yaml_connector._spec import ConnectorSpec


@click.command()
@click.argument("kind", metavar="get|result|delete|logs", type=click.Choice(["get", "result", "delete", "logs"]))
@click.argument("spec", metavar="SPEC")
@click.option("--job-id", required=True, metavar="ID", help="The job's id at the API.")
@click.option("--saved", multiple=True, metavar="NAME=VALUE", help="A value that create.save keeps: job.NAME.")
@click.option("--token", default="", metavar="T", help="logs: where to read on, as `next` said; default: the start.")
@job_options
@verbose_option
@format_option
@click.pass_context
def call(
    ctx: click.Context,
    kind: str,
    spec: str,
    job_id: str,
    saved: tuple[str, ...],
    token: str,
    job: JobOptions,
    verbose: bool,
    form: str,
) -> None:
    """Make one call on a job that exists, and show how its response is judged. Nothing is created.

    SPEC is a task type, or the path of a spec. It shows what was sent and what came back, the phase with the rule that
    held, message, info, links and outputs, or the lines of a log. `result` asks get, too; `delete` is sent without
    asking; `logs` reads one page. Inputs and config are needed only if the call uses them. Exit code 1 if the call
    failed, or if no rule of the spec knows the job's state.

    \b
    Examples:
      yaml-connector call get batch_job --job-id job-17 --secret api_key=env:ALICE_KEY
      yaml-connector call logs batch_job --job-id job-17 --token eyJ... --json
    """
    import asyncio
    from dataclasses import replace

    from yaml_connector._jobs.compiled_spec import CompiledSpec
    from yaml_connector._loading.loader import resolve
    from yaml_connector.cli._live.existing_job import existing_job
    from yaml_connector.cli._live.judged_text import echo_judged
    from yaml_connector.cli._live.one_call import Judged, JudgingJobClient, make_call, only

    loaded = resolve(spec)
    _check_section(loaded.spec, kind)
    loaded = replace(loaded, spec=only(loaded.spec, kind))
    errors = UsageErrors()
    secrets = read_secrets(loaded.spec, job.secrets, errors)
    require_secrets(loaded.spec, secrets, errors)
    if not job_id:
        errors.add("--job-id is empty")

    async def drive() -> tuple[Judged, JudgingJobClient]:
        client = JudgingJobClient(loaded, secrets)
        plan: CompiledSpec = client.plan
        meta = existing_job(plan, job, job_id, saved, errors)
        errors.raise_if_any()
        try:
            return await make_call(client, kind, meta, secrets, token), client
        finally:
            await client.close()

    judged, client = asyncio.run(drive())
    echo_judged(judged, client, form, verbose=verbose)
    ctx.exit(0 if judged.error is None else 1)


def _check_section(spec: ConnectorSpec, kind: str) -> None:
    """Raise click.UsageError if the spec lacks the section: there is nothing to send."""
    if kind in ("delete", "logs") and getattr(spec, kind) is None:
        there = [name for name in ("get", "result", "delete", "logs") if getattr(spec, name) is not None]
        raise click.UsageError(f"the spec has no {kind}; it has: {', '.join(there) or 'only create'}")
