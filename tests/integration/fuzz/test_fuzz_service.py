"""A sample of what `make fuzz-service` sends, on every run of the tests."""

from __future__ import annotations

from pathlib import Path

from tests.integration.fuzz.fuzz_service import SHARES, fuzz


def test_whatever_is_sent_the_service_answers_with_its_own_words(tmp_path: Path) -> None:
    findings = fuzz(range(500), None, tmp_path)
    assert findings.found == {}
    assert findings.answers.total() == 500
    assert findings.answers["OK"] > 100
    assert len(SHARES) == 5
