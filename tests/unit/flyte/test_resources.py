"""What Flyte gets of a job's status."""

from __future__ import annotations

from yaml_connector._jobs.status import Status
from yaml_connector.flyte.connector import resource


def test_a_link_is_shown_from_the_start() -> None:
    """Flyte has a flag for links of a task that does not run yet, and one for those that can be opened."""
    found = resource(Status("QUEUED", links=[("Log", "https://log.test/7"), ("\ud800", "https://log.test/8")]), {})
    assert found.log_links is not None
    first, second = found.log_links
    assert (first.name, first.uri, first.ready, first.ShowWhilePending) == ("Log", "https://log.test/7", True, True)
    assert (second.name, first.HideOnceFinished) == ("?", False)
    assert resource(Status("QUEUED"), {}).log_links is None
