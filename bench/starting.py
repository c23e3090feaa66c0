"""How long a start takes: commands, and `c0` until it serves. For the benches of start and of many specs."""

import asyncio
import subprocess
import time
from collections.abc import Mapping, Sequence

from bench.client import Client
from bench.connected import until_listening, until_ready
from bench.services import ROOT, ServiceError, Services, free_ports


def command_seconds(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """How long a command takes, and what it prints; raises `ServiceError` if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=dict(env), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise ServiceError(f"{' '.join(command)}: exit code {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
    return seconds, done.stdout


async def service_start(module: str | None, env: Mapping[str, str]) -> tuple[float, int]:
    """The seconds until `c0` with this module (or none) serves, and the bytes that it has in memory then."""
    with Services(env) as services:
        port, prometheus_port = free_ports(2)
        start = time.perf_counter()
        service = services.start_connector("c0", module, port, prometheus_port)
        await asyncio.to_thread(until_listening, service)
        client = Client(port)
        try:
            await until_ready(service, client)
            return time.perf_counter() - start, service.memory()
        finally:
            await client.close()
