"""What Flyte keeps of a job: all that later calls need, no secrets, and safe to read whatever comes back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import Driver, FakeApi, job, loaded, reply, run, spec_data
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.snapshot import restore_spec, snapshot_spec
from yaml_connector.errors import EvaluationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.text(), JSON, max_size=3)
SECRET = "s3cr3t-value-of-the-task"  # not a password of anything


@given(
    saved=MAPPINGS,
    inputs=MAPPINGS,
    config=MAPPINGS,
    task=MAPPINGS,
    identity=st.text(),
    created=st.floats(0, 2e10),
    create_error=st.none() | st.text(min_size=1),
    outputs=st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=3),
)
def test_a_meta_comes_back_as_it_was_kept(identity: str, created: float, **fields: Any) -> None:
    meta = JobMeta(id=identity, created_at=created, digest="d", snapshot="p", name="n", adopted=True, **fields)
    assert JobMeta.decode(meta.encode()) == meta


KEPT = JobMeta(id="7", created_at=1.0, outputs=[["a", "str"]]).encode()


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"v"',
        b"7",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"v": 1, "stranger": 1}',
        KEPT[:-5],
        b'{"v": 1, "id": 7}',
        b'{"v": 1, "saved": [1]}',
        b'{"v": 1, "digest": {}}',
        b'{"v": 1, "created_at": "x"}',
        b'{"v": 1, "outputs": "ab"}',
        b'{"v": 1, "outputs": [["a"]]}',
        b'{"v": 1, "failed": 1}',
        b'{"v": 1, "name": [1]}',
    ],
    ids=lambda kept: kept[:40].decode("latin-1"),
)
def test_what_cannot_be_read_is_a_failed_job_and_no_exception(kept: bytes) -> None:
    driver = Driver(FakeApi())
    driver.kept = kept
    status = driver.get()
    assert status.phase == "FAILED"
    assert "may still be running" in (status.message or "")
    assert driver.logs() == ([], None)
    driver.delete()
    assert not driver.api.sent


def test_a_meta_of_another_version_says_so() -> None:
    assert "another version (2, not 1)" in (JobMeta.decode(b'{"v": 2, "id": "7"}').decode_error or "")


@given(st.dictionaries(st.sampled_from([*asdict(JobMeta()), "pin", "failed", "broken"]), JSON))
def test_get_never_raises_whatever_comes_back(fields: dict[str, Any]) -> None:
    driver = Driver(FakeApi({"GET /jobs/7": {"state": "running"}}))
    driver.kept = json.dumps({"v": 1, **fields}).encode()
    assert driver.get().phase in ("FAILED", "RUNNING", "QUEUED")


@given(st.binary())
def test_get_never_raises_on_bytes(kept: bytes) -> None:
    assert JobMeta.decode(kept).decode_error


SPEC: dict[str, Any] = {
    "secrets": {"api_key": {}, "opt": {"required": False}},
    "config": {"region": "str", "cpus": {"type": "int", "default": 1}},
    "inputs": {"name": "str", "other": "str"},
    "connection": {
        "base_url": "https://api.test",
        "headers": {"X-Region": "${{ config.region }}"},
        "auth": {"type": "bearer", "token": "${{ secrets.api_key }}"},
    },
    "create": {
        "request": {
            "method": "POST",
            "path": "/jobs",
            "json": {"o": "${{ inputs.other }}", "k": "${{ secrets.api_key }}"},
        },
        "idempotent": True,
        "job_id": "$.id",
        "save": {"echo": "$.echo", "headers": "${{ headers['x-echo'] }}"},
    },
}
VALUES: dict[str, Any] = {
    "inputs": {"name": "n", "other": "o"},
    "config": {"region": "eu"},
    "secrets": {"api_key": SECRET},
    "task": {"key": "k", "project": "p", "domain": "d"},
    "outputs": {"uri": "str"},
}


def test_only_what_later_calls_refer_to_is_kept() -> None:
    get = {
        "request": {"path": "/jobs/${{ job.id }}", "query": {"n": "${{ inputs.name }}", "p": "${{ task.project }}"}},
        "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "FAILED": ["error"]}},
    }
    driver = Driver(FakeApi({"POST /jobs": {"id": 7}}), **SPEC, get=get)
    meta = driver.create(**VALUES)
    assert (meta.inputs, meta.config, meta.task) == ({"name": "n"}, {"region": "eu"}, {"project": "p"})
    assert meta.outputs == [["uri", "str"]]


def test_a_mapping_that_is_used_as_a_whole_is_kept_as_a_whole() -> None:
    get = {
        "request": {"method": "POST", "path": "/q", "json": {"all": "${{ inputs }}", "t": "${{ task['na' ~ 'me'] }}"}},
        "phase": {"is": "RUNNING"},
    }
    meta = Driver(FakeApi({"POST /jobs": {"id": 7}}), **SPEC, get=get).create(**VALUES)
    assert meta.inputs == VALUES["inputs"]
    assert meta.task == VALUES["task"]


def test_a_secret_is_never_kept_wherever_the_api_repeats_it() -> None:
    echo = {"plain": SECRET, "inside": [f"a {SECRET} b"], SECRET: 1}
    api = FakeApi({"POST /jobs": reply(200, json={"id": 7, "echo": echo}, headers={"X-Echo": f"Bearer {SECRET}"})})
    driver = Driver(api, **SPEC)
    assert driver.create(**VALUES).saved["echo"]["plain"] == "***"
    assert SECRET.encode() not in driver.kept

    api = FakeApi({"POST /jobs": reply(400, json={"message": f"bad key {SECRET}"})})
    driver = Driver(api, **SPEC)
    assert "bad key ***" in (driver.create(**VALUES).create_error or "")
    assert SECRET.encode() not in driver.kept


def test_a_secret_that_stands_in_an_error_of_the_request_itself_is_not_kept() -> None:
    create = {**SPEC["create"], "request": {"method": "POST", "path": "/${{ secrets.api_key }}/${{ inputs.name }}"}}
    driver = Driver(FakeApi(), **{**SPEC, "create": create})
    meta = driver.create(**{**VALUES, "inputs": {"name": "..", "other": "o"}})
    assert "'.' and '..'" in (meta.create_error or "")
    assert SECRET.encode() not in driver.kept


class TestAJobKeepsTheSpecThatItWasCreatedWith:
    CHANGED = spec_data(get={"request": "GET /v2/${{ job.id }}", "phase": {"path": "$.s", "map": {"FAILED": ["x"]}}})

    def test_for_get_delete_and_logs(self) -> None:
        driver = job(
            {"GET /jobs/7": {"state": "done"}, "DELETE /jobs/7": 204, "GET /jobs/7/logs": {"l": ["one"]}},
            delete={"request": "DELETE /jobs/${{ job.id }}"},
            logs={"request": "GET /jobs/${{ job.id }}/logs", "lines": "$.l[*]"},
        )
        driver.use(self.CHANGED)
        assert driver.get().phase == "SUCCEEDED"
        driver.delete()
        assert driver.logs()[0] == ["one"]
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7", "GET /jobs/7/logs"]

    def test_but_goes_nowhere_that_the_installed_spec_does_not_allow(self) -> None:
        driver = job({"GET /jobs/7": {"state": "done"}})
        driver.use(spec_data(connection={"base_url": "https://elsewhere.test"}))
        status = driver.get()
        assert status.phase == "RUNNING"
        assert "the host api.test is not allowed" in (status.message or "")
        assert not driver.api.sent

    def test_a_change_of_descriptions_only_is_no_change(self) -> None:
        first = loaded(spec_data(secrets={"a": {"env": "A", "description": "x"}}, description="one"))
        other = loaded(spec_data(secrets={"a": {"env": "A", "description": "y"}}, description="two"))
        assert JobClient(first).plan.digest == JobClient(other).plan.digest

    def test_a_snapshot_that_cannot_be_read_leaves_the_job_unreadable(self) -> None:
        driver = job({"GET /jobs/7": {"state": "done"}})
        driver.use(self.CHANGED)
        for snapshot in ("", "?", "AAAA", "eJw="):
            kept = JobMeta.decode(driver.kept)
            kept.snapshot, kept.digest = snapshot or "x", "other"
            status = run(driver.connector.get(kept), driver.clock)
            assert status.phase == "RUNNING"
            assert "the spec that was kept with the job cannot be read" in (status.message or "")

    def test_a_snapshot_of_a_usual_spec_is_small_and_restores_it(self) -> None:
        data = spec_data(connection={"base_url": "https://api.test", "auth": {"type": "bearer", "token": "t"}})
        digest, snapshot = snapshot_spec(data)
        assert len(snapshot) < 150
        assert len(digest) == 16
        assert restore_spec(snapshot).connection == loaded(data).spec.connection

    def test_a_snapshot_is_bounded(self) -> None:
        import base64
        import zlib

        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = base64.b64encode(packer.compress(b"[" * 50_000_000) + packer.flush()).decode()
        with pytest.raises(EvaluationError, match="cannot be read"):
            restore_spec(bomb)
