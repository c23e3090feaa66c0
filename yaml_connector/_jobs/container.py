"""How a job has ended that ran a function's container: what it left in Flyte's storage counts more than the API's word.

Flyte's entry point ends with exit code 0 after an exception, too. It writes the error, or the outputs, below the
task's output prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from yaml_connector._expressions.jinja import Reference
from yaml_connector._http.context import CallContext
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector.errors import EvaluationError

OUTPUT_PREFIX: Reference = ("task", "output_prefix")
_LONGEST = 4.0  # seconds that looking into the storage may take
_HEAD, _TAIL = 1000, 3000  # characters of a long message: what was raised, and the end of the traceback


@dataclass(frozen=True)
class ContainerFailure:
    """The error that a container left. `recoverable`: another attempt may succeed."""

    message: str
    recoverable: bool = False


@dataclass(frozen=True)
class ContainerEnd:
    """What a container left: an error, or outputs, or neither."""

    error: ContainerFailure | None = None
    has_outputs: bool = False


class ContainerFiles(Protocol):
    """Finds what a container left."""

    async def read(self, output_prefix: str, seconds: float) -> ContainerEnd:
        """Return what it left below its output prefix, within so many seconds. Raises EvaluationError if the storage
        cannot be read."""


async def judge_end(meta: JobMeta, status: Status, context: CallContext, files: ContainerFiles) -> None:
    """Put what the container left into the status of a job that is over. Raises EvaluationError if that cannot be
    read."""
    seconds = min(_LONGEST, context.remaining())
    if seconds <= 0:
        raise EvaluationError("no time is left in this call to look for what the container left in Flyte's storage")
    end = await files.read(str(meta.task.get("output_prefix") or ""), seconds)
    if end.error is not None:
        status.phase = "RETRYABLE_FAILED" if end.error.recoverable else "FAILED"
        lines = await context.redact_lines(end.error.message.splitlines())
        status.message = _shortened("\n".join(lines)) or "the container left an error without a message"
    elif status.phase == "SUCCEEDED" and meta.outputs and not end.has_outputs:
        status.phase, status.message = "FAILED", "the container ended without outputs"


def _shortened(text: str) -> str:
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n...\n{text[-_TAIL:]}"
