"""The processes: a backend, and one `c0` for each connector, so that all start from the same state."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bench.backend import API_KEY

ROOT = Path(__file__).parent.parent
"""The repository: the working directory of every process, so that `bench` and the package can be imported."""

STOP_TIMEOUT = 3.0


class ServiceError(Exception):
    """A process did not come up, or is gone; the message holds the last line that it wrote."""


class Service:
    """A running process that listens on `port`."""

    def __init__(self, command: list[str], port: int, env: Mapping[str, str], log: Path) -> None:
        self.port = port
        self._log = log
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then stops all others in order.
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(env), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def cpu_seconds(self) -> float:
        """User and system time of the process, all threads, since it started; `ServiceError` if it has ended."""
        self.check_alive()
        pid = self._process.pid
        if sys.platform == "linux":
            # The clock of another process, see clock_getcpuclockid(3): in nanoseconds, where /proc has ticks of 10 ms.
            return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Bytes that the process has in memory now; `ServiceError` if it has ended."""
        self.check_alive()
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def most_memory(self) -> int:
        """Bytes that the process ever had in memory at a time (Linux)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def check_alive(self) -> None:
        """Raises `ServiceError` if the process has ended."""
        if (code := self._process.poll()) is not None:
            raise ServiceError(f"exit code {code}: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of the process's output that is not empty."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it wrote nothing"

    def pause(self) -> None:
        """Lets the process do nothing until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets the process go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends the process; nothing happens if it has ended."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Services:
    """Starts processes, and stops all of them when the `with` block is left, however it is left."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._logs = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_backend(self, port: int, module: str = "bench.backend", *arguments: str) -> Service:
        """Starts a backend, which must know `GET /count`, and waits until it answers."""
        backend = self._start(f"backend-{port}", [sys.executable, "-m", module, str(port), *arguments], port)
        for _ in range(100):
            backend.check_alive()
            try:
                count_requests(port)
            except OSError:
                time.sleep(0.05)
            else:
                return backend
        raise ServiceError(f"the backend does not answer: {backend.last_words()}")

    def start_connector(
        self, name: str, module: str | None, port: int, prometheus_port: int, env: Mapping[str, str] | None = None
    ) -> Service:
        """Starts `c0` with one module or none, and does not wait until it is up. `env` adds to the environment."""
        console_script = shutil.which("c0", path=str(Path(sys.executable).parent)) or shutil.which("c0")
        if console_script is None:
            raise ServiceError("c0 is not installed: pip install 'flyte[connector]'")
        ports = ["--port", str(port), "--prometheus_port", str(prometheus_port)]
        modules = [] if module is None else ["--modules", module]
        return self._start(name, [console_script, *ports, *modules], port, env)

    def _start(self, name: str, command: list[str], port: int, env: Mapping[str, str] | None = None) -> Service:
        service = Service(command, port, {**self._env, **(env or {})}, self._logs / f"{name}.log")
        self._stack.callback(service.stop)
        return service


def environment(specs: Path, backend_port: int = 1) -> dict[str, str]:
    """The environment of services that read these specs and talk to the backend there (1: to none)."""
    url = f"http://127.0.0.1:{backend_port}"
    return {**os.environ, "BENCH_URL": url, "BENCH_API_KEY": API_KEY, "YAML_CONNECTOR_PATH": str(specs)}


def free_ports(count: int) -> list[int]:
    """That many different ports that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def count_requests(port: int) -> int:
    """How many requests the backend has answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as response:
        return int(response.read())
