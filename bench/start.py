"""How long starting takes: ``python -m bench start`` (``make bench-start``).

The commands take turns, so what else the machine does hits all alike; the table has medians.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median

from bench import command
from bench.command import Cell, Column
from bench.services import command_seconds, environment, service_start
from bench.spec_files import BASE

ABOUT = "How long starting takes."
COLUMNS: list[Column] = [
    ("what", "", ""),
    ("seconds", "s", ".3f"),
    ("more", "more s", ".3f"),
    ("than", "than", ""),
    ("goal", "goal s", ".2f"),
]

TIMED_IMPORT = "import time; start = time.perf_counter(); import yaml_connector; print(time.perf_counter() - start)"
Measurement = Callable[[], Awaitable[float]]


def measurements(env: Mapping[str, str]) -> dict[str, Measurement]:
    """What is measured, by name."""
    script = str(Path(sys.executable).with_name("yaml-connector"))

    async def import_alone() -> float:
        return float((await asyncio.to_thread(command_seconds, [sys.executable, "-c", TIMED_IMPORT], env))[1])

    def run(*words: str) -> Measurement:
        async def measure() -> float:
            return (await asyncio.to_thread(command_seconds, words, env))[0]

        return measure

    def start(module: str | None) -> Measurement:
        async def measure() -> float:
            return (await service_start(module, env))[0]

        return measure

    return {
        "python": run(sys.executable, "-c", "pass"),
        "import yaml_connector": import_alone,
        "yaml-connector validate FILE": run(script, "validate", str(BASE)),
        "c0, empty": start(None),
        "c0 with one spec": start("yaml_connector.flyte.service"),
    }


GOALS = {"import yaml_connector": 0.15, "yaml-connector validate FILE": 0.4}
COMPARED = {"c0 with one spec": ("c0, empty", 0.5)}


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each thing that is measured."""
    env = environment(BASE.parent)
    todo = measurements(env)
    taken: dict[str, list[float]] = {name: [] for name in todo}
    for number in range(options.rounds + 1):
        command.tell(f"round {number} of {options.rounds}" if number else "warming up")
        for name, once in todo.items():
            seconds = await once()
            if number:
                taken[name].append(seconds)
    medians = {name: median(values) for name, values in taken.items()}
    cells = []
    for name, seconds in medians.items():
        than, goal = COMPARED.get(name, (None, GOALS.get(name)))
        more = None if than is None else seconds - medians[than]
        cells.append({"what": name, "seconds": seconds, "more": more, "than": than, "goal": goal, "all": taken[name]})
    return cells


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--rounds", type=command.count, help="how often each is started (15)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.rounds = options.rounds or (3 if options.quick else 15)
