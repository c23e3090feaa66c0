"""What a task's container asks for, as numbers: Flyte sends Kubernetes quantities, such as `500m` and `8Gi`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from flyteidl2.core.tasks_pb2 import Resources, TaskTemplate

from yaml_connector._spec.task_fields import whole_number
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

_QUANTITY = re.compile(r"(\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i|)", re.ASCII)
_SUFFIXES = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
_SUFFIXES |= {letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)}
_SUFFIXES |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_LARGEST = 2**63 - 1

_NAMES: Mapping[int, str] = {
    Resources.CPU: "cpu",
    Resources.GPU: "gpu",
    Resources.MEMORY: "memory",
    Resources.EPHEMERAL_STORAGE: "disk",
}


def requested_resources(template: TaskTemplate) -> dict[str, Any]:
    """Return `task.container.resources`: what the container asks for, without what it does not.

    `cpu` is a number of cores, `memory` and `disk` are bytes. Raises EvaluationError for a quantity that is not one.
    """
    found: dict[str, Any] = {}
    for entry in template.container.resources.requests:
        name = _NAMES.get(entry.name)
        if name is not None:
            amount = parse_quantity(entry.value, name)
            if amount:
                found[name] = whole_number(float(amount)) if name == "cpu" else ceil(amount)
    device = template.extended_resources.gpu_accelerator.device
    if device and "gpu" in found:
        found["gpu_type"] = device
    return found


def parse_quantity(text: str, name: str) -> Decimal:
    """Return a Kubernetes quantity as a number; `name` is what it is of. Raises EvaluationError."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is not None:
        factor = _SUFFIXES.get(found[2])
        amount = Decimal(found[1] + ("" if factor is not None else found[2])) * (factor or 1)
        if amount <= _LARGEST:
            return amount
    raise EvaluationError(f"the task's resources: {name} is {short(text)}, which is not a quantity such as 500m or 8Gi")
