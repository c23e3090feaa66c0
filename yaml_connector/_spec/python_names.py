"""What Python calls a spec's parts."""

from __future__ import annotations

import keyword
import re


def class_stem(task_type: str) -> str:
    """Return what the classes of a task type begin with: `BatchJob` for `batch_job`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", task_type) if part)


def attribute_of(name: str) -> str:
    """Return the attribute of the config class for a field: its name, with an underscore if Python has that name."""
    return f"{name}_" if keyword.iskeyword(name) or name == "self" or name.startswith("__") else name
