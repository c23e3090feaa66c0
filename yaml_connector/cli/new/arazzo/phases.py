"""The phase rules of a poll: from its criteria and actions, and what the OpenAPI document adds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from yaml_connector.cli.new.arazzo.conditions import (
    Compare,
    Condition,
    Group,
    Matches,
    Not,
    Operand,
    compares,
    is_status_only,
    jinja,
    leaves,
)
from yaml_connector.cli.new.names import phase_of
from yaml_connector.cli.new.phases import ENDINGS, ENDS, USUAL, Phases, known_in, usual_words

_OUTCOME = re.compile(r"(?i)^(result|result_?state|result_?status|conclusion|outcome)$")
_FAILURE = re.compile(r"(?i)fail|error|cancel|abort|reject|expire|timed?_?out")
# What a branch stands for, and what the word of the state says more exactly.
_CLEARER = {
    ("SUCCEEDED", "FAILED"),
    ("SUCCEEDED", "ABORTED"),
    ("FAILED", "ABORTED"),
    ("RUNNING", "QUEUED"),
    ("RUNNING", "INITIALIZING"),
}
ORDER = ("FAILED", "ABORTED", "SUCCEEDED", "QUEUED", "INITIALIZING", "RUNNING")


@dataclass
class Branch:
    """What holds, and the phase that it stands for. `name` is that of the action."""

    condition: Condition | None
    phase: str
    name: str = ""


def values_at(condition: Condition | None) -> tuple[str, list[Any]] | None:
    """Return the place and the values of a condition that says only that one place has one of some values."""
    if condition is None:
        return None
    found = compares(condition)
    if len(found) != len(list(leaves(condition))) or _has_not(condition):
        return None
    if isinstance(condition, Group) and condition.word == "and":
        found = [item for item in found if item.operand.place != "status"]
        if len(found) != 1:
            return None
    places = {item.operand.place for item in found}
    if len(places) != 1 or any(item.operator != "==" or item.value is None for item in found):
        return None
    place = places.pop()
    values = [item.value for item in found]
    if not place or any(not isinstance(value, str | int | float | bool) for value in values):
        return None
    return place, values


def _has_not(condition: Condition) -> bool:
    return isinstance(condition, Not) or (isinstance(condition, Group) and any(map(_has_not, condition.items)))


def rules_of(
    branches: list[Branch], success: int, enum: dict[str, list[Any]], siblings: dict[str, list[Any]]
) -> Phases:
    """Return the rules for the branches of a poll. `success` is the usual status; `enum` has, by path, the states that
    the OpenAPI document lists, `siblings` the fields that may tell how the job ended."""
    tables: dict[str, dict[str, list[Any]]] = {}
    branches = [_turned(branch, enum) for branch in branches]
    result = Phases([], "")
    rules = result.rules
    for branch in branches:
        found = values_at(branch.condition)
        if found is None:
            continue
        place, values = found
        if place == "status":
            rules += [{"when": f"status == {value}", "is": branch.phase} for value in values]
            result.samples.setdefault(branch.phase, (int(values[0]), {}))
            continue
        table = tables.setdefault(place, {})
        known = set(map(repr, _listed(table)))
        for value in values:
            phase = branch.phase
            word = phase_of(str(value)) if isinstance(value, str) else None
            if (phase, word) in _CLEARER and (phase != "SUCCEEDED" or str(value).lower() not in ENDS):
                phase = str(word)
            if repr(value) not in known:
                table.setdefault(phase, []).append(value)
                known.add(repr(value))
    others = [branch for branch in branches if branch.condition is not None and values_at(branch.condition) is None]
    for place, named in tables.items():
        _complete(result, place, named, enum.get(place, []))
        outcome = _outcome_rule(result, place, named, siblings)
        rules += [outcome] if outcome else []
        table = {phase: named[phase] for phase in ORDER if named.get(phase)}
        rules.append({"path": place, "map": table})
        for phase, values in table.items():
            result.samples.setdefault(phase, (success, {place: values[0]}))
        good = named.get("SUCCEEDED", [])
        unclear = [value for value in good if isinstance(value, str) and phase_of(value) is None]
        if unclear and len(good) > 1:
            result.questions.append(f"the workflow ends at {', '.join(unclear)}: does each of these mean success?")
    for branch in others:
        assert branch.condition is not None
        running = other_way(branch.condition) if branch.phase == "RUNNING" else None
        if running is not None and running.operand.place in tables:
            continue  # while the state is not X: what no rule names is running
        if branch.phase == "RUNNING" and isinstance(branch.condition, Compare) and branch.condition.operator == "!=":
            result.samples.setdefault("RUNNING", (success, {branch.condition.operand.place: "other"}))
        rules.append({"when": jinja(branch.condition), "is": branch.phase})
        sample = _sample(branch.condition)
        if sample is not None:
            result.samples.setdefault(branch.phase, (success, sample))
    if any(branch.condition is None and branch.phase == "SUCCEEDED" for branch in branches) and not any(
        rule.get("is") == "SUCCEEDED" or "SUCCEEDED" in rule.get("map", {}) for rule in rules
    ):
        rules.append({"is": "SUCCEEDED"})
        result.samples.setdefault("SUCCEEDED", (success, {}))
    _fail_question(result, enum)
    _success_question(result, success)
    return result


def _turned(branch: Branch, enum: dict[str, list[Any]]) -> Branch:
    """Return a success of any other state than one as that one, which runs, if a document lists the others."""
    condition = branch.condition
    if (
        isinstance(condition, Compare)
        and condition.operator == "!="
        and condition.value is not None
        and branch.phase == "SUCCEEDED"
        and enum.get(condition.operand.place)
    ):
        return Branch(Compare(condition.operand, "==", condition.value), "RUNNING", branch.name)
    return branch


def other_way(condition: Condition | None) -> Compare | None:
    """Return the comparison of a condition that says only that a place has another value."""
    found = [item for item in compares(condition) if item.operand.place != "status"]
    return found[0] if len(found) == 1 and found[0].operator == "!=" else None


def _sample(condition: Condition) -> dict[str, Any] | None:
    """Return values that make a comparison of one place with a number or another value true."""
    if isinstance(condition, Matches):
        example = condition.example
        return {condition.operand.place: example} if condition.operand.place and example else None
    found = [item for item in compares(condition) if item.operand.place != "status"]
    if found and all(item.value == 0 and item.operator == "==" and "[?(" in item.operand.expression for item in found):
        return {}  # nothing is there that the filter finds
    filtered = filtered_sample(condition)
    if filtered is not None:
        return filtered
    if not found or isinstance(condition, Not):
        return None
    if any(not item.operand.place or isinstance(item.value, Operand) for item in found):
        return None
    values = {}
    for item in found:
        value = item.value
        if item.operator in ("<", "<=", ">", ">=") and isinstance(value, int | float):
            value = value - 1 if item.operator == "<" else value + 1 if item.operator == ">" else value
        elif item.operator == "!=":
            value = None if value is not None else "x"
        elif item.operator != "==":
            return None
        values[item.operand.place] = value
    return values


def filtered_sample(condition: Condition) -> dict[str, Any] | None:
    """Return a value that a filter `[?(@.name == 'value')]` finds; None if the condition is not only such a filter."""
    found = re.fullmatch(
        r"\(+body \| jsonpath\('(\$[^\[]*)\[\?\(@\.(\w+) == \\?['\"]([^\\'\"]*)\\?['\"].*?\)\]'\)\)+"
        r"( \| default\(\[\]\) \| length\) (>|>=|==) [01])?",
        jinja(condition),
    )
    return {f"{found[1]}[0].{found[2]}": found[3]} if found is not None else None


def _listed(table: dict[str, list[Any]]) -> list[Any]:
    """Return the states of all phases."""
    return [value for values in table.values() for value in values]


def _complete(result: Phases, place: str, table: dict[str, list[Any]], enum: list[Any]) -> None:
    """Add the states that only the OpenAPI document has, each by its word, with a question."""
    known = known_in(table)
    rest = [value for value in enum if str(value).lower() not in known and value is not None]
    meant = {value: phase_of(str(value)) for value in rest}
    for value, phase in meant.items():
        if phase == "SUCCEEDED" and "SUCCEEDED" in table:
            phase = meant[value] = None
        if phase is not None:
            table.setdefault(phase, []).append(value)
    if rest:
        told = ", ".join(f"{value} ({meant[value] or 'not mapped: RUNNING'})" for value in rest)
        result.questions.append(f"the workflow does not name these states of {place}; what do they mean? {told}")


def _outcome_rule(
    result: Phases, place: str, table: dict[str, list[Any]], siblings: dict[str, list[Any]]
) -> dict[str, Any] | None:
    """Return a rule for a field beside the state that says how the job ended, if the state only says that it ended."""
    ended = table.get("SUCCEEDED", [])
    neutral = [
        value for value in ended if isinstance(value, bool) or str(value).lower().replace("job_state_", "") in ENDS
    ]
    if not neutral:
        return None
    parent = place.rpartition(".")[0] or "$"
    names = [path.rpartition(".") for path in siblings if path != place]
    beside = [f"{above}.{name}" for above, _, name in names if above == parent and _OUTCOME.fullmatch(name)]
    if beside:
        path = beside[0]
        usual = [word for phase in ENDINGS for word in USUAL[phase]]
        words = [value for value in siblings[path] if value is not None] or usual
        found: dict[str, list[Any]] = {}
        for word in words:
            phase = phase_of(str(word))
            if phase in ENDINGS:
                found.setdefault(phase, []).append(word)
        if "SUCCEEDED" in found:
            result.questions.append(
                f"{json.dumps(neutral[0])} is the end, good or bad, and {path} says which, unseen by the workflow?"
            )
            table["FAILED"] = [*table.get("FAILED", []), *neutral]
            table["SUCCEEDED"] = [value for value in ended if value not in neutral]
            result.samples.setdefault("SUCCEEDED", (200, {path: found["SUCCEEDED"][0], place: neutral[0]}))
            return {"path": path, "map": {phase: found[phase] for phase in ORDER if phase in found}}
    if not table.get("FAILED"):
        result.questions.append(
            f"{place} is {json.dumps(neutral[0])} at the end: also if the job failed? What says so?"
        )
        if isinstance(neutral[0], bool) and neutral[0] is True and place == "$.done":
            return {"when": "body.done and body.error", "is": "FAILED"}
    return None


def _fail_question(result: Phases, enum: dict[str, list[Any]]) -> None:
    """Ask for the failed state if no rule names one, and add the usual words to a table of words."""
    if any(rule.get("is") in ("FAILED", "ABORTED") or rule.get("map", {}).get("FAILED") for rule in result.rules):
        return
    words = [rule for rule in result.rules if any(isinstance(value, str) for value in _listed(rule.get("map", {})))]
    if not words:
        result.questions.append("the workflow names no failed state: what says that the job failed?")
        return
    rule = words[-1]
    if enum.get(rule["path"]):
        result.questions.append("neither the workflow nor the OpenAPI document names a failed state: which is it?")
        return
    listed, known = _listed(rule["map"]), known_in(rule["map"])
    for phase in ("FAILED", "ABORTED"):
        rule["map"].setdefault(phase, []).extend(usual_words(phase, listed, known))
    result.questions.append(
        "the workflow names no failed state; FAILED and ABORTED have the usual words: which has the API?"
    )


def _success_question(result: Phases, success: int) -> None:
    """Say what the success is if the workflow only says while what it goes on."""
    if any(rule.get("is") == "SUCCEEDED" or rule.get("map", {}).get("SUCCEEDED") for rule in result.rules):
        return
    table = next((rule for rule in reversed(result.rules) if "map" in rule), None)
    listed = _listed(table["map"]) if table is not None else []
    if table is not None and any(isinstance(value, str) for value in listed):
        table["map"]["SUCCEEDED"] = usual_words("SUCCEEDED", listed)
        result.samples.setdefault("SUCCEEDED", (success, {table["path"]: table["map"]["SUCCEEDED"][0]}))
        result.questions.append("the workflow names no state that is a success; SUCCEEDED has the usual words")
        return
    result.rules.append({"is": "SUCCEEDED"})
    result.samples.setdefault("SUCCEEDED", (success, {}))
    result.questions.append("the workflow only says while what it goes on; all else is a success here: is it?")


def split_state(conditions: list[Condition]) -> tuple[list[Condition], list[Condition]]:
    """Return the conditions on the HTTP status, and those on the rest."""
    status = [item for item in conditions if is_status_only(item)]
    return status, [item for item in conditions if item not in status]


def phase_of_branch(condition: Condition | None, name: str, default: str) -> str:
    """Return the phase of a branch that ends the loop: a failure if its state or its name says so."""
    found = values_at(condition)
    if found is not None:
        phases = {phase_of(str(value)) for value in found[1]}
        only_neutral = all(str(value).lower() in ENDS for value in found[1])
        if phases <= {"FAILED", "ABORTED"} and not only_neutral:
            return "ABORTED" if phases == {"ABORTED"} else "FAILED"
        if phases & {"SUCCEEDED"} or default == "FAILED":
            return default
    if condition is not None and found is None and not compares(condition):  # a filter, a regular expression
        words = condition.words if isinstance(condition, Matches) else re.findall(r"'([\w-]+)\\?'", jinja(condition))
        meant = {phase for word in words if (phase := phase_of(word)) is not None}
        if meant and meant <= {"FAILED", "ABORTED"}:
            return "ABORTED" if meant == {"ABORTED"} else "FAILED"
    if re.search(r"(?i)cancel|abort", name):
        return "ABORTED"
    return "FAILED" if _FAILURE.search(name) else default
