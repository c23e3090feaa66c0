"""Variants of the bench's spec, written as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BASE = Path(__file__).parent / "spec" / "bench_job.yaml"
TASK_TYPE = "bench_job"
CUSTOM: dict[str, str | int] = {"config": '{"timeout_seconds": 60}'}
"""The task template's `custom` for it."""

BATCH = {
    "request": {"path": "/jobs", "query": {"ids": "${{ jobs | map(attribute='id') | join(',') }}"}},
    "items": "$.jobs[*]",
    "id": "$.id",
}
"""The section `get.batch` for the backend `limited`."""


def write_spec(folder: Path, changes: Mapping[str, Any] | None = None, name: str = TASK_TYPE) -> Path:
    """Writes the bench's spec as ``folder/NAME.yaml``, with the task type `name` and with `changes`.

    A mapping in `changes` changes the mapping there key by key, None takes away, anything else replaces.
    """
    data = _changed(yaml.safe_load(BASE.read_text()), {"task_type_name": name, **(changes or {})})
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def _changed(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    changed = {**data}
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict):
            changed[key] = _changed(data[key], value)
        else:
            changed[key] = value
    return {key: value for key, value in changed.items() if value is not None}
