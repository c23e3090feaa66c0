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
from yaml_connector.flyte._internals import VersionParameters

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


def with_job_policy(cache: Cache, policy: JobPolicy) -> Cache:
    """Return a copy of a task's cache with this policy, in place of another one of its kind; other policies count, too.

    A `version_override` counts alone, as Flyte has it.
    """
    if not cache.is_enabled():
        return cache
    given = cache.policies if isinstance(cache.policies, list) else [cache.policies]
    others = [other for other in given if other is not None and not isinstance(other, JobPolicy)]
    return replace(cache, policies=[policy, *others])
