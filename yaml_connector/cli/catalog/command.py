"""`yaml-connector catalog`: find and copy specs of well-known job APIs."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from yaml_connector._text import short
from yaml_connector.catalog import SUPPORTS, entries, entry
from yaml_connector.catalog import search as find
from yaml_connector.cli._diagnostics import json_of, text_width
from yaml_connector.cli._files import write_scaffold
from yaml_connector.cli._options import format_option, formats


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
        click.echo(json_of(found))
        return
    width = max((len(item["name"]) for item in found), default=0)
    for item in found:
        first = f"{item['name']:<{width}}  "
        indent = " " * len(first)
        text = f"{item['title']}: {item['description']}"
        facts = f"{item['kind'] or '-'}; auth {item['auth']}; {', '.join(item['supports']) or '-'}"
        columns = text_width(len(first) + max(len(text), len(facts)))
        for part, start in ((text, first), (facts, indent)):
            click.echo(textwrap.fill(part, columns, initial_indent=start, subsequent_indent=indent))


_COLUMNS = "\n".join(f"{name:<11} {about}" for name, (about, _) in SUPPORTS.items())
_LIST_HELP = f"""List all specs of the catalog, each with its kind, its auth, and what it supports.

\b
{_COLUMNS}

\b
Example:
  yaml-connector catalog list
"""


@catalog.command("list", help=_LIST_HELP, short_help="List all specs of the catalog.")
@formats("markdown", "html", note="; markdown and html are a page with a table of all specs")
def list_all(form: str) -> None:
    found = [item.summary for item in entries()]
    if form in ("markdown", "html"):
        from yaml_connector.cli.catalog.page import page

        click.echo(page(found, form), nl=False)
    else:
        _echo(found, form)


@catalog.command(short_help="Find the specs that contain all words.")
@click.argument("words", nargs=-1, required=True)
@format_option
@click.pass_context
def search(ctx: click.Context, words: tuple[str, ...], form: str) -> None:
    """Find the specs that contain all WORDS: in name, title and tags (these come first), in the head, or in the rest.

    Exit code 1 if there are none; the closest names are told.

    \b
    Examples:
      yaml-connector catalog search gpu
      yaml-connector catalog search aws sql
    """
    found, close = find(words)
    _echo([item.summary for item in found], form)
    if not found:
        told = f"; closest: {', '.join(close)}" if close else "; `yaml-connector catalog list` shows all"
        click.echo(f"no spec of the catalog contains {' and '.join(map(short, words))}{told}", err=True)
        ctx.exit(1)


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
@format_option
def add(name: str, folder: str | None, force: bool, form: str) -> None:
    """Copy a spec and its contract test into a folder.

    \b
    Example:
      yaml-connector catalog add slurm
    """
    from yaml_connector._loading.loader import specs_path

    target, contents = Path(folder or specs_path()), entry(name).contents()
    write_scaffold(target, contents, force=force, quiet=form == "json")
    if form == "json":
        click.echo(json_of({"files": [str(target / file) for file in contents]}))
