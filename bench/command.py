"""What all benches share: values of options, stopping in order, the table, the JSON."""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from bench.services import FAILURES

T = TypeVar("T")

Cell = dict[str, Any]
"""One row of a table: its figures by name, as in the JSON."""

Column = tuple[str, str, str]
"""A figure's name, its heading, and how it is written (a format specification)."""

INTERRUPTED = 130
PACKAGES = ("flyte", "grpcio", "aiohttp")


def count(text: str) -> int:
    """A whole number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def counts(text: str) -> list[int]:
    """Whole numbers from 1 with commas between, for argparse."""
    return [count(part) for part in text.split(",")]


def duration(text: str) -> float:
    """Seconds, for argparse."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def tell(line: str) -> None:
    """A line for the user, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def run(measuring: Coroutine[Any, Any, T]) -> T | None:
    """Runs it to its end, and stops it in order at Ctrl-C, SIGTERM and SIGHUP: then None."""

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        # As for Ctrl-C, which asyncio.run makes a cancellation by itself.
        for signal_number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signal_number, task.cancel)
        return await measuring

    try:
        return asyncio.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        tell("stopped")
        return None


def show(options: argparse.Namespace, measuring: Coroutine[Any, Any, list[Cell]], columns: Sequence[Column]) -> int:
    """Measures, prints the table, writes the JSON; returns the exit code."""
    try:
        cells = run(measuring)
    except FAILURES as error:
        tell(str(error))
        return 1
    if cells is None:
        return INTERRUPTED
    print(table(columns, cells))
    plan = {name: value for name, value in vars(options).items() if name != "json"}
    write_json(options.json, {"plan": plan, "cells": cells})
    return 0


def table(columns: Sequence[Column], cells: Sequence[Mapping[str, Any]]) -> str:
    """A line for each cell under the headings; a figure that is not there is a dash."""
    rows = [[heading for _, heading, _ in columns]]
    rows += [[_written(cell.get(name), spec) for name, _, spec in columns] for cell in cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _written(value: Any, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def write_json(file: Path | None, results: Mapping[str, Any]) -> None:
    """Writes results with what the figures depend on, if there is a file to write to."""
    if file is None:
        return
    machine = {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    file.parent.mkdir(parents=True, exist_ok=True)
    packages = {package: version(package) for package in PACKAGES}
    file.write_text(json.dumps({"machine": machine, "packages": packages, **results}, indent=2) + "\n")
