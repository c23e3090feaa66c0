"""Finds the values of secrets: from the task, else the environment, else a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._expressions.compile import Value, compile_text, names_of
from yaml_connector._expressions.scope import Scope
from yaml_connector._regular_file import regular_file
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.interface import Secret
from yaml_connector._spec.secrecy import one_value, sensitive_secrets
from yaml_connector.errors import EvaluationError

_SPARE = 3  # characters: a line break at the end does not count, and one more shows that the secret is too long
_MOST_FILES = 256  # different files that `config` may name
LARGEST_SECRET = 64 * 2**10  # characters; all text that leaves a call is searched for them


class Secrets:
    """The secrets that a spec names. `sensitive` are the names of those that are masked."""

    def __init__(self, spec: ConnectorSpec, environment: Mapping[str, str]) -> None:
        models = self._models = spec.secrets
        self.sensitive = sensitive_secrets(spec)
        self._environment = environment
        self._files: dict[str, Value] = {
            name: compile_text(model.file) for name, model in models.items() if model.file is not None
        }
        self._read: BoundedCache[str, tuple[tuple[int, int, int], str]] = BoundedCache(_MOST_FILES)
        self.names = names_of(*self._files.values())

    def values(self, from_task: Mapping[str, Any], scope: Scope) -> dict[str, str | None]:
        """Return the value of every secret; None for a missing one that is not required.

        Raises EvaluationError that names the missing secrets and the ways to provide them, or one that is too long.
        """
        values: dict[str, str | None] = {}
        missing = []
        for name, model in self._models.items():
            given = from_task.get(name)
            if given is None and model.env is not None:
                given = self._environment.get(model.env)
            if given is None and name in self._files:
                given = self._from_file(name, scope)
            if (given is None or given == "") and model.required:
                missing.append(self._how_to_give(name, model))
            value = values[name] = one_value(str(given)) if given is not None else None
            if value is not None and len(value) > LARGEST_SECRET:
                raise EvaluationError(
                    f"the secret {name!r} has more than {LARGEST_SECRET} characters; give a shorter one, or send it as "
                    "a file input"
                )
        if missing:
            raise EvaluationError("; ".join(missing))
        return values

    def _how_to_give(self, name: str, model: Secret) -> str:
        ways = [f'give it with the task (secrets={{"{name}": "name-in-flytes-store"}})']
        if model.env is not None:
            ways.append(f"set {model.env} in the connector's environment")
        if model.file is not None:
            ways.append(f"put it into {model.file} in the connector's container")
        return f"the secret {name!r} is missing: {', or '.join(ways)}"

    def _from_file(self, name: str, scope: Scope) -> str | None:
        path = str(self._files[name].evaluate(scope))
        if ".." in path.split("/"):
            raise EvaluationError(f"the secret {name!r}: its file may not hold '..'")
        try:
            state = os.stat(path)
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                with open(path, encoding="utf-8", newline="", opener=regular_file) as handle:
                    known = self._read.put(path, (stamp, handle.read(LARGEST_SECRET + _SPARE)))
            return known[1]
        except (OSError, ValueError):  # the latter: not text, or a path that no file can have
            return None
