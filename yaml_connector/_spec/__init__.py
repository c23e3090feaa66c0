"""The models of the language page: one module per part of it. Closed, frozen, with no behaviour beyond their own
rules."""

from yaml_connector._spec.phases import PHASES, TERMINAL_PHASES
from yaml_connector._spec.sections import ConnectorSpec

__all__ = ["PHASES", "TERMINAL_PHASES", "ConnectorSpec"]
