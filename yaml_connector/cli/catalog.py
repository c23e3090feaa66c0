"""`yaml-connector catalog`: find and copy specs of well-known job APIs."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import click

from yaml_connector.catalog import entries, entry
from yaml_connector.cli._diagnostics import text_width
from yaml_connector.cli._files import write_scaffold
from yaml_connector.cli._options import format_option


@click.group()
def catalog() -> None:
    """Specs of well-known job APIs, each with its contract test.

    \b
    Examples:
      yaml-connector catalog search spark
      yaml-connector catalog add databricks_job
    """


def _echo(found: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    width = max((len(item["name"]) for item in found), default=0)
    for item in found:
        first = f"{item['name']:<{width}}  "
        text = f"{item['title']}: {item['description']}"
        columns = text_width(len(first) + len(text))
        click.echo(textwrap.fill(text, columns, initial_indent=first, subsequent_indent=" " * len(first)))


@catalog.command("list")
@format_option
def list_all(form: str) -> None:
    """List all specs of the catalog.

    \b
    Example:
      yaml-connector catalog list
    """
    _echo([item.summary for item in entries()], form)


@catalog.command()
@click.argument("words", nargs=-1, required=True)
@format_option
@click.pass_context
def search(ctx: click.Context, words: tuple[str, ...], form: str) -> None:
    """Find the specs that contain all WORDS. Exit code 1 if there are none.

    \b
    Example:
      yaml-connector catalog search oauth2
    """
    found = []
    for item in entries():
        text = f"{item.name} {item.text}".casefold()
        if all(word.casefold() in text for word in words):
            found.append(item.summary)
    _echo(found, form)
    ctx.exit(0 if found else 1)


@catalog.command()
@click.argument("name")
@click.option("--test", is_flag=True, help="Print the contract test instead of the spec.")
def show(name: str, test: bool) -> None:
    """Print a spec of the catalog.

    \b
    Example:
      yaml-connector catalog show slurm
    """
    item = entry(name)
    click.echo(item.test_text if test else item.text, nl=False)


@catalog.command()
@click.argument("name")
@click.option("--to", "folder", metavar="FOLDER", help="Default: YAML_CONNECTOR_PATH, else connectors.d.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def add(name: str, folder: str | None, force: bool) -> None:
    """Copy a spec and its contract test into a folder.

    \b
    Example:
      yaml-connector catalog add slurm
    """
    from yaml_connector._loading.loader import specs_path

    write_scaffold(Path(folder or specs_path()), entry(name).contents(), force=force)
