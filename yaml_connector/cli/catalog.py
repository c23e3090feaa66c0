"""`yaml-connector catalog`: specs of well-known job APIs, to start from (section 11)."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from yaml_connector.cli._diagnostics import text_width
from yaml_connector.cli._files import place
from yaml_connector.errors import ConfigError, did_you_mean

_FOLDER = Path(__file__).resolve().parents[1] / "catalog"


@dataclass(frozen=True)
class Entry:
    """A spec of the catalog: its name, its file, and what goes with it."""

    name: str
    file: Path

    @property
    def head(self) -> dict[str, Any]:
        """Its task type, title and description, without loading the whole spec."""
        from yaml_connector._loading.document import parse

        data = parse(self.file.read_bytes(), str(self.file)).data or {}
        description = " ".join(str(data.get("description") or "").split())
        return {
            "name": self.name,
            "task_type": data.get("task_type_name", self.name),
            "title": data.get("name") or self.name,
            "description": description,
        }

    @property
    def files(self) -> list[Path]:
        """The spec, its contract test, and what those read (`NAME.*`)."""
        return sorted(path for path in self.file.parent.iterdir() if path.name.startswith(f"{self.name}."))


def entries() -> list[Entry]:
    """All specs of the catalog, by name."""
    files = sorted(_FOLDER.glob("*.yaml")) if _FOLDER.is_dir() else []
    return [Entry(file.stem, file) for file in files if not file.name.endswith(".test.yaml")]


def entry(name: str) -> Entry:
    """One spec of the catalog; raises ConfigError that names the closest."""
    found = {item.name: item for item in entries()}
    if name not in found:
        raise ConfigError(f"the catalog has no {name!r}{did_you_mean(name, found, what='it has')}")
    return found[name]


def copy_to(item: Entry, folder: Path, *, force: bool = False) -> Path:
    """Copy a spec, its test, and what those read, into a folder; gives the path of the spec. Raises ConfigError if one
    is there already."""
    return place(folder, {file.name: file.read_text(encoding="utf-8") for file in item.files}, force=force)


@click.group(short_help="Find and copy specs of well-known job APIs.")
def catalog() -> None:
    """Specs of well-known job APIs, each with its contract test.

    \b
    Examples:
      yaml-connector catalog search spark
      yaml-connector catalog add databricks_job
    """


_FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)


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
@_FORMAT
def list_all(form: str) -> None:
    """List all specs of the catalog.

    \b
    Example:
      yaml-connector catalog list
    """
    _echo([item.head for item in entries()], form)


@catalog.command()
@click.argument("words", nargs=-1, required=True)
@_FORMAT
@click.pass_context
def search(ctx: click.Context, words: tuple[str, ...], form: str) -> None:
    """Find specs that have all WORDS in their name, description or text. Exit code 1 if there is none.

    \b
    Example:
      yaml-connector catalog search oauth2
    """
    found = []
    for item in entries():
        text = f"{item.name} {item.file.read_text(encoding='utf-8')}".casefold()
        if all(word.casefold() in text for word in words):
            found.append(item.head)
    _echo(found, form)
    ctx.exit(0 if found else 1)


@catalog.command()
@click.argument("name")
@click.option("--test", is_flag=True, help="Its contract test in place of the spec.")
def show(name: str, test: bool) -> None:
    """Print a spec of the catalog.

    \b
    Example:
      yaml-connector catalog show slurm
    """
    item = entry(name)
    file = item.file.with_suffix(".test.yaml") if test else item.file
    click.echo(file.read_text(encoding="utf-8"), nl=False)


@catalog.command()
@click.argument("name")
@click.option("--to", "folder", metavar="FOLDER", help="Default: where specs are looked for.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def add(name: str, folder: str | None, force: bool) -> None:
    """Copy a spec and its contract test into a folder.

    \b
    Example:
      yaml-connector catalog add slurm
    """
    from yaml_connector._loading.loader import specs_path

    copy_to(entry(name), Path(folder or specs_path()), force=force)
