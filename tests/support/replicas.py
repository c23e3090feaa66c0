"""Replicas of the connector service that can be killed, and a client that takes turns, as Flyte's executor does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import accepts, held_socket
from tests.support.real_processes import Process, clean_environment
from yaml_connector.flyte.service_client import ServiceClient

KEY = "a-key-of-all-replicas-0123456789abcdef"
FLYTES_PATIENCE = 10.0
ROUND_ROBIN = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),  # as Flyte dials
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.initial_reconnect_backoff_ms", 100),
]


@dataclass
class Replica:
    """One process of the service, on a port that stays its own. `forked`: see Process."""

    folder: Path
    number: int
    held: Any = field(default_factory=held_socket)
    process: Process | None = None
    forked: bool = False

    @property
    def port(self) -> int:
        return int(self.held.getsockname()[1])

    async def start(self) -> None:
        command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--specs", "connectors.d"]
        command += ["--port", str(self.port)]
        env = clean_environment(self.folder, YAML_CONNECTOR_SIGNING_KEY=KEY)
        self.process = Process(command, self.folder, env, self.folder / f"serve-{self.number}.log", forked=self.forked)
        deadline = time.monotonic() + 60
        while not accepts(self.port):
            if self.process.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.process.output}")
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """Kill it, and start it again."""
        assert self.process is not None
        self.process.kill()
        await self.start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send(signal.SIGTERM)
            self.process.stop()
        self.held.close()


def client_of(replicas: Sequence[Replica]) -> ServiceClient:
    """A client whose calls go to the replicas in turn."""
    address = "ipv4:" + ",".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    return ServiceClient(address, timeout=FLYTES_PATIENCE, options=ROUND_ROBIN)
