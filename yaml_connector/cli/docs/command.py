"""`yaml-connector docs`: write a page for workflow authors about the connectors of a folder."""

from __future__ import annotations

import click

from yaml_connector.cli._files import load_specs, write_output


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--output",
    metavar="FILE",
    help="The file to write; - for the standard output. Default: connectors.html or connectors.md.",
)
@click.option(
    "--format", "form", type=click.Choice(["html", "markdown"]), help="Default: markdown for a FILE.md, else html."
)
def docs(paths: tuple[str, ...], output: str | None, form: str | None) -> None:
    """Write a page about connectors for workflow authors: what each does, what it needs, and Python to copy.

    PATHS are spec files or folders. The HTML page is one file that loads nothing else.

    \b
    Examples:
      yaml-connector docs
      yaml-connector docs connectors.d --output site/index.html
      yaml-connector docs connectors.d --format markdown --output -
    """
    loaded = load_specs(paths)
    from yaml_connector.cli._description.page import connectors
    from yaml_connector.cli.docs.render import html_text, markdown_text

    markdown = form == "markdown" or (form is None and (output or "").endswith(".md"))
    page = connectors(loaded)
    text = markdown_text(page) if markdown else html_text(page)
    write_output(text, output or ("connectors.md" if markdown else "connectors.html"))
