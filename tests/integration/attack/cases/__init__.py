"""The attacks: for each case, calls of which any number are made at the same time."""

from __future__ import annotations

from tests.integration.attack.cases import bodies, expressions, forged, inputs, transport
from tests.integration.attack.cases.base import CASES, Attack, Case
from tests.integration.attack.secrets_planted import OTHER, PEM, SIGNING_KEY

__all__ = ["CASES", "NEVER_SHOWN", "Attack", "Case", "bodies", "expressions", "forged", "inputs", "transport"]

NEVER_SHOWN = (OTHER, SIGNING_KEY, PEM[30:90])
