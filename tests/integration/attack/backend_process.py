"""The hostile backend in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment, started


@contextmanager
def hostile_backend(folder: Path) -> Iterator[str]:
    """Start the backend; yield its URL."""
    command = [sys.executable, "-m", "tests.integration.attack.hostile_backend"]
    with started(command, cwd=ROOT, env=clean_environment(folder), log=folder / "backend.log") as process:
        process.wait_for("listening on")
        yield f"http://127.0.0.1:{process.output.split()[-1]}"
