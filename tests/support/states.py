"""States of an API and the phases that they are mapped to, for the tests of get."""

from __future__ import annotations

STATES = {
    "QUEUED": ["queued"],
    "RUNNING": ["running", "Stopping"],
    "SUCCEEDED": ["done", 0, True],
    "FAILED": ["error", None],
}
