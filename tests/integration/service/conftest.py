"""One connector service for the tests of this folder, with all that it can log, in front of a real job service and of
an API that each test scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.flyte_side import FlyteSide
from tests.support.paths import ROOT
from tests.support.ports import held_port
from tests.support.real_api import RealApi
from tests.support.real_processes import OWN_KEY, PLANTED, STORE, USER_KEYS, Process, connector_service
from tests.support.serving import SPEC
from yaml_connector import task_from_spec

SPECS = Path(__file__).parent / "connectors.d"

EVERYTHING_LOGGED = """
import logging
logging.basicConfig(level=logging.DEBUG)
for name in ("yaml_connector", "flyte", "aiohttp", "asyncio", "grpc"):
    logging.getLogger(name).setLevel(logging.DEBUG)
"""


@dataclass
class Service:
    """The running service; `calls` is Flyte's side of it."""

    process: Process
    port: int
    calls: FlyteSide
    job_service_url: str
    metrics_port: int
    folder: Path  # its home


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A folder with one spec."""
    folder = tmp_path / "connectors.d"
    folder.mkdir()
    (folder / "one.yaml").write_text(SPEC.format(name="one", path="jobs"))
    return folder


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, api: RealApi, job_service_url: str) -> Iterator[Service]:
    """`c0` with the repository's spec and those of this folder. Whatever the tests send, it never shows a secret."""
    folder = tmp_path_factory.mktemp("c0")
    specs = shutil.copytree(SPECS, folder / "connectors.d")
    shutil.copy(ROOT / "connectors.d" / "batch_job.yaml", specs)
    (folder / "everything_logged.py").write_text(EVERYTHING_LOGGED)
    broken = folder / "installed" / "broken_connector-1.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-connector\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[flyte.connectors]\nbroken = there_is_no_such_module\n")
    with (
        held_port() as metrics_port,
        connector_service(
            folder,
            "connectors.d",
            "everything_logged",
            "yaml_connector.flyte.service",
            metrics_port=metrics_port,
            PYTHONPATH=f"{ROOT}{os.pathsep}{folder / 'installed'}",
            LOG_LEVEL="10",
            REAL_API=api.url,
            SCRIPTED_API_KEY=OWN_KEY,
            BATCH_URL=job_service_url,
            BATCH_API_KEY=USER_KEYS["alice"],
        ) as (process, port),
        FlyteSide(port, STORE) as calls,
    ):
        yield Service(process, port, calls, job_service_url, metrics_port, folder)
        shown = [secret for secret in PLANTED if secret in process.output]
        assert shown == [], "c0 wrote secrets"


@pytest.fixture
def calls(service: Service) -> FlyteSide:
    """Flyte's side of the shared service."""
    return service.calls


@pytest.fixture(scope="session")
def batch_job() -> Callable[..., Any]:
    """Makes tasks of the repository's own spec: `batch_job("hello")`, with the secret of a user if one is named."""

    def make(name: str = "batch_job", user: str | None = None, **values: Any) -> Any:
        secrets = {"api_key": f"{user}-api-key"} if user else None
        return task_from_spec(ROOT / "connectors.d" / "batch_job.yaml", name=name, secrets=secrets, **values)

    return make


@pytest.fixture(scope="session")
def task() -> Callable[..., Any]:
    """Makes tasks of a spec of this folder."""

    def make(spec: str, **values: Any) -> Any:
        return task_from_spec(SPECS / f"{spec}.yaml", **values)

    return make
