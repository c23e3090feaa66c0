"""The Prefect flow that the tests run: it takes its time, logs, succeeds with artifacts, fails, or its process ends."""

import os
import signal
import time
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

if __name__ != "__main__":
    time.sleep(1)  # a run is PENDING while its process imports this


@flow(name="lab", persist_result=False)
def lab(seconds: int = 0, fail: bool = False, crash: bool = False, lines: int = 0, pid: str = "") -> None:
    if pid:
        Path(pid).write_text(str(os.getpid()))
    log = get_run_logger()
    for number in range(lines):
        log.warning("line %d", number)
        time.sleep(seconds / lines)
    if not lines:
        time.sleep(seconds)
    if crash:
        os.kill(os.getpid(), signal.SIGKILL)
    if fail:
        raise ValueError("asked to fail")
    create_markdown_artifact(key="row-count", markdown="42")


if __name__ == "__main__":
    lab.serve(name="lab", limit=4, pause_on_shutdown=False)
