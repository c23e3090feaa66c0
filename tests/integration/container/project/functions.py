"""Functions that run as jobs of a backend, as a workflow author writes them."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import flyte
import flyte.errors
import pandas as pd
from flyte.io import DataFrame, Dir, File

import yaml_connector

Config = yaml_connector.task_plugin("process_container").Config
env = flyte.TaskEnvironment(
    "functions",
    image="registry.test/functions:1",
    resources=flyte.Resources(cpu="1500m", memory="1Gi"),
    env_vars={"GREETING": "good morning", "EMPTY": ""},
    include=yaml_connector.task_files(),
    plugin_config=Config(),
)


@dataclass
class Point:
    x: int
    label: str


@env.task
async def add(a: int, b: int) -> int:
    return a + b


@env.task
def join(words: list[str], by: str) -> str:
    return by.join(words)


@env.task
async def move(point: Point, by: int) -> Point:
    return Point(point.x + by, point.label.upper())


@env.task
async def squares(n: int) -> list[int]:
    return [i * i for i in range(n)]


@env.task
async def two(a: int) -> tuple[int, str]:
    return a, str(a)


@env.task
def write_file(text: str) -> File:
    path = Path("out.txt")
    path.write_text(text)
    return File.from_local_sync(str(path))


@env.task
async def read_file(file: File) -> int:
    async with file.open("rb") as handle:
        return len(bytes(await handle.read()))


@env.task
def write_folder(names: list[str]) -> Dir:
    folder = Path("made")
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)
    return Dir.from_local_sync(str(folder))


@env.task
async def table(rows: int) -> DataFrame:
    return DataFrame.from_df(pd.DataFrame({"n": range(rows)}))


@env.task
async def length(text: str) -> int:
    return len(text)


@env.task
async def fail(what: str) -> int:
    raise ValueError(f"there is no {what}")


@env.task
async def fail_for_good(what: str) -> int:
    raise flyte.errors.NonRecoverableError(f"there is no {what}")


@env.task
async def crash(code: int) -> int:
    os._exit(code)


@env.task
async def killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@env.task
async def sleep_long() -> int:
    import asyncio

    print("asleep", flush=True)
    await asyncio.sleep(300)
    return 1


@env.task
async def surroundings() -> dict[str, str]:
    names = ("TOKEN", "CPUS", "GREETING", "EMPTY", "RUN_NAME", "ACTION_NAME")
    return {name: os.environ[name] for name in names} | {"words": "|".join(sys.argv[1:])}


@env.task
async def nothing(n: int) -> None:
    print(f"n is {n}")
