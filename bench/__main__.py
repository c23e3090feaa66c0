"""The command line: ``python -m bench --help``."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Protocol, TypeVar

from bench import command
from bench.measure import OPERATIONS, SUBJECTS, Plan, measure
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
    results = command.run(measure(plan, os.environ, command.tell))
    if results is None:
        return command.INTERRUPTED
    if not results.samples:
        return 1
    print(as_table(plan, results))
    command.write_json(options.json, as_json(plan, results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("bench", "What a connector call costs.")
    parser.add_argument("--only", help=f"operations: {_names(OPERATIONS)}")
    parser.add_argument("--connectors", help=f"connectors: {_names(SUBJECTS)}")
    parser.add_argument("--calls", type=command.count, help="calls for each sample, instead of a time")
    parser.add_argument("--seconds", type=command.duration, help="length of each sample")
    parser.add_argument("--rounds", type=command.count, help="samples for each cell")
    return parser


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
