"""All hostile cases against one running service, while it serves sixteen normal neighbours:
``python -m tests.integration.attack.attack [--only CASE ...] [--seconds 4] [--together 60]`` (``make attack``).

It prints a table: of each case how many calls were made and what most of them were answered, the longest call, the
longest hold-up and the p99 of the neighbours' calls, how late this machine itself was, and the memory of the service.
At the end all cases come together, and SIGTERM comes in the middle. The exit code is 1 if a goal was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import grpc
import psutil

from tests.integration.attack import hostile_specs
from tests.integration.attack.attacker import Answered, Attacker
from tests.integration.attack.backend_process import hostile_backend
from tests.integration.attack.cases import CASES, NEVER_SHOWN, Attack, Case
from tests.integration.attack.neighbours import Taken
from tests.integration.attack.secrets_planted import API_KEY, OTHER, PEM, SIGNING_KEY
from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment, stepping_back
from tests.support.serving import Serving, serving

P99_MORE = 50.0  # ms that the p99 of the neighbours may be more than it is alone
HOLD_UP = 500.0  # ms
MORE_MEMORY = 300.0  # MB
LONGEST_CALL = 10.0  # seconds: Flyte waits no longer
RECOVERS_WITHIN = 20.0  # seconds after a case
END_WITHIN = 15.0  # seconds from SIGTERM to the end
BUGS = (": UNKNOWN", "internal error", "unexpected", "Traceback", "Error(", "Error:", " object at 0x")  # in an answer
_SAMPLE = 0.05


class Usage:
    """The highest memory of a process and its children, sampled all the time, and their CPU time."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak = 0
        self._cpu = self._cpu_now()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            with suppress(psutil.Error):
                family = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(_memory(one.pid, first=one is self._process) for one in family))
            time.sleep(_SAMPLE)

    def take(self) -> tuple[float, float]:
        """The peak in MB, and the CPU time in seconds, since the last time."""
        peak, self._peak = self._peak, 0
        before, self._cpu = self._cpu, self._cpu_now()
        return peak / 1e6, self._cpu - before

    def _cpu_now(self) -> float:
        total = 0.0
        with suppress(psutil.Error):
            for one in (self._process, *self._process.children(recursive=True)):
                with suppress(psutil.Error):
                    times = one.cpu_times()
                    total += times.user + times.system
        return total


def _memory(pid: int, *, first: bool) -> int:
    """The bytes that a process of the service holds: what is its own, its share of what it has in common with a process
    that it was forked from, and of the first one also the files that it has mapped, which the others map, too."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # it has just ended
        return 0
    found = {name: int(size.split()[0]) * 1024 for name, _, size in (line.partition(":") for line in lines)}
    return found["Pss_Anon"] + found["Pss_Shmem"] + (found["Rss"] - found["Anonymous"] if first else 0)


class NeighboursProcess:
    """The neighbours, in a process of their own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.integration.attack.neighbours", str(folder)]
        env = clean_environment(folder)
        self.log = (folder.parent / "neighbours.log").open("wb")
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log, "text": True}
        # a session of its own, since that of this process steps back
        self._process = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True, **pipes)
        self._expect("ready")

    def connect(self, port: int) -> None:
        self._tell(f"connect {port}")
        self._expect("connected")

    def take(self) -> Taken:
        """What was measured since the last time."""
        self._tell("take")
        assert self._process.stdout is not None
        return Taken(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self.log.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise SystemExit(f"the neighbours did not start: see {self.log.name}")


class Row:
    """One line of the table. `cpu` is what a call cost on the average."""

    def __init__(self, name: str, answers: list[Answered], taken: Taken, usage: tuple[float, float]) -> None:
        self.name = name
        self.calls = len(answers)
        self.answers = Counter(f"{one.call}: {one.answer}" for one in answers)
        self.longest = max((one.seconds for one in answers), default=0.0)
        self.slowest = max(answers, key=lambda one: one.seconds, default=None)
        times = sorted(taken.seconds) or [0.0]
        self.p99, self.hold_up = times[int(len(times) * 0.99)] * 1e3, times[-1] * 1e3
        self.machine = taken.machine * 1e3
        self.wrong = taken.wrong
        self.heard = len(taken.seconds)
        self.memory, seconds = usage
        self.cpu = seconds * 1e3 / max(1, self.calls + self.heard)  # of a call, the neighbours' among them

    def problems(self, alone: Row) -> list[str]:
        """Return the goals that were missed."""
        found = []
        if self.p99 > alone.p99 + P99_MORE:
            found.append("p99")
        if self.hold_up > HOLD_UP:
            found.append("hold-up")
        if self.memory > alone.memory + MORE_MEMORY:
            found.append("memory")
        if self.longest > LONGEST_CALL:
            found.append("deadline")
        if self.wrong or not self.heard:
            found.append("neighbours harmed")
        if any(sign in answer for answer in self.answers for sign in BUGS):
            found.append("internal error")
        return found

    @staticmethod
    def head() -> str:
        return (
            f"{'case':<31}{'calls':>6}{'CPU ms':>8}{'longest s':>10}{'hold-up ms':>11}{'machine ms':>11}{'p99 ms':>8}"
            f"{'memory MB':>10}  answers"
        )

    def text(self, alone: Row) -> str:
        most = "; ".join(f"{count} {answer}" for answer, count in self.answers.most_common(2))
        missed = " ".join(f"[{problem}]" for problem in self.problems(alone))
        return (
            f"{self.name:<31}{self.calls:>6}{self.cpu:>8.1f}{self.longest:>10.1f}{self.hold_up:>11.0f}{self.machine:>11.0f}"
            f"{self.p99:>8.1f}{self.memory:>10.0f}  {missed}{' ' * bool(missed)}{most[:150]}"
        )


class Siege:
    """Runs the cases, one after the other."""

    def __init__(self, port: int, neighbours: NeighboursProcess, usage: Usage) -> None:
        self._port, self._neighbours, self._usage = port, neighbours, usage

    def attack(self, name: str, attacks: Sequence[Attack], at_once: int, seconds: float) -> Row:
        """Keep so many calls under way for a time."""
        answers: list[Answered] = []
        stop = time.monotonic() + seconds
        self._neighbours.take()
        self._usage.take()
        turn = iter(range(10**9))

        def one() -> None:
            with closing(Attacker(self._port, answers.append)) as attacker:
                while time.monotonic() < stop:
                    with suppress(grpc.RpcError):
                        attacks[next(turn) % len(attacks)](attacker)

        threads = [threading.Thread(target=one, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 40)
        time.sleep(max(0.0, stop - time.monotonic()))
        return Row(name, answers, self._neighbours.take(), self._usage.take())

    def settled(self, case: Row) -> bool:
        """Wait until the neighbours are held up no more, and those tasks are over that the case may have harmed; tell
        whether that is so."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + RECOVERS_WITHIN:
            time.sleep(0.5)
            taken = self._neighbours.take()
            row = Row("", [], taken, self._usage.take())
            case.wrong += taken.wrong
            if row.heard and row.hold_up < HOLD_UP / 2 and taken.oldest < now - began:
                return True
        return False


def run(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run the attack; return what is not as it must be."""
    chosen = [CASES[name] for name in options.only] or list(CASES.values())
    pwned = folder / "PWNED"
    os.environ["ATTACK_PWNED"] = str(pwned)
    with ExitStack() as stack:
        specs = folder / "connectors.d"
        specs.mkdir()
        hostile_specs.write_specs(specs)
        neighbours = NeighboursProcess(specs)
        stack.callback(neighbours.stop)
        hostile = stack.enter_context(hostile_backend(folder))
        variables = {
            "HOSTILE": hostile,
            "VICTIM_KEY": API_KEY,
            "VICTIM_PEM": PEM,
            "OTHER_SECRET": OTHER,
            "YAML_CONNECTOR_SIGNING_KEY": SIGNING_KEY,
            "YAML_CONNECTOR_FILE_PREFIXES": "s3://allowed/,s3://bucket/",
        }
        service = stack.enter_context(serving(folder, specs, "--http", "0", forked=False, **variables))
        neighbours.connect(service.port)
        stack.enter_context(stepping_back())  # the attacker's machine is another one
        usage = Usage(service.process.process.pid)
        siege = Siege(service.port, neighbours, usage)
        time.sleep(2)
        wrong = _table(siege, chosen, options)
        if not options.only:
            wrong += _terminated(siege, service)
        shown = [secret for secret in (*NEVER_SHOWN, API_KEY) if secret in service.process.output]
        if shown:
            wrong.append("the service's log has a secret")
        if "Traceback" in service.process.output:
            wrong.append("the service's log has a traceback")
        if pwned.exists():
            wrong.append("a task ran code in the service")
        if wrong and options.keep:
            Path(options.keep).write_text(service.process.output)
    return wrong


def _table(siege: Siege, chosen: list[Case], options: argparse.Namespace) -> list[str]:
    print(Row.head())
    siege.attack("(warming up)", [], 0, 2)
    alone = siege.attack("alone", [], 0, options.alone)
    print(alone.text(alone), flush=True)
    wrong = []

    def show(row: Row) -> None:
        print(row.text(alone), flush=True)
        if options.verbose:
            for answer, count in row.answers.most_common(12):
                print(f"      {count:>5} {answer}")
            if row.slowest is not None:
                print(f"      slowest: {row.slowest}")
        for harm in row.wrong[:3]:
            print(f"      a neighbour: {harm}")
        wrong.extend(f"{row.name}: {problem}" for problem in row.problems(alone))

    for one in chosen:
        row = siege.attack(one.name, one.attacks, one.at_once, options.seconds)
        is_settled = siege.settled(row)
        show(row)
        if not is_settled:
            wrong.append(f"{one.name}: the service did not recover within {RECOVERS_WITHIN:g} s")
            print(f"      {wrong[-1]}")
    if not options.only or len(chosen) > 1:
        attacks = [attack for one in chosen for attack in one.attacks]
        random.Random(1).shuffle(attacks)
        show(siege.attack("all together", attacks, 16, options.together))
    return wrong


def _terminated(siege: Siege, service: Serving) -> list[str]:
    """SIGTERM while all attacks are under way."""
    ended: list[float] = []
    process = service.process.process

    def terminate() -> None:
        time.sleep(2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        ended.append(time.monotonic() - began)

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    attacks = [attack for one in CASES.values() for attack in one.attacks]
    siege.attack("SIGTERM", attacks, 16, 4)
    thread.join(70)
    code = process.poll()
    print(f"SIGTERM in the middle: ended with {code} after {ended[0] if ended else 60:.1f} s")
    return [] if code == 0 and ended[0] < END_WITHIN else ["SIGTERM does not end the service in order"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="CASE", help=f"of: {', '.join(CASES)}")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each case")
    parser.add_argument("--together", type=float, default=60.0, help="seconds of all cases together")
    parser.add_argument("--alone", type=float, default=8.0, help="seconds of the neighbours alone")
    parser.add_argument("--keep", metavar="FILE", help="where to write the service's log if something is wrong")
    parser.add_argument("-v", "--verbose", action="store_true", help="more answers of each case")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends, too
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(options, Path(folder))
    print("good" if not wrong else "WRONG: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
