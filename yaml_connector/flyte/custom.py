"""What a task hands to its connector: the `custom` of its template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.task_values import complete_config
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
