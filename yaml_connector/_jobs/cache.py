"""What this process remembers of jobs, between the calls of Flyte's. Bounded; lost with a restart, and that is all
right: everything that must not be lost is kept with the job."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_JOBS = 50_000
_SECRETS_AFTER_END = 3600.0  # seconds


@dataclass(eq=False, slots=True, weakref_slot=True)
class JobState:
    """One job, itself and no other. Times are epoch seconds."""

    status: Any = None  # the last Status that was read, as long as gets are answered from memory
    phase: str | None = None  # the last phase that was read
    unreadable_since: float | None = None
    next_poll: float = 0.0
    cursor: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the task, for its log readers
    ended: float | None = None

    def secrets_at(self, now: float) -> Mapping[str, str]:
        """The task's secrets for a reader of its log; dropped some time after the job's end."""
        if self.ended is not None and now - self.ended > _SECRETS_AFTER_END:
            self.secrets = {}
        return self.secrets


class JobCache:
    """Jobs by their key, the least recently used forgotten first."""

    def __init__(self, most: int = _MOST_JOBS) -> None:
        self._jobs: OrderedDict[tuple[Any, ...], JobState] = OrderedDict()
        self._most = most

    def of(self, key: tuple[Any, ...]) -> JobState:
        """What is remembered of a job; something empty for one not seen before."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = JobState()
            if len(self._jobs) > self._most:
                self._jobs.popitem(last=False)
        else:
            self._jobs.move_to_end(key)
        return job

    def clear(self) -> None:
        """Forget everything, as a restart does."""
        self._jobs.clear()

    def __len__(self) -> int:
        return len(self._jobs)
