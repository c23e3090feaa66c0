"""What Flyte keeps of a job, and the token of a log, are exact and hold no secret."""

from __future__ import annotations

import base64
import json
import math
import tracemalloc
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.fake_api import Driver, FakeApi, job, reply
from tests.support.paged_logs import PAGED
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.placeholders import hash_of_secret
from yaml_connector._jobs.signing import UNSIGNED
from yaml_connector.errors import EvaluationError

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
    forged = replace(meta, saved={"urls": [holder] * 10_000, "n": 1})
    driver.kept = driver.connector.encode(forged)
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
    meta = replace(driver.connector.decode(driver.kept), holders=holders)
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


def test_an_id_with_a_secret_in_hexadecimal_digits_is_there_in_later_calls_and_not_kept() -> None:
    driver = Driver(FakeApi({"POST /jobs": {"id": SECRET.encode().hex(), "urls": ["x"]}, "GET /state": {}}), **SECTIONS)
    driver.create(secrets={"key": SECRET})
    assert SECRET.encode().hex().encode() not in driver.kept
    driver.get(secrets={"key": SECRET})
    assert driver.api.sent[-1].url.params["id"] == SECRET.encode().hex()


def test_an_id_with_a_secret_in_an_encoding_that_cannot_be_kept_fails_the_job_and_says_so() -> None:
    encoded = SECRET.encode().hex().upper()
    driver = Driver(FakeApi({"POST /jobs": {"id": f"7-{encoded}", "urls": []}}), **SECTIONS)
    driver.create(secrets={"key": SECRET})
    status = driver.get(secrets={"key": SECRET})
    assert status.phase == "FAILED"
    assert "the job's id holds the value of a secret in an encoding that cannot be kept: 7-***; the job runs" in (
        status.message or ""
    )
    assert encoded.encode() not in driver.kept


def forged_holder(salt: str, secret: str) -> dict[str, list[str]]:
    """A place holder as a caller can make it, who knows the secret or has tried all checks."""
    return {f"***{salt}-{salt}***": ["key", "plain", hash_of_secret.__wrapped__(secret, salt)]}


def test_a_forged_job_cannot_have_a_hash_computed_for_each_of_its_place_holders() -> None:
    driver = created()
    meta = driver.connector.decode(driver.kept)
    for number in range(30):
        meta.holders |= forged_holder(f"{number:016x}", SECRET)
    driver.kept = driver.connector.encode(meta)
    computed = hash_of_secret.cache_info().misses
    assert "the secret 'key' is another than when the job was created" in (
        driver.get(secrets={"key": SECRET}).message or ""
    )
    assert hash_of_secret.cache_info().misses - computed <= 2


def test_a_caller_without_a_key_cannot_try_what_the_hash_of_a_secret_is() -> None:
    driver = Driver(FakeApi({"POST /jobs": 503, "GET /state": {"state": "running"}}), signer=UNSIGNED, **SECTIONS)
    driver.clock.now += 3600  # whatever was tried before, by other tests of this process

    def message(holders: dict[str, list[str]]) -> str:
        driver.kept = JobMeta("batch_job", id=next(iter(holders)), saved={"urls": ["x"]}, holders=holders).encode()
        return driver.get(secrets={"key": SECRET}).message or ""

    salt = "1" * 16
    right = forged_holder(salt, SECRET)
    assert message(right) == ""
    [(holder, [*place, check])] = right.items()
    wrong = [f"{number:04x}" for number in range(40) if f"{number:04x}" != check]
    told = [message({holder: [*place, other]}) for other in wrong]
    assert sum("is another than" in text for text in told) == 20
    assert "too many secrets are others than when they were kept" in told[-1]
    assert "is another than" in message({holder: [*place, wrong[0]]}), "what was tried is known"
    assert message(right) == ""
    driver.clock.now += 60
    assert "is another than" in message({holder: [*place, wrong[-1]]})


@pytest.mark.parametrize("place", ["url", "header", "body"])
def test_a_forged_job_cannot_have_a_secret_sent_to_a_public_host(place: str) -> None:
    public = {"url": "${{ job.urls[0] }}"}
    if place == "header":
        public |= {"headers": {"X-From": "${{ job.id }}"}}
    if place == "body":
        public |= {"method": "POST", "json": {"id": "${{ job.id }}"}}
    sections = SECTIONS | {
        "connection": {"base_url": "https://api.test", "public_hosts": ["*.store.test"]},
        "get": {**SECTIONS["get"], "request": public},
    }
    api = FakeApi({f"{method} https://mine.store.test/x": {"state": "running"} for method in ("GET", "POST")})
    driver = Driver(api, signer=UNSIGNED, **sections)
    holders = forged_holder("0" * 16, SECRET)
    [holder] = holders
    url = "https://mine.store.test/x"
    meta = JobMeta("batch_job", id="7", saved={"urls": [url], "n": 1}, holders=holders)
    driver.kept = meta.encode()
    assert driver.get(secrets={"key": SECRET}).phase == "RUNNING"
    assert driver.api.sent.pop().url.host == "mine.store.test"
    if place == "url":
        meta.saved["urls"] = [f"{url}?k={holder}"]
    else:
        meta.id = holder
    driver.kept = meta.encode()
    assert "it holds the value of a secret, and public_hosts get none" in (
        driver.get(secrets={"key": SECRET}).message or ""
    )
    assert driver.api.sent == []


# --- log tokens -------------------------------------------------------------------------------------------------------


def logs(answers: list[Any], **fields: Any) -> Driver:
    return job(
        {"GET /jobs/7/logs": answers},
        secrets={"key": {"env": "KEY"}},
        environment={"KEY": SECRET},
        logs={**PAGED, **fields},
    )


def shown(token: str | None) -> str:
    """What stands in a token."""
    assert token is not None
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()


@pytest.mark.parametrize("cursor", [f"https://api.test/next?key={SECRET}", {"k": [quote(SECRET, safe="")]}])
def test_the_secret_in_an_apis_cursor_is_sent_back_and_not_in_the_token_that_flyte_sees(cursor: Any) -> None:
    driver = logs([{"lines": ["a"], "next": cursor}, {"lines": ["b"], "next": None}])
    lines, token = driver.logs()
    assert lines == ["a"]
    assert SECRET not in shown(token)
    assert quote(SECRET, safe="") not in shown(token)
    assert driver.logs(token or "") == (["b"], None)
    sent = driver.api.sent[-1].url.params["cursor"]
    assert sent == (cursor if isinstance(cursor, str) else json.dumps(cursor, separators=(",", ":")))


def test_the_secret_in_the_start_of_a_line_is_masked_with_the_rest_of_it_and_not_in_the_token() -> None:
    def page(text: str, following: str) -> Any:
        return reply(200, text=text, headers={"X-Next": following} if following else {})

    answers = [page(f"one\ntwo {SECRET}", "2"), page(" three\n", "")]
    driver = logs(answers, format="text", lines=None, next="${{ headers['x-next'] }}")
    lines, token = driver.logs()
    assert lines == ["one"]
    assert SECRET not in shown(token)
    assert driver.logs(token or "") == (["two *** three"], None)


def test_a_token_with_another_secret_is_refused_and_says_why() -> None:
    driver = logs([{"lines": ["a"], "next": SECRET}])
    _, token = driver.logs()
    driver.environment["KEY"] = "rotated-value"
    driver.use(driver.data)
    with pytest.raises(EvaluationError, match="the secret 'key' is another than when the log was read; read it from"):
        driver.logs(token or "")


@pytest.mark.parametrize(
    "holders", [1, "a", [1], {"a": 1}, {"a": ["key", "plain", 3]}, {"a" * 300: ["key", "plain", ""]}]
)
def test_a_token_with_other_place_holders_is_not_valid(holders: Any) -> None:
    token = base64.urlsafe_b64encode(json.dumps({"": {"t": "x"}, "***": holders}).encode()).decode()
    with pytest.raises(EvaluationError, match="invalid log token"):
        logs([{"lines": ["a"], "next": None}]).logs(token)


def test_a_forged_token_cannot_have_a_secret_sent_to_a_public_host() -> None:
    driver = logs(
        [],
        request={"url": "${{ page.token or 'https://api.test/jobs/7/logs' }}"},
    )
    driver.use(driver.data | {"connection": {"base_url": "https://api.test", "public_hosts": ["*.store.test"]}})
    holders = forged_holder("0" * 16, SECRET)
    cursors = {"": {"t": f"https://mine.store.test/{next(iter(holders))}"}, "***": holders}
    with pytest.raises(EvaluationError, match="it holds the value of a secret, and public_hosts get none"):
        driver.logs(base64.urlsafe_b64encode(json.dumps(cursors).encode()).decode())
    assert driver.api.sent == []


def test_the_level_of_a_line_is_short_and_without_secrets_whatever_it_is() -> None:
    lines = [{"text": "a", "level": level} for level in (f"WARN {SECRET}", "x" * 1000, math.nan, [SECRET])]
    answer = reply(200, content=json.dumps({"lines": lines, "next": None}))
    driver = logs([answer], message="$.text", level="$.level")
    levels = [line.level for line in driver.log_lines()[0]]
    assert levels == ["WARN ***", "x" * 97 + "...", "NaN", '["***"]']
