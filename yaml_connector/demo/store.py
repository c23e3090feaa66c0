"""The jobs of a state directory: one folder each, `runner` says what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from yaml_connector.demo.runner import CANCEL, LOG, OVER, Job, now

USERS_VARIABLE = "JOBSERVICE_USERS"


class StateInUseError(Exception):
    """Another service works on this state directory."""


class CursorError(ValueError):
    """The cursor is not one of a log page."""


class Store:
    """All jobs of a state directory, found again when it is opened the next time.

    A job's folder is only ever reached through a job that is known: no id of a request becomes a path.
    """

    def __init__(self, directory: Path) -> None:
        """Open the directory, make it if need be; StateInUseError if another service has it open."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._jobs: dict[str, Job] = {}
        self._ids: dict[tuple[str, str], str] = {}  # by user and idempotency key
        self._lock = _lock(self._directory / "lock")
        if self._lock is None:
            raise StateInUseError(f"another job service uses {self._directory}")
        for folder in self._directory.iterdir():
            with contextlib.suppress(OSError, ValueError, TypeError):  # no job: not ours
                self._know(Job.read(folder))

    def create(
        self, user: str, name: str, timeout: float, command: list[str] | None, key: str | None
    ) -> tuple[Job, bool]:
        """Start a job, and give it with True; with False the one that this key of the user's already made.

        OSError if it cannot be started; nothing is left of it then.
        """
        if key and (existing := self._ids.get((user, key))):
            return self._fresh(self._jobs[existing]), False
        job = Job(f"job-{secrets.token_hex(5)}", user, key, name, timeout, command, created=now())
        folder = self._directory / job.id
        folder.mkdir()
        try:
            (folder / LOG).touch()
            job.write(folder)
            self._start(job)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._know(job), True

    def find(self, user: str, job_id: str) -> Job | None:
        """The user's job of this id as it is now, or None."""
        job = self._jobs.get(job_id)
        return self._fresh(job) if job and job.user == user else None

    def jobs(self, user: str) -> list[Job]:
        """The user's jobs as they are now, oldest first."""
        mine = [self._fresh(job) for job in list(self._jobs.values()) if job.user == user]
        return sorted(mine, key=lambda job: job.created)

    def cancel(self, job: Job, reason: str = "cancelled") -> None:
        """Have the job's supervisor end it; soon it will be cancelled, for this reason."""
        (self._directory / job.id / CANCEL).write_text(reason, encoding="utf-8")

    def log_page(self, job: Job, cursor: str, size: int) -> tuple[list[dict[str, Any]], str | None]:
        """At most `size` log lines from the cursor on ("" is the start), and the next cursor, None at the end for now.

        CursorError for a cursor that was never given. (A cursor is an offset in the file, just behind a line break.)
        """
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
            raise CursorError(f"{cursor!r} is not a valid cursor of this log")
        offset = int(cursor or 0)
        lines: list[dict[str, Any]] = []
        with (self._directory / job.id / LOG).open("rb") as log:
            if offset:
                log.seek(offset - 1)
                if log.read(1) != b"\n":
                    raise CursorError(f"{cursor!r} is not a valid cursor of this log")
            # A line without its line break is still being written.
            while len(lines) < size and (line := log.readline()).endswith(b"\n"):
                lines.append(json.loads(line))
                offset += len(line)
            return lines, str(offset) if log.readline().endswith(b"\n") else None

    def cancel_all(self, reason: str, patience: float = 4.0) -> None:
        """Cancel every job that is not over, and wait up to `patience` seconds until all are."""
        left = [job for job in self._jobs.values() if self._fresh(job).state not in OVER]
        for job in left:
            self.cancel(job, reason)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = [job for job in left if self._fresh(job).state not in OVER]

    def close(self) -> None:
        """Leave the directory to the next service."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _know(self, job: Job) -> Job:
        self._jobs[job.id] = job
        if job.key:
            self._ids[job.user, job.key] = job.id
        return job

    def _start(self, job: Job) -> None:
        """Start the job's supervisor, which inherits the lock: from here until its end the lock is taken."""
        self._supervisors = [process for process in self._supervisors if process.poll() is None]
        folder = self._directory / job.id
        lock = _lock(folder / "lock")
        if lock is None:
            return  # it is there already
        try:
            with (folder / "supervisor.log").open("wb") as errors:
                supervisor = subprocess.Popen(
                    [sys.executable, "-m", "yaml_connector.demo.runner", str(folder)],
                    env={name: value for name, value in os.environ.items() if name != USERS_VARIABLE},
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        finally:
            os.close(lock)
        self._supervisors.append(supervisor)

    def _fresh(self, job: Job) -> Job:
        """The job as its folder has it now. One whose supervisor died becomes an error."""
        if job.state in OVER:
            return job
        folder = self._directory / job.id
        if not folder.exists():
            return self._know(job.over("error", "the job's folder was removed"))
        job = Job.read(folder)
        if job.state not in OVER and (lock := _lock(folder / "lock")) is not None:
            try:
                job = Job.read(folder)  # it may have ended between the two
                if job.state not in OVER:
                    job = job.over("error", _cause_of_death(folder))
                    job.write(folder)
            finally:
                os.close(lock)
        return self._know(job)


def _cause_of_death(folder: Path) -> str:
    lines = (folder / "supervisor.log").read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), None)
    return "the job's supervisor died" + (f": {last}" if last else "")


def _lock(path: Path) -> int | None:
    """Lock a file for as long as the descriptor is open, here or in a child; None if another has it locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
