"""An AWS signature in a contract test follows the test's clock: it can be expected to the letter."""

from __future__ import annotations

from typing import Any

from tests.support.contract_folder import DEFAULTS, Folder

AUTH = 'auth: {type: bearer, token: "${{ secrets.api_key }}"}'
SIGNED = """auth: {type: aws_sigv4, service: batch, region: eu-west-1, access_key_id: AKIDEXAMPLE, \
secret_access_key: "${{ secrets.api_key }}"}"""


def submitted(date: str, signature: str) -> dict[str, Any]:
    """A create that is signed so."""
    headers = {"X-Amz-Date": date, "Authorization": f"/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE.*{signature}$/"}
    request = {"method": "POST", "path": "/jobs", "headers": headers}
    return {"create": {"exchanges": [{"request": request, "response": {"json": {"id": 7}}}]}}


def signature_at(folder: Folder, *calls: Any) -> str:
    """The signature of the last call, as the failed test shows it."""
    failure = (
        folder.run_file({"defaults": DEFAULTS, "tests": [{"name": "a", "calls": list(calls)}]}).results[0].failures[0]
    )
    [difference] = failure.differences
    assert difference.field == "headers.Authorization", failure
    return str(difference.found).rpartition("Signature=")[2]


def test_a_signature_is_the_same_in_every_run_and_moves_with_the_clock(folder: Folder) -> None:
    folder.change_spec(AUTH, SIGNED)
    now = signature_at(folder, submitted("20260101T000000Z", "Signature=none"))
    assert len(now) == 64
    later = signature_at(folder, {"after": "90s"}, submitted("20260101T000130Z", "Signature=none"))
    assert now != later
    tests = [
        {"name": "now", "calls": [submitted("20260101T000000Z", now)]},
        {"name": "later", "calls": [{"after": "90s"}, submitted("20260101T000130Z", later)]},
    ]
    assert all(result.passed for result in folder.run_file({"defaults": DEFAULTS, "tests": tests}).results)
