"""What all tests share: hypothesis without a deadline (the machine may be busy), the same examples on every run; and
the servers that several folders use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.real_api import RealApi, running_api
from tests.support.real_processes import job_service

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def api() -> Iterator[RealApi]:
    """A real HTTP server, whose answers a test gives as cases."""
    with running_api() as api:
        yield api


@pytest.fixture(scope="session")
def job_service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded job service, in a process of its own."""
    with job_service(tmp_path_factory.mktemp("job_service")) as url:
        yield url
