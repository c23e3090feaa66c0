"""The spec language as pydantic models, a module for each part: closed, frozen, with no behaviour but their rules."""

from yaml_connector._spec.phases import PHASES, TERMINAL_PHASES
from yaml_connector._spec.spec import ConnectorSpec

__all__ = ["PHASES", "TERMINAL_PHASES", "ConnectorSpec"]
