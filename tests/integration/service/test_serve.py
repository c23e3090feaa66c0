"""`yaml-connector serve` as a process: calls, health, metrics, TLS, its end, and reloading."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl2.connector.connector_pb2 import GetTaskMetricsRequest, ListConnectorsRequest, TaskCategory
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub, ConnectorMetadataServiceStub
from flyteidl2.core.security_pb2 import Connection
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.certificates import certificate
from tests.support.flyte_side import FlyteSide, Job, outputs_of, state
from tests.support.paths import ROOT
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import (
    STORE,
    USER_KEYS,
    accepts,
    wait_until,
)
from tests.support.serving import SPEC, Serving, refused, serving
from yaml_connector import task_from_spec
from yaml_connector._jobs.meta import JobMeta

SLOW = """
spec_version: 1
task_type_name: slow
connection: {base_url: "${{ env.REAL_API }}/CASE", timeout: 30s, deadline: 30s}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
get: {request: "GET /jobs/${{ job.id }}", phase: {path: $.state, map: {RUNNING: [running], SUCCEEDED: [done]}}}
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service with one spec, for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "one.yaml").write_text(SPEC.format(name="one", path="jobs"))
    with serving(folder, folder) as service:
        yield service


def task_types(port: int) -> set[str]:
    with FlyteSide(port) as calls:
        return {name for categories in calls.connectors().values() for name, _ in categories}


def page(port: int, path: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.status, response.headers["Content-Type"], response.read().decode()


def test_a_job_runs_from_its_create_to_its_log(tmp_path: Path, job_service_url: str) -> None:
    specs = ROOT / "connectors.d"
    with (
        serving(tmp_path, specs, "--http", "0", BATCH_URL=job_service_url, BATCH_API_KEY=USER_KEYS["bob"]) as service,
        FlyteSide(service.port, STORE) as calls,
    ):
        assert service.task_types == ["batch_job (0)"]
        assert calls.connectors() == {"Batch Job": [("batch_job", 0)]}
        for secrets in ({"api_key": "alice-api-key"}, None):
            task = task_from_spec(specs / "batch_job.yaml", secrets=secrets)
            job = calls.create(task, f"serve-{secrets is None}", name="world")
            resource = calls.until(job)
            assert state(resource) == "SUCCEEDED", resource.message
            assert outputs_of(resource)["result"].scalar.primitive.string_value == "Hello, world!"
        assert [line.message[:5] for line in calls.logs(job)[0]] == [f"[{number}/8]" for number in range(1, 6)]
        long = calls.create(task, "serve-long", name="sleep-60")
        calls.until(long, "RUNNING")
        calls.delete(long)
        assert state(calls.until(long, "ABORTED")) == "ABORTED"

        status, kind, text = page(service.http, "/metrics")
        assert (status, kind.split(";")[0]) == (200, "text/plain")
        assert 'flyte_connector_requests_success_total{operation="create",task_type="batch_job"} 3.0' in text
        assert 'yaml_connector_phases_total{phase="SUCCEEDED",task_type="batch_job"} 2.0' in text
        assert page(service.http, "/healthz")[::2] == (200, "ok\n")
    assert not [key for key in USER_KEYS.values() if key in service.process.output]


def test_health_checks_are_answered_as_c0_answers_them(one: Serving) -> None:
    serves = health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        names = ("", "flyteidl2.connector.AsyncConnectorService", "flyteidl2.connector.ConnectorMetadataService")
        for name in (*names, "grpc.health.v1.Health"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == serves
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.Check(health_pb2.HealthCheckRequest(service="elsewhere"), timeout=10)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert next(watch).status == serves
        watch.cancel()
        with pytest.raises(grpc.RpcError, match="there is no such service"):  # which would be kept, name and all
            next(stub.Watch(health_pb2.HealthCheckRequest(service="x" * 3_000_000), timeout=10))


def test_errors_of_logs_and_metrics_are_words_and_no_traceback(one: Serving, specs: Path) -> None:
    with FlyteSide(one.port) as calls:
        task = task_from_spec(specs / "one.yaml")
        task.task_type = "never_heard_of"
        with pytest.raises(grpc.RpcError, match="Cannot find connector for task type: never_heard_of") as raised:
            calls.logs(Job(task, b"{}", Connection()))
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        request = GetTaskMetricsRequest(resource_meta=b"{}", task_category=TaskCategory(name="one"))
        with pytest.raises(grpc.RpcError, match="the connector does not offer this call") as raised:
            AsyncConnectorServiceStub(calls.channel).GetTaskMetrics(request, timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "Traceback" not in one.process.output


def test_with_a_certificate_it_speaks_tls_and_nothing_else(tmp_path: Path, specs: Path) -> None:
    certificate(tmp_path)
    files = ("--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key"))
    with serving(tmp_path, specs, *files) as service:
        assert "(TLS)" in service.process.output
        trusted = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{service.port}", trusted) as channel:
            listed = ConnectorMetadataServiceStub(channel).ListConnectors(ListConnectorsRequest(), timeout=10)
            assert [connector.name for connector in listed.connectors] == ["one"]
        with (
            grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel,
            pytest.raises(grpc.RpcError, match="UNAVAILABLE"),
        ):
            ConnectorMetadataServiceStub(channel).ListConnectors(ListConnectorsRequest(), timeout=10)


# --- its end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_under_way_finish_and_new_ones_are_refused(
    tmp_path: Path, specs: Path, api: RealApi, number: signal.Signals
) -> None:
    case = f"slow-{number.name}"
    (specs / "slow.yaml").write_text(SLOW.replace("CASE", case))
    arrived, answer = threading.Event(), threading.Event()

    def answers(received: Received) -> Any:
        arrived.set()
        return {"id": "j1", "state": "done"} if answer.wait(30) else 504

    async def in_a_thread(received: Received) -> Any:
        return await asyncio.to_thread(answers, received)

    api.case(case, in_a_thread)
    with serving(tmp_path, specs, "--http", "0", REAL_API=api.url) as service:
        task = task_from_spec(specs / "slow.yaml", name="slow")
        with FlyteSide(service.port) as calls:
            made: list[Job] = []
            caller = threading.Thread(target=lambda: made.append(calls.create(task, "run")))
            caller.start()
            assert arrived.wait(30)
            service.process.send(number)
            wait_until(lambda: not accepts(service.port), "the port to be closed", 20)
            with pytest.raises(urllib.request.HTTPError, match="503"):
                page(service.http, "/healthz")
            # CANCELLED, if the client had not heard yet that the service ends
            with pytest.raises(grpc.RpcError, match=r"UNAVAILABLE|CANCELLED|failed to connect|Socket closed|shut"):
                calls.get(Job(task, b"{}", Connection()))
            assert service.process.process.poll() is None, "it ended before its call did"
            answer.set()
            caller.join(30)
        assert service.process.wait(10) == 0, service.process.output
        assert json.loads(made[0].kept)["id"] == "j1"
        assert len(api.received(case, "POST")) == 1
        assert "Traceback" not in service.process.output


def test_an_idle_service_ends_at_once(tmp_path: Path, specs: Path) -> None:
    with serving(tmp_path, specs) as service:
        began = time.monotonic()
        service.process.send(signal.SIGTERM)
        assert service.process.wait(5) == 0, service.process.output
        assert time.monotonic() - began < 5


# --- reloading --------------------------------------------------------------------------------------------------------

Change = Callable[[Serving], None]


def by_signal(service: Serving) -> None:
    service.process.send(signal.SIGHUP)


def by_watching(service: Serving) -> None:
    """The service looks by itself."""


@pytest.mark.parametrize(
    ("options", "changed"), [((), by_signal), (("--watch",), by_watching)], ids=["SIGHUP", "--watch"]
)
def test_changed_added_and_removed_specs_are_served_from_then_on(
    tmp_path: Path, specs: Path, options: tuple[str, ...], changed: Change
) -> None:
    two = SPEC.format(name="two", path="jobs")
    with serving(tmp_path, specs, *options) as service:
        assert task_types(service.port) == {"one"}
        (specs / "two.yaml").write_text(two)
        changed(service)
        service.process.wait_for(f"reloaded: added: two (0), from {specs / 'two.yaml'}\n")
        assert task_types(service.port) == {"one", "two"}

        (specs / "one.yaml").write_text(SPEC.format(name="one", path="v2/jobs"))
        changed(service)
        service.process.wait_for(f"reloaded: changed: one (0), from {specs / 'one.yaml'}\n")

        (specs / "one.yaml").write_text(SPEC.format(name="one", path="jobs").replace("base_url", "base_ulr"))
        (specs / "two.yaml").write_text(two.replace("job_id", "job_idd"))
        changed(service)
        service.process.wait_for("the specs that were loaded before stay in service\n")
        for problem in ("did you mean base_url?", "did you mean job_id?"):
            service.process.wait_for(problem)  # who watches may have seen one of the two files first
        assert task_types(service.port) == {"one", "two"}

        (specs / "one.yaml").unlink()
        (specs / "two.yaml").write_text(two)
        changed(service)
        service.process.wait_for("reloaded: removed: one (0)\n")
        assert task_types(service.port) == {"two"}
        (tmp_path / "old.yaml").write_text(SPEC.format(name="one", path="jobs"))
        old = task_from_spec(tmp_path / "old.yaml")
        with FlyteSide(service.port) as calls, pytest.raises(grpc.RpcError, match="Cannot find connector"):
            calls.create(old, "gone")

        away = specs.rename(tmp_path / "away")
        specs.symlink_to("x" * 300)
        changed(service)
        service.process.wait_for(f"{specs} cannot be read: File name too long: the specs that")
        (away / "three.yaml").write_text(SPEC.format(name="three", path="jobs"))
        specs.unlink()
        away.rename(specs)
        changed(service)
        service.process.wait_for("reloaded: added: three (0)")
        assert "Traceback" not in service.process.output


def test_a_config_map_of_kubernetes_that_is_updated_is_served_from_then_on(tmp_path: Path) -> None:
    # Kubernetes writes a new folder, turns one link to it, and leaves the links that name the files as they are.
    mount = tmp_path / "connectors.d"
    mount.mkdir()

    def update(stamp: str, path: str) -> None:
        (mount / stamp).mkdir()
        (mount / stamp / "one.yaml").write_text(SPEC.format(name="one", path=path))
        (mount / "..next").symlink_to(stamp)
        (mount / "..next").rename(mount / "..data")

    update("..2026_01_01", "jobs")
    (mount / "one.yaml").symlink_to(Path("..data") / "one.yaml")
    with serving(tmp_path, mount, "--watch") as service:
        assert service.task_types == ["one (0)"]
        update("..2026_01_02", "v2/jobs")
        service.process.wait_for(f"reloaded: changed: one (0), from {mount / 'one.yaml'}\n")


def test_a_reload_without_a_change_says_so(one: Serving) -> None:
    one.process.send(signal.SIGHUP)
    one.process.wait_for("reloaded: nothing changed\n")


def test_a_job_of_a_changed_spec_goes_on(tmp_path: Path, specs: Path, api: RealApi) -> None:
    api.case("reloaded", lambda received: {"id": "j1", "state": "done" if "old" in received.raw_path else "odd"})
    old = SLOW.replace("CASE", "reloaded").replace("/jobs", "/old/jobs")
    (specs / "slow.yaml").write_text(old)
    variables = {"REAL_API": api.url, "YAML_CONNECTOR_SIGNING_KEY": "k" * 32}
    with serving(tmp_path, specs, **variables) as service, FlyteSide(service.port) as calls:
        job = calls.create(task_from_spec(specs / "slow.yaml"), "reloaded")
        (specs / "slow.yaml").write_text(old.replace("/old/jobs", "/new/jobs"))
        service.process.send(signal.SIGHUP)
        service.process.wait_for("reloaded: changed: slow (0)")
        assert state(calls.get(job)) == "SUCCEEDED"
        assert api.received("reloaded", "GET")[-1].parts == ("old", "jobs", "j1")


def test_creates_of_one_attempt_take_turns_also_if_the_spec_is_loaded_again_in_between(
    tmp_path: Path, specs: Path, api: RealApi
) -> None:
    arrived, may_answer = threading.Event(), threading.Event()
    at_once: list[int] = []

    async def answer(received: Received) -> Any:
        at_once.append(at_once[-1] + 1 if at_once else 1)
        arrived.set()
        await asyncio.to_thread(may_answer.wait, 30)
        at_once.append(at_once[-1] - 1)
        return {"id": "j1"}

    api.case("reloaded-meanwhile", answer)
    spec = SLOW.replace("CASE", "reloaded-meanwhile")
    (specs / "slow.yaml").write_text(spec)
    with serving(tmp_path, specs, REAL_API=api.url) as service, FlyteSide(service.port) as calls:
        task = task_from_spec(specs / "slow.yaml")
        with ThreadPoolExecutor(2) as threads:
            creates = [threads.submit(calls.create, task, "reloaded")]
            assert arrived.wait(30)
            (specs / "slow.yaml").write_text(spec.replace("RUNNING", "QUEUED"))
            service.process.send(signal.SIGHUP)
            service.process.wait_for("reloaded: changed: slow (0)")
            creates.append(threads.submit(calls.create, task, "reloaded"))
            time.sleep(0.3)  # time enough for the second request, if it were sent now
            may_answer.set()
            jobs = [create.result() for create in creates]
        assert [JobMeta.decode(job.kept).id for job in jobs] == ["j1", "j1"]
        assert at_once == [1, 0, 1, 0]


def test_two_services_do_not_share_a_port(tmp_path: Path, specs: Path, one: Serving) -> None:
    code, output = refused(tmp_path, "--specs", str(specs), "--port", str(one.port))
    assert (code, output) == (1, f"Error: cannot listen on 127.0.0.1:{one.port}: the port is in use\n")
