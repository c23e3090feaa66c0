"""`yaml-connector check`: is the live API where the spec says, and does it take the credentials? (sections 4 and 11)"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._options import UsageErrors, find_spec, given_config, given_secrets, pairs

if TYPE_CHECKING:
    from yaml_connector._spec import ConnectorSpec
    from yaml_connector.cli.check.preflight import Step

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("-", "yellow")}
_WARNING = ("!", "yellow")


@click.command(short_help="Look at the live API before the first job.")
@click.argument("spec", metavar="SPEC")
@click.option("--config", "config", multiple=True, metavar="NAME=VALUE", help="A config field that the URL needs.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=env:VARIABLE|file:PATH",
    help="Where a secret's value is; else the spec's own env and file count.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show what is sent and answered, without secrets.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)
@click.pass_context
def check(
    ctx: click.Context, spec: str, config: tuple[str, ...], secrets: tuple[str, ...], verbose: bool, form: str
) -> None:
    """Look at the live API before the first job: name, connection, TLS, credentials.

    SPEC is a task type, or the path of a spec. The credentials are tried with the request `connection.check` of the
    spec; no job is submitted. Only the status of its answer counts; a ! marks an answer that `error` of another section
    calls a failure. Exit code 1 if something is wrong.

    \b
    Example:
      yaml-connector check batch_job --secret api_key=env:ALICE_KEY
    """
    import asyncio

    from yaml_connector.cli.check.preflight import Preflight

    loaded = find_spec(spec)
    wrong = UsageErrors()
    known_config, known_secrets = _config(loaded.spec, config, wrong), given_secrets(loaded.spec, secrets, wrong)
    wrong.tell()
    flight = Preflight(loaded, known_config, known_secrets)
    steps = asyncio.run(flight.run())
    if form == "json":
        told = [{"step": s.name, "good": s.good, "detail": s.detail, "warning": s.warning} for s in steps]
        data = {"good": flight.good, "steps": told}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for step in steps:
            _echo(step)
        for line in flight.exchanged if verbose else ():
            click.echo(printable(f"  {line}"))
    ctx.exit(0 if flight.good else 1)


def _config(spec: ConnectorSpec, given: tuple[str, ...], wrong: UsageErrors) -> dict[str, object]:
    """The config as far as it is given: only the fields that the connection uses matter here."""
    named = pairs(given, "--config", UsageErrors())
    known = {name: field for name, field in spec.config.items() if name in named or not field.required}
    return given_config(spec.model_copy(update={"config": known}), given, wrong)


def _echo(step: Step) -> None:
    mark, colour = _MARKS[step.good] if step.warning is None else _WARNING
    click.echo(f"{click.style(mark, fg=colour)} {step.name:<12}{printable(step.detail)}")
    if step.warning is not None:
        click.echo(f"  {'':<12}{printable(step.warning)}")
