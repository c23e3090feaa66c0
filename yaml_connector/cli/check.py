"""`yaml-connector check`: is the live API where the spec says, and does it take the credentials? (sections 4 and 11)"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from yaml_connector.cli.given import find_spec, given_config, given_secrets
from yaml_connector.cli.problems import printable

if TYPE_CHECKING:
    from yaml_connector.cli.preflight import Step

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("-", "yellow")}


@click.command()
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
    spec; no job is submitted. Exit code 1 if something is wrong.

    \b
    Example:
      yaml-connector check batch_job --secret api_key=env:ALICE_KEY
    """
    import asyncio

    from yaml_connector.cli.preflight import Preflight

    loaded = find_spec(spec)
    flight = Preflight(loaded, _config(loaded.spec, config), given_secrets(loaded.spec, secrets))
    steps = asyncio.run(flight.run())
    if form == "json":
        data = {"good": flight.good, "steps": [{"step": s.name, "good": s.good, "detail": s.detail} for s in steps]}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for step in steps:
            _echo(step)
        for line in flight.exchanged if verbose else ():
            click.echo(printable(f"  {line}"))
    ctx.exit(0 if flight.good else 1)


def _config(spec: object, given: tuple[str, ...]) -> dict[str, object]:
    """The config as far as it is given: only the fields that the connection uses matter here."""
    from yaml_connector.cli.given import pairs
    from yaml_connector.spec import ConnectorSpec

    assert isinstance(spec, ConnectorSpec)
    named = pairs(given, "--config")
    required = [name for name, field in spec.config.items() if field.required and name not in named]
    if not required:
        return given_config(spec, given)
    optional = spec.model_copy(update={"config": {n: f for n, f in spec.config.items() if n not in required}})
    return given_config(optional, given)


def _echo(step: Step) -> None:
    mark, colour = _MARKS[step.good]
    click.echo(f"{click.style(mark, fg=colour)} {step.name:<12}{printable(step.detail)}")
