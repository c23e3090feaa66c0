"""Metrics in Prometheus' default registry, and the logger of a job's life. Labels are bounded: task types and a few
words."""

from __future__ import annotations

import logging

from prometheus_client import Counter

logger = logging.getLogger("yaml_connector")

UNKNOWN_STATE = Counter(
    "yaml_connector_unknown_state_total", "Answers whose state no phase rule of the spec maps", ["task_type"]
)
UNREADABLE = Counter("yaml_connector_unreadable_total", "Gets that could not read the job", ["task_type"])
ADOPTED = Counter("yaml_connector_adopted_total", "Jobs that create found and took over", ["task_type"])
DOUBTFUL = Counter(
    "yaml_connector_doubtful_creates_total",
    "Creates of which it was not known whether they arrived",
    ["task_type", "outcome"],
)
PHASES = Counter("yaml_connector_phases_total", "Changes of a job's phase as seen by get", ["task_type", "phase"])
