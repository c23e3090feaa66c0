"""Finds and loads specs: `load(path)` returns the specs, or raises SpecError with all problems."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from yaml_connector._loading.checks import check_spec
from yaml_connector._loading.document import LARGEST_FILE, Document, parse
from yaml_connector._loading.validation import build, prune_invalid
from yaml_connector._regular_file import regular_file
from yaml_connector._spec import ConnectorSpec
from yaml_connector._text import did_you_mean
from yaml_connector.errors import ConfigError, Diagnostic, SpecError

SPEC_PATH_VARIABLE = "YAML_CONNECTOR_PATH"
DEFAULT_FOLDER = "connectors.d"


@dataclass(frozen=True)
class LoadedSpec:
    """A valid spec, with its file, its document, and the warnings about it."""

    spec: ConnectorSpec
    file: str
    document: Document
    warnings: tuple[Diagnostic, ...] = ()

    def is_same(self, other: LoadedSpec) -> bool:
        """Tell whether both say the same. The order of fields counts, as in `phase.map`, and 1 is not 1.0."""
        ours, theirs = self.document.data, other.document.data
        return bool(ours == theirs) and json.dumps(ours) == json.dumps(theirs)


def specs_path(path: str | os.PathLike[str] | None = None) -> str:
    """Return where specs are looked for: the argument, else `YAML_CONNECTOR_PATH`, else `connectors.d`."""
    return str(path if path is not None else os.environ.get(SPEC_PATH_VARIABLE) or DEFAULT_FOLDER)


def load(path: str | os.PathLike[str] | None = None) -> list[LoadedSpec]:
    """Load one spec file or all of a folder (`*.yaml`, `*.yml`; not `*.test.yaml`), in the order of their names.

    Raises SpecError with every problem of every file, also when two specs have one task type and version.
    """
    loaded, problems = load_all([specs_path(path)])
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise SpecError(errors)
    return loaded


def resolve(spec: str | os.PathLike[str]) -> LoadedSpec:
    """Return the spec that a path or a task type names, for tasks and all commands.

    A path is the file. A name is a task type in the folder where specs are looked for, and its highest version is
    taken, in whatever file that is; if no spec has the task type, NAME.yaml is taken. Only files that can be meant are
    loaded, so that a wrong spec does not stop the tasks of the others.

    Raises SpecError with the problems of the files, or ConfigError that says which names there are.
    """
    name = str(spec)
    is_path = name.endswith((".yaml", ".yml")) or "/" in name or not isinstance(spec, str)
    if not is_path and not os.path.isfile(name):
        return _resolve_name(name, specs_path())
    if os.path.isdir(name):
        raise _no_file(name)
    loaded, problems = load_all([name])
    if loaded:
        return loaded[0]
    raise SpecError(problems) if os.path.lexists(name) else _no_file(name)


def _resolve_name(name: str, folder: str) -> LoadedSpec:
    problems: list[Diagnostic] = []
    files = [file for file in spec_files(folder, problems) if Path(file).stem == name or _mentions(file, name)]
    loaded, found = load_all(files)
    by_name = {Path(item.file).stem: item for item in loaded} | newest(loaded)
    if name in by_name:
        return by_name[name]
    if os.path.isdir(name):
        raise _no_file(name)
    errors = [problem for problem in [*problems, *found] if problem.severity == "error"]
    if errors:
        raise SpecError(errors)
    known = sorted(newest(load_all([folder])[0]))
    raise ConfigError(f"there is no spec {name!r} in {Path(folder).resolve()}{did_you_mean(name, known)}")


def _no_file(name: str) -> ConfigError:
    if os.path.isdir(name):
        return ConfigError(f"{name} is a folder: name one spec, by its file or its task type")
    return ConfigError(f"there is no spec file {Path(name).resolve()}")


def newest(loaded: Iterable[LoadedSpec]) -> dict[str, LoadedSpec]:
    """Return the spec of the highest version for each task type."""
    return {item.spec.task_type_name: item for item in sorted(loaded, key=lambda found: found.spec.task_type_version)}


def _mentions(file: str, name: str) -> bool:
    content = read_file(file)
    return isinstance(content, bytes) and name.encode() in content


def load_all(paths: Iterable[str]) -> tuple[list[LoadedSpec], list[Diagnostic]]:
    """Load every spec that is valid; return them and all problems, with warnings."""
    loaded: list[LoadedSpec] = []
    problems: list[Diagnostic] = []
    with gc_disabled():
        for path in paths:
            for file in spec_files(path, problems):
                spec, found = read_spec(file)
                problems += found
                if spec is not None:
                    loaded.append(spec)
    problems += _duplicates(loaded)
    return loaded, problems


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Disable the cyclic garbage collector while many long-lived objects are built: it takes up to a third of the time
    and frees next to nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def spec_files(path: str, problems: list[Diagnostic]) -> list[str]:
    """Return the spec files of a path, which is a file or a folder. No file is a problem."""
    where = Path(path)
    if where.is_file():
        return [str(path)]
    if not where.is_dir():
        problems.append(Diagnostic(str(path), 1, 1, "", _nowhere(path)))
        return []
    files = sorted(
        str(file)
        for file in where.iterdir()
        if file.suffix in (".yaml", ".yml")
        and not file.name.startswith(".")
        and not is_test_file(file.name)
        and not file.is_dir()
    )
    if not files:
        problems.append(Diagnostic(str(path), 1, 1, "", "there is no spec (*.yaml) in this folder"))
    return files


def nested_specs(folder: str) -> Iterator[Diagnostic]:
    """Yield a warning for each spec in a sub-folder: it is not read with the folder."""
    for inner in _entries(folder):
        for file in _entries(inner) if inner.is_dir() and not inner.name.startswith(".") else ():
            if file.suffix not in (".yaml", ".yml") or is_test_file(file.name):
                continue
            content = read_file(str(file))
            if isinstance(content, bytes) and b"\nspec_version:" in b"\n" + content:
                message = f"this spec is not read with {folder}: move it there, or name its folder, too"
                yield Diagnostic(str(file), 1, 1, "", message, "warning")


def _entries(folder: str | Path) -> list[Path]:
    try:
        return sorted(islice(Path(folder).iterdir(), _MOST_FOLDERS))
    except OSError:
        return []


_MOST_FOLDERS = 200


def is_test_file(name: str) -> bool:
    """Return whether this is the name of a contract test."""
    return name.endswith((".test.yaml", ".test.yml"))


def read_file(file: str) -> bytes | OSError:
    """Return the content of a file, at most one byte more than allowed, or the error if it cannot be read."""
    try:
        with open(file, "rb", opener=regular_file) as handle:
            return handle.read(LARGEST_FILE + 1)
    except OSError as error:
        return error


def read_spec(file: str) -> tuple[LoadedSpec | None, list[Diagnostic]]:
    """Return the spec of a file, None if it is invalid, and its problems in the order of the file."""
    return load_text(read_file(file), file)


def load_text(content: bytes | OSError, file: str) -> tuple[LoadedSpec | None, list[Diagnostic]]:
    """Return the spec of this content, None if it is invalid, and its problems in the order of the file."""
    if isinstance(content, OSError):
        return None, [Diagnostic(file, 1, 1, "", f"cannot be read: {content.strerror}")]
    document = parse(content, file)
    spec = None if document.problems and document.data is None else build(ConnectorSpec, document)
    if spec is not None:
        check_spec(spec, document)
    elif (part := prune_invalid(document)) is not None:
        check_spec(part, document, partial=True)
    problems = document.all_problems()
    if spec is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    document.forget_positions()
    return LoadedSpec(spec, file, document, tuple(problems)), problems


def _nowhere(path: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return "broken symbolic link"
    if not os.path.exists(path):
        return (
            "there is no such file or folder; specs are looked for in the path given, else in "
            f"{SPEC_PATH_VARIABLE}, else in {DEFAULT_FOLDER}/"
        )
    return "this is neither a file nor a folder"


def _duplicates(loaded: list[LoadedSpec]) -> list[Diagnostic]:
    first: dict[tuple[str, int], LoadedSpec] = {}
    problems = []
    for item in loaded:
        key = (item.spec.task_type_name, item.spec.task_type_version)
        other = first.setdefault(key, item)
        if other is not item:
            message = f"{other.file} has the task type {key[0]!r} in version {key[1]} already"
            problems.append(item.document.problem(("task_type_name",), message))
    return problems
