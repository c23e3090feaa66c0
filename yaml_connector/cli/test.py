"""`yaml-connector test`: run contract tests."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from yaml_connector.cli._diagnostics import Sources, echo_problems, json_of, printable
from yaml_connector.cli._files import find_files, watched, write_file
from yaml_connector.cli._options import format_option

if TYPE_CHECKING:
    from yaml_connector.errors import Diagnostic
    from yaml_connector.testing.runner import FileResult


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("-k", "part", metavar="TEXT", help="Run only tests with TEXT in their name; case does not matter.")
@click.option("--junit", type=click.Path(dir_okay=False, writable=True), metavar="FILE", help="Also write JUnit XML.")
@click.option(
    "--real-sockets", "sockets", is_flag=True, help="Run each test a second time, over real sockets, and compare."
)
@format_option
@click.option("--watch", is_flag=True, help="Run again whenever a spec or a test changes, until Ctrl-C.")
@click.pass_context
def test(
    ctx: click.Context,
    paths: tuple[str, ...],
    part: str | None,
    junit: str | None,
    sockets: bool,
    form: str,
    watch: bool,
) -> None:
    """Run contract tests: the connector with recorded responses and a simulated clock.

    PATHS are contract tests (NAME.test.yaml), specs (the tests beside a spec that name it are run), or folders. Exit
    code 1 if a test fails. The report lists the parts of each spec that no test reached.

    With --real-sockets, a server on this machine then plays the recorded exchanges of each test, without TLS, and the
    connector talks to it as it would to the API. Exit code 1 if a call has another result than before. Exchanges
    that cannot be played are counted and named.

    \b
    Examples:
      yaml-connector test
      yaml-connector test connectors.d/batch_job.test.yaml -k cancel
      yaml-connector test --junit report.xml
      yaml-connector test --watch
    """
    import logging

    logging.getLogger("yaml_connector").addHandler(logging.NullHandler())  # tests provoke failures on purpose
    if watch:
        from yaml_connector._loading.watch import whenever_changed

        whenever_changed(lambda: watched(paths), lambda: _run_all(paths, part, junit, form, sockets, again=True))
    elif not _run_all(paths, part, junit, form, sockets):
        ctx.exit(1)


def _run_all(
    paths: tuple[str, ...], part: str | None, junit: str | None, form: str, sockets: bool, *, again: bool = False
) -> bool:
    """Run the tests, print the report, and return whether all passed.

    `again`: this run is one of many (--watch), so a TEXT that no test matches yet is not wrong usage.
    """
    from functools import cache

    from yaml_connector._loading.loader import read_file, read_spec
    from yaml_connector.testing import report
    from yaml_connector.testing.loader import load_runnable
    from yaml_connector.testing.runner import run_tests

    files, problems = _test_files(paths)
    results: list[FileResult] = []
    over_sockets: list[FileResult] = []
    spec_of = cache(read_spec)
    for file in files:
        tests, found = load_runnable(read_file(file), file, spec_of)
        problems += found
        if tests is None:
            continue
        result = run_tests(tests, only=lambda name: part is None or part.casefold() in name.casefold())
        if not result.results:
            continue
        results.append(result)
        if form == "text":
            _echo(result)
        if sockets:
            from yaml_connector.testing.again_by_sockets import run_again

            over_sockets.append(run_again(tests, result))
            if form == "text" and not all(test.passed for test in over_sockets[-1].results):
                _echo(over_sockets[-1])
    if part is not None and not results and not problems and not again:
        raise click.UsageError(f"no test has {part!r} in its name")
    problems = list(dict.fromkeys(problems))  # a spec's problem is found once for each of its test files
    places = report.unreached(results) if part is None else []
    if form == "json":
        data: dict[str, Any] = {
            **report.counts(results),
            "problems": [asdict(problem) for problem in problems],
            "files": [report.as_data(result) for result in results],
            "unreached": [asdict(place) for place in places] if part is None else None,
        }
        if sockets:
            files_again = [report.as_data(result) for result in over_sockets]
            data["real_sockets"] = {**report.socket_counts(over_sockets), "files": files_again}
        click.echo(json_of(data))
    else:
        for line in report.unreached_lines(places):
            click.echo(printable(line))
        echo_problems(problems, Sources())
        click.echo(report.totals(results, len(problems)))
        if sockets:
            click.echo(report.socket_totals(over_sockets))
    if junit is not None:
        from xml.etree.ElementTree import tostring

        root = report.junit([*results, *over_sockets], problems).getroot()
        write_file(junit, tostring(root, encoding="unicode", xml_declaration=True))
    failures = [test.failures for result in (*results, *over_sockets) for test in result.results]
    return not problems and not any(failures)


def _test_files(paths: tuple[str, ...]) -> tuple[list[str], list[Diagnostic]]:
    """Return the contract tests of paths, and a problem for each path that has none."""
    from yaml_connector._loading.loader import specs_path
    from yaml_connector.errors import Diagnostic

    files: list[str] = []
    problems: list[Diagnostic] = []
    for path in paths or (specs_path(),):
        found = find_files([path])
        files += found.tests
        problems += [] if found.tests else found.problems
        if found.tests or found.problems:
            continue
        message = "there is no contract test (*.test.yaml) in this folder"
        if os.path.isfile(path):
            message = f"there is no contract test {os.path.splitext(path)[0]}.test.yaml beside this spec"
        problems.append(Diagnostic(path, 1, 1, "", message))
    return list({os.path.realpath(file): file for file in files}.values()), problems


def _echo(result: FileResult) -> None:
    from yaml_connector.testing import report

    for line in report.file_lines(result):
        sign = line.lstrip()[:1]
        colour = {report.PASSED: "green", report.FAILED: "red"}.get(sign)
        text = printable(line)
        if colour is not None:
            text = text.replace(sign, click.style(sign, fg=colour), 1)
        click.echo(text)
