"""Putting new specs into a folder, so that an editor completes and explains their fields at once (section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from yaml_connector.errors import ConfigError

_MODELINE = "# yaml-language-server: $schema="
_OWN = ".schema"  # the folder of the schemas, where the project has none beside the folder of the specs


def place(folder: Path, files: Mapping[str, str], *, force: bool) -> Path:
    """Write specs, their contract tests and what those read, name to text, into a folder, and say so. A spec or test
    begins with the line that names its schema to editors, and the schema is there. Gives the path of the spec.

    Raises ConfigError if one of the files is there already.
    """
    targets = {folder / name: text for name, text in files.items()}
    there = [str(target) for target in targets if target.exists()]
    if there and not force:
        raise ConfigError(f"{', '.join(there)}: there already (--force writes over)")
    folder.mkdir(parents=True, exist_ok=True)
    for target, text in targets.items():
        if target.suffix == ".yaml":
            own = text.partition("\n")[2] if text.startswith(_MODELINE) else text
            text = f"{_MODELINE}{_schema(target)}\n{own}"
        target.write_text(text, encoding="utf-8")
        click.echo(f"wrote {target}")
    return next(target for target in targets if target.suffix == ".yaml" and ".test." not in target.name)


def _schema(target: Path) -> str:
    """Where the schema of a file is, as seen from there: the project's in `../schema`, or one that is written, as it is
    today, into `.schema` beside the file."""
    name = "connector-test.v1.json" if ".test." in target.name else "connector.v1.json"
    if (target.absolute().parent.parent / "schema" / name).is_file():
        return f"../schema/{name}"
    if ".test." in target.name:
        from yaml_connector.testing.json_schema import schema_text
    else:
        from yaml_connector._spec.json_schema import schema_text
    own = target.parent / _OWN
    own.mkdir(exist_ok=True)
    (own / name).write_text(schema_text(), encoding="utf-8")
    return f"{_OWN}/{name}"
