"""The command line: ``python -m bench --help``."""

import argparse
import importlib
import sys
from pathlib import Path

from bench import command

BENCHES = ("calls", "batch", "jobs", "specs", "big", "neighbours", "start")


def main() -> int:
    """Measures and prints; returns the exit code: 0, 1 if a connector does not work, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the generic connector costs.")
    named = parser.add_subparsers(dest="bench", required=True, metavar="NAME")
    for name in BENCHES:
        bench = importlib.import_module(f"bench.{name}")
        options = named.add_parser(name, help=bench.ABOUT, description=bench.ABOUT)
        options.add_argument("--quick", action="store_true", help="much shorter; shows large differences only")
        options.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
        bench.add_options(options)
    chosen = parser.parse_args()
    bench = importlib.import_module(f"bench.{chosen.bench}")
    bench.complete(chosen)
    return command.show(chosen, bench.measure(chosen), bench.COLUMNS)


if __name__ == "__main__":
    sys.exit(main())
