"""What a demo job runs when its request names no command: `python -m yaml_connector.demo.program NAME`.

It prints eight lines over about two seconds and has the result `Hello, NAME!`. Two kinds of name do more:
`fail` ends with exit code 3, `sleep-N` first sleeps N seconds. Standard library only: each job starts it anew.
"""

import os
import re
import sys
import time
from pathlib import Path

STEPS = (
    "connecting to the input table",
    "reading 1,000 rows",
    "reading 1,000 rows more",
    "checking the rows",
    "computing the greeting",
    "checking the greeting",
    "writing the result",
    "done",
)


def main(name: str) -> int:
    """Do the steps for `name` and return the exit code. A step takes DEMO_STEP_SECONDS (0.25)."""
    pause = float(os.environ.get("DEMO_STEP_SECONDS", "0.25"))
    seconds = re.fullmatch(r"sleep-(\d{1,6})", name, re.ASCII)
    for second in range(int(seconds[1]) if seconds else 0):
        print(f"slept {second} s", flush=True)
        time.sleep(1)
    for number, step in enumerate(STEPS, start=1):
        print(f"[{number}/{len(STEPS)}] {step}", flush=True)
        time.sleep(pause)
        if name == "fail" and number == 2:
            print("the input table is empty", file=sys.stderr)
            return 3
    greeting = f"Hello, {name}!"
    if result_file := os.environ.get("RESULT_FILE"):
        Path(result_file).write_text(greeting, encoding="utf-8", errors="replace")
    else:
        print(greeting)
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "world"))
