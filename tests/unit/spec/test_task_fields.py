"""The table of `task.*`."""

from __future__ import annotations

from yaml_connector._spec.task_fields import TASK_NAMES, Task, local_task


def test_every_name_has_a_meaning_and_a_value_in_a_local_run() -> None:
    assert all(field.description for field in Task.model_fields.values())
    task = local_task("batch_job", "run-1")
    assert list(task) == list(TASK_NAMES)
    assert Task.model_validate(task).model_dump() == task
    assert (task["name"], task["key"], task["output_prefix"]) == ("batch_job_run", "run-1", "file:///tmp/run-1")


def test_a_local_run_s_values_are_its_own() -> None:
    local_task("batch_job", "one")["labels"]["a"] = "b"
    assert local_task("batch_job", "two")["labels"] == {}
