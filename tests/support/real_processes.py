"""The processes that the tests talk to: `c0`, the demo's job service, and commands. All are stopped, come what may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TypeVar

from tests.support.forks import Forked
from tests.support.paths import ROOT
from tests.support.ports import accepts, held_port

_BACK = 5  # by which niceness goes up: a third of the time of others
PATIENCE = 40.0  # seconds; a busy machine takes a while to import Flyte
T = TypeVar("T")

# No text that leaves a connector may hold one of these.
USER_KEYS = {"alice": "planted-alice-5d1f0c77", "bob": "planted-bob-90ab3e42"}
OWN_KEY = "planted-own-2b64c9aa"
WRONG_KEY = "planted-wrong/key+of?somebody&77"
STORE = {f"{user}-api-key": key for user, key in USER_KEYS.items()} | {"wrong-api-key": WRONG_KEY}
PLANTED = (OWN_KEY, *STORE.values())


def script(name: str) -> str:
    """A console script of this Python environment."""
    return str(Path(sys.executable).with_name(name))


def wait_until(found: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """What `found` gives as soon as it gives something true."""
    deadline = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.02)
    return value


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """An environment with nothing of this process's own in it but the way to its programs and to this checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    terminal = {"LANG": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "200"}
    return {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(home), **terminal, **variables}


@contextmanager
def stepping_back() -> Iterator[None]:
    """Let all other processes go first, since this one stands for other machines.

    Linux may share the processors between sessions: a process's own niceness then counts within its session only.
    """
    session = Path("/proc/self/autogroup")
    os.nice(_BACK)
    if not session.exists():
        yield
        return
    before = session.read_text(encoding="ascii").split()[-1]
    session.write_text(str(_BACK), encoding="ascii")
    try:
        yield
    finally:
        session.write_text(before, encoding="ascii")


# Ends what is left when the tests themselves are killed: reads `+PID` and `-PID`, until nobody can write any more.
_KEEPER = """
import os, signal, sys
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(int(line[1:]))
for group in left:
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


@lru_cache(maxsize=1)
def _keeper() -> IO[str]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", _KEEPER], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    return process.stdin


def _tell_keeper(sign: str, pid: int) -> None:
    _keeper().write(f"{sign}{pid}\n")
    _keeper().flush()


class Process:
    """A process in a session of its own, with all that it writes in one file. `forked`: see Forked."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path, *, forked: bool = False
    ) -> None:
        self._log = log
        self._start = log.stat().st_size if log.exists() else 0
        env = {"PYTHONUNBUFFERED": "1", **env}
        self.process: subprocess.Popen[bytes] | Forked
        if forked:
            log.touch()
            self.process = Forked(command, cwd, env, log)
        else:
            with log.open("ab") as output:
                self.process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        _tell_keeper("+", self.process.pid)

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self._log.read_bytes()[self._start :].decode("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        """Wait until it wrote this; fails if it ends before."""

        def written() -> bool:
            ended = self.process.poll() is not None
            if text in self.output:
                return True
            assert not ended, f"it ended with {self.process.returncode}:\n{self.output}"
            return False

        wait_until(written, f"{text!r} in:\n{self.output}")

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(patience)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> int:
        """SIGKILL to the whole session, as a lost machine does it; gives the exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        _tell_keeper("-", self.process.pid)
        return self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL if that is not enough; gives the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(8)
        return self.kill()


@contextmanager
def started(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, forked: bool = False
) -> Iterator[Process]:
    """A process that is stopped when the block ends."""
    process = Process(command, cwd, env, log, forked=forked)
    try:
        yield process
    finally:
        process.stop()


def c0_command(port: int, *modules: str, metrics_port: int = 0) -> list[str]:
    """Return the command that starts a connector service; 0 lets the system choose the port of the metrics."""
    options = [option for module in modules for option in ("--modules", module)]
    return [script("c0"), "--port", str(port), "--prometheus_port", str(metrics_port), *options]


@contextmanager
def connector_service(
    folder: Path, specs: Path | str, *modules: str, metrics_port: int = 0, **variables: str
) -> Iterator[tuple[Process, int]]:
    """Start `c0` with all specs of a folder; yield the process and its port when it is ready.

    The service runs in `folder`, and its log is there.
    """
    env = clean_environment(folder, YAML_CONNECTOR_PATH=str(specs), **variables)
    with ExitStack() as stack:
        port = stack.enter_context(held_port())
        command = c0_command(port, *(modules or ("yaml_connector.flyte.service",)), metrics_port=metrics_port)
        process = stack.enter_context(started(command, cwd=folder, env=env, log=folder / "c0.log"))

        def ready() -> bool:
            assert process.process.poll() is None, f"c0 ended:\n{process.output}"
            return accepts(port)

        wait_until(ready, "c0 to start")
        yield process, port


@contextmanager
def job_service(folder: Path, **variables: str) -> Iterator[str]:
    """The demo's job service with the users alice and bob; gives its URL. Its jobs take no longer than they must."""
    env = clean_environment(
        folder,
        JOBSERVICE_USERS=",".join(f"{name}={key}" for name, key in USER_KEYS.items()),
        DEMO_STEP_SECONDS="0.01",
        **variables,
    )
    command = [sys.executable, "-m", "yaml_connector.demo.jobservice", "--port", "0"]
    with started(command, cwd=folder, env=env, log=folder / "job_service.log") as process:
        process.wait_for("listening on")
        yield process.output.split("listening on", 1)[1].split()[0]
