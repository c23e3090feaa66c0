"""Files that commands find and write: specs and contract tests of paths, new specs with their schema, output."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yaml_connector.cli._diagnostics import errors_of, exit_with
from yaml_connector.errors import ConfigError

if TYPE_CHECKING:
    from yaml_connector._loading.loader import LoadedSpec
    from yaml_connector.errors import Diagnostic

_MODELINE = "# yaml-language-server: $schema="
_SCHEMA_FOLDER = ".schema"  # beside the specs, if the project has no schemas of its own


@dataclass
class FoundFiles:
    """The files that paths name, each once, and a problem for each path that names none."""

    specs: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)


def find_files(paths: Sequence[str]) -> FoundFiles:
    """Return the specs and contract tests of paths: those in a folder, a spec with the tests for it, or a test.

    Without paths the default path of specs is searched.
    """
    from yaml_connector._loading.loader import is_test_file, spec_files, specs_path
    from yaml_connector.testing.loader import test_files, tests_of

    found = FoundFiles()
    for path in paths or [specs_path()]:
        if os.path.isdir(path):
            tests = test_files(path)
            found.tests += tests
            found.specs += spec_files(path, [] if tests else found.problems)
        elif is_test_file(os.path.basename(path)) and os.path.exists(path):
            found.tests.append(path)
        else:
            specs = spec_files(path, found.problems)
            found.specs += specs
            found.tests += [test for spec in specs for test in tests_of(spec)]
    for files in (found.specs, found.tests):
        files[:] = {os.path.realpath(file): file for file in reversed(files)}.values()
        files.reverse()
    return found


def watched(paths: Sequence[str]) -> list[str]:
    """Return the folders and files to watch, for specs and contract tests of these paths."""
    from yaml_connector._loading.loader import specs_path

    named = paths or (specs_path(),)
    folders = {path if os.path.isdir(path) else os.path.dirname(path) or "." for path in named}
    return sorted(folders | {os.path.join(folder, name) for folder in folders for name in _names(folder)})


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def load_specs(paths: Sequence[str]) -> list[LoadedSpec]:
    """Load the specs of paths, sorted by task type and version. Any error ends the command, as `validate` shows it."""
    from yaml_connector._loading.loader import load_all

    files = find_files(paths)
    loaded, problems = load_all(files.specs)
    exit_with([*files.problems, *errors_of(problems)])
    return sorted(loaded, key=lambda item: (item.spec.task_type_name, item.spec.task_type_version))


def write_output(text: str, output: str) -> None:
    """Write what a command made to a file, and say so, or to the standard output (`-`)."""
    if output == "-":
        sys.stdout.buffer.write(text.encode())
        return
    write_file(output, text)
    click.echo(f"wrote {output}")


def write_file(path: str | Path, text: str) -> None:
    """Write a file as a whole, or leave it as it is: a disk that is full must not cost what was there.

    Raises OSError with the path.
    """
    target = os.path.realpath(path)
    try:
        if not os.path.isfile(target) or not os.access(os.path.dirname(target), os.W_OK):
            Path(target).write_bytes(text.encode())
            return
        descriptor, new = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
        try:
            with open(descriptor, "wb") as handle:
                handle.write(text.encode())
            shutil.copymode(target, new)
            os.replace(new, target)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_scaffold(folder: Path, files: Mapping[str, str], *, force: bool, quiet: bool = False) -> Path:
    """Write specs, their contract tests, and the files those read into a folder; return the path of the spec.

    `files` maps names to contents. A spec or test starts with the line that tells editors where its schema is, and
    the schema is written if the project has none. Raises ConfigError if a file exists and `force` is not set.
    """
    targets = {folder / name: text for name, text in files.items()}
    existing = [str(target) for target in targets if target.exists()]
    if existing and not force:
        raise ConfigError(f"{', '.join(existing)} already exists; overwrite with --force")
    folder.mkdir(parents=True, exist_ok=True)
    for target, text in targets.items():
        if target.suffix == ".yaml":
            content = text.partition("\n")[2] if text.startswith(_MODELINE) else text
            text = f"{_MODELINE}{_schema(target)}\n{content}"
        write_file(target, text)
        if not quiet:
            click.echo(f"wrote {target}")
    return next(target for target in targets if target.suffix == ".yaml" and ".test." not in target.name)


def _schema(target: Path) -> str:
    """Return the path of a file's schema, relative to the file: the project's in `../schema`, else one written now."""
    name = "connector-test.v1.json" if ".test." in target.name else "connector.v1.json"
    if (target.absolute().parent.parent / "schema" / name).is_file():
        return f"../schema/{name}"
    if ".test." in target.name:
        from yaml_connector.testing.json_schema import schema_text
    else:
        from yaml_connector._spec.json_schema import schema_text
    folder = target.parent / _SCHEMA_FOLDER
    folder.mkdir(exist_ok=True)
    write_file(folder / name, schema_text())
    return f"{_SCHEMA_FOLDER}/{name}"
