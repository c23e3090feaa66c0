"""Starting and stopping the tour's processes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

_PATIENCE = 30.0


@contextmanager
def start(command: Sequence[str], *, ready: str, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command in the background until the block ends; yield the process and the line that says it is ready.

    Raises SystemExit with what it printed, if it ends or stays silent.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **env, "PYTHONUNBUFFERED": "1"},
    )
    printed: list[str] = []
    is_ready = threading.Event()

    def drain() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line.rstrip())
            if ready in line:
                is_ready.set()
        is_ready.set()

    threading.Thread(target=drain, daemon=True).start()
    try:
        is_ready.wait(_PATIENCE)
        line = next((text for text in printed if ready in text), None)
        if line is None:
            raise SystemExit("\n".join([f"{command[0]} did not start:", *printed]))
        yield process, line
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_and_show(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Run a command to its end and show what it prints, indented; return its exit code."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}, cwd=cwd
    )
    assert process.stdout is not None
    for line in process.stdout:
        click.echo(f"   {line.rstrip()}")
    return process.wait()
