"""What can be checked of a spec that does not fit the models, so that all its problems come at once: the parts that
fit. What does not is taken out, and where something else may refer to it, a stand-in takes its place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from yaml_connector._loading.document import Path
from yaml_connector._loading.validation import walk
from yaml_connector._spec import ConnectorSpec

_MOST_ROUNDS = 6  # taking something out may leave a part that does not fit without it
_LARGEST = 200_000  # characters; of a larger file the problems come in two goes
_PLACEHOLDERS: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "x",
    "connection": {"base_url": "https://host"},
    "base_url": "https://host",
    "create": {"request": "POST /", "job_id": "-"},
    "job_id": "-",
    "phase": [{"when": "true", "is": "RUNNING"}],
}
_NAMED: dict[str, Any] = {"config": {"type": "any", "default": None}, "inputs": "any", "secrets": {}}


def prune_invalid(data: Any, length: int) -> ConnectorSpec | None:
    """The spec without what does not fit the models; None if there is nothing left to check. `length` is the file's."""
    if not isinstance(data, dict) or length > _LARGEST:
        return None
    data = deepcopy(data)
    for _ in range(_MOST_ROUNDS):
        try:
            return ConnectorSpec.model_validate(data)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False, include_input=False):
                location = [part for part in item["loc"] if part != "[key]"]
                path = walk(data, location)
                if item["type"] == "missing" and location[-1] in _PLACEHOLDERS:
                    _at(data, path)[location[-1]] = deepcopy(_PLACEHOLDERS[str(location[-1])])
                elif path:
                    _remove(data, path)
    return None


def _remove(data: dict[str, Any], path: Path) -> None:
    """Remove what stands at a path; an item goes with its whole list, or what comes after it would stand elsewhere."""
    root = str(path[0])
    if root in _NAMED and len(path) > 1 and isinstance(data[root], dict):
        data[root][path[1]] = deepcopy(_NAMED[root])
        return
    while path and isinstance(path[-1], int):
        path = path[:-1]
    _at(data, path[:-1]).pop(path[-1], None)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data
