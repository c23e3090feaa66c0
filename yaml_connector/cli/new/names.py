"""Names and words of a source: what they are in a spec, which are of credentials, what a state may mean."""

from __future__ import annotations

import re
from collections.abc import Container

_SECRET_NAME = re.compile(
    r"(?i)(^|[_.-])(password|passwd|pwd|passphrase|secret|secret[_-]?key|api[_-]?key|apikey|api[_-]?token|access[_-]?key|"
    r"access[_-]?token|refresh[_-]?token|auth[_-]?token|private[_-]?key|client[_-]?secret|bearer|credentials?|pat|"
    r"token|authorization|signature|sig|csrf\w*|xsrf\w*|session[_-]?id|sessionid|jwt|license[_-]?key|webhook[_-]?secret|"
    r"subscription[_-]?key|session[_-]?token)$"
)
_NOT_SECRET = re.compile(
    r"(?i)(max|min|num|next|page|count|total|idempotency|continuation|client[_-]?request|n)[_-]?\w*token|tokens$"
)
CANCELS = ("cancel", "stop", "terminate", "abort", "kill")  # in the path or the name of a call
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_HEADER = re.compile(
    r"(?i).*(api-?key|token|secret|password|auth(?!or)|csrf|xsrf|credential|signature|session|subscription-key|access-key|"
    r"private-key|app-?key|application-key|api-id|x-key|cookie|jwt).*|key"
)
_NOT_SECRET_HEADER = re.compile(
    r"(?i).*(token-type|idempotency|auth-type|authenticate|api-version|-version|method|x-auth-scheme).*"
)
_MEANINGS = {
    "QUEUED": "queued pending waiting created submitted new scheduled accepted not_started validating blocked "
    "requested deferred ready registered in_queue inqueue enqueued open received planned queueing initialized "
    "validating_files upload_complete",
    "INITIALIZING": "initializing starting preparing provisioning booting configuring",
    "RUNNING": "running in_progress inprogress active processing started executing finalizing cancelling canceling "
    "stopping completing suspended resuming pausing paused working ongoing terminating building rendering training "
    "retrying generating uploading downloading transcribing applying planning",
    "SUCCEEDED": "succeeded success successful completed complete done finished ok passed jobcomplete ended "
    "succeed converged applied",
    "FAILED": "failed failure error errored expired timed_out timeout timedout crashed internal_error out_of_memory "
    "node_fail preempted boot_fail deadline launch_failed startup_failure rejected failing unhealthy diverged declined "
    "denied refused invalid broken dead lost",
    "ABORTED": "cancelled canceled aborted stopped terminated killed skipped deleted revoked interrupted voided "
    "withdrawn",
}
_PHASE = {word: phase for phase, words in _MEANINGS.items() for word in words.split()}


def snake(name: str) -> str:
    """Return a name in snake case."""
    return _CAMEL.sub("_", name).lower()


def variable_name(text: str) -> str:
    """Return a text as the name of an environment variable."""
    return re.sub(r"\W", "_", text).upper()


def field_name(text: str) -> str:
    """Return a name of a document as a name of the spec language; it stays as it is where that is allowed."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if name[:1].isalpha() or name[:1] == "_" else f"v_{name}"


def identifier(text: str, default: str = "value") -> str:
    """Return a text as a name of a field."""
    name = re.sub(r"\W+", "_", _CAMEL.sub("_", text), flags=re.ASCII).strip("_").lower()
    name = re.sub(r"^(your|my|the)_", "", name)
    name = name if name and (name[0].isalpha()) else f"{default}_{name}".rstrip("_")
    return name[:60]


def unused(name: str, taken: Container[str]) -> str:
    """Return a name, with a number behind it if it is taken."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def is_secret_name(name: str) -> bool:
    """Return whether a variable, a field or a parameter of this name holds a credential."""
    snake = _CAMEL.sub("_", name)
    return bool(_SECRET_NAME.search(snake)) and not _NOT_SECRET.search(snake)


def is_secret_header(name: str) -> bool:
    """Return whether a header of this name carries a credential."""
    return bool(_SECRET_HEADER.fullmatch(name)) and not _NOT_SECRET_HEADER.fullmatch(name)


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def phase_of(word: str) -> str | None:
    """Return the phase that an API's word for a state may mean."""
    snake = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word)).lower()
    known = _PHASE.get(snake) or _PHASE.get(snake.rpartition("state_")[2]) or _PHASE.get(snake.rpartition("status_")[2])
    if known is None and re.fullmatch(r"(?!not?_)\w+_(errors?|failed|failure|timed_?out|timeout|exceeded)", snake):
        return "FAILED"
    return "RUNNING" if known is None and re.fullmatch(r"cancel\w*_requested", snake) else known
