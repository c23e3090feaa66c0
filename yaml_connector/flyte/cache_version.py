"""The version of a task's cached results: it changes with everything that decides the job's results.

Flyte makes the version of a function's body. A task without a function has the version of nothing, so all of them would
share their results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flyte import Cache

from yaml_connector._jobs.snapshot import without_descriptions
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.task_values import complete_config
from yaml_connector.flyte._internals import VersionParameters
from yaml_connector.flyte.config_class import config_values

_SECTIONS = ("runs", "task_type_name", "task_type_version", "secrets", "create", "get", "result", "outputs")
_CONNECTION = ("base_url", "headers", "query", "auth")  # the rest says how requests are sent


def parts_that_decide(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a job's result in a spec as written. The order of fields counts, as in `phase.map`."""
    connection = without_descriptions(spec["connection"], _CONNECTION)
    return {**without_descriptions(spec, _SECTIONS), "connection": connection}


@dataclass(frozen=True)
class JobPolicy:
    """A cache policy of Flyte's. `describe` returns what decides the result of a task, as JSON values.

    Inputs and the types of a task are part of Flyte's own key.
    """

    describe: Callable[[], Any]

    def get_version(self, salt: str, params: VersionParameters[..., Any]) -> str:
        """Return the version, 64 hex digits."""
        return hashlib.sha256(json.dumps([self.describe(), salt]).encode()).hexdigest()


def cache_of(cache: Any, loaded: LoadedSpec, config: Any, secrets: Mapping[str, str]) -> Cache:
    """Return a copy of a task's cache whose version follows the spec, the config and the names of the secrets, too.

    Flyte's own __post_init__ has made `cache` a Cache. The user's policies count as well; a `version_override` counts
    alone, as Flyte has it.
    """
    enabled: Cache = cache
    if not enabled.is_enabled():
        return enabled

    def describe() -> list[Any]:
        values = complete_config(loaded.spec, config_values(loaded.spec, config))
        return [parts_that_decide(loaded.document.data), values, sorted(secrets.items())]

    given = enabled.policies if isinstance(enabled.policies, list) else [enabled.policies]
    others = [other for other in given if other is not None and not isinstance(other, JobPolicy)]
    return replace(enabled, policies=[JobPolicy(describe), *others])
