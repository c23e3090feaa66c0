"""`yaml-connector new`: write a first spec and its contract test."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from yaml_connector._text import short
from yaml_connector.cli._files import write_scaffold
from yaml_connector.cli._options import format_option
from yaml_connector.cli.new.draft import AUTH_CHOICES, Draft, sketch_of
from yaml_connector.errors import ConfigError, YamlConnectorError

_LARGEST = 2**20
_LONGEST_READ = 60  # seconds, of a document at a URL
_LARGEST_DOCUMENT = 64 * 2**20


def _check(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """Return what was given, checked as an answer on a terminal is; a message names the option."""
    try:
        return text if text is None else _CHECKS[str(param.name)](text)
    except click.UsageError as error:
        option = param.human_readable_name if isinstance(param, click.Argument) else param.opts[0]
        raise click.UsageError(f"{option}: {error.message}") from None


@click.command()
@click.argument("name", required=False, callback=_check)
@click.option("--base-url", callback=_check, help="The API's base URL: https://api.acme.com/v1")
@click.option("--auth", type=click.Choice(list(AUTH_CHOICES)), help="The kind of credentials; default: bearer.")
@click.option("--create", callback=_check, metavar="'POST /jobs'", help="The call that submits a job.")
@click.option("--get", callback=_check, metavar="'GET /jobs/{id}'", help="The call that reads its state.")
@click.option(
    "--delete",
    callback=_check,
    metavar="'POST /jobs/{id}/cancel'",
    help="The call that cancels it; `none` for no such call.",
)
@click.option("--logs", callback=_check, metavar="'GET /jobs/{id}/logs'", help="The call that reads its log, as text.")
@click.option("--from", "source", type=(click.Choice(["catalog"]), str), help="Copy a spec: --from catalog slurm")
@click.option("--from-openapi", "document", metavar="FILE|URL", help="An OpenAPI 3 document.")
@click.option("--from-curl", "commands", metavar="FILE|-", help="Curl commands, as they are pasted.")
@click.option("--try", "attempt", is_flag=True, help="With --from-curl: send the commands once, which submits a job.")
@click.option(
    "--from-arazzo", "arazzo", metavar="FILE", help="An Arazzo 1 document, with its OpenAPI sources beside it."
)
@click.option("--workflow", metavar="ID", help="With --from-arazzo: the workflow; default: the one that polls.")
@click.option("--answers", metavar="FILE", help="With --from-curl: the answers to the commands, in their order.")
@format_option
@click.option("--to", "folder", metavar="FOLDER", help="Default: YAML_CONNECTOR_PATH, else connectors.d.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def new(
    source: tuple[str, str] | None,
    document: str | None,
    commands: str | None,
    answers: str | None,
    attempt: bool,
    arazzo: str | None,
    workflow: str | None,
    form: str,
    folder: str | None,
    force: bool,
    **given: str | None,
) -> None:
    """Write a first spec, with comments, and its contract test; both pass `validate` and `test` as they are.

    On a terminal, missing options are asked for. In paths, {id} is the job's id, and {any_other_name} is a config field
    of that name. With --from-openapi the calls are found in the document, unless --create and --get name them. With
    --from-curl they are those of the commands. What only a person can decide is marked with `# DECIDE:`.

    \b
    Examples:
      yaml-connector new render_job --base-url https://render.acme.com --auth bearer --create 'POST /renders'
      yaml-connector new --from-openapi openapi.yaml
      yaml-connector new render_job --from-curl commands.txt --answers answers.txt
      yaml-connector new render_job --from-arazzo workflows.yaml --workflow render
      yaml-connector new --from catalog slurm
    """
    from yaml_connector._loading.loader import specs_path
    from yaml_connector.cli.new.checked import report, write

    _check_sources(
        {"--from": source, "--from-openapi": document, "--from-curl": commands, "--from-arazzo": arazzo},
        {"--answers": (answers, "--from-curl"), "--try": (attempt or None, "--from-curl")}
        | {"--workflow": (workflow, "--from-arazzo")},
    )
    target = Path(folder or specs_path())
    if source is not None:
        from yaml_connector.catalog import entry

        files = entry(source[1]).contents()
        spec = write_scaffold(target, files, force=force, quiet=form == "json")
        report(spec, [target / name for name in files], as_json=form == "json")
        return
    file = commands or arazzo
    if file is not None:
        if given["name"] is None:
            raise click.UsageError("give NAME, the name of the task type: yaml-connector new NAME --from-... FILE")
        with _never_a_traceback(file):
            if arazzo is not None:
                from yaml_connector.cli.new.arazzo.translate import sketch_of as arazzo_sketch_of

                sketch = arazzo_sketch_of(_read(file), file, given["name"], workflow)
            else:
                from yaml_connector.cli.new.curl.build import sketch_of as curl_sketch_of

                shown = read_source(answers) if answers is not None else None
                folder_of_files = Path() if file == "-" else Path(file).parent
                tell = (lambda request: click.echo(f"sent {request}", err=True)) if attempt else None
                sketch = curl_sketch_of(read_source(file), file, given["name"], folder_of_files, shown, tell)
            write(sketch, target, force=force, as_json=form == "json")
        return
    if document is not None:
        from yaml_connector.cli.new.openapi.proposal import draft_of

        with _never_a_traceback(document):
            content = _fetched(document) if re.match(r"https?://", document) else _read(document)
            draft = draft_of(content, document, given["name"], given["create"], given["get"])
        check_name(draft.name)
        chosen = {name: given[name] for name in ("base_url", "auth", "delete", "logs")}
    else:
        draft = Draft("", "")
        chosen = _asked(given)
    for name, value in chosen.items():
        if value is not None:
            setattr(draft, name, None if value == "none" and name != "auth" else value)
    write(sketch_of(draft), target, force=force, as_json=form == "json")


def _check_sources(sources: Mapping[str, object], extras: Mapping[str, tuple[object, str]]) -> None:
    """Raise click.UsageError if there is more than one source, or an option of a source that is not there.

    `extras` maps such an option to its value and its source.
    """
    given = [option for option, value in sources.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"give only one of {' and '.join(given)}")
    for option, (value, source) in extras.items():
        if value is not None and source not in given:
            raise click.UsageError(f"{option} goes with {source}, which is not given")


def _read(file: str, most: int = -1) -> bytes:
    """Return the content of a file, `most` bytes of it; raise click.UsageError if it cannot be read."""
    try:
        with open(file, "rb") as handle:
            return handle.read(most)
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None


def _fetched(url: str) -> bytes:
    """Return the content of a URL; raise ConfigError if it cannot be had, or is too long."""
    import httpx

    content = bytearray()
    until = time.monotonic() + _LONGEST_READ
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=20) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _LARGEST_DOCUMENT:
                    raise ConfigError(f"{url} is longer than {_LARGEST_DOCUMENT // 2**20} MiB")
                if time.monotonic() > until:
                    raise ConfigError(f"{url} took longer than {_LONGEST_READ} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(f"{url} cannot be read: {error or type(error).__name__}") from None
    return bytes(content)


@contextmanager
def _never_a_traceback(file: str) -> Iterator[None]:
    """Turn what an odd source makes of the code here into an error that a person can read.

    An OSError is about the file that it names, such as one that cannot be written.
    """
    try:
        yield
    except (YamlConnectorError, OSError, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        raise ConfigError(
            f"{file} could not be translated ({type(error).__name__}): a part of it is too odd"
        ) from error


def read_source(file: str) -> str:
    """Return the text of a file, or of the standard input (`-`); raise click.UsageError if it cannot be read."""
    content = sys.stdin.buffer.read(_LARGEST + 1) if file == "-" else _read(file, _LARGEST + 1)
    if len(content) > _LARGEST:
        raise click.UsageError(f"{file} is longer than {_LARGEST // 2**20} MiB")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, "replace")


def _asked(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what is given, with defaults for the rest; on a terminal, ask for it if something required is missing."""
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    missing = [option for option, name in (("NAME", "name"), ("--base-url", "base_url")) if not given[name]]
    if missing and not asks:
        raise click.UsageError(f"give {' and '.join(missing)} (on a terminal they are asked for)")
    asks = asks and bool(missing)

    def value(name: str, question: str, default: str) -> str:
        if (text := given[name]) is not None:
            return text
        return str(click.prompt(question, default=default, value_proc=_CHECKS[name])) if asks else default

    if asks:
        click.echo("In paths, {id} is the job's id. Press Enter for the default in [].")
    found = {
        "name": value("name", "Name of the task type", "my_job"),
        "base_url": value("base_url", "Base URL of the API", "https://api.example.com"),
    }
    auth = given["auth"]
    if auth is None and asks:
        for choice, kind in AUTH_CHOICES.items():
            click.echo(f"  {choice:<10} {kind.words if kind else 'no credentials'}")
        auth = click.prompt("Credentials", type=click.Choice(list(AUTH_CHOICES)), default="bearer", show_choices=False)
    create = value("create", "Call that submits a job", "POST /jobs")
    below = create.split(" ", 1)[1].rstrip("/") + "/{id}"
    cancel = f"POST {below}/cancel" if asks or given["create"] is None else "none"
    return {
        **found,
        "auth": auth,
        "create": create,
        "get": value("get", "Call that reads its state", f"GET {below}"),
        "delete": value("delete", "Call that cancels it (none: leave out)", cancel),
        "logs": value("logs", "Call that reads its log (none: leave out)", "none"),
    }


def check_name(text: str) -> str:
    """Return a task type name that can also be a file name; raise click.UsageError for another text."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text.strip()):
        near = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_0123456789")
        instead = f"; write {short(near)}" if near else ""
        allowed = "letters, digits and _, starting with a letter"
        raise click.UsageError(f"{text!r} is not a valid name: use {allowed}{instead}")
    return text.strip()


def check_url(text: str) -> str:
    """Return a base URL without its trailing slash; raise click.UsageError for another text."""
    if not re.fullmatch(r"https?://[^\s'\"{}@?#/][^\s'\"{}@?#]*", text.strip()):
        raise click.UsageError(f"{text!r} is not a base URL like https://api.acme.com/v1")
    return text.strip().rstrip("/")


def check_call(text: str) -> str:
    """Return a call like `POST /jobs`; raise click.UsageError for another text."""
    match = re.fullmatch(r"([A-Za-z]+) +(/\S*)", text.strip())
    if match is None:
        raise click.UsageError(f"{text!r}: write it as a method and a path: POST /jobs")
    if "?" in match[2]:
        raise click.UsageError(f"{text!r}: write only the path; the part after the ? goes into `query` of the spec")
    wrong = [found for found in re.findall(r"\{([^}]*)\}?", match[2]) if not re.fullmatch(r"[A-Za-z_]\w*", found)]
    if wrong or match[2].count("{") != match[2].count("}"):
        raise click.UsageError(f"{text!r}: inside {{}} write id, or the name of a config field (letters, digits and _)")
    if match[1].upper() not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        raise click.UsageError(f"{match[1]!r} is not a method; allowed: GET, POST, PUT, PATCH, DELETE")
    return f"{match[1].upper()} {match[2]}"


def check_call_with_id(text: str) -> str:
    """Return a call like `GET /jobs/{id}`; raise click.UsageError if its path has no {id}."""
    call = check_call(text)
    if not re.search(r"\{[^}]+\}", call):
        raise click.UsageError(f"{text!r}: write {{id}} where the path has the job's id: GET /jobs/{{id}}")
    return call


def check_call_or_none(text: str) -> str:
    """Return a call with an id, or `none`."""
    return "none" if text.strip() == "none" else check_call_with_id(text)


_CHECKS: dict[str, Callable[[str], str]] = {
    "name": check_name,
    "base_url": check_url,
    "create": check_call,
    "get": check_call_with_id,
    "delete": check_call_or_none,
    "logs": check_call_or_none,
}
