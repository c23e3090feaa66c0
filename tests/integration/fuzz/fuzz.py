"""Loads what nobody would write, and sees that nothing but problems comes out, each time soon.

``python -m tests.integration.fuzz.fuzz [--cases 20000] [--first 0] [--kind data] [--keep FOLDER]``: every case is
made from its number, so a finding is made again with ``--first NUMBER --cases 1``. `--keep` writes each finding's input
to a file, for `tests/unit/loading/corpus`, which the tests replay. The exit code is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from tests.integration.fuzz import mutate
from tests.support.paths import CATALOG, ROOT
from tests.unit.loading.loading_holds import (
    LONGEST,
    contract_holds,
    expression_holds,
    path_holds,
    spec_holds,
    type_holds,
)

SHARES = {"data": 4, "expression": 3, "raw": 2, "path": 2, "text": 2, "tests": 1, "corpus": 1, "type": 1}


def kinds() -> dict[str, Callable[[Random], tuple[Callable[[Any], None], Any]]]:
    """How the cases of each kind are made: the check, and what it is given."""
    files = sorted([*(CATALOG).glob("*.yaml"), *(ROOT / "connectors.d").glob("*.yaml")])
    corpus = [file.read_bytes() for file in sorted((ROOT / "tests" / "unit" / "loading" / "corpus").glob("*.yaml"))]
    specs = [file.read_bytes() for file in files if not file.name.endswith(".test.yaml")]
    tests = [file.read_bytes() for file in files if file.name.endswith(".test.yaml")]
    spec_texts, spec_data = mutate.seeds_of(specs)
    test_texts, test_data = mutate.seeds_of(tests)
    return {
        "raw": lambda random: (spec_holds, mutate.raw_bytes(random)),
        "corpus": lambda random: (spec_holds, mutate.mutated_bytes(random, corpus)),
        "text": lambda random: (spec_holds, mutate.mutated_bytes(random, spec_texts)),
        "data": lambda random: (spec_holds, mutate.as_yaml(mutate.mutated_data(random, spec_data))),
        "tests": lambda random: (
            contract_holds,
            mutate.as_yaml(mutate.mutated_data(random, test_data))
            if random.random() < 0.7
            else mutate.mutated_bytes(random, test_texts),
        ),
        "expression": lambda random: (expression_holds, mutate.expression(random)),
        "path": lambda random: (path_holds, mutate.path(random)),
        "type": lambda random: (type_holds, mutate.type_text(random)),
    }


def too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"takes more than {LONGEST} seconds of the processor")


def keep(folder: Path, name: str, content: bytes | str) -> None:
    """Write a finding's input to a file: what a file holds as `.yaml`, the text of one value as `.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        (folder / f"{name}.yaml").write_bytes(content)
    else:
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=20_000)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--kind", choices=sorted(SHARES))
    options.add_argument("--keep", type=Path)
    given = options.parse_args()
    made = kinds()
    counts: Counter[str] = Counter()
    found: dict[str, str] = {}
    slowest: dict[str, tuple[float, int]] = {}
    signal.signal(signal.SIGPROF, too_long)
    began = time.monotonic()
    for number in range(given.first, given.first + given.cases):
        random = Random(number)
        [drawn] = random.choices(list(SHARES), SHARES.values())
        kind = given.kind or drawn
        check, content = made[kind](random)
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        try:
            check(content)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if what not in found:
                found[what] = f"case {number} ({kind}): {what}: {str(error)[:200]}"
                print(found[what], flush=True)
                if given.keep:
                    keep(given.keep, f"{kind}-{number}", content)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        counts[kind] += 1
        slowest[kind] = max(slowest.get(kind, (0.0, 0)), (time.process_time() - started, number))
    rate = given.cases / (time.monotonic() - began)
    print(f"{given.cases} cases from {given.first} on, {rate:.0f} a second, {len(found)} kinds of findings")
    for kind, (seconds, number) in sorted(slowest.items()):
        print(f"  {kind:<10} {counts[kind]:>7} cases, slowest {seconds:.3f} s (case {number})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
