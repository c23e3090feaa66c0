"""What this process remembers of jobs between two calls. Bounded, and lost with a restart: whatever must not be lost is
kept with the job."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from yaml_connector._clock import clock
from yaml_connector._jobs.meta import JobMeta

if TYPE_CHECKING:
    from yaml_connector._jobs.status import Status

_MOST_JOBS = 50_000
_LARGEST = 8 * 2**20  # characters of what all jobs hold
_SECRETS_AFTER_END = 3600.0  # seconds


@dataclass(eq=False, slots=True, weakref_slot=True)
class JobState:
    """What is remembered of one job. Times are of the clock's `monotonic`, so that a step of the wall clock changes
    nothing; `unreadable_at` is `unreadable_since` as the wall clock showed it."""

    status: Status | None = None  # the last status, for as long as it answers get
    phase: str | None = None  # the last phase that was read
    unreadable_since: float | None = None
    unreadable_at: float = 0.0
    seen: float = -inf  # the last create or get
    problem: str = ""  # why it cannot be read, or is understood, without secrets
    next_poll: float = 0.0
    cursor: str | None = None
    asked_alone: bool = False  # a batch with its id is refused
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the task: readers of its log have none
    ended: float | None = None
    created: float = 0.0
    alive_at: float = -inf  # when the API last said that the job is not over
    running_since: float | None = None  # the first RUNNING that was read
    is_over: bool = False  # the API said so; a job that is given up is not
    expires: float = -inf  # when its time limit is over; in the past: it must be looked up
    time_limit: str = ""  # as text
    timed_out: Status | None = None  # the status of a job that was cancelled at its time limit
    is_cancelled: bool = False  # a delete was sent
    is_deleted: bool = False  # and went through
    delete_failing_since: float | None = None
    grace_from: float = 0.0  # when it was submitted
    submission: Any = None  # of a job that is not submitted yet
    submitted: JobMeta | None = None  # such a job, once it is

    @property
    def size(self) -> int:
        """The characters of what may be large: its secrets, where it is read on, its last status, and what is known of
        a job that was not submitted at once."""
        size = sum(map(len, self.secrets.values())) + len(self.cursor or "")
        size += sum(known.size for known in (self.submission, self.submitted) if known is not None)
        if self.status is not None:
            size += len(self.status.message or "") + sum(len(name) + len(url) for name, url in self.status.links)
            size += len(repr(self.status.info)) if self.status.info else 0
        return size

    def secrets_at(self, now: float) -> Mapping[str, str]:
        """Return the task's secrets as they were last seen; none an hour after the job's end."""
        if self.ended is not None and now - self.ended > _SECRETS_AFTER_END:
            self.secrets = {}
        return self.secrets


class JobCache:
    """The state of jobs by their key; the least recently used is dropped first."""

    def __init__(self, most: int = _MOST_JOBS) -> None:
        self._jobs: OrderedDict[tuple[Any, ...], JobState] = OrderedDict()
        self._ended: deque[JobState] = deque(maxlen=most)  # those that may have secrets, the oldest first
        self._most = most
        self._sizes: OrderedDict[JobState, int] = OrderedDict()
        self._size = 0

    def get(self, meta: JobMeta) -> JobState:
        """Return the state of a job; an empty one for a job not seen before."""
        key = meta.key
        job = self._jobs.get(key)
        if job is None:
            now = clock()
            # Only here the wall clock counts: another process, or another machine, may have created the job.
            created = now.monotonic() - max(0.0, now.time() - meta.created_at)
            job = self._jobs[key] = JobState(created=created, grace_from=created)
            if len(self._jobs) > self._most:
                self._jobs.popitem(last=False)
        else:
            self._jobs.move_to_end(key)
        return job

    def keep_secrets(self, job: JobState, secrets: Mapping[str, str] | None) -> None:
        """Remember a task's secrets, if a call brings some."""
        if secrets and secrets != job.secrets:
            job.secrets = dict(secrets)
            self.weigh(job)

    def weigh(self, job: JobState) -> None:
        """Note what a job holds now. If all jobs hold too much, those that were weighed longest ago forget it; one that
        was not submitted at once is then known as little as after a restart."""
        size = job.size
        self._size += size - self._sizes.pop(job, 0)
        if size:
            self._sizes[job] = size
        while self._size > _LARGEST:
            other, size = self._sizes.popitem(last=False)
            self._size -= size
            other.secrets, other.cursor, other.status = {}, None, None
            other.submission, other.submitted = None, None

    def job_ended(self, job: JobState, now: float) -> None:
        """Note that a job is over, and drop the secrets of those that ended an hour ago."""
        if job.ended is None:
            job.ended = now
            self._ended.append(job)
        while self._ended and not self._ended[0].secrets_at(now):
            self._ended.popleft()

    def clear(self) -> None:
        """Drop everything, as a restart does."""
        self._jobs.clear()
        self._ended.clear()
        self._sizes.clear()
        self._size = 0

    def items(self) -> Iterable[tuple[tuple[Any, ...], JobState]]:
        """Return the jobs with their keys: see `JobMeta.key`."""
        return self._jobs.items()

    def __len__(self) -> int:
        return len(self._jobs)
