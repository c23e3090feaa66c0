"""Secrets in texts that are changed on their way into a message, and in how objects show themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_api import BASE, FakeApi, job, reply, run
from tests.support.sending import Sender
from yaml_connector._http.context import CallContext
from yaml_connector._http.events import Events
from yaml_connector._jobs.create import CreateValues
from yaml_connector.errors import PermanentError

SECRETS = pytest.mark.parametrize("secret", ["two  spaces", "a line\nand another", "a tab\tin it"])


@SECRETS
def test_a_secret_with_white_space_is_masked_in_the_text_of_an_error(secret: str) -> None:
    api = FakeApi({"GET /": reply(403, text=f"you sent\n{secret}\n!")})
    with pytest.raises(PermanentError, match=r"answered 403: you sent \*\*\* !$"):
        Sender(api, secrets={"key": secret}).send()


@SECRETS
def test_a_secret_with_white_space_is_masked_in_an_answer_without_a_job_id(secret: str) -> None:
    create = {"request": "POST /jobs", "job_id": "${{ headers.location }}"}
    driver = job({}, create={**create, "job_id": "${{ 1 }}"}, secrets={"key": {"env": "KEY", "required": False}})
    driver.use({**driver.data, "create": create})
    driver.api.routes["POST /jobs"] = [reply(200, text=f"you sent\n{secret}\n!")]
    meta = driver.create(secrets={"key": secret})
    assert "without a job id at ${{ headers.location }}: you sent *** ! (headers: " in (meta.create_error or "")


def test_no_object_shows_a_secret_in_its_repr() -> None:
    secret = "planted-for-repr-5521"
    driver = job(
        {"GET /jobs/7": {"state": "running", "echo": secret}},
        connection={
            "base_url": BASE,
            "auth": {"type": "bearer", "token": "${{ secrets.key }}"},
            "query": {"q": "${{ secrets.key }}"},
        },
        create={"request": {"method": "POST", "path": "/jobs", "json": "${{ secrets.key }}"}, "job_id": "$.id"},
        secrets={"key": {"env": "KEY", "required": False}},
    )
    seen: list[Any] = []

    class Seen(Events):
        def exchange(self, request: Any, response: Any, *what: Any) -> None:
            seen.extend((request, response, what))

    driver.use(driver.data, events=Seen())
    values = CreateValues(secrets={"key": secret})
    meta = run(driver.connector.create(values))
    run(driver.connector.get(meta, {"key": secret}))
    assert len(seen) == 6
    session = CallContext(driver.connector.plan.connection, config={}, secrets={"key": secret})
    objects = [values, meta, session, driver.connector.cache, vars(driver.connector.cache), *seen]
    assert [type(item) for item in objects if secret in repr(item)] == []


def test_an_error_that_nobody_expects_shows_no_secret_either() -> None:
    secret = "planted-for-a-bug-71"

    def broken(request: Any) -> Any:
        raise RuntimeError(f"a library quotes {secret}", 5)

    driver = job({}, secrets={"key": {"env": "KEY", "required": False}})
    driver.api.routes["POST /jobs"] = [broken]
    with pytest.raises(RuntimeError) as raised:
        driver.create(secrets={"key": secret})
    assert raised.value.args == ("a library quotes ***", 5)
