"""The tour's workflow: a task that runs as a job of the demo's job service.

flyte run --local workflow.py batch_job --name laptop
"""

import flyte

from yaml_connector import task_plugin

BatchJobTask = task_plugin("batch_job")

batch_job = BatchJobTask(
    name="batch_job",
    plugin_config=BatchJobTask.Config(timeout_seconds=60),
    api_key="alice-api-key",
)
jobs = flyte.TaskEnvironment.from_task("batch-job-env", batch_job)
