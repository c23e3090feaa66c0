"""The Dagster job that the tests run: it takes its time, logs, materializes an asset with metadata, or fails."""

import os
import sys
import time
from pathlib import Path

from dagster import AssetMaterialization, Definitions, OpExecutionContext, in_process_executor, job, op

if "execute_run" in sys.argv:
    time.sleep(1)  # a run is STARTING while its process imports this


@op(config_schema={"seconds": int, "fail": bool, "lines": int, "pid": str})
def work(context: OpExecutionContext) -> None:
    seconds, lines, pid = (context.op_config[name] for name in ("seconds", "lines", "pid"))
    if pid:
        Path(pid).write_text(str(os.getpid()))
    for number in range(lines):
        context.log.warning(f"line {number}")
        time.sleep(seconds / lines)
    if not lines:
        time.sleep(seconds)
    if context.op_config["fail"]:
        raise ValueError("asked to fail")
    context.log_event(AssetMaterialization("table", metadata={"row_count": 42, "name": "orders"}))


@job(executor_def=in_process_executor)
def lab():
    work()


defs = Definitions(jobs=[lab])
