"""Many specs: ``python -m bench specs`` (``make bench-specs``).

For each number of specs, in processes of their own: loading and checking all of them, and `c0` until it serves. The
first row has none: what Python, the imports and `c0` take alone.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import command
from bench.command import Cell, Column
from bench.services import command_seconds, environment, service_start
from bench.spec_files import TASK_TYPE, write_spec

ABOUT = "Many specs: loading them, and starting with them."
COLUMNS: list[Column] = [
    ("specs", "specs", "d"),
    ("load_s", "load s", ".2f"),
    ("load_us", "us/spec", ".0f"),
    ("load_mb", "MB", ".0f"),
    ("load_kb", "KB/spec", ".1f"),
    ("c0_s", "c0 s", ".2f"),
    ("c0_us", "us/spec", ".0f"),
    ("c0_mb", "MB", ".0f"),
    ("c0_kb", "KB/spec", ".1f"),
]

LOAD = """
import json, resource, sys, time
from yaml_connector._loading.loader import load
start = time.perf_counter()
specs = load(sys.argv[1]) if len(sys.argv) > 1 else []
seconds = time.perf_counter() - start
print(json.dumps([len(specs), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def write_specs(folder: Path, number: int) -> None:
    """That many specs, alike but for their task type."""
    first = write_spec(folder)
    text = first.read_text()
    first.unlink()
    for each in range(number):
        name = f"{TASK_TYPE}_{each:05d}"
        (folder / f"{name}.yaml").write_text(text.replace(f"task_type_name: {TASK_TYPE}", f"task_type_name: {name}"))


async def measure(options: argparse.Namespace) -> list[Cell]:
    """A row for each number of specs."""
    cells: list[Cell] = []
    for number in (0, *options.specs):
        with TemporaryDirectory(prefix="bench-") as name:
            write_specs(Path(name), number)
            env = environment(Path(name))
            loads, starts = [], []
            for _ in range(options.rounds):
                command.tell(f"{number} specs")
                words = [sys.executable, "-c", LOAD, *([name] if number else [])]
                _, printed = await asyncio.to_thread(command_seconds, words, env)
                found, *load = json.loads(printed)
                assert found == number
                loads.append(load)
                starts.append(await service_start("yaml_connector.flyte.service" if number else None, env))
        cell: Cell = {"specs": number}
        for what, samples in (("load", loads), ("c0", starts)):
            seconds, memory = (median(values) for values in zip(*samples, strict=True))
            cell |= {f"{what}_s": seconds, f"{what}_mb": memory / 2**20}
            if number:
                cell[f"{what}_us"] = (seconds - cells[0][f"{what}_s"]) / number * 1e6
                cell[f"{what}_kb"] = (memory / 2**20 - cells[0][f"{what}_mb"]) / number * 1024
        cells.append(cell)
    return cells


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--specs", type=command.counts, help="how many, several with commas (100,1000,10000)")
    parser.add_argument("--rounds", type=command.count, help="how often each is measured (3)")


def complete(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    options.specs = options.specs or ([100, 1000] if options.quick else [100, 1000, 10_000])
    options.rounds = options.rounds or (1 if options.quick else 3)
