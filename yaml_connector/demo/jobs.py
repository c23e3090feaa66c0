"""The jobs of the demo's job service. Each runs its command in a process group, and ends with the service."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

USERS_VARIABLE = "JOBSERVICE_USERS"
OVER = frozenset({"done", "error", "cancelled"})

MAX_LINE = 8 * 1024  # bytes; the rest of a longer line is dropped
MAX_LOG = 2**20  # bytes; what a job prints beyond is read and dropped
MAX_RESULT = 256 * 1024  # bytes
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
POLL = 0.05  # seconds between two looks for a cancel


def now() -> str:
    """Return the time in RFC 3339, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Job:
    """A job. `timeout` is in seconds, times are RFC 3339; `command` is None for the demo program, `env` are variables
    beside those of the service."""

    user: str
    name: str
    timeout: float
    command: list[str] | None
    env: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"job-{secrets.token_hex(5)}")
    state: str = "queued"  # queued, running, or one of OVER
    detail: str | None = None
    result: str | None = None
    created: str = field(default_factory=now)
    started: str | None = None
    ended: str | None = None

    def __post_init__(self) -> None:
        self.lines: list[dict[str, str]] = []
        self._room = MAX_LOG
        self._last: dict[str, str] = {}  # the last line of each stream that is not blank
        self._lock = threading.Lock()
        self._cancelled: str | None = None  # the detail of the cancel
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Run the job in a thread of its own."""
        self._thread.start()

    def cancel(self, detail: str = "cancelled") -> None:
        """End the job soon, as cancelled, with this detail."""
        self._cancelled = self._cancelled or detail

    def join(self, seconds: float) -> None:
        """Wait until the job is over, at most this long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        self.state, self.started = "running", now()
        with tempfile.TemporaryDirectory(prefix="demo-job-", ignore_cleanup_errors=True) as folder:
            state, self.detail = self._outcome(Path(folder) / "result")
        self.ended, self.state = now(), state

    def _outcome(self, result: Path) -> tuple[str, str | None]:
        """Run the command to its end; return the state and the detail that come of it."""
        command = self.command or [sys.executable, "-m", "yaml_connector.demo.program", self.name]
        environment = {name: value for name, value in os.environ.items() if name != USERS_VARIABLE}
        try:
            process = subprocess.Popen(
                command,
                env={**environment, **self.env, "RESULT_FILE": str(result), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument, say
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return "error", f"cannot run {command[0]!r}: {reason}"
        streams = (("stdout", process.stdout), ("stderr", process.stderr))
        readers = [threading.Thread(target=self._follow, args=pair, daemon=True) for pair in streams]
        for reader in readers:
            reader.start()
        stopped = self._wait(process)
        if stopped is not None:
            _terminate(process)
        _wind_up(process, readers)
        if stopped is not None:
            return stopped
        if process.returncode == 0:
            self.result = _result(result) or self._last.get("stdout")
            return "done", None
        last = self._last.get("stderr") or self._last.get("stdout")
        return "error", _exit_text(process.returncode) + (f": {last}" if last else "")

    def _wait(self, process: subprocess.Popen[bytes]) -> tuple[str, str] | None:
        """Wait until the command ends (None), or must be stopped: the state and the detail that come of it."""
        deadline = time.monotonic() + self.timeout
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
                return None
            if self._cancelled is not None:
                return "cancelled", self._cancelled
            if time.monotonic() >= deadline:
                return "error", f"timed out after {self.timeout:g} s"

    def _follow(self, name: str, stream: IO[bytes]) -> None:
        """Log the stream until it is closed. Never stops reading before: the command would hang."""
        while line := stream.readline(MAX_LINE):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                text += " [cut]"
                while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
            with self._lock:
                if text.strip():
                    self._last[name] = text
                if self._room > 0:
                    self._room -= len(text)
                    shown = text if self._room > 0 else "[the log is full]"
                    self.lines.append({"time": now(), "stream": name, "text": shown})


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to all that the command started (0: none); False if nothing of it is left."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole group, and up to GRACE for it to end."""
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        process.poll()  # so that the command itself does not stay a zombie, which would count as left
        if not _signal_group(process, 0):
            return
        time.sleep(0.02)


def _wind_up(process: subprocess.Popen[bytes], readers: list[threading.Thread]) -> None:
    """Read the output to its end and kill what is left of the group.

    A process that the command left behind may hold the output open; it is given GRACE.
    """
    deadline = time.monotonic() + (GRACE if process.poll() is not None else 0)
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    _signal_group(process, signal.SIGKILL)
    process.wait()
    for reader in readers:
        reader.join(0.5)  # one that made a session of its own escapes the kill; the job ends all the same


def _result(path: Path) -> str | None:
    if not path.is_file():  # a FIFO would block
        return None
    with path.open("rb") as file:
        return file.read(MAX_RESULT).decode("utf-8", "replace").strip()


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"
