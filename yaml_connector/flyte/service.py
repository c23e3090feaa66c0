"""The module for Flyte's own entry point: `c0 --modules yaml_connector.flyte.service`.

Importing it registers every spec of YAML_CONNECTOR_PATH (default: connectors.d), since importing a module is all that
`c0` does with it. Nothing else imports this module. `yaml-connector serve` does the same and more: it reloads specs,
speaks TLS, and lets calls finish when it is stopped.
"""

from __future__ import annotations

import click

from yaml_connector._http.memory import spare_collections
from yaml_connector._loading.loader import gc_disabled
from yaml_connector.flyte._internals import AsyncConnectorService, hand_over_bytes
from yaml_connector.flyte.large_requests import handlers_of
from yaml_connector.flyte.served_specs import ServedSpecs, SpecsRejectedError, log_to_stderr
from yaml_connector.flyte.servicer import guard


def start() -> None:
    """Register the specs, and put the guard in front of Flyte's servicer.

    Prints every problem and raises click.ClickException if a spec is wrong: `c0` then ends with exit code 1. (It
    imports this module in a thread of its own, so a SystemExit would end that thread alone.)
    """
    try:
        specs = ServedSpecs()
        with gc_disabled():
            specs.update()
            spare_collections()
    except SpecsRejectedError as error:
        raise click.ClickException(f"{error}: the connector service does not start") from None
    specs.warn_about_keys()
    log_to_stderr()
    guard(AsyncConnectorService)
    hand_over_bytes(handlers_of)


start()
