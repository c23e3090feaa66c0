"""Finding the spec of a task: by its task type's name, or by a path (section 11)."""

from __future__ import annotations

from pathlib import Path

from yaml_connector._loading.loader import LoadedSpec, load, load_text, spec_files, specs_path
from yaml_connector._text import did_you_mean
from yaml_connector.errors import ConfigError, SpecError


def find_spec(spec: str | Path) -> LoadedSpec:
    """A spec by its task type's name, or by a path. Raises SpecError, or ConfigError that says which names exist."""
    text = str(spec)
    if text.endswith((".yaml", ".yml")) or "/" in text or isinstance(spec, Path):
        return _one_of_file(Path(spec))
    where = specs_path()
    direct = Path(where) / f"{text}.yaml"
    if direct.is_file():
        loaded = _one_of_file(direct)
        if loaded.spec.task_type_name == text:
            return loaded
    matching = _files_naming(where, text)
    found = [item for file in matching for item in load(file) if item.spec.task_type_name == text]
    if found:
        return max(found, key=lambda item: item.spec.task_type_version)
    names = sorted({item.spec.task_type_name for item in load(where)})
    raise ConfigError(f"there is no connector {text!r} in {Path(where).resolve()}{did_you_mean(text, names)}")


def _one_of_file(path: Path) -> LoadedSpec:
    if not path.is_file():
        raise ConfigError(f"there is no spec file {path.resolve()}")
    loaded, problems = load_text(path.read_bytes(), str(path))
    if loaded is None:
        raise SpecError([problem for problem in problems if problem.severity == "error"])
    return loaded


def _files_naming(where: str, name: str) -> list[str]:
    """The files that may hold this task type: only those are loaded, one wrong spec does not stop the others' tasks."""
    return [file for file in spec_files(where, []) if name in Path(file).read_text(encoding="utf-8", errors="replace")]
