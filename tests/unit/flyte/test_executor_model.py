"""The model of Flyte's executor does what was seen of the real one. The soak and the attack rely on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from flyteidl2.connector.connector_pb2 import CreateTaskRequest, Resource
from flyteidl2.core.execution_pb2 import TaskExecution
from flyteidl2.core.security_pb2 import Connection

from tests.support.executor import Action, Executor, ExecutorSettings, FastClock
from tests.support.paths import ROOT
from yaml_connector import task_from_spec
from yaml_connector.flyte.service_client import ServiceJob

FAST = FastClock(3000)  # a tick takes ten milliseconds
TASK = task_from_spec(ROOT / "connectors.d" / "batch_job.yaml")


class Away(grpc.RpcError):
    """The service cannot be reached."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "connection refused"


@dataclass
class Scripted:
    """A service that answers each call with the next of its answers; the last one stays. None is an error."""

    creates: list[bytes | None] = field(default_factory=lambda: [b"job"])
    gets: list[str | None] = field(default_factory=lambda: ["RUNNING", "SUCCEEDED"])
    deletes: list[str | None] = field(default_factory=lambda: [""])
    calls: list[str] = field(default_factory=list)
    looked: threading.Event = field(default_factory=threading.Event)

    def _next(self, call: str, answers: list[Any]) -> Any:
        self.calls.append(call)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise Away
        return answer

    def submit(self, task: Any, request: CreateTaskRequest) -> ServiceJob:
        attempt = request.task_execution_metadata.task_execution_id.retry_attempt
        return ServiceJob(task, self._next(f"create {attempt}", self.creates), Connection())

    def get(self, job: ServiceJob) -> Resource:
        self.looked.set()
        return Resource(phase=TaskExecution.Phase.Value(self._next("get", self.gets)))

    def delete(self, job: ServiceJob) -> None:
        self._next("delete", self.deletes)


def executed(service: Scripted, retries: int = 0, during: Callable[[Action], Any] | None = None) -> Action:
    """A task from its create to its last delete."""

    async def run() -> Action:
        action = Action(TASK, "r1", retries=retries)
        async with Executor(service, clock=FAST, settings=ExecutorSettings(deleted_after=60)) as executor:
            running = asyncio.create_task(executor.run(action))
            if during is not None:
                await during(action)
            await running
            assert await executor.all_deleted(10) == 0
        return action

    return asyncio.run(run())


def test_a_job_is_created_once_followed_to_its_end_and_deleted_after_it() -> None:
    service = Scripted()
    assert executed(service).phase == "SUCCEEDED"
    assert service.calls == ["create 0", "get", "get", "delete"]


@pytest.mark.parametrize(("retries", "phase"), [(0, "FAILED"), (1, "SUCCEEDED")])
def test_a_create_that_raises_fails_the_attempt_and_no_delete_follows(retries: int, phase: str) -> None:
    service = Scripted(creates=[None, b"job"], gets=["SUCCEEDED"])
    assert executed(service, retries).phase == phase
    assert service.calls == ["create 0", "create 1", "get", "delete"][: 4 if retries else 1]


def test_a_get_that_fails_does_not_end_an_attempt_as_the_one_before_it_ended() -> None:
    service = Scripted(gets=["RETRYABLE_FAILED", None, "SUCCEEDED"])
    assert executed(service, retries=2).phase == "SUCCEEDED"
    assert service.calls == ["create 0", "get", "delete", "create 1", "get", "get", "delete"]


def test_a_job_is_deleted_once_before_a_retry_also_if_that_fails() -> None:
    service = Scripted(gets=["RETRYABLE_FAILED", "SUCCEEDED"], deletes=[None, ""])
    assert executed(service, retries=2).phase == "SUCCEEDED"
    assert service.calls == ["create 0", "get", "delete", "create 1", "get", "delete"]


def test_errors_of_get_are_counted_for_the_whole_life_of_a_job_and_six_end_the_looking() -> None:
    five = Scripted(gets=[None, "RUNNING", None, None, "RUNNING", None, None, "SUCCEEDED"])
    assert executed(five).phase == "SUCCEEDED"
    six = Scripted(gets=[None, "RUNNING", None, None, None, "RUNNING", None, None, "SUCCEEDED"])
    assert executed(six).phase == "BLIND"
    assert six.calls == ["create 0", *["get"] * 8]


def test_a_delete_that_fails_is_repeated_until_it_works() -> None:
    service = Scripted(gets=["FAILED"], deletes=[None, None, ""])
    assert executed(service, retries=2).phase == "FAILED"
    assert service.calls == ["create 0", "get", "delete", "delete", "delete"]


def test_an_abort_is_repeated_until_it_works_and_gets_go_on_until_then() -> None:
    service = Scripted(gets=["RUNNING"], deletes=[*[None] * 6, ""])

    async def abort(action: Action) -> None:
        await asyncio.to_thread(service.looked.wait, 10)
        action.abort()

    assert executed(service, during=abort).phase == "ABORTED"
    assert service.calls.count("delete") == 7
    assert service.calls.count("get") > 1
