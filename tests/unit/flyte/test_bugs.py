"""Flyte logs the words of an error: a bug is told by its type alone, and a refused input without secrets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flyteidl2.core.tasks_pb2 import TaskTemplate

from tests.support.fake_api import loaded, spec_data
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.errors import YamlConnectorError
from yaml_connector.flyte._internals import CallMeter
from yaml_connector.flyte.connector import JobResourceMeta, YamlConnector
from yaml_connector.flyte.servicer import _measured


class Broken(Transport):
    """A transport with a bug."""

    async def fetch(self, *_: Any) -> Any:
        raise RuntimeError(f"a bug, with {'-'.join(('planted', 'secret'))} in it")


@pytest.mark.parametrize("call", ["create", "delete"])
def test_a_bug_in_a_call_is_told_by_its_type_alone(call: str, caplog: pytest.LogCaptureFixture) -> None:
    spec = spec_data(delete={"request": "DELETE /jobs/${{ job.id }}", "always": True})
    connector = YamlConnector(loaded(spec), transport=Broken(), environment={})
    kept = JobResourceMeta(JobMeta("batch_job", id="7", created_at=1.0).encode())
    work = connector.create(TaskTemplate(type="batch_job"), "") if call == "create" else connector.delete(kept)
    with pytest.raises(YamlConnectorError) as raised:
        asyncio.run(work)
    assert str(raised.value) == "internal error (RuntimeError)"
    assert raised.value.__cause__ is None
    assert f"{call} of a job failed unexpectedly: RuntimeError" in caplog.text
    assert "planted-secret" not in caplog.text


def test_an_input_that_is_refused_is_told_without_the_secret_in_it() -> None:
    spec = spec_data(inputs={"count": "int"}, secrets={"k": {}})
    connector = YamlConnector(loaded(spec), transport=Broken(), environment={})
    made = asyncio.run(
        connector.create(TaskTemplate(type="batch_job"), "", {"count": "a-long-secret"}, k="a-long-secret")
    )
    assert "'***' is not a valid int; nothing was submitted" in (connector.jobs.decode(made.data).create_error or "")


def test_a_bug_around_a_call_is_told_by_its_type_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Context:
        details = ""

        def set_code(self, code: Any) -> None:
            pass

        def set_details(self, details: str) -> None:
            self.details = details

    async def call() -> None:
        raise OSError(24, "Too many open files", "-".join(("planted", "secret")))

    context = Context()
    assert asyncio.run(_measured(CallMeter("batch_job", "create"), context, call())) is None
    assert "internal error (OSError)" in context.details
    assert "planted-secret" not in context.details + caplog.text
