"""The phases of a job as a drawing: those in which it goes on to the left, those in which it ends to the right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yaml_connector._spec import PHASES
from yaml_connector.cli._description.page import Connector

_LEFT, _BUS, _RIGHT = 1, 196, 223  # where the columns begin, and the line between them
_WIDTH, _HEIGHT, _ROW = 176, 34, 52  # of a box; from one to the next


@dataclass(frozen=True)
class Box:
    """A phase, or the start; `x` and `y` are its upper left corner."""

    name: str
    label: str
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + _HEIGHT // 2


def drawn(connector: Connector) -> dict[str, Any]:
    """Return what `docs.svg.jinja` needs: boxes, lines, the height, and the drawing in words."""
    going = [name for name, phase in connector.phases.items() if not phase.terminal]
    ends = [name for name, phase in connector.phases.items() if phase.terminal]
    rows = max(len(going) + 1, len(ends))
    left = _column(["submitted", *going], _LEFT, rows)
    right = _column(ends, _RIGHT, rows)
    return {
        "anchor": connector.anchor,
        "height": rows * _ROW - (_ROW - _HEIGHT) + 2,
        "text": _words(going, ends),
        "boxes": [*left, *right],
        "lines": list(_lines(left, right)),
    }


def _column(names: list[str], x: int, rows: int) -> list[Box]:
    top = (rows - len(names)) * _ROW // 2 + 1
    signs = {name: f"{info.sign} {name}" for name, info in PHASES.items() if info.sign}
    return [Box(name, signs.get(name, name), x, top + number * _ROW) for number, name in enumerate(names)]


def _lines(left: list[Box], right: list[Box]) -> Iterator[str]:
    middle = _LEFT + _WIDTH // 2
    for box in left[1:]:
        yield f"M{middle} {box.y - (_ROW - _HEIGHT)}V{box.y - 1}m-4 -5l4 5l4 -5"
    if not right:
        return
    heights = [box.middle for box in [*left, *right]]
    yield f"M{_BUS} {min(heights)}V{max(heights)}"
    for box in left:
        yield f"M{_LEFT + _WIDTH} {box.middle}H{_BUS}"
    for box in right:
        yield f"M{_BUS} {box.middle}H{_RIGHT - 1}m-6 -5l6 5l-6 5"


def _words(going: list[str], ends: list[str]) -> str:
    through = f" It goes on through {', '.join(going)}." if going else ""
    end = f" It ends as {' or '.join([', '.join(ends[:-1]), ends[-1]] if ends[1:] else ends)}." if ends else ""
    return f"A job is submitted.{through}{end}"
