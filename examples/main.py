"""Two users run the same job, each with a secret of their own.

flyte run --local examples/main.py batch_job --name hello
"""

import flyte

from yaml_connector import task_plugin

BatchJobTask = task_plugin("batch_job")
BatchJobConfig = BatchJobTask.Config

batch_job = BatchJobTask(
    name="batch_job",
    plugin_config=BatchJobConfig(timeout_seconds=60),
    inputs={"name": str},
    outputs={"result": str},
    api_key="alice-api-key",
)
bobs_job = BatchJobTask(
    name="bobs_job",
    plugin_config=BatchJobConfig(timeout_seconds=60),
    inputs={"name": str},
    outputs={"result": str},
    api_key="bob-api-key",
)

jobs = flyte.TaskEnvironment.from_task("batch-job-env", batch_job, bobs_job)
