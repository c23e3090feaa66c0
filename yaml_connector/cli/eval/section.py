"""Judges a saved response as a section of a spec does: the section is called, and gets this response."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from yaml_connector._http.messages import HttpRequest, HttpResponse, Response
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector.cli._live.existing_job import existing_job, needed
from yaml_connector.cli._live.one_call import Judged, JudgingJobClient, make_call, make_create, only
from yaml_connector.cli._options import JobOptions, UsageErrors, read_config, read_inputs, read_task
from yaml_connector.errors import EvaluationError

_ANY_URL = "http://localhost"
AnyStep = TypeVar("AnyStep", bound=Step)


class _SavedResponse(Transport):
    """Answers every request with one response."""

    def __init__(self, response: Response) -> None:
        self._response = response

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, timeout: float) -> AsyncIterator[HttpResponse]:
        async def chunks() -> AsyncIterator[bytes]:
            yield self._response.content

        yield HttpResponse(self._response.status, copy.copy(self._response.headers), chunks())


async def judge_section(
    loaded: LoadedSpec, section: str, response: Response, job: JobOptions, job_id: str, saved: tuple[str, ...]
) -> tuple[Judged, JudgingJobClient]:
    """Return how the section judges the response. Nothing is sent, and no secret is needed.

    Of several steps it is the one whose response is read; the others count as skipped. Raises click.UsageError for
    values that are wrong.
    """
    errors = UsageErrors()
    spec = needed(_alone(loaded.spec, section), None, job)
    client = JudgingJobClient(replace(loaded, spec=spec), transport=_SavedResponse(response))
    meta = existing_job(client.plan, job, job_id, saved, errors, strict=False)
    values = None
    if section == "create":
        task = read_task(spec, job.task, "", errors)
        inputs, config = read_inputs(spec, job.inputs, errors), read_config(spec, job.config, errors)
        values = CreateValues(inputs, config, task, {}, {}, local=True)
    errors.raise_if_any()
    try:
        client.plan.connection.endpoint(meta.config)
    except EvaluationError:  # a variable or a config field is not given here: the host does not matter
        connection = spec.connection.model_copy(update={"base_url": _ANY_URL, "allowed_hosts": None})
        spec = spec.model_copy(update={"connection": connection})
        client = JudgingJobClient(replace(loaded, spec=spec), transport=_SavedResponse(response))
    judged = await (make_call(client, section, meta, {}) if values is None else make_create(client, values))
    judged.exchanges = []  # nothing was sent
    return judged, client


def _alone(spec: ConnectorSpec, section: str) -> ConnectorSpec:
    """Return a spec whose section makes one request, to nowhere, that needs no values."""
    connection = spec.connection.model_copy(
        update={
            **dict.fromkeys(("headers", "query", "auth", "rate_limit")),
            "retry": spec.connection.retry.model_copy(update={"max_attempts": 1}),
            "proxy": "none",
            "http2": False,
        }
    )
    part = only(spec, section) if section != "create" else only(spec, "delete").model_copy(update={"delete": None})
    changes: dict[str, Any] = {"connection": connection, "secrets": {}, "allow": None}
    if section == "create":
        changes["create"] = _one_request(spec.create).model_copy(update={"adopt": None, "on_failure": []})
    elif section == "result":
        changes |= {"get": None, "result": _one_request(spec.result or spec.get)}
    else:
        changes[section] = _one_request(getattr(spec, section))
        if section == "get":
            changes["get"] = changes["get"].model_copy(update={"batch": None})
        if section == "logs":
            changes["get"] = None
    return part.model_copy(update=changes)


def _one_request(section: Any) -> Any:
    """Return a section with only the step whose response is read."""
    assert isinstance(section, Calls)
    if section.request is not None:  # in logs, steps may be beside it
        return _stripped(section).model_copy(update={"steps": None, "read": None})
    steps = section.as_steps()
    read = next((step for step in steps if step.name == section.read), steps[-1])
    return section.model_copy(update={"steps": [_stripped(read)], "read": None})


def _stripped(step: AnyStep) -> AnyStep:
    assert step.request is not None
    request = Request.model_construct(
        step.request.model_fields_set, **{**vars(step.request), **_NOWHERE, "method": step.request.method}
    )
    only_one = {"each": "${{ [none] }}"} if step.each is not None and not hasattr(step, "format") else {"each": None}
    follow = {"follow": "${{ none }}"} if step.follow is not None else {}
    return step.model_copy(update={"request": request, "when": None, "optional": False, **only_one, **follow})


_NOWHERE = {
    **dict.fromkeys(("url", "query", "headers", "json_body", "form", "text", "file", "multipart")),
    "path": "/",
    "auth": False,
}
