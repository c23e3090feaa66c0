"""`yaml-connector validate`: check specs and contract tests without running anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import (
    Sources,
    count,
    echo_problems,
    errors_of,
    github_annotation,
    json_of,
    printable,
)
from yaml_connector.cli._files import FoundFiles, find_files, watched, write_file
from yaml_connector.cli._options import formats

if TYPE_CHECKING:
    from yaml_connector._loading.fixes import Fix
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector.errors import Diagnostic
    from yaml_connector.testing.loader import ReadSpec

STDIN = "<stdin>"
LARGEST_FILE = 2**20  # bytes of a file that is mended, as of one that is read


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@formats("github", note="; github: annotations of a workflow")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option("--fix", "mend", is_flag=True, help="First mend what has one answer; comments and layout stay.")
@click.option("--watch", is_flag=True, help="Check again whenever a spec or a test changes, until Ctrl-C.")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[str, ...], form: str, strict: bool, mend: bool, watch: bool) -> None:
    """Check specs, and the contract tests beside them, without running anything.

    PATHS are specs (the tests for a spec are checked with it), contract tests, folders, or - for the standard input.
    Exit code 1 if there is an error.

    --fix writes the files: names with one that is clearly the closest, quotes and blanks that are missing, a literal
    such as `job_id: id` where a JSONPath is meant, `{{ x }}` in a path. The exit code is that of what remains.

    \b
    Examples:
      yaml-connector validate
      yaml-connector validate --fix connectors.d
      yaml-connector validate connectors.d/batch_job.yaml --strict
      cat spec.yaml | yaml-connector validate -
    """
    if "-" in paths and (mend or watch):
        raise click.UsageError("--fix and --watch need files, not the standard input")
    if watch:
        from yaml_connector._loading.watch import whenever_changed

        whenever_changed(lambda: watched(paths), lambda: _check(paths, form, strict=strict, mend=mend))
    elif not _check(paths, form, strict=strict, mend=mend):
        ctx.exit(1)


def _check(paths: tuple[str, ...], form: str, *, strict: bool, mend: bool) -> bool:
    """Check the paths, print what is wrong, and return whether there is no error."""
    fixed = list(fix_files(paths)) if mend else []
    stdin = sys.stdin.buffer.read() if "-" in paths else None
    checked = check_paths(paths, stdin)
    problems = checked.problems
    if strict:
        problems = [replace(problem, severity="error") for problem in problems]
    errors = len(list(errors_of(problems)))
    warnings = len(problems) - errors
    if form == "json":
        data = {
            "specs": checked.specs,
            "test_files": checked.test_files,
            "errors": errors,
            "warnings": warnings,
            "problems": [asdict(problem) for problem in problems],
        }
        if mend:
            data["fixed"] = [{"file": file, **made._asdict()} for file, made in fixed]
        click.echo(json_of(data))
        return not errors
    for file, made in fixed:
        click.echo(
            printable(f"fixed {file}:{made.line}: {made.old.strip() or 'a blank'} -> {made.new.strip() or 'added'}")
        )
    if form == "github":
        for problem in problems:
            click.echo(github_annotation(problem))
    else:
        echo_problems(problems, Sources(checked.sources))
    click.echo(_summary(checked, errors, warnings))
    return not errors


def fix_files(paths: Sequence[str]) -> Iterator[tuple[str, Fix]]:
    """Mend the specs and contract tests of paths; yield each change with its file."""
    from yaml_connector._loading.fixes import fix
    from yaml_connector._loading.loader import load_text, read_file
    from yaml_connector.testing.loader import load_tests

    files = find_files(paths)
    for file in (*files.specs, *files.tests):
        content = read_file(file)
        try:
            text = content.decode("utf-8") if isinstance(content, bytes) and len(content) <= LARGEST_FILE else None
        except UnicodeDecodeError:
            text = None
        if text is None:
            continue
        mark = text[:1] if text.startswith("\ufeff") else ""

        def problems_of(changed: str, file: str = file) -> list[Diagnostic]:
            load = load_tests if file in files.tests else load_text
            return load(changed.encode(), file)[1]

        changed, made = fix(text.removeprefix("\ufeff"), problems_of)
        if made:
            write_file(file, mark + changed)
        for one in made:
            yield file, one


@dataclass
class Checked:
    """How many files of each kind were checked, and their problems, file by file; `sources` has the standard input."""

    specs: int = 0
    test_files: int = 0
    problems: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)


def check_paths(paths: Sequence[str], stdin: bytes | None = None) -> Checked:
    """Check the specs and contract tests of paths; `stdin` is the content of the path `-`."""
    from yaml_connector._loading.loader import load_all, load_text, nested_specs, read_file, read_spec, specs_path

    named = [path for path in paths if path != "-"]
    files = find_files(named) if named or stdin is None else FoundFiles()
    checked = Checked(len(files.specs), len(files.tests), files.problems)
    loaded, problems = load_all(files.specs)
    for path in named or ([specs_path()] if stdin is None else []):
        if os.path.isdir(path):
            problems += nested_specs(path)
    known = {os.path.realpath(item.file): item for item in loaded}
    examined = {os.path.realpath(file) for file in files.specs}

    def spec_of(file: str) -> tuple[LoadedSpec | None, list[Diagnostic]]:
        real = os.path.realpath(file)
        return (known.get(real), []) if real in examined else read_spec(file)

    contents = {file: read_file(file) for file in files.tests}
    if stdin is not None:
        checked.sources[STDIN] = stdin.decode("utf-8-sig", "replace")
        if _is_test(stdin):
            contents[STDIN] = stdin
            checked.test_files += 1
        else:
            problems += load_text(stdin, STDIN)[1]
            checked.specs += 1
    if contents:
        problems += _problems_of_tests(contents, spec_of)
    order = {file: number for number, file in enumerate(dict.fromkeys(problem.file for problem in problems))}
    checked.problems += sorted(set(problems), key=lambda problem: (order[problem.file], problem))
    return checked


def _problems_of_tests(contents: dict[str, bytes | OSError], spec_of: ReadSpec) -> list[Diagnostic]:
    """Return the problems of contract tests, and the errors of their specs."""
    from yaml_connector.testing.loader import load_tests, value_problems

    problems = []
    for file, content in contents.items():
        tests, found = load_tests(content, file, spec_of)
        problems += found
        if tests is not None:
            problems += value_problems(tests)
            problems += [problem for problem in tests.spec_problems if problem.severity == "error"]
    return problems


def _is_test(content: bytes) -> bool:
    """Tell a contract test from a spec by its text."""
    import re

    return re.search(rb"^tests[ \t]*:", content, re.MULTILINE) is not None


def _summary(checked: Checked, errors: int, warnings: int) -> str:
    parts = [count(checked.specs, "spec")]
    if checked.test_files:
        parts.append(count(checked.test_files, "test file"))
    parts.append(count(errors, "problem"))
    if warnings:
        parts.append(count(warnings, "warning"))
    return ", ".join(parts)
