"""The supervisor of one job: `python -m yaml_connector.demo.runner FOLDER`, a session of its own.

It outlives the service, so that jobs go on while the service is down. All that the two have to tell each other is in
the job's folder:

    job.json         the job; written by the service once, then by the supervisor alone, always atomically
    log.jsonl        one JSON object a line: the output so far
    cancel           written to end the job; its text is the reason
    result           what the command wrote to RESULT_FILE
    lock             locked as long as the supervisor lives (it inherits the locked file from the service)
    supervisor.log   empty, unless the supervisor itself broke

Standard library only: each job starts it anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

JOB, LOG, CANCEL, RESULT = "job.json", "log.jsonl", "cancel", "result"
OVER = frozenset({"done", "error", "cancelled"})

MAX_LINE = 8 * 1024  # bytes; the rest of a longer line is dropped
MAX_LOG = 16 * 1024 * 1024  # bytes on disk; what a job prints beyond is read and dropped
MAX_RESULT = 256 * 1024  # bytes
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
POLL = 0.05  # seconds between two looks for a cancel


class Job(NamedTuple):  # a dataclass would make the start of every job a third slower
    """A job as its file holds it. Times are RFC 3339."""

    id: str
    user: str
    key: str | None  # the Idempotency-Key it was made with
    name: str
    timeout: float  # seconds
    command: list[str] | None  # None: the demo program
    created: str
    state: str = "queued"  # queued, running, or one of OVER
    detail: str | None = None
    result: str | None = None
    started: str | None = None
    ended: str | None = None

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The job of a folder; OSError, ValueError or TypeError if there is none."""
        return cls(**json.loads((folder / JOB).read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Replace the folder's job by this one; a reader sees the old one or the new one."""
        new = folder / f"{JOB}.new"
        new.write_text(json.dumps(self._asdict()), encoding="utf-8")
        new.replace(folder / JOB)

    def over(self, state: str, detail: str | None = None, result: str | None = None) -> Job:
        """This job, ended now."""
        return self._replace(state=state, detail=detail, result=result, ended=now())


def now() -> str:
    """The time in RFC 3339, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Output:
    """The job's log, and the last line of each stream that is not blank."""

    def __init__(self, path: Path) -> None:
        self.last: dict[str, str] = {}
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._room = MAX_LOG

    def follow(self, stream: IO[bytes], name: str) -> None:
        """Log the stream until it is closed. Never stops reading before: the command would hang."""
        while line := stream.readline(MAX_LINE):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                text += " [cut]"
                while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
            with self._lock, contextlib.suppress(OSError):  # a full disk costs log lines, not the job
                if text.strip():
                    self.last[name] = text
                self._add(text, name)

    def _add(self, text: str, name: str) -> None:
        if self._room <= 0:
            return
        line = json.dumps({"time": now(), "stream": name, "text": text}) + "\n"
        self._room -= len(line)
        if self._room <= 0:
            line = json.dumps({"time": now(), "stream": name, "text": "[the log is full]"}) + "\n"
        self._file.write(line)
        self._file.flush()


def supervise(folder: Path) -> Job:
    """Run the folder's job to its end and give it back as it ended."""
    job = Job.read(folder)
    if job.state != "queued":
        return job
    cancel = folder / CANCEL
    signal.signal(signal.SIGTERM, lambda *_: cancel.write_text("cancelled: its supervisor was stopped"))
    if cancel.exists():
        return _ended(folder, job.over("cancelled", _reason(cancel)))
    job = job._replace(state="running", started=now())
    job.write(folder)  # before the command starts: a job is never run twice
    command = job.command or [sys.executable, "-m", "yaml_connector.demo.program", job.name]
    environment = {**os.environ, "RESULT_FILE": str(folder / RESULT), "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument, say
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return _ended(folder, job.over("error", f"cannot run {command[0]!r}: {reason}"))

    output = Output(folder / LOG)
    readers = [
        threading.Thread(target=output.follow, args=(stream, name), daemon=True)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for reader in readers:
        reader.start()
    stopped = _wait(process, job, cancel)
    if stopped:
        _terminate(process)
    _wind_up(process, readers)
    if stopped:
        return _ended(folder, job.over(*stopped))
    if process.returncode == 0:
        return _ended(folder, job.over("done", result=_result(folder / RESULT) or output.last.get("stdout")))
    last = output.last.get("stderr") or output.last.get("stdout")
    return _ended(folder, job.over("error", _exit_text(process.returncode) + (f": {last}" if last else "")))


def _ended(folder: Path, job: Job) -> Job:
    job.write(folder)
    return job


def _reason(cancel: Path) -> str:
    return cancel.read_text(encoding="utf-8") or "cancelled"


def _wait(process: subprocess.Popen[bytes], job: Job, cancel: Path) -> tuple[str, str] | None:
    """Wait until the command ends (None), or must be stopped: the state and the detail that come of it."""
    deadline = time.monotonic() + job.timeout
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
            return None
        if cancel.exists():
            return "cancelled", _reason(cancel)
        if time.monotonic() >= deadline:
            return "error", f"timed out after {job.timeout:g} s"


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


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
