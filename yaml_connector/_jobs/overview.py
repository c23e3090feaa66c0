"""Says how the jobs are doing that this process knows: for the status page. No secrets, and nothing is asked."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from yaml_connector._clock import clock
from yaml_connector._jobs.cache import JobState
from yaml_connector._text import truncate

Jobs: TypeAlias = Iterable[tuple[tuple[Any, ...], JobState]]
"""Jobs of a cache, with their keys: see `JobMeta.key`."""
Trouble = Literal["unreadable", "not submitted", "unknown state"]
_FOLLOWED = 600.0  # seconds since the last call for a job; Flyte asks far more often
_TROUBLES: tuple[Trouble, ...] = ("unreadable", "not submitted", "unknown state")
_RANKS: dict[Trouble | None, int] = {trouble: -rank for rank, trouble in enumerate((*_TROUBLES, None))}
_LONGEST = 200  # characters of an id or a key


@dataclass(frozen=True)
class JobOverview:
    """One job that is followed: it was asked for lately, and is not over. `key` is its `task.key`, `age` in seconds;
    `trouble` is a word, `problem` the last error; `trouble_seconds` is how long the job has been unreadable."""

    id: str
    key: str
    phase: str
    age: float
    trouble: Trouble | None = None
    problem: str = ""
    trouble_seconds: float | None = None


@dataclass(frozen=True)
class JobsOverview:
    """The jobs of one spec: how many are followed, by phase and by trouble, and some of them: those in trouble first,
    the worst trouble before others, then the newest."""

    followed: int = 0
    phases: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    jobs: tuple[JobOverview, ...] = ()


def overview_of(known: Jobs, most: int) -> JobsOverview:
    """Return how jobs are doing, with `most` of them in full."""
    now = clock().monotonic()
    followed = [
        (job_id, name, state)
        for (_, _, job_id, _, name), state in known
        if now - state.seen <= _FOLLOWED and state.ended is None and not state.is_over and not state.is_deleted
    ]
    phases = Counter(_phase(state) for *_, state in followed)
    troubles = Counter(_trouble(state) for *_, state in followed)
    chosen = heapq.nlargest(most, followed, key=lambda job: (_RANKS[_trouble(job[2])], job[2].created))
    jobs = tuple(_job(state, job_id, name, now) for job_id, name, state in chosen)
    return JobsOverview(len(followed), dict(phases.most_common()), {word: troubles[word] for word in _TROUBLES}, jobs)


def _job(state: JobState, job_id: str, name: str, now: float) -> JobOverview:
    trouble = _trouble(state)
    since = state.unreadable_since if trouble == "unreadable" else None
    problem = state.submission.failure if trouble == "not submitted" and state.submission is not None else state.problem
    return JobOverview(
        id=truncate(state.submitted.id if state.submitted is not None else job_id, _LONGEST),
        key=truncate(name, _LONGEST),
        phase=_phase(state),
        age=max(0.0, now - state.created),
        trouble=trouble,
        problem=problem if trouble is not None else "",
        trouble_seconds=None if since is None else now - since,
    )


def _phase(state: JobState) -> str:
    return state.phase or ("QUEUED" if state.submission is not None else "unknown")


def _trouble(state: JobState) -> Trouble | None:
    if state.unreadable_since is not None:
        return "unreadable"
    if state.submission is not None:
        return "not submitted"
    return "unknown state" if state.problem else None
