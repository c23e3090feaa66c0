"""The tour's functions: they run as jobs of the demo's job service.

flyte run --local functions.py summary --words '["a", "b"]'
"""

from dataclasses import dataclass

import flyte

from yaml_connector import task_plugin

FunctionConfig = task_plugin("batch_function").Config

env = flyte.TaskEnvironment(
    "functions",
    plugin_config=FunctionConfig(timeout_seconds=60, secrets={"api_key": "alice-api-key"}),
)


@dataclass
class Summary:
    """What a list of words is like."""

    count: int
    longest: str


@env.task
async def summary(words: list[str]) -> Summary:
    """Say how many words there are, and which is the longest. Raises ValueError without any."""
    print(f"{len(words)} words have arrived")
    if not words:
        raise ValueError("there are no words")
    return Summary(count=len(words), longest=max(words, key=len))
