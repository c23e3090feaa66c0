"""A person at a real terminal: a command on a pseudo-terminal, what it shows and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 60.0  # seconds; a busy machine takes long to start a process


# As a shell does it: the terminal is the command's own, and Ctrl-C is not ignored. This is a program and not a
# `preexec_fn`, which would run after a fork of this process, and gRPC's threads may not survive that.
_AS_A_SHELL_DOES = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command on a terminal of its own. Use it as a context: it ends with it."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _AS_A_SHELL_DOES, *command],
            cwd=cwd,
            env=dict(env),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self.seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    @property
    def text(self) -> str:
        """All that was shown, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown).replace("\r\n", "\n")

    def expect(self, part: str) -> None:
        """Wait until this is shown, behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.text.find(part, self.seen)) < 0:
            assert time.monotonic() < deadline, f"waited for {part!r} in:\n{self.text}"
            assert self._read(), f"it ended without {part!r}:\n{self.text}"
        self.seen = found + len(part)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"waited for the end of:\n{self.text}"
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        """Take what there is; False at the end."""
        if select.select([self.master], [], [], 0.2)[0]:
            try:
                given = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                return False
            self.shown += given.decode("utf-8", "replace")
            return bool(given)
        return self.process.poll() is None
