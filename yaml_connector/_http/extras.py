"""Libraries that only some specs need: they are pip extras, and imported when a spec uses them."""

from __future__ import annotations

import importlib
from typing import Any

from yaml_connector.errors import ConfigError


def import_extra(module: str, extra: str | None) -> Any:
    """Import a library of a pip extra; raises ConfigError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(f"this spec needs a library: pip install 'yaml-connector[{extra}]'") from None
