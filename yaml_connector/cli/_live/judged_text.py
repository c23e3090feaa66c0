"""Prints how a call was judged, as text or as JSON, redacted."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import click

from yaml_connector._spec import PHASES
from yaml_connector.cli._diagnostics import json_of, printable
from yaml_connector.cli._live.one_call import Judged
from yaml_connector.cli._live.recorder import Recorder

_WIDTH = 9  # of the labels


def echo_judged(judged: Judged, recorder: Recorder, form: str, *, verbose: bool = False) -> None:
    """Print a call as `form` says; `verbose`: with requests and responses (as JSON: on the standard error)."""
    if verbose:
        for exchange in judged.exchanges:
            for line in recorder.lines_of(exchange):
                click.echo(printable(line), err=form == "json")
    data = recorder.redact_tree(judged.data())
    if form == "json":
        click.echo(json_of(data))
        return
    if not verbose:
        for line, group in groupby(map(_exchange_line, data["exchanges"])):
            times = len(list(group))
            click.echo(printable(line) + (f" ({times} times)" if times > 1 else ""))
    for line in data.get("lines") or ():
        click.echo(printable(f"| {line}"))
    for label, text in _rows(data):
        colour = PHASES[text].colour if label == "phase" else "red" if label == "error" else None
        first, *more = printable(text).split("\n")
        click.echo(f"{label:<{_WIDTH}}{click.style(first, fg=colour)}")
        for line in more:
            click.echo(f"{'':<{_WIDTH}}{line}")


def _exchange_line(exchange: dict[str, Any]) -> str:
    what = f"{exchange['method']} {exchange['url']}"
    return (
        f"{what} -> {exchange['failure'].removeprefix(what).strip() if 'failure' in exchange else exchange['status']}"
    )


def _rows(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what there is to say, each with its label."""
    rows = [(name, data.get(name)) for name in ("job_id", "phase", "rule")]
    if data.get("message") != data["error"]:
        rows.append(("message", data.get("message")))
    for name in ("saved", "info", "outputs"):
        rows += [
            (name, f"{key} = {json.dumps(value, ensure_ascii=False)}") for key, value in (data.get(name) or {}).items()
        ]
    rows += [("link", f"{link['name']}: {link['url']}") for link in data.get("links") or ()]
    if "lines" in data and data["error"] is None:
        rows.append(("next", data["next"] or "none: there is no more for now"))
    rows.append(("error", data["error"]))
    return [(label, str(text)) for label, text in rows if text is not None]
