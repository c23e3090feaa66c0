"""The command line: ``python -m bench --help``."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from bench.measure import OPERATIONS, SUBJECTS, Plan, Results, measure
from bench.report import as_json, as_table

AT_ONCE = (1, 8, 64)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code: 0, 1 if no connector works, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    rounds, seconds = (3, 0.08) if options.quick else (20, 0.15)
    plan = Plan(
        subjects=_chosen(SUBJECTS, options.connectors, "--connectors"),
        operations=_chosen(OPERATIONS, options.only, "--only"),
        at_once=AT_ONCE,
        rounds=options.rounds or rounds,
        seconds=options.seconds or seconds,
        calls=options.calls,
        quick=options.quick,
    )
    try:
        results = asyncio.run(_run(plan))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _tell("stopped")
        return 130
    if not results.samples:
        return 1
    print(as_table(plan, results))
    if options.json:
        options.json.write_text(json.dumps(as_json(plan, results), indent=2) + "\n")
    return 0


async def _run(plan: Plan) -> Results:
    task = asyncio.current_task()
    assert task is not None
    # As for Ctrl-C, which asyncio.run makes a cancellation by itself.
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signal_number, task.cancel)
    return await measure(plan, os.environ, _tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What a connector call costs.")
    parser.add_argument("--quick", action="store_true", help="less than a minute; good for large differences only")
    parser.add_argument("--only", help=f"operations: {_names(OPERATIONS)}")
    parser.add_argument("--connectors", help=f"connectors: {_names(SUBJECTS)}")
    parser.add_argument("--calls", type=_count, help="calls for each sample, instead of a time")
    parser.add_argument("--seconds", type=_duration, help="length of each sample")
    parser.add_argument("--rounds", type=_count, help="samples for each cell")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _chosen(all_of_them: Sequence[T], names: str | None, option: str) -> list[T]:
    if names is None:
        return list(all_of_them)
    wanted = names.split(",")
    by_name = {each.name: each for each in all_of_them}
    if unknown := [name for name in wanted if name not in by_name]:
        sys.exit(f"{option}: there is no {', '.join(unknown)}; there are {_names(all_of_them)}")
    return [by_name[name] for name in wanted]


def _names(named: Sequence[_Named]) -> str:
    return ",".join(each.name for each in named)


if __name__ == "__main__":
    sys.exit(main())
