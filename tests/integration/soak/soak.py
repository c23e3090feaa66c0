"""Load, faults and kills: many tasks over five specs through two replicas of the connector service, as Flyte executes
them.

``python -m tests.integration.soak.soak [--jobs 1000] [--kills 100] [--rate 0.05]`` prints its figures; the exit code
is 1 if one of them is not as it must be. A share of all requests fails: answers are lost, jobs are made only some
seconds after their answer was lost, each backend is away for a while, and one never answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.faults.fault_rig import BATCH, CREATES, GET
from tests.integration.soak.soak_backend import SoakServer, TimedApi, is_aborted, is_cancelled, is_preempted
from tests.integration.soak.soak_steady import CALLERS, HangingCalls, steady
from tests.support.executor import Action, Executor, ExecutorSettings, FastClock
from tests.support.replicas import Replica, client_of
from yaml_connector import task_from_spec

AT_ONCE = 100
RECONNECTED = 0.5  # seconds: the longest wait of the client before it dials a replica again, and some more
SPEED = 30.0  # of the executor's own times: a tick takes a second
EXECUTOR = ExecutorSettings(deleted_after=450.0)  # 15 real seconds after the end: later than what was read is trusted
PHASES = {"RETRYABLE_FAILED": ["preempted"], **GET["phase"]["map"]}
GET_JOB = {**GET, "phase": {**GET["phase"], "map": PHASES}, "poll": {"not_found_grace": "4s"}}
BODY = {"json": {"key": "${{ task.key }}", "attempt": "${{ task.attempt }}"}}


def _creates(name: str) -> dict[str, Any]:
    create = json.loads(json.dumps(CREATES[name]))
    request = create["steps"][-1] if "steps" in create else create
    request["request"] |= BODY
    return create  # type: ignore[no-any-return]  # from JSON


SPECS: dict[str, dict[str, Any]] = {
    "plain": {"create": _creates("idempotent"), "get": GET_JOB},
    "adopting": {"create": _creates("adopt"), "get": GET_JOB},
    "stepwise": {"create": _creates("steps"), "get": GET_JOB, "result": {"request": "GET /jobs/${{ job.id }}/result"}},
    "batched": {
        "create": _creates("idempotent"),
        "get": {**GET_JOB, "batch": {**BATCH, "items": "$.jobs[*]", "id": "$.id", "window": "50ms"}},
    },
    "hanging": {"create": _creates("idempotent"), "get": GET_JOB},
}
HEALTHY = [name for name in SPECS if name != "hanging"]


@dataclass
class Run:
    """One soak run: its backends, its replicas, and what came of it."""

    folder: Path
    servers: dict[str, SoakServer]
    replicas: list[Replica]
    tasks: dict[str, Any] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)

    def write_specs(self) -> None:
        specs = self.folder / "connectors.d"
        specs.mkdir()
        for name, sections in SPECS.items():
            data = {
                "spec_version": 1,
                "task_type_name": name,
                "connection": {"base_url": f"http://127.0.0.1:{self.servers[name].port}", "timeout": "1s"},
                "delete": {"request": "POST /jobs/${{ job.id }}/cancel", "tolerance": "15s"},
                **sections,
            }
            (specs / f"{name}.yaml").write_text(json.dumps(data))
            self.tasks[name] = task_from_spec(specs / f"{name}.yaml", name=name)

    async def execute(self, executor: Executor, number: int, options: argparse.Namespace) -> None:
        """One task from its create to its end."""
        run = f"r{number}"
        action = Action(self.tasks[HEALTHY[number % len(HEALTHY)]], run, retries=options.retries)
        self.actions.append(action)
        if not is_aborted(run):
            await executor.run(action)
            return
        running = asyncio.create_task(executor.run(action))
        await asyncio.wait([running], timeout=random.uniform(0.5, options.longest / 2))
        action.abort()
        await running

    async def kill_again_and_again(self, kills: int) -> None:
        """Kill the replicas in turn, never both at once: the client is connected to the other one again by then."""
        for number in range(kills):
            await asyncio.sleep(random.uniform(RECONNECTED, 1.5))
            await self.replicas[number % len(self.replicas)].kill()
            if (number + 1) % 10 == 0:
                print(f"  {number + 1} kills, {sum(a.phase != 'QUEUED' for a in self.actions)} jobs seen", flush=True)

    async def outages(self, seconds: float) -> None:
        """Each healthy backend in turn is away for a while."""
        for name in HEALTHY * 2:
            await asyncio.sleep(random.uniform(10, 20))
            self.servers[name].away = True
            try:
                await asyncio.sleep(seconds)
            finally:
                self.servers[name].away = False


def right_end(action: Action) -> bool:
    """Did it end as its job did? One that its user aborted may have been over by then."""
    ends = {"ABORTED"} if is_cancelled(action.run) else {"SUCCEEDED"}
    return action.phase in (ends | {"ABORTED"} if is_aborted(action.run) else ends)


async def soak(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run; gives what is not as it must be."""
    servers = {
        name: SoakServer(TimedApi(1.0, options.longest), options.rate, hangs=name == "hanging") for name in SPECS
    }
    for server in servers.values():
        await server.start()
    run = Run(folder, servers, [Replica(folder, number) for number in range(2)])
    run.write_specs()
    wrong = []
    try:
        await asyncio.gather(*(replica.start() for replica in run.replicas))
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CALLERS + 8))
        wrong += await _tasks_and_kills(run, options)
        for server in servers.values():
            server.rate = 0.0
        first = run.replicas[0]
        assert first.process is not None
        wrong += await steady(first.port, first.process.process.pid, run.tasks, servers, options)
    finally:
        for replica in run.replicas:
            replica.stop()
        for server in servers.values():
            await server.heal()
            await server.stop()
    return wrong


async def _tasks_and_kills(run: Run, options: argparse.Namespace) -> list[str]:
    began = time.monotonic()
    places = asyncio.Semaphore(AT_ONCE)
    with closing(client_of(run.replicas)) as flyte:
        clock = FastClock(SPEED)
        async with Executor(flyte, clock=clock, settings=EXECUTOR, threads=AT_ONCE + 50) as executor:

            async def one(number: int) -> None:
                async with places:
                    await run.execute(executor, number, options)

            hanging = HangingCalls(flyte, run.tasks["hanging"], run.servers["hanging"])
            async with hanging.beside(None):
                troubles = [asyncio.create_task(run.kill_again_and_again(options.kills))]
                troubles.append(asyncio.create_task(run.outages(options.outage)))
                await asyncio.gather(*(one(number) for number in range(options.jobs)))
                await troubles[0]
                troubles[1].cancel()
                with suppress(asyncio.CancelledError):
                    await troubles[1]
            left = await executor.all_deleted(40.0)
        return _figures(run, executor, options, time.monotonic() - began, left)


def _figures(run: Run, executor: Executor, options: argparse.Namespace, seconds: float, left: int) -> list[str]:
    """Print what came of the tasks; return what is not as it must be."""
    servers = [run.servers[name] for name in HEALTHY]
    sent, faulty, late = (sum(getattr(server, what) for server in servers) for what in ("count", "faulty", "late"))
    attempts = Counter(action.attempts for action in run.actions)
    jobs: Counter[str] = sum((server.timed.jobs_of_runs() for server in servers), Counter())
    for_a_key = [len(made) for server in servers for made in server.timed.made.values()]
    # a preempted job is followed by another one, and a kill in the middle of a create may leave one behind
    spare = {a.run: a.creates.count("UNAVAILABLE") for a in run.actions}
    too_many = [a for a in run.actions if jobs[a.run] > 1 + is_preempted(a.run)]
    unexplained = [a for a in too_many if jobs[a.run] > 1 + is_preempted(a.run) + spare[a.run]]
    none = [a.run for a in run.actions if not jobs[a.run]]
    ends = Counter(action.phase for action in run.actions)
    bad_ends = [action for action in run.actions if not right_end(action)]
    creates = Counter(code for action in run.actions for code in action.creates)
    errors = {name: count for name, count in executor.calls.items() if " " in name}
    cancels = sum(server.timed.cancels for server in servers)
    after_end, late_cancels = (
        sum(getattr(server.timed, what) for server in servers) for what in ("cancels_after_end", "late_cancels")
    )
    print(f"tasks           {options.jobs} in {seconds:.0f} s, {options.kills} kills of one of two replicas")
    print(f"requests        {sent}, of which {faulty} failed on purpose ({faulty / sent:.1%}), {late} made jobs late")
    print(f"ends            {dict(ends)}, wrong for {len(bad_ends)} tasks")
    print(f"attempts        {dict(sorted(attempts.items()))}, creates {dict(creates)}")
    print(f"jobs            {sum(jobs.values())}: too many for {len(too_many)} tasks, none for {len(none)}")
    print(f"                not explained by a kill in the middle of a create: {len(unexplained)} tasks")
    print(f"jobs of one key {max(for_a_key)} at most; {sum(made > 1 for made in for_a_key)} keys with several")
    print(f"cancels         {cancels}, of which {after_end} came to jobs that were over; {left} deletes still open")
    print(f"                {late_cancels} of them to jobs that the connector had to know to be over")
    print(f"errors to Flyte {errors}")
    print(f"longest call    {executor.longest:.1f} s", flush=True)
    for action in bad_ends[:5]:
        print(f"  {action.run} {action.task.name}: {action.phase} after {action.creates}: {action.message[:200]}")
    for action in unexplained[:5]:
        keys = {
            key: jobs
            for server in servers
            for key, jobs in server.timed.made.items()
            if key.startswith(f"{action.run}-")
        }
        print(f"  {action.run} {action.task.name}: {action.creates} made {keys}")
    wrong = []
    if any(action.phase == "BLIND" for action in run.actions):
        wrong.append("Flyte does not look at a job any more")
    if any(made > 1 for made in for_a_key) and options.strict:
        wrong.append("two jobs were made for one attempt")
    if (bad_ends or unexplained or late_cancels or left) and options.strict:
        wrong.append(
            "not every task has one job and its right end, or a job that was over was cancelled, or a delete is open"
        )
    if executor.calls["get INTERNAL"]:
        wrong.append("a get was raised")
    if executor.calls["get DEADLINE_EXCEEDED"]:
        wrong.append("a get took too long")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.05, help="share of requests that fail")
    parser.add_argument("--retries", type=int, default=3, help="of each task")
    parser.add_argument("--outage", type=float, default=10.0, help="seconds that each backend is away, twice")
    parser.add_argument("--longest", type=float, default=40.0, help="seconds that a job takes at most")
    parser.add_argument("--steady", type=float, default=20.0, help="seconds of each measurement at the end")
    parser.add_argument("--strict", action="store_true", help="wrong ends, double jobs and late cancels count, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(soak(options, Path(folder)))
    print("good" if not wrong else "WRONG: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
