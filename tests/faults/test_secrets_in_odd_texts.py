"""Secrets in texts that are changed on their way into a message: put on one line, cut."""

from __future__ import annotations

import pytest
from fake_api import FakeApi, job, reply
from sending import Sender

from yaml_connector.errors import FailedForGood

SECRETS = pytest.mark.parametrize("secret", ["two  spaces", "a line\nand another", "a tab\tin it"])


@SECRETS
def test_a_secret_with_white_space_is_masked_in_the_text_of_an_error(secret: str) -> None:
    api = FakeApi({"GET /": reply(403, text=f"you sent\n{secret}\n!")})
    with pytest.raises(FailedForGood, match=r"answered 403: you sent \*\*\* !$"):
        Sender(api, secrets={"key": secret}).send()


@SECRETS
def test_a_secret_with_white_space_is_masked_in_an_answer_without_a_job_id(secret: str) -> None:
    create = {"request": "POST /jobs", "job_id": "${{ headers.location }}"}
    driver = job({}, create={**create, "job_id": "1"}, secrets={"key": {"env": "KEY", "required": False}})
    driver.use({**driver.data, "create": create})
    driver.api.routes["POST /jobs"] = [reply(200, text=f"you sent\n{secret}\n!")]
    meta = driver.create(secrets={"key": secret})
    assert (meta.failed or "").endswith("without a job id at ${{ headers.location }}: you sent *** !")
