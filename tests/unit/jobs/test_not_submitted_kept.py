"""What is kept of a job whose create has not gone through: encrypted, bounded, and read with its own keys alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fake_api import SIGNER
from tests.support.not_submitted import (
    GOOD,
    IDEMPOTENT,
    driver,
    lost_then,
    pending,
)
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector.errors import TransientError


class TestWhatIsKept:
    def test_is_encrypted_with_a_key_and_nothing_of_it_is_secret(self) -> None:
        connection = {"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}}
        for signer in (SIGNER, UNSIGNED):
            made = driver(IDEMPOTENT, lost_then(GOOD), secrets={"k": {}}, connection=connection, signer=signer)
            made.create(inputs={"name": "input-of-alice"}, config={"cpus": 2}, secrets={"k": "planted-secret"})
            assert b"planted" not in made.kept
            assert (b"input-of-alice" in made.kept) == (signer is UNSIGNED)
            assert made.get(secrets={"k": "planted-secret"}).phase == "RUNNING"
            assert made.api.sent[-2].headers["Authorization"] == "Bearer planted-secret"

    def test_can_be_read_with_an_older_key_and_not_with_another(self) -> None:
        job = pending(IDEMPOTENT, lost_then(GOOD))
        newer = Signer((b"n" * 32, *SIGNER.keys))
        assert json.loads(job.connector.decode(job.kept).encode(UNSIGNED))["pending"]["inputs"] == {"name": "n"}
        job.connector._signer = newer
        assert job.connector.decode(job.kept).pending is not None
        job.connector._signer = Signer((b"n" * 32,))
        assert job.connector.decode(job.kept).is_foreign

    @pytest.mark.parametrize("sealed", ["", "AAAA", "!", 7, None, ["x"], "A" * 400, "é"])
    def test_that_is_broken_is_a_job_that_cannot_be_read(self, sealed: Any) -> None:
        body = json.dumps({"v": 3, "task_type": "batch_job", "sealed": sealed}).encode()[:-1]
        job = driver(IDEMPOTENT, {})
        job.kept = body + b',"sig":"' + SIGNER.sign(body) + b'"}'
        status = job.get()
        assert status.phase in ("FAILED", "RUNNING")
        assert job.api.calls == []

    @pytest.mark.parametrize("name", ["x" * 32_000, "x" * 33_000])
    def test_is_bounded_and_a_create_with_more_is_tried_as_one_that_cannot_be_repeated(self, name: str) -> None:
        made = driver(IDEMPOTENT, {"POST /jobs": 503})
        fits = len(name) < 32_500
        if fits:
            assert made.create(inputs={"name": name}, config={"cpus": 2}).pending is not None
        else:
            with pytest.raises(TransientError):
                made.create(inputs={"name": name}, config={"cpus": 2})
        assert len(made.api.sent) == (3 if fits else 7)
        made = driver(IDEMPOTENT, {"POST /jobs": [500, 500, 500, 500, GOOD]})
        meta = made.create(inputs={"name": name}, config={"cpus": 2})
        assert (meta.pending is not None) == fits
        assert (meta.id == "7") == (not fits)

    def test_too_large_a_job_is_refused_before_anything_is_sent(self) -> None:
        get = {"request": "GET /jobs/${{ inputs.name }}", "phase": {"is": "RUNNING"}}
        made = driver(IDEMPOTENT, {"POST /jobs": GOOD}, get=get)
        message = made.create(inputs={"name": "x" * 2**20}, config={"cpus": 2}).create_error or ""
        assert "1048576 are the most" in message
        assert message.endswith("nothing was submitted")
        assert made.api.calls == []
