"""What Flyte keeps of a job is exact, and holds no secret."""

from __future__ import annotations

import base64
import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.fake_api import Driver, FakeApi

SECRET = "planted/secret value"
SECTIONS: dict[str, Any] = {
    "secrets": {"key": {}},
    "create": {
        "request": {"method": "POST", "path": "/jobs"},
        "idempotent": True,
        "job_id": "$.id",
        "save": {"urls": "$.urls", "n": "$.n"},
    },
    "get": {
        "request": {"path": "/state", "query": {"id": "${{ job.id }}", "first": "${{ job.urls[0] }}"}},
        "phase": {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"]}},
    },
}
URLS = [f"https://api.test/{quote(SECRET, safe='')}/x", {SECRET: base64.b64encode(SECRET.encode()).decode()}]


def created(*, secret: str = SECRET) -> Driver:
    answer = {"id": f"job-{SECRET}-7", "urls": URLS, "n": 2**53 + 1}
    driver = Driver(FakeApi({"POST /jobs": answer, "GET /state": {"state": "running"}}), **SECTIONS)
    driver.create(secrets={"key": secret})
    return driver


def test_the_secrets_in_an_id_and_in_saved_values_are_not_kept_and_are_there_in_later_calls() -> None:
    driver = created()
    for form in (SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()):
        assert form.encode() not in driver.kept
    assert driver.get(secrets={"key": SECRET}).phase == "RUNNING"
    assert dict(driver.api.sent[-1].url.params) == {"id": f"job-{SECRET}-7", "first": URLS[0]}
    meta = driver.connector.decode(driver.kept)
    assert driver.connector.job_values(meta, {"key": SECRET})["urls"] == URLS
    assert meta.saved["n"] == 2**53 + 1


def test_with_another_secret_the_job_is_unreadable_and_the_message_says_why() -> None:
    driver = created()
    sent = len(driver.api.sent)
    status = driver.get(secrets={"key": "another secret"})
    assert status.phase == "RUNNING"
    assert "the secret 'key' is another than when the job was created" in (status.message or "")
    assert len(driver.api.sent) == sent
    driver.restart()
    assert driver.get(secrets={"key": SECRET}).message is None


def test_a_job_without_secrets_in_it_is_kept_as_it_is() -> None:
    driver = created(secret="not in the response")
    meta = driver.connector.decode(driver.kept)
    assert (meta.id, meta.holders) == (f"job-{SECRET}-7", {})
    assert driver.get(secrets={"key": "not in the response"}).phase == "RUNNING"


def test_a_forged_job_that_names_a_secret_again_and_again_takes_little_memory_and_sends_nothing() -> None:
    secret = "long secret" * 5_000
    driver = Driver(FakeApi({"POST /jobs": {"id": secret, "urls": [], "n": 1}}), **SECTIONS)
    driver.create(secrets={"key": secret})
    meta = driver.connector.decode(driver.kept)
    [holder] = meta.holders
    meta.saved = {"urls": [holder] * 10_000, "n": 1}
    driver.kept = driver.connector.encode(meta)
    sent = len(driver.api.sent)
    tracemalloc.start()
    status = driver.get(secrets={"key": secret})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "have more than 1048576 characters" in (status.message or "")
    assert len(driver.api.sent) == sent
    assert peak < 20_000_000


@pytest.mark.parametrize("holders", [{"a": 1}, {"a": ["key", "plain"]}, {"a": ["key", "plain", 3]}])
def test_place_holders_of_another_shape_cannot_be_read(holders: Any) -> None:
    driver = created()
    meta = driver.connector.decode(driver.kept)
    meta.holders = holders
    assert driver.connector.decode(driver.connector.encode(meta)).decode_error


def test_an_id_that_cannot_be_kept_fails_the_job_with_its_beginning_and_no_secret() -> None:
    answer = {"id": f"{SECRET}-" + "7" * 2_000_000, "urls": [], "n": 1}
    driver = Driver(FakeApi({"POST /jobs": answer}), **SECTIONS)
    driver.create(secrets={"key": SECRET})
    status = driver.get(secrets={"key": SECRET})
    assert status.phase == "FAILED"
    assert (status.message or "").startswith("what is kept of the job has 2000026 bytes, and 1048576 are the most")
    assert "the job ***-777" in (status.message or "")
    assert len(driver.kept) < 1000
