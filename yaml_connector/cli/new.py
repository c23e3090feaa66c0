"""`yaml-connector new`: a first spec and its contract test (section 11)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yaml_connector.cli.draft import AUTHS, Draft, spec_text, test_text
from yaml_connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@click.command()
@click.argument("name", required=False)
@click.option("--base-url", help="Where the API is: https://api.acme.com/v1")
@click.option("--auth", type=click.Choice(list(AUTHS)), help="The kind of credentials.")
@click.option("--create", "create", metavar="'POST /jobs'", help="The call that submits a job.")
@click.option("--get", "get", metavar="'GET /jobs/{id}'", help="The call that asks how it is doing.")
@click.option(
    "--delete", "delete", metavar="'POST /jobs/{id}/cancel'", help="The call that cancels it; none: leave out."
)
@click.option("--logs", "logs", metavar="'GET /jobs/{id}/logs'", help="The call that reads its log, as text.")
@click.option("--from", "source", type=(click.Choice(["catalog"]), str), help="Start from a spec: --from catalog slurm")
@click.option("--from-openapi", "document", type=click.Path(exists=True, dir_okay=False), help="An OpenAPI 3 document.")
@click.option("--to", "folder", metavar="FOLDER", help="Default: where specs are looked for.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def new(
    name: str | None,
    base_url: str | None,
    auth: str | None,
    create: str | None,
    get: str | None,
    delete: str | None,
    logs: str | None,
    source: tuple[str, str] | None,
    document: str | None,
    folder: str | None,
    force: bool,
) -> None:
    """Write a first spec, with comments, and its contract test; both pass `validate` and `test` as they are.

    On a terminal, what is not given is asked for. In paths, {id} stands for the job's id.

    \b
    Examples:
      yaml-connector new render_job --base-url https://render.acme.com --auth bearer --create 'POST /renders'
      yaml-connector new --from-openapi openapi.yaml
      yaml-connector new --from catalog slurm
    """
    from yaml_connector.loading.loader import specs_path

    target = Path(folder or specs_path())
    if source is not None:
        from yaml_connector.cli.catalog import copy_to, entry

        _say(copy_to(entry(source[1]), target, force=force))
        return
    if document is not None:
        from yaml_connector.cli.openapi import draft_of

        draft = draft_of(Path(document).read_bytes(), document, name)
    else:
        draft = _asked(name, base_url, auth)
    draft.base_url = base_url.rstrip("/") if base_url else draft.base_url
    draft.auth = auth or draft.auth
    draft.create = _call(create, "--create") or draft.create
    draft.get = _call(get, "--get") or (draft.get if document or not create else _below(draft.create, "GET"))
    if delete is not None or (create and not document):
        draft.delete = None if delete in (None, "none") else _call(delete, "--delete")
    draft.logs = _call(logs, "--logs") or draft.logs
    _check(draft)
    files = {f"{draft.name}.yaml": spec_text(draft), f"{draft.name}.test.yaml": test_text(draft)}
    there = [str(target / file) for file in files if (target / file).exists()]
    if there and not force:
        raise ConfigError(f"{', '.join(there)}: there already (--force writes over)")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (target / file).write_text(text, encoding="utf-8")
    _say([target / file for file in files])
    for section, notes in draft.decide.items():
        for note in notes:
            click.echo(f"  decide: {section}: {note}")


def _asked(name: str | None, base_url: str | None, auth: str | None) -> Draft:
    if sys.stdin.isatty():
        name = name or click.prompt("Name of the task type", default="my_job")
        base_url = base_url or click.prompt("Base URL of the API", default="https://api.example.com")
        auth = auth or click.prompt("Credentials", type=click.Choice(list(AUTHS)), default="bearer")
    if not name or not base_url:
        raise click.UsageError("give a NAME and --base-url (on a terminal they are asked for)")
    return Draft(name, base_url.rstrip("/"), auth or "bearer")


def _call(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    match = re.fullmatch(r"([A-Za-z]+) (/\S*)", text.strip())
    if match is None:
        raise click.UsageError(f"{option} {text!r}: write it as a method and a path: 'GET /jobs/{{id}}'")
    return f"{match[1].upper()} {match[2]}"


def _below(create: str, method: str) -> str:
    return f"{method} {create.split(' ', 1)[1].rstrip('/')}/{{id}}"


def _check(draft: Draft) -> None:
    if not _NAME.fullmatch(draft.name):
        raise click.UsageError(f"{draft.name!r} is no name: letters, digits and _, starting with a letter")
    if not re.fullmatch(r"https?://[^\s'\"{}@]+", draft.base_url):
        raise click.UsageError(f"{draft.base_url!r} is no base URL: https://api.acme.com/v1")


def _say(files: Sequence[Path]) -> None:
    for file in files:
        click.echo(f"wrote {file}")
    spec = next(file for file in files if file.suffix == ".yaml" and ".test." not in file.name)
    click.echo(f"next: yaml-connector validate {spec} && yaml-connector test {spec} && yaml-connector check {spec}")
