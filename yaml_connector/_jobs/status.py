"""Compiles how `get` reads a response, and reads it: phase, message, info and links. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from yaml_connector._expressions.absent import absent_in
from yaml_connector._expressions.budget import limited
from yaml_connector._expressions.compile import (
    Expression,
    Extraction,
    Value,
    compile_condition,
    compile_extraction,
    compile_extractions,
    compile_text,
    if_given,
    names_of,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text, has_more_values, to_json
from yaml_connector._expressions.scope import UNDEFINED, Scope
from yaml_connector._expressions.value_types import ValueType
from yaml_connector._http.json_need import Json, asks_for_body, lacks_json, needed_by, not_json
from yaml_connector._jobs import metrics
from yaml_connector._jobs.meta import is_deeper
from yaml_connector._jobs.steps import read_step
from yaml_connector._spec import TERMINAL_PHASES
from yaml_connector._spec.phases import state_key, state_text
from yaml_connector._spec.sections import Get, Link, Rule
from yaml_connector.errors import EvaluationError

_LARGEST_INTEGER = 2**53
_LONGEST = (
    40_000  # characters of a message, a link or a state that are looked at; what Flyte is told of them is shorter
)
_LARGEST_INFO = 64 * 1024  # characters, as JSON
_MOST_INFO = 2_000  # values: Flyte takes 10 us for each
_DEEPEST_INFO = 25  # levels: protobuf takes three of its own for each, and reads a hundred
# A URL that a browser would run as a script: it skips what stands before and between these letters.
_SCRIPT = re.compile(
    "|".join(r"[\x00-\x20]*" + r"[\t\r\n]*".join(name) for name in ("javascript:", "vbscript:", "data:")), re.IGNORECASE
)
_WORK = 10_000_000  # nanoseconds that all links without a response may take
_WITHOUT_RESPONSE = frozenset({"job", "inputs", "config", "task", "base_url"})


@dataclass(slots=True)
class Status:
    """How a job is doing: `links` as (name, URL), `outputs` as name to (type, value) in the declared order."""

    phase: str
    message: str | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, tuple[ValueType, Any]] = field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        return self.phase in TERMINAL_PHASES

    def data(self) -> dict[str, Any]:
        """Return all of it by name, links and outputs, too, as commands and contract tests show it."""
        outputs = {name: value for name, (_, value) in self.outputs.items()}
        links = [{"name": name, "url": url} for name, url in self.links]
        return {"phase": self.phase, "message": self.message, "outputs": outputs, "links": links, "info": self.info}


@dataclass(frozen=True)
class RulePlan:
    """One phase rule. `states` maps a state, as case-insensitive text, to its phase; `order` is the map's. `json` says
    whether the rule needs a response that is JSON: otherwise it does not say anything about the job."""

    path: Extraction | None
    states: Mapping[str, str]
    order: tuple[str, ...]
    when: Expression | None
    phase: str | None
    json: Json


@dataclass(frozen=True)
class LinkPlan:
    """One link; `from_start` if it can be shown without a response."""

    name: Value
    url: Extraction
    when: Expression | None
    from_start: bool


@dataclass(frozen=True)
class StatusPlan:
    """What is read from the response of get. `json`: whether that response must be JSON; None: it may be text."""

    rules: tuple[RulePlan, ...] = ()
    message: Extraction | None = None
    info: Value | None = None
    links: tuple[LinkPlan, ...] = ()
    json: Json | None = "none"

    @property
    def names(self) -> frozenset[Reference]:
        """Every name that this refers to."""
        of_rules = [part for rule in self.rules for part in (rule.path, rule.when)]
        of_links = [part for link in self.links for part in (link.name, link.url, link.when)]
        return names_of(self.message, self.info, *of_rules, *of_links)


@dataclass(slots=True)
class Reading:
    """What a response says of a job; nothing of it is redacted. `phase` is None if no rule holds. `rule` is the index
    of the rule that holds, `state` what it mapped (without a phase: what was there instead)."""

    phase: str | None
    rule: int | None
    state: str
    message: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)


# --- compiling --------------------------------------------------------------------------------------------------------


def compile_status(get: Get) -> StatusPlan:
    """Compile what `get` reads from its response."""
    step = read_step(get)
    rules = tuple(_compile_rule(rule, step) for rule in get.phase)
    return StatusPlan(
        rules=rules,
        message=if_given(compile_extraction, get.message),
        info=if_given(compile_extractions, get.info),
        links=tuple(_compile_link(link) for link in get.links),
        json=_json_of(rules),
    )


def _compile_rule(rule: Rule, step: str | None) -> RulePlan:
    path = if_given(compile_extraction, rule.path)
    when = if_given(compile_condition, rule.when)
    return RulePlan(
        path=path,
        states={state_key(value): phase for phase, values in (rule.map or {}).items() for value in values},
        order=tuple(rule.map or ()),
        when=when,
        phase=rule.phase,
        json=needed_by(path or when, step),
    )


def _json_of(rules: tuple[RulePlan, ...]) -> Json | None:
    """Decide whether every response of get must be JSON: if a rule needs it, and none expects something else. A rule
    before the first JSONPath may hold for an empty response."""
    parts = (rule.path or rule.when for rule in rules)
    if any(part is not None and asks_for_body(part) for part in parts):
        return None
    if all(rule.json == "none" for rule in rules):
        return "none"
    return rules[0].json if rules[0].json == "any" else "not empty"


def _compile_link(link: Link) -> LinkPlan:
    name, url = compile_text(link.name, answer=True), compile_extraction(link.url)
    when = if_given(compile_condition, link.when)
    from_start = not url.is_path and all(used[0] in _WITHOUT_RESPONSE for used in names_of(name, url, when))
    return LinkPlan(name, url, when, from_start)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_status(plan: StatusPlan, scope: Scope) -> Reading:
    """Read what the response in the scope says of the job. Raises TransientError if it lacks the JSON that the phase is
    read from, EvaluationError if a rule cannot be evaluated."""
    reading = _read_phase(plan, scope)
    if plan.info is not None:
        reading.info = _read_info(plan.info, scope)
    if plan.links:
        reading.links = read_links(plan, scope)
    if reading.phase is not None:
        if plan.message is not None:
            reading.message = _read_message(plan.message, scope)
        if reading.message is None and reading.phase in ("FAILED", "RETRYABLE_FAILED", "ABORTED"):
            reading.message = f"the API reports {_reported(plan, reading)}"
    return reading


def _read_phase(plan: StatusPlan, scope: Scope) -> Reading:
    response = scope.response
    lacking = False
    unmapped: list[str] = []
    for index, rule in enumerate(plan.rules):
        if (
            response is not None
            and rule.json != "none"
            and response.body is UNDEFINED
            and lacks_json(response, rule.json)
        ):
            lacking = True
            continue
        if rule.path is None:
            if rule.when is None and lacking:
                continue  # a page that is not JSON must not look like a state
            if rule.when is None or rule.when.evaluate(scope):
                return Reading(rule.phase, index, "")
            continue
        if rule.when is not None and not rule.when.evaluate(scope):
            continue
        found = rule.path.value(scope)
        phase = rule.states.get(found.strip().casefold()) if type(found) is str else None
        if phase is not None:
            return Reading(phase, index, found)
        matches = rule.path.every(scope)
        phase, state = _map(rule, matches)
        if phase is not None:
            return Reading(phase, index, state)
        shown = ", ".join(repr(state_text(value)[:_LONGEST]) for value in matches[:5]) if matches else "nothing"
        absent = None if matches else absent_in(rule.path, scope)
        unmapped.append(f"{shown} at {rule.path.text}" + (f" ({absent})" if absent and absent.names else ""))
    if lacking:
        raise not_json(response)
    return Reading(None, None, "; ".join(unmapped) or "no rule holds")


def _map(rule: RulePlan, found: list[Any]) -> tuple[str | None, str]:
    """Return, of the matches that are mapped, the phase listed first in the map, and its state."""
    phases: dict[str, str] = {}
    for value in found:
        for item in value if isinstance(value, list) else (value,):
            phase = rule.states.get(state_key(item))
            if phase is not None:
                phases.setdefault(phase, state_text(item))
    first = next((phase for phase in rule.order if phase in phases), None)
    return first, phases[first] if first is not None else ""


def _reported(plan: StatusPlan, reading: Reading) -> str:
    """Describe what the API reports, by the rule that holds."""
    rule = plan.rules[reading.rule] if reading.rule is not None else None
    if rule is not None and rule.path is not None:
        return f"state {reading.state!r}"
    return rule.when.source if rule is not None and rule.when is not None else "a state that is not mapped"


def _read_message(message: Extraction, scope: Scope) -> str | None:
    try:
        value = message.first(scope)
        return None if value is None or value == "" else as_text(value)[:_LONGEST]
    except EvaluationError as problem:
        metrics.logger.debug("get.message has no value: %s", problem)
        return None


def _read_info(plan: Value, scope: Scope) -> dict[str, Any]:
    try:
        info = _exactly(plan.evaluate(scope))
        return fit_info(dict(info)) if isinstance(info, Mapping) else {}
    except (EvaluationError, ValueError, RecursionError) as problem:
        metrics.logger.debug("get.info has no value: %s", problem)
        return {}


def fit_info(info: dict[str, Any]) -> dict[str, Any]:
    """Return an info, or instead of one that is too large how large it is. Raises EvaluationError if JSON cannot hold
    it."""
    text = to_json(info)
    if len(text) > _LARGEST_INFO:
        return {"left out": f"the info has {len(text)} bytes, and {_LARGEST_INFO} are the most"}
    if has_more_values(text, _MOST_INFO):
        return {"left out": f"the info has more than {_MOST_INFO} values"}
    if is_deeper(info, _DEEPEST_INFO):
        return {"left out": f"the info is nested more than {_DEEPEST_INFO} levels deep"}
    return info


def _exactly(value: Any) -> Any:
    """Return a value with text for the numbers that Flyte, which has only doubles, cannot hold exactly."""
    if isinstance(value, Mapping):
        return {key: _exactly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exactly(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    is_exact = isfinite(value) if isinstance(value, float) else abs(value) <= _LARGEST_INTEGER
    return value if is_exact else json.dumps(value)


def read_links(plan: StatusPlan, scope: Scope, *, static: bool = False) -> list[tuple[str, str]]:
    """Read the links that have a URL, the first of each name: Flyte merges them by name. If `static`, only those that
    need no response."""
    if not static:
        return _read_links(plan.links, scope)
    with limited(_WORK):
        return _read_links([link for link in plan.links if link.from_start], scope)


def _read_links(links: Iterable[LinkPlan], scope: Scope) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for link in links:
        try:
            if link.when is not None and not link.when.evaluate(scope):
                continue
            url = link.url.first(scope)
            if url and len(url := as_text(url)) <= _LONGEST and not _SCRIPT.match(url):  # cut, it would lead nowhere
                found.setdefault(as_text(link.name.evaluate(scope))[:_LONGEST], url)
        except EvaluationError as problem:
            metrics.logger.debug("a link of get has no value: %s", problem)
    return list(found.items())
