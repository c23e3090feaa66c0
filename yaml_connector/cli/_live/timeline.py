"""What `run` and `record` print of a job: a timeline while it runs, its outputs at the end, all of it as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from yaml_connector._expressions.value_types import as_plain
from yaml_connector._spec import PHASES
from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli._live.interactive_run import Ended, NotSubmittedError
from yaml_connector.cli._live.recorder import Recorder
from yaml_connector.errors import YamlConnectorError

_LABELS = {"log": "| ", "link": "link ", "info": "info ", "wire": "  "}


class Timeline:
    """Prints what happens, each line with the seconds since the start.

    When the standard output cannot be written any more, OSError is raised, and what follows goes to the standard error.

    With `quiet` only notes and exchanges are printed, to the standard error: the standard output is for JSON.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._start = time.monotonic()
        self._quiet = self._err = quiet

    def tell(self, kind: str, text: str) -> None:
        """Print a text of one or more lines; for `kind` see `InteractiveRun`."""
        if self._quiet and kind not in ("note", "wire"):
            return
        colour = PHASES[text.split(":")[0]].colour if kind == "phase" else None
        for line in printable(text).split("\n"):
            shown = click.style(line, fg=colour, bold=kind == "phase") if kind in ("phase", "note") else line
            when = click.style(f"{time.monotonic() - self._start:6.1f} s", dim=True)
            try:
                click.echo(f"{when}  {_LABELS.get(kind, '')}{shown}", err=self._err)
            except OSError:
                self._err = True
                raise


def end_data(ended: Ended, recorder: Recorder) -> dict[str, Any]:
    """Return the end of a run as JSON can hold it, redacted."""
    data = {
        "job_id": ended.meta.id or None,
        **as_plain(ended.status.data()),
        "log": ended.lines,
        "phases": [{"seconds": round(at, 1), "phase": phase} for at, phase in ended.phases],
        "seconds": round(ended.seconds, 1),
        "left_running": ended.left,
        "timed_out": ended.timed_out,
    }
    redacted: dict[str, Any] = recorder.redact_tree(data)
    return redacted


def failure_data(error: YamlConnectorError) -> dict[str, Any]:
    """Return the end of a run without a job as JSON can hold it. `submitted` is left out if it is unknown."""
    submitting = error if isinstance(error, NotSubmittedError) else None
    known = {} if submitting is not None and submitting.may_exist else {"submitted": False}
    return {"error": str(error), **known, "timed_out": submitting is not None and submitting.timed_out}


def echo_outputs(ended: Ended, recorder: Recorder) -> None:
    """Print the outputs of a run, if there are any."""
    outputs = end_data(ended, recorder)["outputs"]
    if outputs:
        click.echo("outputs")
    for name, value in outputs.items():
        click.echo(printable(f"  {name} = {json.dumps(value, ensure_ascii=False)}"))
