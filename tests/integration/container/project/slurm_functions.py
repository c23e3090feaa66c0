"""Functions that run on a real Slurm, in an environment that is prepared on its nodes: that of the tests."""

import os
from dataclasses import dataclass

import flyte

import yaml_connector

Config = yaml_connector.task_plugin("slurm_container").Config
env = flyte.TaskEnvironment("slurm", plugin_config=Config(apptainer=False, setup=os.environ.get("NODE_SETUP", "")))


@dataclass
class Box:
    width: float
    height: float


@env.task
async def area(box: Box) -> float:
    return box.width * box.height


@env.task
async def broken(what: str) -> int:
    raise ValueError(f"there is no {what}")


@env.task
async def crash(code: int) -> int:
    os._exit(code)
