"""Scopes of tests: with names of their own, too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from yaml_connector._expressions.scope import RESPONSE_NAMES, UNDEFINED, Scope


class AnyScope(Scope):
    """A scope that also holds names that the language does not have."""

    def __init__(self, **names: Any) -> None:
        response = {name: names.pop(name, UNDEFINED) for name in RESPONSE_NAMES}
        super().__init__(response=SimpleNamespace(**response, joined_headers=response["headers"]), **names)

    def get(self, name: str) -> Any:
        return vars(self).get(name, super().get(name))
