"""The service that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.demo.job_service import Service, running


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One open service that the tests of this module share. Whatever they send, it has nothing to say on stderr."""
    with running() as service:
        yield service
        assert service.stop() == (0, "", "")
