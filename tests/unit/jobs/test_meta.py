"""What Flyte keeps of a job: all that later calls need, no secrets, and safe to read whatever comes back."""

from __future__ import annotations

import json
import timeit
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import SIGNER, Driver, FakeApi, job, loaded, reply, run, spec_data
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import UNSIGNED, Signer
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
        b'{"v": 2, "created_at": NaN}',
        KEPT[:-5],
        b'{"v": 2, "id": 7}',
        b'{"v": 2, "saved": [1]}',
        b'{"v": 2, "digest": {}}',
        b'{"v": 2, "created_at": "x"}',
        b'{"v": 2, "outputs": "ab"}',
        b'{"v": 2, "outputs": [["a"]]}',
        b'{"v": 2, "create_error": 1}',
        b'{"v": 2, "created_at": 1e999}',
        b'{"v": 2, "created_at": -1}',
        b'{"v": 2, "created_at": ' + b"9" * 4000 + b"}",
        b'{"v": 2, "asked": [1]}',
        b'{"v": 2, "name": "\\ud800", "saved": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}",
        b" " * 2**21,
        b'{"v": 2, "name": [1]}',
    ],
    ids=lambda kept: kept[:40].decode("latin-1"),
)
def test_what_cannot_be_read_is_a_failed_job_and_no_exception(kept: bytes) -> None:
    driver = Driver(FakeApi(), signer=UNSIGNED)
    driver.kept = kept
    status = driver.get()
    assert status.phase == "FAILED"
    assert "may still be running" in (status.message or "")
    assert driver.logs() == ([], None)
    driver.delete()
    assert not driver.api.sent


@pytest.mark.parametrize("signer", [UNSIGNED, SIGNER])
def test_a_job_of_the_release_before_is_followed(signer: Signer) -> None:
    driver = job({"GET /jobs/7": {"state": "running"}}, signer=signer)
    kept = driver.kept.replace(b'{"v":3,', b'{"v":2,')
    assert kept != driver.kept
    driver.kept = signed(kept[: kept.index(b',"sig"')] + b"}") if signer.keys else kept
    assert driver.get().phase == "RUNNING"
    assert driver.api.calls == ["GET /jobs/7"]


@pytest.mark.parametrize("kept", [b'{"v": 1, "id": "7"}', b'{"v": 4, "id": "7"}', b'{"v": 3, "later": "x"}'])
@pytest.mark.parametrize("signer", [UNSIGNED, SIGNER])
def test_a_job_of_another_version_is_unreadable_and_fails_after_the_tolerance(kept: bytes, signer: Signer) -> None:
    driver = Driver(FakeApi(), signer=signer)
    driver.kept = signed(kept) if signer.keys else kept
    status = driver.get()
    assert status.phase == "RUNNING"
    assert "unreadable since 2026-01-01T00:00:00Z: the job was created by another version" in (status.message or "")
    assert driver.get(after=599).phase == "RUNNING"
    assert driver.get(after=2).phase == "FAILED"
    for act in (driver.delete, driver.logs):
        with pytest.raises(EvaluationError, match=r"another version.*nothing was sent"):
            act()
    assert not driver.api.sent


WRITTEN = (
    b'{"v":2,"task_type":"batch_job","task_version":1,"id":"7","created_at":1.5,"digest":"d","saved":{"a":[1]},'
    b'"inputs":{"name":"x"},"config":{"cpus":2},"task":{"project":"p"},"asked":["inputs.other"],'
    b'"outputs":[["result","str"]],"name":"key","adopted":true}'
)


def test_a_release_reads_what_the_one_before_it_wrote() -> None:
    """Jobs outlive a rolling update. If the format changes, this stays, and the next one stands beside it."""
    for kept, signer in ((WRITTEN, UNSIGNED), (signed(WRITTEN), SIGNER)):
        meta = JobMeta.decode(kept, signer)
        assert (meta.decode_error, meta.task_type, meta.task_version, meta.id) == (None, "batch_job", 1, "7")
        assert (meta.created_at, meta.saved, meta.inputs, meta.config) == (1.5, {"a": [1]}, {"name": "x"}, {"cpus": 2})
        assert (meta.task, meta.asked, meta.outputs) == ({"project": "p"}, ["inputs.other"], [["result", "str"]])
        assert (meta.name, meta.adopted, meta.verified) == ("key", True, bool(signer.keys))


def signed(body: bytes) -> bytes:
    """An object with the signature of the usual key."""
    return body[:-1] + b',"sig":"' + SIGNER.sign(body[:-1]) + b'"}'


class TestASignature:
    META = JobMeta("batch_job", id="7", created_at=1.0)

    def test_covers_every_byte(self) -> None:
        kept = self.META.encode(SIGNER)
        assert JobMeta.decode(kept, SIGNER) == replace(self.META, verified=True)
        for place in range(len(kept)):
            changed = kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :]
            assert JobMeta.decode(changed, SIGNER).decode_error, changed

    def test_by_any_of_the_keys_counts_and_the_first_signs(self) -> None:
        old, new = SIGNER.keys[0], b"n" * 32
        assert JobMeta.decode(self.META.encode(SIGNER), Signer((new, old))).verified
        assert JobMeta.decode(self.META.encode(Signer((new, old))), Signer((new,))).verified
        assert JobMeta.decode(self.META.encode(SIGNER), Signer((new,))).is_foreign

    def test_may_be_missing_but_never_wrong_while_a_key_is_introduced(self) -> None:
        introducing = Signer(SIGNER.keys, accept_unsigned=True)
        found = JobMeta.decode(self.META.encode(), introducing)
        assert (found.id, found.verified, found.decode_error) == ("7", False, None)
        assert JobMeta.decode(self.META.encode(Signer((b"x" * 32,))), introducing).is_foreign
        assert JobMeta.decode(self.META.encode(), SIGNER).is_foreign

    def test_of_a_service_with_a_key_is_no_hindrance_to_one_without(self) -> None:
        found = JobMeta.decode(self.META.encode(SIGNER))
        assert (found.id, found.verified) == ("7", False)

    def test_is_of_a_job_of_one_task_type(self) -> None:
        driver = Driver(FakeApi())
        driver.kept = JobMeta("other", id="7").encode(SIGNER)
        assert "another task type" in (driver.get().message or "")
        assert not driver.api.sent

    def test_keeps_the_memory_of_a_job_apart_from_that_of_an_unsigned_one(self) -> None:
        assert replace(self.META, verified=True).key != self.META.key

    def test_takes_a_few_microseconds(self) -> None:
        data = b"x" * 1000
        signature = SIGNER.sign(data)
        assert min(timeit.repeat(lambda: SIGNER.verify(data, signature), number=100, repeat=20)) / 100 < 20e-6


def test_a_job_that_keeps_too_much_is_failed_with_words() -> None:
    driver = Driver(FakeApi({"POST /jobs": {"id": 7, "large": "x" * 2**20}}), **KEEPS_ALL)
    driver.create()
    assert len(driver.kept) < 1000
    assert "1048576 are the most" in (driver.get().message or "")
    assert "the job 7 runs: cancel it at the API" in (driver.get().message or "")


KEEPS_ALL: dict[str, Any] = {
    "create": {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"all": "$.large"}}
}


@given(st.dictionaries(st.sampled_from([*asdict(JobMeta()), "pin", "failed", "broken"]), JSON))
def test_get_never_raises_whatever_comes_back(fields: dict[str, Any]) -> None:
    driver = Driver(FakeApi({"GET /jobs/7": {"state": "running"}}), signer=UNSIGNED)
    driver.kept = json.dumps({"v": 2, "task_type": "batch_job", **fields}).encode()
    assert driver.get().phase in ("FAILED", "RUNNING", "QUEUED")


@given(st.binary())
def test_get_never_raises_on_bytes(kept: bytes) -> None:
    assert JobMeta.decode(kept).decode_error


def bearer(token: str) -> dict[str, Any]:
    """A connection with this token."""
    return {"base_url": "https://api.test", "auth": {"type": "bearer", "token": token}}


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
    assert "*" in driver.create(**VALUES).saved["echo"]["plain"]
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
            {
                "GET /jobs/7": [{"state": "running"}, {"state": "done"}],
                "DELETE /jobs/7": 204,
                "GET /jobs/7/logs": {"l": ["one"]},
            },
            delete={"request": "DELETE /jobs/${{ job.id }}"},
            logs={"request": "GET /jobs/${{ job.id }}/logs", "lines": "$.l[*]"},
        )
        driver.use(self.CHANGED)
        driver.delete()
        assert driver.get().phase == "SUCCEEDED"
        assert driver.logs()[0] == ["one"]
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7", "GET /jobs/7", "GET /jobs/7/logs"]

    def test_but_goes_where_the_loaded_spec_says_with_its_credentials(self) -> None:
        driver = job({"GET https://elsewhere.test/jobs/7": {"state": "done"}}, connection=bearer("old"))
        driver.use({**self.CHANGED, "connection": {**bearer("new"), "base_url": "https://elsewhere.test"}})
        assert driver.get().phase == "SUCCEEDED"
        assert driver.api.sent[-1].headers["Authorization"] == "Bearer new"

    def test_but_not_if_it_uses_what_the_loaded_spec_does_not_declare(self) -> None:
        asks = {"request": "GET /jobs/${{ job.id }}", "phase": {"is": "RUNNING"}, "message": "${{ config.region }}"}
        driver = job({"GET /jobs/7": {}}, config={"region": {"type": "str", "default": "eu"}}, get=asks)
        driver.use(self.CHANGED)
        status = driver.get()
        assert status.phase == "RUNNING"
        assert "does not fit the loaded one any more: get.message: there is no config.region" in (status.message or "")
        assert not driver.api.sent

    def test_and_the_limits_of_its_config_that_are_loaded(self) -> None:
        asks = {"request": "GET /${{ config.region }}/${{ job.id }}", "phase": {"is": "RUNNING"}}
        driver = job({"GET /eu/7": {}}, config={"region": {"type": "str", "default": "eu"}}, get=asks)
        config = {"region": {"type": "str", "default": "us", "enum": ["us"]}}
        driver.use({**self.CHANGED, "config": config})
        assert "'eu' is not allowed; allowed: 'us'" in (driver.get().message or "")
        assert not driver.api.sent

    def test_only_if_it_is_signed(self) -> None:
        driver = job({"GET /v2/7": {"s": "x"}}, signer=UNSIGNED)
        assert b"snapshot" not in driver.kept
        driver.use(self.CHANGED)
        assert driver.get().phase == "FAILED"
        assert driver.api.calls == ["GET /v2/7"]

    def test_and_without_a_signature_a_spec_that_needs_more_than_was_kept_says_what_to_set(self) -> None:
        driver = Driver(FakeApi({"POST /jobs": {"id": 7}}), signer=UNSIGNED, inputs={"a": "str", "b": "str?"})
        driver.create(inputs={"a": "x"})
        needs = {"request": "GET /${{ inputs.a }}/${{ job.more }}", "phase": {"is": "RUNNING"}}
        save = {**self.CHANGED["create"], "save": {"more": "$.more"}}
        driver.use({**self.CHANGED, "inputs": {"a": "str", "b": "str?"}, "get": needs, "create": save})
        driver.api.sent.clear()
        message = driver.get().message or ""
        assert "the spec has changed since the job was created, and now uses inputs.a, job.more" in message
        assert "set YAML_CONNECTOR_SIGNING_KEY" in message
        assert not driver.api.sent

    def test_and_an_input_that_a_task_left_out_is_not_missed_after_a_change(self) -> None:
        asks = {
            "request": "GET /jobs/${{ job.id }}",
            "phase": {"is": "RUNNING"},
            "message": "${{ inputs.a | default('none') }}",
        }
        driver = job({"GET /jobs/7": {}}, signer=UNSIGNED, get=asks)
        driver.use(spec_data(get={**asks, "info": {"x": "$.x"}}))
        assert driver.get().message == "none"

    def test_a_change_of_descriptions_only_is_no_change(self) -> None:
        first = loaded(spec_data(secrets={"a": {"env": "A", "description": "x"}}, description="one"))
        other = loaded(spec_data(secrets={"a": {"env": "A", "description": "y"}}, description="two"))
        assert JobClient(first).plan.digest == JobClient(other).plan.digest

    def test_a_snapshot_that_cannot_be_read_leaves_the_job_unreadable(self) -> None:
        driver = job({"GET /jobs/7": {"state": "done"}})
        driver.use(self.CHANGED)
        for snapshot in ("x", "?", "1:AAAA", "1:eJw=", "2:eJyrrgUAAXUA+Q=="):
            kept = replace(driver.connector.decode(driver.kept), snapshot=snapshot, digest="other")
            status = run(driver.connector.get(kept), driver.clock)
            assert status.phase == "RUNNING"
            assert "the spec that was kept with the job cannot be read" in (status.message or "")

    def test_a_snapshot_of_a_usual_spec_is_small_and_restores_it(self) -> None:
        data = spec_data(connection={"base_url": "https://api.test", "auth": {"type": "bearer", "token": "t"}})
        snapshot = snapshot_spec(data)
        assert len(snapshot) < 300
        assert restore_spec(snapshot, data).get == loaded(data).spec.get

    @pytest.mark.slow
    def test_a_snapshot_is_bounded(self) -> None:
        import base64
        import zlib

        for text in (b"[" * 50_000_000, b" " * 50_000_000 + b"{}"):
            bomb = "1:" + base64.b64encode(zlib.compress(text)).decode()
            with pytest.raises(EvaluationError, match="cannot be read"):
                restore_spec(bomb, spec_data())
