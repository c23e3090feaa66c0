"""A person at a real terminal: a command on a pseudo-terminal, what it shows and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.forks import Forked
from tests.support.real_processes import wait_until

PATIENCE = 60.0  # seconds; a busy machine takes long to start a process


class Terminal:
    """A command on a terminal of its own. Use it as a context: it ends with it."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = Forked(command, cwd, env, Path(os.ttyname(slave)), on_terminal=True)
        self.slave: int | None = slave  # open until the command writes, which has opened it then
        self.shown = ""
        self.seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close_slave()
        os.close(self.master)

    def _close_slave(self) -> None:
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None

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

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait until the command has taken it: two that come together are one."""
        self.type("\x03")
        self.expect("^C")  # the terminal shows it once the signal is sent
        wait_until(self._has_taken_its_signals, "Ctrl-C to be taken")

    def _has_taken_its_signals(self) -> bool:
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        status = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.strip()}
        is_pending = any(int(status[name], 16) >> (signal.SIGINT - 1) & 1 for name in ("SigPnd", "ShdPnd"))
        return status["State"] == "S" and not is_pending  # it sleeps again

    def end(self) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"waited for the end of:\n{self.text}"
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        """Take what there is; False at the end."""
        ended = self.process.poll() is not None  # asked before: nothing is written after it
        if select.select([self.master], [], [], 0.2)[0]:
            try:
                given = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                return False
            self._close_slave()
            self.shown += given.decode("utf-8", "replace")
            return bool(given)
        return not ended
