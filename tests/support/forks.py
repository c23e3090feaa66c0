"""Python programs that are forked from a process which has imported the package and Flyte: up to a second of CPU less.

Not for what runs Flyte's own client: a thread of its does not survive a fork.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# As `serve` does before it imports gRPC, which is imported already where services are forked.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["yaml_connector.flyte.server", "yaml_connector.flyte.served_specs", "uvloop"]
    + [f"yaml_connector.cli.{name}" for name in ("run.command", "new.command", "test", "validate")]
)


def _run(command: Sequence[str], cwd: Path, env: Mapping[str, str], output: Path, on_terminal: bool) -> None:
    os.setsid()  # the terminal that is opened next is the program's own
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    opened = os.open(output, os.O_RDWR if on_terminal else os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (0, 1, 2) if on_terminal else (1, 2):
        os.dup2(opened, number)
    # Nobody closes these: the program has them to its end.
    sys.stdin = open(0 if on_terminal else os.devnull, encoding="utf-8", closefd=not on_terminal)  # noqa: SIM115
    sys.stdout = open(1, "w", 1, "utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [part for part in command if part not in (sys.executable, "-m")]
    program = sys.argv[0]
    try:
        if "-m" in command[:2]:
            sys.modules.pop(program, None)  # it is imported, and runs as the program now
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(program).absolute().parent))
            runpy.run_path(program, run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


class Forked:
    """A Python program, shown as `subprocess` shows a process: `python -m MODULE ARGUMENTS`, `python FILE ARGUMENTS`,
    or a console script. It writes to a file, or it is on a terminal, which is its own."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], output: Path, *, on_terminal: bool = False
    ) -> None:
        sys.audit("os.fork")
        self._process = FORKS.Process(target=_run, args=(command, cwd, dict(env), output, on_terminal))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and is not known to have
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)
