"""What a task hands to its connector, and what the version of its cached results is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from flyte import Cache

from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.task_values import complete_config
from yaml_connector.flyte.cache_version import JobPolicy, parts_that_decide, with_job_policy
from yaml_connector.flyte.config_class import config_values
from yaml_connector.flyte.connector import CONFIG_KEY, check_config_size
from yaml_connector.flyte.routing import SPEC_KEY, reference_to


def custom_of(spec: ConnectorSpec, config: Any, secrets: Mapping[str, str], *, names_spec: bool) -> dict[str, Any]:
    """Return the `custom` of a task's template.

    It is the config as JSON text, so that numbers stay exact, the secrets' names, and with `names_spec` (all specs
    share one task type) the spec's name. Raises ConfigError.
    """
    text = json.dumps(complete_config(spec, config_values(spec, config)), ensure_ascii=False)
    check_config_size(text)
    custom: dict[str, Any] = {CONFIG_KEY: text}
    if names_spec:
        custom[SPEC_KEY] = reference_to(spec.task_type_name, spec.task_type_version)
    if secrets:
        custom["secrets"] = dict(secrets)
    return custom


def cache_of(cache: Any, loaded: LoadedSpec, config: Any, secrets: Mapping[str, str]) -> Cache:
    """Return a task's cache whose version follows the spec, the config and the names of the secrets, too."""

    def describe() -> list[Any]:
        values = complete_config(loaded.spec, config_values(loaded.spec, config))
        return [parts_that_decide(loaded.document.data), values, sorted(secrets.items())]

    return with_job_policy(cast(Cache, cache), JobPolicy(describe))  # Flyte's own __post_init__ has made it one
