"""The task type that all specs share, if the environment says so: then a backend is told one task type, once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._text import short
from yaml_connector.errors import ConfigError

SHARED_VARIABLE = "YAML_CONNECTOR_SHARED_TYPE"

_TASK_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


def shared_type(specs: Iterable[LoadedSpec] = ()) -> str | None:
    """Return the task type that these specs share; None if each has its own.

    Raises ConfigError if it is not a valid task type, or if one of the specs has it itself.
    """
    name = os.environ.get(SHARED_VARIABLE, "")
    if not name:
        return None
    if _TASK_TYPE.fullmatch(name) is None:
        raise ConfigError(
            f"{SHARED_VARIABLE}: {short(name)} is not a valid task type: a letter, then at most 99 letters, digits, "
            "'_', '.' and '-'"
        )
    for item in specs:
        if item.spec.task_type_name == name:
            raise ConfigError(
                f"{SHARED_VARIABLE} is {name!r}, and {item.file} has that task type itself: choose another one"
            )
    return name
