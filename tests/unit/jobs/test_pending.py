"""What is kept of a job that is not submitted yet comes back as it was, and only as it was."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import SIGNER, Driver, FakeApi, reply
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.pending import outcome_of
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector.errors import CallError, ConfigError, EvaluationError

TEXT = st.text(st.characters())  # half characters, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(TEXT, JSON, max_size=3)
ANY = st.sampled_from([UNSIGNED, SIGNER, Signer((b"n" * 32, *SIGNER.keys))])
GET = {"request": "GET /jobs/${{ job.id }}", "phase": {"is": "RUNNING"}}


@given(inputs=MAPPINGS, config=MAPPINGS, task=MAPPINGS, steps=MAPPINGS, doubtful=st.booleans(), signer=ANY)
def test_what_is_kept_comes_back_as_it_was(signer: Signer, **values: Any) -> None:
    meta = JobMeta("batch_job", created_at=1.0, name="n", pending={"digest": "d", "position": 1, **values})
    kept = meta.encode(signer)
    assert JobMeta.decode(kept, signer) == replace(meta, verified=bool(signer.keys))
    assert (b"doubtful" in kept) == (signer is UNSIGNED)


@given(st.data())
def test_no_byte_of_what_is_sealed_can_be_another(data: st.DataObject) -> None:
    sealed = SIGNER.seal(data.draw(st.binary(max_size=40)))
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters().filter(lambda character: character != sealed[place]))
    changed = sealed[:place] + other + sealed[place + 1 :]
    with pytest.raises(ValueError):
        SIGNER.unseal(changed)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_what_is_sealed_has_one_text_only(size: int) -> None:
    """Base64 has other texts for the same bytes: with other spare bits at the end, or characters that are skipped."""
    sealed = SIGNER.seal(b"x" * size)
    end = len(sealed.rstrip("="))
    others = {sealed[: end - 1] + character + sealed[end:] for character in string.ascii_letters + string.digits + "-_"}
    for other in (*(others - {sealed}), f"{sealed[:4]}\n{sealed[4:]}", f"{sealed}="):
        with pytest.raises(ValueError, match=r"."):
            SIGNER.unseal(other)
    assert SIGNER.unseal(sealed) == b"x" * size


@cache
def kept_job(signer: Signer) -> Driver:
    """A job of two steps, of which the first went through."""
    create = {
        "steps": [
            {"name": "upload", "request": "POST /files", "save": {"part": "$.part"}},
            {
                "name": "run",
                "request": {
                    "method": "POST",
                    "path": "/jobs/${{ steps.upload.saved.part }}",
                    "json": {"name": "${{ inputs.name }}", "etag": "${{ steps.upload.headers.ETag }}"},
                },
            },
        ],
        "idempotent": True,
        "job_id": "$.id",
    }
    api = FakeApi({"POST /files": reply(json={"part": "p1"}, headers={"ETag": "e1"}), "POST /jobs/p1": 503})
    driver = Driver(api, create=create, get=GET, inputs={"name": "str"}, signer=signer)
    assert driver.create(inputs={"name": "n\U0001f600"}, task={"key": "k"}).pending is not None
    return driver


@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_with_a_key_no_changed_byte_is_accepted_and_nothing_is_sent(place: float, bits: int) -> None:
    driver = kept_job(SIGNER)
    whole, sent = driver.kept, len(driver.api.sent)
    try:
        driver.kept = changed(whole, place, bits)
        assert driver.connector.decode(driver.kept).decode_error
        assert "may still be running" in (driver.get().message or "")
    finally:
        driver.kept = whole
    assert len(driver.api.sent) == sent


@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_without_a_key_a_changed_byte_raises_in_no_call(place: float, bits: int) -> None:
    driver = kept_job(UNSIGNED)
    whole = driver.kept
    try:
        driver.kept = changed(whole, place, bits)
        meta = driver.connector.decode(driver.kept)
        if meta.pending is not None:
            with suppress(EvaluationError):
                outcome_of(meta.pending, driver.connector.plan.create)
        assert driver.get().phase in ("QUEUED", "RUNNING", "FAILED")
    finally:
        driver.kept = whole


STEP = st.fixed_dictionaries(
    {"method": JSON, "url": JSON, "status": JSON, "saved": JSON}, optional={"headers": JSON, "text": JSON, "more": JSON}
)
STEPS = st.dictionaries(st.sampled_from(["upload", "run", "other"]), STEP | st.lists(STEP, max_size=2) | JSON)


@given(inputs=MAPPINGS, config=MAPPINGS, task=MAPPINGS, steps=STEPS, position=st.integers(-1, 3))
def test_without_a_key_anything_of_the_right_shape_raises_in_no_call(**values: Any) -> None:
    driver = kept_job(UNSIGNED)
    whole = driver.kept
    try:
        meta = driver.connector.decode(whole)
        assert meta.pending is not None
        meta.pending |= values
        driver.kept = meta.encode()
        driver.restart()
        status = driver.get()
        assert status.phase in ("QUEUED", "RUNNING", "FAILED")
        assert "internal error" not in (status.message or "")
        with suppress(EvaluationError, CallError, ConfigError):
            driver.delete()
    finally:
        driver.kept = whole


@pytest.mark.parametrize("value", ["NaN", "-Infinity and beyond", float("nan"), "half \ud83d", 2**70, [[["deep"]]]])
def test_odd_values_are_kept_too(value: Any) -> None:
    create = {
        "request": {"method": "POST", "path": "/jobs", "json": {"size": "${{ inputs.any | string | length }}"}},
        "idempotent": True,
        "job_id": "$.id",
    }
    driver = Driver(FakeApi({"POST /jobs": [503, 503, 503, {"id": 7}], "GET /jobs/7": {}}), create=create, get=GET)
    driver.use({**driver.data, "inputs": {"any": "any"}})
    assert driver.create(inputs={"any": value}).pending is not None
    first = driver.api.sent[0].content
    assert driver.get().phase == "RUNNING"
    assert driver.api.sent[3].content == first


@pytest.mark.parametrize("levels", [250, 900])
def test_what_is_nested_too_deeply_to_be_read_again_is_not_kept(levels: int) -> None:
    deep = json.loads("[" * levels + "]" * levels)
    create = {
        "request": {"method": "POST", "path": "/jobs", "json": {"any": "${{ inputs.any | length }}"}},
        "idempotent": True,
        "job_id": "$.id",
    }
    asks = {**GET, "request": {"path": "/jobs/${{ job.id }}", "query": {"n": "${{ inputs.any | length }}"}}}
    for get, phase in ((GET, "RUNNING"), (asks, "FAILED")):
        driver = Driver(FakeApi({"POST /jobs": [503] * 4 + [{"id": 7}], "GET /jobs/7": {}}), create=create, get=get)
        driver.use({**driver.data, "inputs": {"any": "any"}})
        meta = driver.create(inputs={"any": deep})
        assert meta.pending is None
        assert driver.get().phase == phase
        assert ("more than 200 levels deep" in (meta.create_error or "")) == (phase == "FAILED")


@pytest.mark.parametrize("levels", [250, 600, 900])
def test_saved_values_that_are_nested_deeply_fail_the_job_and_raise_nothing(levels: int) -> None:
    answer = reply(content=b'{"id": 7, "deep": ' + b"[" * levels + b"]" * levels + b"}")
    create = {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"deep": "$.deep"}}
    driver = Driver(FakeApi({"POST /jobs": answer}), create=create, get=GET)
    driver.create()
    message = "create.save has values of more than 100 levels; the job 7 runs: cancel it at the API"
    assert driver.get().message == message


def changed(kept: bytes, place: float, bits: int) -> bytes:
    """These bytes, one of them with other bits."""
    at = int(place * len(kept))
    return kept[:at] + bytes([kept[at] ^ bits]) + kept[at + 1 :]


@pytest.mark.parametrize(("size", "uploads"), [(1000, 1), (300_000, 2)])
def test_a_step_with_a_large_response_is_repeated_and_takes_no_memory_meanwhile(size: int, uploads: int) -> None:
    create = {
        "steps": [
            {"name": "upload", "request": "POST /files", "save": {"part": "$.part"}},
            {"name": "run", "request": "POST /jobs/${{ steps.upload.saved.part }}"},
        ],
        "idempotent": True,
        "job_id": "$.id",
    }
    down = [reply(503), reply(503), reply(503), {"id": "7"}]
    api = FakeApi({"POST /files": {"part": "p", "more": "x" * size}, "POST /jobs/p": down})
    driver = Driver(api, create=create, get=GET)
    meta = driver.create()
    assert (meta.pending is not None, meta.not_submitted != "") == (True, True)
    assert driver.get(after=60).phase == "RUNNING"
    assert len([sent for sent in api.sent if sent.url.path == "/files"]) == uploads


@pytest.mark.parametrize("value", [{"$ne": None}, ["a"], 5, None])
def test_an_input_of_another_type_than_the_specs_is_not_submitted_without_a_key_either(value: Any) -> None:
    request = {"method": "POST", "path": "/jobs", "json": {"name": "${{ inputs.name }}"}}
    create = {"request": request, "idempotent": True, "job_id": "$.id"}
    driver = Driver(FakeApi({"POST /jobs": 503}), signer=UNSIGNED, create=create, inputs={"name": "str"})
    meta = driver.create(inputs={"name": "x"})
    assert meta.pending is not None
    sent = len(driver.api.sent)
    meta.pending["inputs"] = {"name": value}
    driver.kept = meta.encode()
    driver.restart()
    assert "is not a valid str" in (driver.get().message or "")
    assert len(driver.api.sent) == sent
