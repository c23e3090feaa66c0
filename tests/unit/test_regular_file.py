"""Files that are replaced while the process runs are not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yaml_connector._regular_file import regular_file


def test_a_file_is_read_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("é\r\n", encoding="utf-8", newline="")
    with open(tmp_path / "file", encoding="utf-8", newline="", opener=regular_file) as handle:
        assert handle.read() == "é\r\n"


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "folder", "/dev/zero"])
def test_what_is_not_a_regular_file_is_refused_at_once_and_stays_closed(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to a pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="not a regular file"):
        open(tmp_path / kind, "rb", opener=regular_file)  # noqa: SIM115
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        open(tmp_path / "nothing", opener=regular_file)  # noqa: SIM115
