"""The Celery app that the tests run: tasks that succeed, fail, try again, and report states of their own."""

import os
import time
from typing import Any

from celery import Celery

app = Celery("lab", broker=f"{os.environ['CELERY_LAB_REDIS']}/0", backend=f"{os.environ['CELERY_LAB_REDIS']}/1")
app.conf.update(
    task_track_started=True,
    worker_send_task_events=True,
    task_send_sent_event=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="lab.work")
def work(seconds: float = 0, fail: bool = False) -> dict[str, int]:
    """Take some time; then a dictionary, or an exception."""
    time.sleep(seconds)
    if fail:
        raise ValueError("asked to fail")
    return {"answer": 42}


@app.task(name="lab.add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="lab.progress", bind=True)
def progress(self: Any, seconds: int) -> str:
    """Report a state that Celery does not know."""
    for done in range(seconds):
        self.update_state(state="PROGRESS", meta={"done": done, "of": seconds})
        time.sleep(1)
    return "ok"


@app.task(name="lab.retry", bind=True, max_retries=2, default_retry_delay=2)
def retry(self: Any) -> None:
    """Fail, after two more tries."""
    raise self.retry(exc=ValueError("again"))
