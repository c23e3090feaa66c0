"""What all tests share: settings of hypothesis, the servers that several folders use, and the rule of quick tests."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from tests.support.real_api import RealApi, running_api
from tests.support.real_processes import job_service

# No deadline, since the machine may be busy, and the same examples on every run.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("suite")

gc.disable()  # until all is collected: importing and collecting leave next to nothing to free

# A shell that runs the tests in the background ignores SIGINT, and every process that they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fixtures that start a process: a test that needs one is slow.
PROCESSES = {"job_service_url"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by its fixtures or its folder; the rest carries the mark itself. Files of which all is slow
    come first, so that none of them is left to one process at the end."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        special = any(item.get_closest_marker(name) for name in ("editor", "browser", "real"))
        if special or fixtures & PROCESSES or "integration" in item.path.parts:
            item.add_marker("slow")
    with_quick_tests = {item.path for item in items if item.get_closest_marker("slow") is None}
    items.sort(key=lambda item: item.path in with_quick_tests)


def pytest_collection_finish() -> None:
    """Hide what was collected from the garbage collector, whose full runs would go through all of it each time, and let
    it run seldom: what tests leave is little."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


_running: list[pytest.Item] = []  # the quick test that runs, if one does


def _no_process(event: str, args: tuple[Any, ...]) -> None:
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn") and _running:
        raise RuntimeError("this test starts a process: mark it `slow`")


sys.addaudithook(_no_process)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Hold quick tests to what they are: one that starts a process fails."""
    if item.get_closest_marker("slow") is None:
        _running.append(item)
    try:
        return (yield)
    finally:
        _running.clear()


class FewReports:
    """Runs each test of a parallel run, and sends the process that prints the reports that say something: no start, no
    end, no setup or teardown that went well. Six messages a test cost as much as a third of the tests."""

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        return True


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of a parallel run send few reports, unless it is asked how long each setup took."""
    if hasattr(config, "workerinput") and config.option.durations is None:
        config.pluginmanager.register(FewReports())


@pytest.fixture(scope="session")
def api() -> Iterator[RealApi]:
    """A real HTTP server in a thread; each test scripts a case of its own in it."""
    with running_api() as api:
        yield api


@pytest.fixture(scope="session")
def job_service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the demo's job service, with the users alice and bob, in a process of its own."""
    with job_service(tmp_path_factory.mktemp("job_service")) as url:
        yield url
