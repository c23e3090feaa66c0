"""What this process remembers of jobs between two calls. Bounded, and lost with a restart: whatever must not be lost is
kept with the job."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_JOBS = 50_000
_SECRETS_AFTER_END = 3600.0  # seconds


@dataclass(eq=False, slots=True, weakref_slot=True)
class JobState:
    """What is remembered of one job. Times are epoch seconds."""

    status: Any = None  # the last status, for as long as it answers get
    phase: str | None = None  # the last phase that was read
    unreadable_since: float | None = None
    next_poll: float = 0.0
    cursor: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the task, for its log readers
    ended: float | None = None

    def secrets_at(self, now: float) -> Mapping[str, str]:
        """Return the task's secrets, for reading its log; they are dropped some time after the job's end."""
        if self.ended is not None and now - self.ended > _SECRETS_AFTER_END:
            self.secrets = {}
        return self.secrets


class JobCache:
    """The state of jobs by their key; the least recently used is dropped first."""

    def __init__(self, most: int = _MOST_JOBS) -> None:
        self._jobs: OrderedDict[tuple[Any, ...], JobState] = OrderedDict()
        self._most = most

    def get(self, key: tuple[Any, ...]) -> JobState:
        """Return the state of a job; an empty one for a job not seen before."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = JobState()
            if len(self._jobs) > self._most:
                self._jobs.popitem(last=False)
        else:
            self._jobs.move_to_end(key)
        return job

    def clear(self) -> None:
        """Drop everything, as a restart does."""
        self._jobs.clear()

    def __len__(self) -> int:
        return len(self._jobs)
