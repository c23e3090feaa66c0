"""Writes what was made of a source, once it has passed what `validate` and `test` check."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from yaml_connector.cli._diagnostics import json_of
from yaml_connector.cli._files import write_scaffold
from yaml_connector.cli.new.play import played
from yaml_connector.cli.new.render import contract_text, decide_lines, spec_text
from yaml_connector.cli.new.sketch import Play, Sketch, Unused
from yaml_connector.errors import ConfigError


def files_of(sketch: Sketch) -> dict[str, str]:
    """Return the spec and the contract test of a sketch, by file name.

    Raises ConfigError if they are not valid: a fault of the import, which is better than a wrong file.
    """
    files = _texts(sketch)
    problems = problems_of(files)
    if problems and sketch.tests and all(problem.startswith("test ") for problem in problems):
        sketch.ask(("create",), f"the contract test could not show all of it; is this right? {problems[0][:300]}")
    while failed := [name for name in sketch.tests if any(f"test {name!r}: " in problem for problem in problems)]:
        shorter = {name: _shorter(sketch.tests[name]) for name in failed}  # the spec is sound, as far as is known
        kept = {name: plays for name, plays in sketch.tests.items() if name not in failed}
        refused = [plays for plays in shorter.values() if plays and "phase" in plays[0].expect]
        kept |= {name: plays for name, plays in shorter.items() if plays and plays not in refused}
        sketch.tests = kept or ({"a job that is refused": refused[0]} if refused else {})
        files = _texts(sketch)
        problems = problems_of(files)
    if problems:
        raise ConfigError(f"what was made of it is not a valid spec: {'; '.join(problems[:3])}")
    return files


def _texts(sketch: Sketch) -> dict[str, str]:
    files = {f"{sketch.name}.yaml": spec_text(sketch)}
    if sketch.tests:
        name = f"{sketch.name}.test.yaml"
        with _written(files) as folder:
            files[name] = contract_text(played(sketch, folder / name))
    return files


@contextmanager
def _written(files: Mapping[str, str]) -> Iterator[Path]:
    """Yield a folder with these files, which is there for that long."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        yield Path(folder)


def _shorter(plays: list[Play]) -> list[Play]:
    """Return the calls of a test without the last; of a create alone, one whose last request is refused."""
    if len(plays) > 1:
        return plays[:-1]
    count = len(plays[0].exchanges) - ("phase" in plays[0].expect)
    if plays[0].kind != "create" or count < 1:
        return []
    *before, last = plays[0].exchanges[:count]
    return [Play("create", (*before, replace(last, response={"status": 400})), {"phase": "FAILED"})]


def problems_of(files: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a spec and its contract test."""
    from yaml_connector._loading.loader import load_all
    from yaml_connector.testing import load_tests, run_tests

    with _written(files) as folder:
        spec = next(name for name in files if not name.endswith(".test.yaml"))
        loaded, problems = load_all([str(folder / spec)])
        found = [f"{item.path}: {item.message}" for item in problems if item.severity == "error"]
        if found or not loaded:
            return found
        if len(files) == 1:
            return []
        test = folder / spec.replace(".yaml", ".test.yaml")
        tests, problems = load_tests(test.read_bytes(), str(test))
        found = [f"test: {item.path}: {item.message}" for item in problems if item.severity == "error"]
        if found or tests is None or tests.loaded is None:
            return found or ["the test cannot be read"]
        return [
            f"test {result.name!r}: {failure.what} {' '.join(map(str, failure.differences))} {failure.outcome or ''}"
            for result in run_tests(tests).results
            for failure in result.failures
        ]


def write(sketch: Sketch, folder: Path, *, force: bool, as_json: bool) -> None:
    """Write the files of a sketch into a folder, and print what is to be decided, and what was not used."""
    files = files_of(sketch)
    spec = write_scaffold(folder, files, force=force, quiet=as_json)
    for text in sketch.warnings:
        click.echo(f"warning: {text}", err=True)
    report(spec, [folder / name for name in files], sketch.not_used, as_json=as_json)


def report(spec: Path, files: Sequence[Path], not_used: Sequence[Unused] = (), *, as_json: bool) -> None:
    """Print the questions in a spec that was written, what was not used of the source, and what to do next."""
    questions = decide_lines(spec.read_text(encoding="utf-8"))
    decide = [{"file": os.path.relpath(spec), "line": line, "question": text} for line, text in questions]
    unused = [{"file": item.file, "line": item.line, "what": item.what} for item in not_used]
    if as_json:
        result = {"files": list(map(os.path.relpath, files)), "decide": decide, "not_used": unused}
        click.echo(json_of(result))
        return
    for item in decide:
        click.echo(f"{item['file']}:{item['line']}: decide: {item['question']}")
    for item in unused:
        click.echo(f"{item['file']}:{item['line']}: not used: {item['what']}")
    click.echo(f"next: yaml-connector validate {spec} && yaml-connector test {spec} && yaml-connector check {spec}")
