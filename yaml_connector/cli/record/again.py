"""`record --again`: makes the recordings of test files anew, from the live API, with the same inputs."""

from __future__ import annotations

import asyncio
import difflib
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec, read_file, resolve
from yaml_connector.cli._diagnostics import exit_with, printable
from yaml_connector.cli._files import find_files, write_file
from yaml_connector.cli._live.interactive_run import CallRecord, InteractiveRun
from yaml_connector.cli._live.recorder import RecordingJobClient
from yaml_connector.cli._live.timeline import Timeline
from yaml_connector.cli._options import UsageErrors, read_secrets, read_task, require_secrets
from yaml_connector.cli.record.contract_writer import Scrubber, recorded_calls
from yaml_connector.cli.record.relax import relax
from yaml_connector.cli.record.test_file import with_test
from yaml_connector.errors import ConfigError, YamlConnectorError
from yaml_connector.testing.fixtures import Fixtures, fixtures_of
from yaml_connector.testing.loader import LoadedTests, load_runnable, load_tests
from yaml_connector.testing.model import CALLS, Test

MARK = "# Recorded by `yaml-connector record"


@dataclass
class _Found:
    """What came of one test: the new calls (None: it stays), what was relaxed, why it was left, and what is wrong."""

    calls: list[Any] | None = None
    relaxed: Sequence[str] = ()
    left: str | None = None
    problem: str | None = None


def record_again(paths: Sequence[str], secrets: tuple[str, ...], *, yes: bool) -> bool:
    """Record the tests of paths again, and write what has changed, after asking. Return whether all of them pass."""
    good, count = True, 0
    files = find_files([path if os.path.exists(path) else resolve(path).file for path in paths])
    exit_with(files.problems)
    for file in files.tests:
        content = read_file(file)
        if isinstance(content, OSError) or MARK.encode() not in content:
            continue
        if not os.access(file, os.W_OK):
            raise ConfigError(f"{file} cannot be written: no job is run for it")
        tests, problems = load_runnable(content, file)
        exit_with(problems)
        assert tests is not None
        assert tests.loaded is not None
        text = before = content.decode("utf-8-sig")
        for index, test in enumerate(tests.tests.tests):
            count += 1
            found = _record(tests, tests.loaded, index, secrets)
            good = good and found.problem is None
            _tell(file, test.name, found)
            if found.calls is not None:
                changed, _ = load_tests(text.encode(), file)
                assert changed is not None
                item = {**changed.document.data["tests"][index], "calls": found.calls}
                text = with_test(text, changed.document, item, index)
        if text != before:
            _show(before, text, file)
            if yes or click.confirm(f"write {file}?"):
                write_file(file, text)
                click.echo(f"wrote {file}")
            else:
                good = False
    if not count:
        raise click.UsageError(
            f"no test there was made by `record`: no file begins with {MARK.partition('`')[0].strip()!r}"
        )
    return good


def _tell(file: str, name: str, found: _Found) -> None:
    if found.problem is not None:
        click.echo(printable(f"{file}: {name}: {found.problem}"), err=True)
    elif found.left is not None:
        click.echo(printable(f"{file}: {name}: left as it is: {found.left}"))
    elif found.calls is None:
        click.echo(printable(f"{file}: {name}: as recorded"))
    for change in found.relaxed:
        click.echo(printable(f"  relaxed: {change}"))


def _show(before: str, after: str, file: str) -> None:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), file, f"{file}, recorded again", lineterm="")
    for line in lines:
        colour = {"+": "green", "-": "red"}.get(line[:1])
        click.echo(click.style(printable(line), fg=colour))


def why_not(test: Test) -> str | None:
    """Return why a test cannot be recorded again; None if it can."""
    if test.calls[0].kind != "create":
        return "it does not begin with a create"
    for call in test.calls:
        if call.kind not in (*CALLS, "after"):
            return f"it has a call {call.kind!r}, which no real job makes"
        for exchange in call.exchanges:
            if exchange.response.fault is not None:
                return f"it has a fault ({exchange.response.fault}), which the API does not make on demand"
    return None


def _record(tests: LoadedTests, loaded: LoadedSpec, index: int, given: tuple[str, ...]) -> _Found:
    test = tests.tests.tests[index]
    reason = why_not(test)
    if reason is not None:
        return _Found(left=reason)
    fixtures, problems = fixtures_of(tests.tests, index, loaded.spec, tests.document)
    if fixtures is None:
        return _Found(problem="; ".join(problem.message for problem in problems))
    values = _values(loaded, fixtures, given, os.path.dirname(tests.file))
    calls: list[CallRecord] = []
    try:
        client = asyncio.run(_drive(loaded, values, test, calls))
    except YamlConnectorError as error:
        return _Found(problem=f"it could not be recorded: {error}")
    own = {name: value for name, value in fixtures.secrets.items() if isinstance(value, str)}
    scrub = Scrubber(loaded, client, values, calls, secrets=own, env=fixtures.env)
    data = tests.document.data
    item = {**data["tests"][index], "calls": list(recorded_calls(scrub, calls))}
    alone: dict[str, Any] = {"spec": os.path.relpath(loaded.file, os.path.dirname(tests.file) or "."), "tests": [item]}
    if data.get("defaults") is not None:
        alone["defaults"] = data["defaults"]
    _, relaxed, failing = relax(alone, tests.file, scrub.short)
    problem = None if failing is None else f"it does not pass as it was recorded: {failing}"
    changed = item["calls"] != data["tests"][index]["calls"]
    return _Found(item["calls"] if changed else None, relaxed if changed else (), problem=problem)


def _values(loaded: LoadedSpec, fixtures: Fixtures, given: tuple[str, ...], folder: str) -> CreateValues:
    errors = UsageErrors()
    known = tuple(text for text in given if text.partition("=")[0].strip() in loaded.spec.secrets)
    secrets = read_secrets(loaded.spec, known, errors)
    require_secrets(loaded.spec, secrets, errors)
    errors.raise_if_any()
    key = f"run-{uuid.uuid4().hex[:16]}"
    task = {**fixtures.task, **read_task(loaded.spec, (), key, errors)}
    kinds = {name: field.type.name for name, field in (loaded.spec.inputs or {}).items()}
    inputs = {
        name: os.path.join(folder, value) if kinds.get(name) == "file" and isinstance(value, str) else value
        for name, value in fixtures.inputs.items()
    }
    return CreateValues(inputs, fixtures.config, task, secrets, fixtures.outputs, local=True)


async def _drive(loaded: LoadedSpec, values: CreateValues, test: Test, calls: list[CallRecord]) -> RecordingJobClient:
    """Run the job as the test did: it is cancelled when its phase is that of the test's last get before the delete."""
    client = RecordingJobClient(loaded, values.secrets)
    wanted = _cancelled_in(test)

    def remember(record: CallRecord) -> None:
        calls.append(record)
        reached = record.kind == "create" if wanted == "" else record.found.get("phase") == wanted
        if wanted is not None and reached:
            running.interrupts.first.set()

    running = InteractiveRun(client, values, Timeline().tell, remember=remember)
    await running.run()
    return client


def _cancelled_in(test: Test) -> str | None:
    """Return the phase in which a test cancels its job; "": right after create, None: it does not."""
    phase = ""
    for call in test.calls:
        if call.kind == "get" and call.get is not None:
            phase = call.get.expect.phase
        if call.kind == "delete":
            return phase
    return None
