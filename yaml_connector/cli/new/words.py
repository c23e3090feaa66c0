"""What the words of APIs for the states of a job may mean."""

from __future__ import annotations

import re

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
