"""What is handed to a running service as a job's resource_meta is its own, or is sent nowhere."""

from __future__ import annotations

import base64
import json
import random
import signal
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl2.core.security_pb2 import Connection

from tests.support.flyte_side import FlyteSide, Job, state
from tests.support.processor_time import computed
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import clean_environment, connector_service, started
from tests.support.serving import Serving, serving
from yaml_connector import task_from_spec
from yaml_connector._jobs.meta import LARGEST
from yaml_connector._jobs.signing import Signer

KEY, OTHER = "the-key-of-this-service-0123456789", "a-key-of-somebody-else-0123456789"
SECRET = "conn-SECRET-9f8e7d6c5b4a"  # not a password of anything
SPEC = """
spec_version: 1
task_type_name: victim
connection: {base_url: "${{ env.REAL_API }}/CASE", auth: {type: bearer, token: "${{ secrets.api_key }}"}}
secrets: {api_key: {env: VICTIM_KEY}}
config: {region: {type: str, default: eu, enum: [eu, us]}}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
get:
  request: "GET /${{ config.region }}/jobs/${{ job.id }}"
  phase: {path: $.state, map: {RUNNING: [running], FAILED: [x]}}
delete: {request: "DELETE /jobs/${{ job.id }}"}
logs: {request: "GET /jobs/${{ job.id }}/logs", lines: "$.lines[*]"}
"""
# A spec of the attacker: it reads variables and files, and sends what it likes with the secrets of the service.
EVIL: dict[str, Any] = {
    "connection": {"base_url": "${{ env.OTHER_SECRET }}", "headers": {"X-Env": "${{ env.OTHER_SECRET }}"}},
    "secrets": {"k": {"env": "VICTIM_KEY"}, "o": {"file": "/etc/passwd"}},
    "get": {
        "request": {"method": "POST", "path": "/admin/grant", "headers": {"X": "${{ secrets.k }}"}},
        "phase": {"is": "RUNNING"},
        "message": "${{ secrets.k | reverse }} ${{ secrets.o | reverse }}",
    },
}


def answers(received: Received) -> Any:
    if received.method == "POST" and received.parts == ("jobs",):
        return {"id": "j1"}
    return {"state": "running", "lines": ["a line"]}


def spec_with_its_api(folder: Path, api: RealApi, name: str) -> Path:
    """A folder with the spec, and its API."""
    specs = folder / "connectors.d"
    specs.mkdir()
    case = f"signed-{name}".replace("[", "-").replace("]", "").replace(" ", "-")
    (specs / "victim.yaml").write_text(SPEC.replace("CASE", case))
    api.case(case, answers)
    return specs


@pytest.fixture
def victim(tmp_path: Path, api: RealApi, request: pytest.FixtureRequest) -> Path:
    """A folder with the spec, and its API, for a test that has a service of its own."""
    return spec_with_its_api(tmp_path, api, request.node.name)


@contextmanager
def running(victim: Path, api: RealApi, *options: str, **variables: str) -> Iterator[tuple[Serving, FlyteSide]]:
    """The service with the spec, and Flyte's side of it."""
    own = {"REAL_API": api.url, "VICTIM_KEY": SECRET, "OTHER_SECRET": "http://127.0.0.1:1/unrelated"}
    with (
        serving(victim.parent, victim, *options, **own, **variables) as service,
        FlyteSide(service.port) as calls,
    ):
        yield service, calls


class Shared:
    """A service that several tests send forged jobs to, with one honest job."""

    def __init__(self, victim: Path, service: Serving, calls: FlyteSide) -> None:
        self.victim, self.service, self.calls = victim, service, calls
        self.task = task_from_spec(victim / "victim.yaml")
        self.good = calls.create(self.task, "run")


def shared(folder: Path, api: RealApi, *options: str, **variables: str) -> Iterator[Shared]:
    """A service for several tests; at the end it still serves the honest job."""
    victim = spec_with_its_api(folder, api, folder.name)
    with running(victim, api, *options, **variables) as (service, calls):
        made = Shared(victim, service, calls)
        yield made
        assert state(calls.get(made.good)) == "RUNNING"
        assert "Traceback" not in service.process.output
        assert "failed unexpectedly" not in service.process.output


@pytest.fixture(scope="module")
def with_key(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[Shared]:
    """A service that signs its jobs."""
    yield from shared(tmp_path_factory.mktemp("with-key"), api, "--http", "0", YAML_CONNECTOR_SIGNING_KEY=KEY)


@pytest.fixture(scope="module")
def without_key(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[Shared]:
    """A service that does not."""
    yield from shared(tmp_path_factory.mktemp("without-key"), api)


def sent(victim: Path, api: RealApi) -> list[Received]:
    """All that arrived at the API."""
    case = (victim / "victim.yaml").read_text().partition("REAL_API }}/")[2].partition('"')[0]
    return api.received(case)


def packed(sections: Any) -> str:
    """Sections as a job keeps them."""
    text = sections if isinstance(sections, bytes) else json.dumps(sections).encode()
    return "1:" + base64.b64encode(zlib.compress(text)).decode()


def meta(**fields: Any) -> bytes:
    """A forged meta without a signature."""
    return json.dumps({"v": 2, "task_type": "victim", "id": "1", "created_at": 1.0, **fields}).encode()


def signed(body: bytes, key: str) -> bytes:
    """A meta with a signature that this key makes."""
    return body[:-1] + b',"sig":"' + Signer((key.encode(),)).sign(body[:-1]) + b'"}'


def forged() -> dict[str, bytes]:
    """Metas of every kind that somebody may make who has no key."""
    evil = packed(EVIL)
    return {
        "nothing": b"",
        "no JSON": b"\xff\xfe" * 50,
        "another's spec": meta(digest="feedfacefeedface", snapshot=evil),
        "another key": signed(meta(digest="d", snapshot=evil), OTHER),
        "a signature of zeros": meta(snapshot=evil)[:-1] + b',"sig":"' + b"A" * 43 + b'"}',
        "an empty signature": meta(sig=""),
        "a signature in the middle": b'{"sig":"' + b"A" * 43 + b'","v":2}',
        "the old format": json.dumps({"v": 1, "id": "1", "created_at": 1, "digest": "d", "pin": "AAAA"}).encode(),
        "a later version": json.dumps({"v": 3, "id": "1"}).encode(),
        "a zip bomb": meta(digest="d", snapshot=packed(b" " * 2**26)),
        "deep JSON": b'{"v":2,"saved":{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}}",
        "a deep snapshot": meta(digest="d", snapshot=packed(b'{"get":' + b"[" * 900 + b"]" * 900 + b"}")),
        "a huge int": b'{"v":2,"created_at":' + b"9" * 1_000_000 + b"}",
        "an infinite time": b'{"v":2,"id":"1","created_at":1e999}',
        "no number as time": b'{"v":2,"id":"1","created_at":NaN}',
        "half a character": b'{"v":2,"id":"\\ud800","created_at":1}',
        "too large": meta(name="x" * (LARGEST + 1)),
        "3.5 MB": meta(name="x" * 3_500_000),
        "a type bomb": meta(outputs=[["result", "list[" * 50 + "str" + "]" * 50]]),
        "no type": meta(outputs=[["result", "nonsense"]]),
        "many outputs": meta(outputs=[[f"o{number}", "str"] for number in range(50_000)]),
    }


def outcome(calls: FlyteSide, job: Job) -> tuple[str, str, str]:
    """Phase and message of get, and the words of delete and logs, which may only fail cleanly."""
    found = calls.get(job)
    words = []
    for act in (calls.delete, calls.logs):
        try:
            act(job)
        except grpc.RpcError as error:
            words.append(error.details() if error.code() == grpc.StatusCode.INTERNAL else pytest.fail(str(error)))
    return state(found), found.message, " ".join(words)


def harmless_outcome(shared: Shared, name: str, kept: bytes) -> tuple[str, str]:
    """What the calls for a forged job say, quickly and without the secret: of get, and of the others."""
    pid = shared.service.process.process.pid
    before = computed(pid)
    phase, message, words = outcome(shared.calls, Job(shared.task, kept, Connection()))
    assert computed(pid) - before < 2, name
    assert phase in ("RUNNING", "FAILED"), name
    assert SECRET not in message + words, name
    assert SECRET[::-1] not in message + words, name
    return message, words


def test_with_a_key_nothing_forged_is_sent_anywhere(with_key: Shared, api: RealApi) -> None:
    before = len(sent(with_key.victim, api))
    for name, kept in forged().items():
        message, words = harmless_outcome(with_key, name, kept)
        if len(kept) <= LARGEST:
            assert "unreadable since" in message, name
            assert "not made by this service" in message, name
            assert "nothing was sent" in words, name
    assert len(sent(with_key.victim, api)) == before
    assert state(with_key.calls.get(with_key.good)) == "RUNNING"
    assert "Traceback" not in with_key.service.process.output
    assert "warning: without" not in with_key.service.process.output


def test_without_a_key_a_forged_job_is_followed_by_the_loaded_spec_alone(without_key: Shared, api: RealApi) -> None:
    assert b"snapshot" not in without_key.good.kept
    before = len(sent(without_key.victim, api))
    for name, kept in forged().items():
        harmless_outcome(without_key, name, kept)
    found = sent(without_key.victim, api)[before:]
    allowed = {("GET", "eu", "jobs"), ("DELETE", "jobs", "1"), ("GET", "jobs", "1"), ("POST", "jobs")}
    assert {(item.method, *item.parts[:2]) for item in found} <= allowed
    assert all("X-Env" not in item.headers for item in found)
    assert state(without_key.calls.get(without_key.good)) == "RUNNING"
    assert "Traceback" not in without_key.service.process.output
    assert without_key.service.process.output.count("warning: without YAML_CONNECTOR_SIGNING_KEY") == 1


def test_a_value_that_create_refuses_does_not_come_back_through_a_meta(without_key: Shared, api: RealApi) -> None:
    before = len(sent(without_key.victim, api))
    forged_job = Job(without_key.task, meta(config={"region": "../admin"}), Connection())
    phase, message, words = outcome(without_key.calls, forged_job)
    assert (phase, "'../admin' is not allowed" in message) == ("RUNNING", True)
    assert "is not allowed" in words
    assert len(sent(without_key.victim, api)) == before


def test_somebody_elses_spec_never_runs_in_the_call_of_an_honest_job(victim: Path, api: RealApi) -> None:
    with running(victim, api, YAML_CONNECTOR_SIGNING_KEY=KEY, YAML_CONNECTOR_ACCEPT_UNSIGNED="1") as (service, calls):
        task = task_from_spec(victim / "victim.yaml")
        alice = calls.create(task, "run")
        kept = json.loads(alice.kept)
        del kept["sig"]
        evil = json.dumps({**kept, "digest": "0" * 16, "snapshot": packed(EVIL)}).encode()
        again = json.dumps({**kept, "snapshot": packed(EVIL)}).encode()
        for bad in (evil, again):
            assert calls.get(Job(task, bad, Connection())).message == ""
        assert calls.get(alice).message == ""
        assert "accepted" in service.process.output
        assert {item.parts[0] for item in sent(victim, api)} == {"jobs", "eu"}


def test_metrics_and_memory_do_not_grow_with_forged_jobs(with_key: Shared) -> None:
    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{with_key.service.http}/metrics", timeout=10) as response:
            return str(response.read().decode())

    with_key.calls.get(Job(with_key.task, meta(), Connection()))
    before = len(metrics().splitlines())
    for number in range(200):
        ghost = meta(task_type=f"ghost{number}", name="x" * 100_000, snapshot=packed(EVIL))
        with_key.calls.get(Job(with_key.task, ghost, Connection()))
    assert len(metrics().splitlines()) == before
    assert "ghost" not in metrics()


def reload(service: Serving, victim: Path, old: str, new: str) -> None:
    """Change the spec of a running service."""
    path = victim / "victim.yaml"
    path.write_text(path.read_text().replace(old, new))
    service.process.send(signal.SIGHUP)
    service.process.wait_for("reloaded: changed: victim (0)")


def test_a_changed_spec_changes_running_jobs_only_without_a_key(victim: Path, api: RealApi) -> None:
    paths = {}
    for name, variables in (("with", {"YAML_CONNECTOR_SIGNING_KEY": KEY}), ("without", {})):
        (victim / "victim.yaml").write_text((victim / "victim.yaml").read_text().replace("/v2/jobs", "/jobs"))
        with running(victim, api, **variables) as (service, calls):
            task = task_from_spec(victim / "victim.yaml")
            job = calls.create(task, name)
            reload(service, victim, "region }}/jobs", "region }}/v2/jobs")
            assert state(calls.get(job)) == "RUNNING"
            paths[name] = sent(victim, api)[-1].parts
    assert paths == {"with": ("eu", "jobs", "j1"), "without": ("eu", "v2", "jobs", "j1")}


def test_a_changed_spec_that_needs_what_was_not_kept_says_what_to_set(victim: Path, api: RealApi) -> None:
    with running(victim, api) as (service, calls):
        job = calls.create(task_from_spec(victim / "victim.yaml"), "run")
        reload(service, victim, "region }}/jobs", "region }}/${{ task.project }}")
        message = calls.get(job).message
        assert "the spec has changed since the job was created, and now uses task.project" in message
        assert "set YAML_CONNECTOR_SIGNING_KEY" in message


def test_keys_are_rotated_and_introduced_without_losing_a_job(victim: Path, api: RealApi) -> None:
    task = task_from_spec(victim / "victim.yaml")

    with running(victim, api) as (_, calls):
        unsigned = calls.create(task, "run-0")
    with running(victim, api, YAML_CONNECTOR_SIGNING_KEY=OTHER) as (_, calls):
        old = calls.create(task, "run-1")
    file = victim.parent / "key"
    file.write_text(f"{KEY},{OTHER}\n")
    rotating = {"YAML_CONNECTOR_SIGNING_KEY_FILE": str(file), "YAML_CONNECTOR_ACCEPT_UNSIGNED": "1"}
    with running(victim, api, **rotating) as (_, calls):
        new = calls.create(task, "run-2")
        assert [calls.get(job).message for job in (unsigned, old, new)] == [""] * 3
        wrong = replace(new, kept=new.kept[:-6] + b"AAAA" + new.kept[-2:])
        assert "no key of this service made its signature" in calls.get(wrong).message
    with running(victim, api, YAML_CONNECTOR_SIGNING_KEY=KEY) as (_, calls):
        assert calls.get(new).message == ""
        assert "no key of this service made its signature" in calls.get(old).message
        assert "it has no signature" in calls.get(unsigned).message


def test_a_key_that_cannot_be_used_stops_the_start(victim: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--specs", str(victim), "--port", "0"]
    env = clean_environment(tmp_path, YAML_CONNECTOR_SIGNING_KEY=f"{KEY},x")
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log") as process:
        assert process.wait() == 1
        assert "key 2 of 2 has 1 bytes" in process.output
        assert process.output.endswith("the connector service does not start\n")
        assert KEY not in process.output
        assert "Traceback" not in process.output


def test_a_spec_does_not_see_the_key(victim: Path, api: RealApi) -> None:
    file = victim / "victim.yaml"
    file.write_text(file.read_text().replace("VICTIM_KEY", "YAML_CONNECTOR_SIGNING_KEY"))
    with running(victim, api, YAML_CONNECTOR_SIGNING_KEY=KEY) as (_, calls):
        job = calls.create(task_from_spec(file), "run")
        assert "the secret 'api_key' is missing" in calls.get(job).message
        assert not sent(victim, api)


def test_c0_signs_and_warns_as_serve_does(victim: Path, api: RealApi) -> None:
    own = {"REAL_API": api.url, "VICTIM_KEY": SECRET}
    task = task_from_spec(victim / "victim.yaml")
    with connector_service(victim.parent, victim, **own) as (process, port), FlyteSide(port) as calls:
        assert process.output.count("warning: without YAML_CONNECTOR_SIGNING_KEY") == 1
        unsigned = calls.create(task, "run")
    key = {"YAML_CONNECTOR_SIGNING_KEY": KEY}
    with connector_service(victim.parent, victim, **own, **key) as (process, port), FlyteSide(port) as calls:
        assert "not made by this service" in calls.get(unsigned).message
        assert calls.get(calls.create(task, "run")).message == ""
        assert "warning: without" not in process.output


@pytest.mark.parametrize("which", ["without_key", "with_key"])
def test_thousands_of_changed_jobs_meet_clean_errors_only(which: str, request: pytest.FixtureRequest) -> None:
    chance = random.Random(13)
    service: Shared = request.getfixturevalue(which)
    pieces = [service.good.kept, *(kept for kept in forged().values() if len(kept) < 5000)]
    for _ in range(1000):  # `make fuzz-service` sends 100,000
        kept = bytearray(chance.choice(pieces))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(kept) + 1)
            pieces_of_json = [b"", bytes([chance.randrange(256)]), b'"', b"{}", b"null", b"1e9", b"[[", b"\\u"]
            kept[place : place + chance.randint(0, 3)] = chance.choice(pieces_of_json)
        job = Job(service.task, bytes(kept), Connection())
        if chance.random() < 0.9:
            assert state(service.calls.get(job)) in ("RUNNING", "FAILED")
        else:
            outcome(service.calls, job)
    assert state(service.calls.get(service.good)) == "RUNNING"
    assert "Traceback" not in service.service.process.output
    assert "failed unexpectedly" not in service.service.process.output
