"""The phases of a job, as Flyte names them: one table for the schema, the docs, drawings and terminals."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from yaml_connector._expressions.json_text import any_json, as_text
from yaml_connector.errors import EvaluationError

Phase = Literal[
    "QUEUED",
    "WAITING_FOR_RESOURCES",
    "INITIALIZING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "RETRYABLE_FAILED",
    "ABORTED",
]


@dataclass(frozen=True)
class PhaseInfo:
    """What is known of a phase. `sign` marks it in drawings, `colour` is a name that `click.style` knows."""

    meaning: str
    terminal: bool = False
    sign: str = ""
    colour: str | None = None


PHASES: dict[str, PhaseInfo] = {
    "QUEUED": PhaseInfo("The API has accepted the job and has not started it."),
    "WAITING_FOR_RESOURCES": PhaseInfo("The job waits for machines or a quota."),
    "INITIALIZING": PhaseInfo("The job is being set up."),
    "RUNNING": PhaseInfo("The job is running."),
    "SUCCEEDED": PhaseInfo("The job has succeeded; its outputs are read.", terminal=True, sign="✓", colour="green"),
    "FAILED": PhaseInfo("The job has failed; Flyte does not try again.", terminal=True, sign="✗", colour="red"),
    "RETRYABLE_FAILED": PhaseInfo(
        "The job has failed; Flyte tries again, as often as the task's retries allow.",
        terminal=True,
        sign="↻",
        colour="red",
    ),
    "ABORTED": PhaseInfo("The job was cancelled.", terminal=True, sign="■", colour="yellow"),
}
TERMINAL_PHASES: frozenset[str] = frozenset(name for name, info in PHASES.items() if info.terminal)

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,15}))\.0+")


def state_key(value: Any) -> str:
    """Return how a state of an API is compared: as case-insensitive text without blanks around it, and a number as a
    number, so that 10.0 is 10."""
    text = state_text(value).strip().casefold()
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def state_text(value: Any) -> str:
    """Return a state as messages show it, whatever it is."""
    if isinstance(value, float):  # also NaN and infinity
        return json.dumps(value)
    try:
        return as_text(value)
    except EvaluationError:  # one of them is in it
        return any_json(value).decode()
