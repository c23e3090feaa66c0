"""The DAGs that the tests run: a task that takes its time, logs, returns a value or fails; one that is tried again; one
that waits in between."""

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import Param, dag, task

PARAMETERS = {
    "seconds": Param(0, type="integer"),
    "fail": Param(False, type="boolean"),
    "lines": Param(0, type="integer"),
    "pid": Param("", type="string"),
}


@dag(dag_id="lab", schedule=None, params=PARAMETERS)
def lab():
    @task
    def work(params=None):
        seconds, lines = params["seconds"], params["lines"]
        if params["pid"]:
            Path(params["pid"]).write_text(str(os.getpid()))
        for number in range(lines):
            print(f"line {number}")
            time.sleep(seconds / lines)
        if not lines:
            time.sleep(seconds)
        if params["fail"]:
            raise ValueError("asked to fail")
        print("done")
        return {"row_count": 42}

    work()


lab()


@dag(dag_id="again", schedule=None)
def again():
    @task(retries=1, retry_delay=timedelta(0))
    def work(ti=None):
        print(f"try {ti.try_number}")
        if ti.try_number == 1:
            raise ValueError("once more")

    work()


again()


@dag(dag_id="waiting", schedule=None)
def waiting():
    @task.sensor(mode="reschedule", poke_interval=1)
    def work(task_reschedule_count=None):
        print(f"look {task_reschedule_count}")
        return task_reschedule_count >= 2

    work()


waiting()
