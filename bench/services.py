"""The processes: backends, and `c0` with a connector; how long they take to start; a client that is connected."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bench import messages
from bench.backend import API_KEY
from bench.client import CallError, Client, Load, drive
from bench.messages import WrongAnswerError

ROOT = Path(__file__).parent.parent
"""The repository: the working directory of every process, so that `bench` and the package can be imported."""

STOP_TIMEOUT = 3.0
START_TIMEOUT = 120.0
_LOOK_EVERY = 0.02


class ServiceError(Exception):
    """A process did not start, or has ended; the message holds the last line that it wrote."""


FAILURES = (ServiceError, CallError, WrongAnswerError)
"""What a service that does not work raises."""


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

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._logs = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def held_port(self) -> int:
        """A port that nothing else gets until the block is left: a bound socket that does not listen holds it, and a
        server with SO_REUSEADDR or SO_REUSEPORT can listen on it all the same."""
        holder = self._stack.enter_context(socket.socket())
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])

    def start_backend(self, kind: str, *numbers: float, port: int | None = None) -> Service:
        """Starts a backend (`bench.backend`) and waits until it answers. Raises `ServiceError` if it does not."""
        port = port or self.held_port()
        arguments = ["-m", "bench.backend", str(port), kind, *map(str, numbers)]
        backend = self._start(f"backend-{port}", [sys.executable, *arguments], port)
        for _ in range(100):
            backend.check_alive()
            try:
                count_requests(port)
            except OSError:
                time.sleep(0.05)
            else:
                return backend
        raise ServiceError(f"the backend does not answer: {backend.last_words()}")

    def start_connector(self, module: str | None, env: Mapping[str, str]) -> Service:
        """Starts `c0` with one module or none, and does not wait until it is up. `env` adds to the environment."""
        console_script = shutil.which("c0", path=str(Path(sys.executable).parent)) or shutil.which("c0")
        if console_script is None:
            raise ServiceError("c0 is not installed: pip install 'flyte[connector]'")
        port = self.held_port()
        modules = [] if module is None else ["--modules", module]
        command = [console_script, "--port", str(port), "--prometheus_port", "0", *modules]
        return self._start(f"c0-{port}", command, port, env)

    def start_serve(self, env: Mapping[str, str]) -> Service:
        """Starts `yaml-connector serve`, and does not wait until it is up. `env` adds to the environment."""
        port = self.held_port()
        command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--port", str(port)]
        return self._start(f"serve-{port}", command, port, env)

    def _start(self, name: str, command: list[str], port: int, env: Mapping[str, str] | None = None) -> Service:
        service = Service(command, port, {**os.environ, **(env or {})}, self._logs / f"{name}.log")
        self._stack.callback(service.stop)
        return service


def environment(specs: Path, backend: Service | None = None) -> dict[str, str]:
    """The variables of services that read these specs and talk to this backend, or to none."""
    url = f"http://127.0.0.1:{backend.port if backend else 1}"
    return {"BENCH_URL": url, "BENCH_API_KEY": API_KEY, "YAML_CONNECTOR_PATH": str(specs)}


def count_requests(port: int) -> int:
    """How many requests the backend has answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as response:
        return int(response.read())


async def until_ready(service: Service, client: Client) -> None:
    """Returns once the service accepts calls; raises `ServiceError` if it ends or takes too long."""
    ready = asyncio.ensure_future(client.ready())
    deadline = time.perf_counter() + START_TIMEOUT
    try:
        while time.perf_counter() < deadline:
            service.check_alive()
            if (await asyncio.wait([ready], timeout=_LOOK_EVERY))[0]:
                return
    finally:
        ready.cancel()
    raise ServiceError(f"not ready after {START_TIMEOUT:.0f} s: {service.last_words()}")


def until_listening(service: Service) -> None:
    """Returns once the service's port is open: sooner than gRPC notices, which waits between its tries."""
    deadline = time.perf_counter() + START_TIMEOUT
    while time.perf_counter() < deadline:
        service.check_alive()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", service.port)) == 0:
                return
        time.sleep(0.005)
    raise ServiceError(f"not listening after {START_TIMEOUT:.0f} s: {service.last_words()}")


@asynccontextmanager
async def connected(
    services: Services, module: str | None, env: Mapping[str, str]
) -> AsyncIterator[tuple[Service, Client]]:
    """Starts `c0` with a module, or `yaml-connector serve`; waits until it accepts calls, and stops it at the end."""
    service = services.start_connector(module, env) if module is not None else services.start_serve(env)
    client = Client(service.port)
    try:
        await until_ready(service, client)
        yield service, client
    finally:
        await client.close()
        service.stop()


async def running_jobs(client: Client, kind: str, custom: Mapping[str, str | int], number: int) -> list[bytes]:
    """What Flyte keeps of that many jobs. One is created by a call; the others are that one with other ids, because a
    rate limit counts creates too."""
    create = messages.create_request(kind, custom, "training", 1)
    timings = await drive(client.senders["CreateTask"], iter([create]), Load(1, calls=1))
    reply = timings.replies.pop()
    meta, first = messages.resource_meta(reply), b"work-%08d" % 1
    return [meta.replace(first, b"work-%08d" % each) for each in range(1, number + 1)]


async def get_requests(client: Client, kind: str, custom: Mapping[str, str | int], number: int) -> Sequence[bytes]:
    """The polls of that many running jobs."""
    return [messages.get_request(kind, meta) for meta in await running_jobs(client, kind, custom, number)]


def command_seconds(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """How long a command takes, and what it prints; raises `ServiceError` if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise ServiceError(f"{' '.join(command)}: exit code {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
    return seconds, done.stdout


async def service_start(module: str | None, env: Mapping[str, str]) -> tuple[float, int]:
    """The seconds until `c0` with this module (or none) serves, and the bytes that it has in memory then."""
    with Services() as services:
        start = time.perf_counter()
        service = services.start_connector(module, env)
        await asyncio.to_thread(until_listening, service)
        client = Client(service.port)
        try:
            await until_ready(service, client)
            return time.perf_counter() - start, service.memory()
        finally:
            await client.close()
