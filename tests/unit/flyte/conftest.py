"""What the tests of tasks talk to: an API that each test scripts, and the real job service."""

from __future__ import annotations

import os

import flyte
import pytest


@pytest.fixture(scope="session")
def flyte_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Flyte, initialised for runs in this process."""
    flyte.init(root_dir=tmp_path_factory.mktemp("flyte_root"), local_persistence=False)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of this process, which is the connector's too in a local run; put back after the test."""
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_api_key"))]:
        monkeypatch.delenv(name)
    return monkeypatch
