"""One problem for one mistake: leaves out what is only a consequence of something else that is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args, get_origin

from yaml_connector._loading.suggestions import SECTIONS
from yaml_connector._loading.words import PHASES as PHASE_WORDS
from yaml_connector._loading.words import snake
from yaml_connector._spec import PHASES
from yaml_connector._spec.fields import Path, fields_of, items_of
from yaml_connector._text import closest

_MOST_NAMED = 3  # keys of a message
TURN_ROUND = "the map is the wrong way round: it maps each phase to the list of its states, such as SUCCEEDED: [done]"


class Finding(NamedTuple):
    """One error of pydantic: the path that is wrong, what is wrong, whether its key is meant, the error itself, and the
    key that an unknown one probably means."""

    path: Path
    message: str
    on_key: bool
    item: dict[str, Any]
    meant: str | None = None


def without_consequences(found: list[Finding], data: Any, types_at: Callable[[Path], list[Any]]) -> list[Finding]:
    """Return the findings without those that another one explains. `types_at` returns the types of a path."""
    for path in {here.path[: here.path.index("map") + 1] for here in found if "map" in here.path}:
        if _is_reversed(value_at(data, path)):
            found = [*_outside(found, path), Finding(path, TURN_ROUND, False, {"type": ""})]
    for path, below in _empty_keys(found, data, types_at):
        named = ", ".join(below[:_MOST_NAMED]) + (" ..." if len(below) > _MOST_NAMED else "")
        message = f"{path[-1]} is empty; indent what belongs to it ({named}) by two more spaces"
        for key in below:
            found = _outside(found, (*path[:-1], key))
        found = [*_outside(found, path), Finding(path, message, True, {"type": ""})]
    for here in [one for one in found if one.item["type"] == "extra_forbidden" and one.path[-1] in SECTIONS]:
        if value_at(data, here.path) is None:  # what follows at the same indentation belongs to the section
            siblings = list(value_at(data, here.path[:-1]))
            for key in siblings[siblings.index(here.path[-1]) + 1 :]:
                found = [other for other in found if other.path != (*here.path[:-1], key) or not other.on_key]
    for (parent, owner), keys in _deeper(found).items():
        message = f"{' and '.join([', '.join(keys[:-1]), keys[-1]])} belong below {owner}"
        for key in keys:
            found = _outside(found, (*parent, key))
        found.append(Finding((*parent, keys[0]), f"unknown key; {message}", True, {"type": ""}, owner))
    wrong_keys = {here.path for here in found if here.on_key}
    meant = {(*here.path[:-1], here.meant.partition(".")[0]) for here in found if here.meant}
    return [
        here
        for here in found
        if not (here.item["type"] == "missing" and here.path in meant)
        and (here.on_key or not any(here.path[:length] in wrong_keys for length in range(1, len(here.path) + 1)))
    ]


def _deeper(found: list[Finding]) -> dict[tuple[Path, str], list[str]]:
    """Return the keys, more than one, that belong below the same other key: by their place and that key."""
    owners: dict[tuple[Path, str], list[str]] = {}
    for here in found:
        owner, dot, _ = (here.meant or "").partition(".")
        if dot:
            owners.setdefault((here.path[:-1], owner), []).append(str(here.path[-1]))
    return {where: keys for where, keys in owners.items() if len(keys) > 1}


def _outside(found: list[Finding], path: Path) -> list[Finding]:
    return [here for here in found if here.path[: len(path)] != path]


def value_at(data: Any, path: Path) -> Any:
    """Return the value at a path, which must be there."""
    for part in path:
        data = data[part]
    return data


def _is_reversed(value: Any) -> bool:
    """Tell whether a phase map maps states to phases."""
    if not isinstance(value, dict) or not value or any(key in PHASES for key in value):
        return False
    found = [phase for item in value.values() for phase in (item if isinstance(item, list) else [item])]
    if not found or not all(isinstance(phase, str) for phase in found):
        return False
    if all(str(key).upper() in PHASES for key in value):  # in lower case, maybe
        return all(phase in PHASES for phase in found)
    return any(phase.upper() in PHASES for phase in found) and all(map(_is_phase, found))


def _is_phase(word: str) -> bool:
    return word.upper() in PHASES or snake(word) in PHASE_WORDS or closest(word, PHASES) is not None


def _empty_keys(
    found: list[Finding], data: Any, types_at: Callable[[Path], list[Any]]
) -> Iterator[tuple[Path, list[str]]]:
    """Yield each key without a value whose own keys follow at its own indentation, with these."""
    for parent in dict.fromkeys(here.path[:-1] for here in found if here.path):
        siblings = value_at(data, parent)
        keys = list(siblings) if isinstance(siblings, dict) else []
        for number, key in enumerate(keys):
            if siblings[key] is not None or (parent and key in SECTIONS):
                continue
            known = frozenset[str]().union(*map(_keys_of, types_at((*parent, key))))
            below: list[str] = []
            for other in keys[number + 1 :]:
                if other not in known:
                    break
                below.append(other)
            if below and any(here.path[: len(parent) + 1] == (*parent, other) for other in below for here in found):
                yield (*parent, key), below


def _keys_of(kind: Any) -> frozenset[str]:
    """Return the keys that a value of a type may have, as far as the type names them."""
    if get_origin(kind) is dict:
        return frozenset(get_args(get_args(kind)[0]))  # the names of a Literal, if it is one
    return frozenset(fields_of(kind)).union(*map(_keys_of, items_of(kind)))
