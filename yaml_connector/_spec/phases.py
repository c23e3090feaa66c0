"""The phases of a job, as Flyte names them: one table for the schema, the docs, drawings and terminals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
