"""Each test has a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.contract_folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the spec of connectors.d."""
    return Folder(tmp_path)
