"""`yaml-connector check`: check that the live API is where the spec says and accepts the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import json_of, printable
from yaml_connector.cli._options import (
    JobOptions,
    UsageErrors,
    config_option,
    format_option,
    read_config,
    read_secrets,
    secret_option,
    verbose_option,
)

if TYPE_CHECKING:
    from yaml_connector.cli.check.preflight import Step

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("-", "yellow")}
_WARNING = ("!", "yellow")


@click.command()
@click.argument("spec", metavar="SPEC")
@config_option
@secret_option
@verbose_option
@format_option
@click.pass_context
def check(
    ctx: click.Context, spec: str, config: tuple[str, ...], secrets: tuple[str, ...], verbose: bool, form: str
) -> None:
    """Check the live API before the first job: name, connection, TLS, credentials.

    SPEC is a task type, or the path of a spec. The credentials are tried with the request `connection.check` of the
    spec; no job is submitted. Only the status of its response counts; a ! marks a response that `error` of another
    section calls a failure. Config is needed only for the fields that the URL uses. Exit code 1 if something is wrong.

    \b
    Example:
      yaml-connector check batch_job --secret api_key=env:ALICE_KEY
    """
    import asyncio

    from yaml_connector._loading.loader import resolve
    from yaml_connector.cli._live.existing_job import needed
    from yaml_connector.cli.check.preflight import Preflight

    loaded = resolve(spec)
    errors = UsageErrors()
    asked = needed(loaded.spec, None, JobOptions(config=config))  # the connection may not use the other fields
    known_config, known_secrets = read_config(asked, config, errors), read_secrets(loaded.spec, secrets, errors)
    errors.raise_if_any()
    preflight = Preflight(loaded, known_config, known_secrets)
    steps = asyncio.run(preflight.run())
    if form == "json":
        data = [{"step": s.name, "good": s.good, "detail": s.detail, "warning": s.warning} for s in steps]
        click.echo(json_of({"good": preflight.good, "steps": data}))
    else:
        for step in steps:
            _echo(step)
        for line in preflight.exchanged if verbose else ():
            click.echo(printable(f"  {line}"))
    ctx.exit(0 if preflight.good else 1)


def _echo(step: Step) -> None:
    mark, colour = _MARKS[step.good] if step.warning is None else _WARNING
    click.echo(f"{click.style(mark, fg=colour)} {step.name:<12}{printable(step.detail)}")
    if step.warning is not None:
        click.echo(f"  {'':<12}{printable(step.warning)}")
