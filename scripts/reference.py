"""Writes the field tables of docs/reference.md from the models: `make reference`.

A table stands between `<!-- fields: PATH -->` and `<!-- end -->`; PATH is a field as `yaml-connector explain` takes it,
`tests:PATH` one of a contract test. What every call has in common (`request`, `steps` ...) is left out of the sections,
for it has a table of its own, that of PATH `calls`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from yaml_connector._expressions.value_types import SCALARS, ValueType
from yaml_connector._spec import PHASES, auth, connection, interface, requests, sections, spec, task_fields
from yaml_connector._spec.fields import Model, Slot, fields_of
from yaml_connector.cli.explain.fields import Field, field_of
from yaml_connector.testing import model as contract_models

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
BLOCK = re.compile(r"(<!-- fields: (\S*) -->\n).*?(<!-- end -->)", re.DOTALL)
CALLS = "result"  # the section that has what all calls have, and nothing else
_MODULES = (auth, connection, interface, requests, sections, spec, task_fields, contract_models)
_TEMPLATES = {
    "string": "template",
    "any value": "any value, with templates",
    "mapping or string": "mapping, with templates",
    "list of string": "list of templates",
    "names with mapping or string or string": "names with mapping or template",
}
_SHORTER = {
    f"{' | '.join(SCALARS)} or string": "type",
    " | ".join(PHASES): "phase",
    "string or whole number or number or true or false": "plain value",
}


def render_value(page: str) -> str:
    """The page with every table made anew."""
    return BLOCK.sub(lambda found: found[1] + table(found[2]) + found[3], page)


def paths(page: str) -> list[str]:
    """The paths of all tables of a page."""
    return [found[2] for found in BLOCK.finditer(page)]


def fields_at(path: str) -> list[Field]:
    """The fields that the table of a path has."""
    if path.startswith("tests:"):
        return list(field_of(path.removeprefix("tests:"), tests=True).below)
    if path == "calls":
        return list(field_of(CALLS).below)
    shared = {(item.name, item.description) for item in field_of(CALLS).below}
    whole = field_of("" if path == "spec" else path).below
    in_section = path.partition(".")[0] in ("create", "get", "result", "delete", "logs")
    own = [item for item in whole if (item.name, item.description) not in shared]
    return own if in_section and {"request", "steps"} <= {item.name for item in whole} else list(whole)


def table(path: str) -> str:
    """The Markdown table of the fields below a path."""
    fields = fields_at(path)
    names = {item.name for item in field_of(path.removeprefix("tests:"), tests=True).below} if ":" in path else set()
    model = _model(names or {item.name for item in field_of(_asked(path)).below})
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{item.name}` | {_cell(_kind(item, model))} | {_default(item, model)} | {_cell(item.description)} |"
        for item in fields
    ]
    return "\n".join(rows) + "\n"


def _asked(path: str) -> str:
    return {"spec": "", "calls": CALLS}.get(path, path)


def _model(names: set[str]) -> type[Model] | None:
    """The model that has exactly these fields."""
    models = (model for module in _MODULES for model in vars(module).values())
    return next((model for model in models if names and fields_of(model).keys() in (names, {*names, "type"})), None)


def _kind(item: Field, model: type[Model] | None) -> str:
    mark = _mark(fields_of(model).get(item.name))
    if mark == "template":
        return _TEMPLATES.get(item.kind, item.kind)
    if mark == "condition" and "list of" in item.kind:
        return "list of statuses, or condition"
    if mark:
        return {"extractions": "names with extractions"}.get(mark, mark)
    kind = item.kind
    for long, short in _SHORTER.items():
        kind = kind.replace(long, short)
    return kind


def _mark(field: Any) -> str:
    """What the field's own text may hold; empty if it is plain."""
    if field is None:
        return ""
    marks = re.findall(rf"{Slot.__name__}\(kind='(\w+)'", repr(field.metadata) + repr(field.annotation))
    return marks[0] if marks else ""


def _default(item: Field, model: type[Model] | None) -> str:
    if item.required:
        return "required"
    field = fields_of(model).get(item.name)
    value = item.default
    if field is not None and not isinstance(value, str):
        made = field.get_default(call_default_factory=True)
        value = made if isinstance(made, list) and made else str(made) if isinstance(made, ValueType) else value
    return "" if value is None else f"`{_cell(value if isinstance(value, str) else json.dumps(value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page, or with --check say whether it is current."""
    page = PAGE.read_text(encoding="utf-8")
    current = render_value(page)
    if "--check" in sys.argv:
        sys.exit(0 if current == page else f"{PAGE.name} is not current; run: make reference")
    PAGE.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()
