"""Metrics in Prometheus' default registry, and the logger of a job's life.

Labels are bounded: task types and a few words. Labelled metrics are looked up once, not with each call.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Any
from weakref import WeakSet

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from yaml_connector._http.events import Events
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._text import loggable
from yaml_connector.errors import TransientError

logger = logging.getLogger("yaml_connector")

_TIMES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_OUTAGES = (10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

RETRIES = Counter("yaml_connector_retries_total", "Requests that were sent again", ["task_type", "call"])
TOKENS = Counter("yaml_connector_tokens_fetched_total", "Tokens fetched by a login", ["task_type"])
LIMITED = Counter("yaml_connector_rate_limit_waits_total", "Requests that waited for the rate limit", ["task_type"])
LIMITED_SECONDS = Counter("yaml_connector_rate_limit_wait_seconds_total", "How long they waited, in all", ["task_type"])
UNKNOWN_STATE = Counter(
    "yaml_connector_unknown_state_total", "Responses whose state no phase rule of the spec maps", ["task_type"]
)
UNREADABLE = Counter("yaml_connector_unreadable_total", "Gets that could not read the job", ["task_type"])
UNREADABLE_JOBS = Gauge("yaml_connector_unreadable_jobs", "Jobs that cannot be read now", ["task_type"])
UNREADABLE_SECONDS = Histogram(
    "yaml_connector_unreadable_seconds",
    "How long a job was unreadable, until it could be read again or was given up",
    ["task_type"],
    buckets=_OUTAGES,
)
ADOPTED = Counter("yaml_connector_adopted_total", "Jobs that create found and adopted", ["task_type"])
AMBIGUOUS_CREATES = Counter(
    "yaml_connector_ambiguous_creates_total",
    "Creates that the API may or may not have processed",
    ["task_type", "outcome"],
)
DELETES_GIVEN_UP = Counter(
    "yaml_connector_deletes_given_up_total", "Deletes that failed for their tolerance and count as done", ["task_type"]
)
PHASES = Counter("yaml_connector_phases_total", "Changes of a job's phase as seen by get", ["task_type", "phase"])

_CALLS = frozenset({"create", "get", "result", "delete", "logs", "check"})
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


def _one_line(record: logging.LogRecord) -> bool:
    """Put each value of a log line on this line: backends choose ids and words, and callers names of any length.

    An error of this package is told with the lines where it happened, of which none is anybody's else.
    """
    if isinstance(record.args, tuple) and record.levelno < logging.ERROR:
        record.args = tuple(loggable(str(each)) if isinstance(each, str | Exception) else each for each in record.args)
    return True


logger.addFilter(_one_line)


class RequestCounts:
    """Counts the requests of one call (`create`, `get`, `result`, `delete`, `logs`) of one task type; logins apart.

    They are counted in plain numbers and become metrics when these are collected: there are many requests.
    """

    def __init__(self, task_type: str, call: str) -> None:
        self.labels = [task_type, call]
        self.requests = [0] * len(_CLASSES)
        self.times = [0] * (len(_TIMES) + 1)  # requests by the first of `_TIMES` that they were not longer than
        self.seconds = 0.0
        self.retries = RETRIES.labels(task_type, call)
        self.tokens = TOKENS.labels(task_type)
        self.limited = LIMITED.labels(task_type)
        self.limited_seconds = LIMITED_SECONDS.labels(task_type)
        self.logins = request_counts(task_type, "login") if call != "login" else self


class CallMetrics(Events):
    """Counts the events of one connector call."""

    def __init__(self, task_type: str, call: str) -> None:
        self._task_type = task_type
        self._counts = request_counts(task_type, call)

    def section(self, name: str) -> None:
        if name in _CALLS:  # `adopt` and `on_failure` count as create
            self._counts = request_counts(self._task_type, name)

    def exchange(
        self,
        request: HttpRequest,
        response: Response | None,
        failure: TransientError | None,
        seconds: float,
        login: bool,
    ) -> None:
        counts = self._counts.logins if login else self._counts
        number = 0 if response is None else response.status // 100
        counts.requests[number if 0 <= number <= 5 else 0] += 1
        counts.times[bisect_left(_TIMES, seconds)] += 1
        counts.seconds += seconds

    def step(self, name: str | None) -> None:
        """Not counted."""

    def rule(self, index: int, state: str) -> None:
        """Not counted."""

    def token_fetched(self) -> None:
        self._counts.tokens.inc()

    def retry(self) -> None:
        self._counts.retries.inc()

    def rate_limited(self, seconds: float) -> None:
        if seconds > 0:
            self._counts.limited.inc()
            self._counts.limited_seconds.inc(seconds)


class _Requests(Collector):
    """All request counts as metrics."""

    def __init__(self) -> None:
        self.counted: list[RequestCounts] = []

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        requests = CounterMetricFamily(
            "yaml_connector_requests",
            "Requests to an API; status is its class (2xx ...), or none for no answer",
            labels=["task_type", "call", "status"],
        )
        times = HistogramMetricFamily(
            "yaml_connector_request_seconds", "How long a request took", labels=["task_type", "call"]
        )
        bounds = [*map(str, _TIMES), "+Inf"]
        for counts in tuple(self.counted):
            for status, count in zip(_CLASSES, counts.requests, strict=True):
                requests.add_metric([*counts.labels, status], count)
            buckets = list(zip(bounds, accumulate(counts.times), strict=True))
            times.add_metric(counts.labels, buckets, counts.seconds)
        yield requests
        yield times


_requests = _Requests()
REGISTRY.register(_requests)


@cache
def request_counts(task_type: str, call: str) -> RequestCounts:
    """Return the counts of a call, which are made once."""
    made = RequestCounts(task_type, call)
    _requests.counted.append(made)
    return made


_unreadable: dict[str, WeakSet[Any]] = {}


def became_unreadable(task_type: str, job: Any) -> None:
    """Count a job that cannot be read any more, until `no_longer_unreadable`, and no longer than there is another
    reference to `job`."""
    jobs = _unreadable.get(task_type)
    if jobs is None:
        jobs = _unreadable[task_type] = WeakSet()
        UNREADABLE_JOBS.labels(task_type).set_function(jobs.__len__)
    jobs.add(job)


def no_longer_unreadable(task_type: str, job: Any, seconds: float) -> None:
    """Stop counting a job, which was read again, given up, or cancelled."""
    jobs = _unreadable.get(task_type)
    if jobs is not None and job in jobs:
        jobs.discard(job)
        UNREADABLE_SECONDS.labels(task_type).observe(seconds)
