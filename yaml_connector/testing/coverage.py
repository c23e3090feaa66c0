"""What no test reached (section 10): values of `phase.map`, rules and steps.

The compiled plan of a connector is watched from outside: its rules and its requests are wrapped, so that the code that
runs in service knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from yaml_connector._expressions.compile import Value
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.request_template import RequestPlan
from yaml_connector._jobs.compiled_spec import CompiledSpec, RulePlan
from yaml_connector._jobs.steps import CallPlan, StepPlan
from yaml_connector._loading.document import Path, show_path
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.requests import Calls

Mark = Callable[[], None]


@dataclass(frozen=True)
class Unreached:
    """A place of the spec that no test reached: where it stands, its path, and a `map`'s value or a step's name."""

    file: str
    line: int
    column: int
    path: str
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}" + (f": {self.value}" if self.value else "")


class Coverage:
    """Collects what tests reach of one spec."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self.loaded = loaded
        self._reached: set[Path] = set()

    def add(self, other: Coverage) -> None:
        """What other tests of the same spec reached counts, too."""
        self._reached |= other._reached

    def mark(self, *place: str | int) -> None:
        """This place was reached."""
        self._reached.add(place)

    def watch(self, plan: CompiledSpec) -> None:
        """Note from now on what is reached of a connector's plan."""
        plan.create = self._calls(plan.create, "create")
        plan.adopt = self._calls(plan.adopt, "create", "adopt") if plan.adopt else None
        plan.on_failure = tuple(
            self._step(step, ("create", "on_failure", index)) for index, step in enumerate(plan.on_failure)
        )
        plan.result = self._calls(plan.result, "result") if plan.result else None
        plan.delete = self._calls(plan.delete, "delete") if plan.delete else None
        if plan.get is not None:
            rules = tuple(self._rule(rule, index) for index, rule in enumerate(plan.get.rules))
            plan.get = replace(plan.get, calls=self._calls(plan.get.calls, "get"), rules=rules)
        if plan.logs is not None:
            logs = plan.logs
            item = self._step(logs.item, _mark(("logs",), logs.item.name)) if logs.item else None
            plan.logs = replace(
                logs,
                before=self._calls(logs.before, "logs") if logs.before else None,
                item=item,
                source=replace(logs.source, steps=(item,)) if item else self._calls(logs.source, "logs"),
            )

    def _calls(self, plan: CallPlan, *section: str) -> CallPlan:
        return replace(plan, steps=tuple(self._step(step, _mark(section, step.name)) for step in plan.steps))

    def _step(self, step: StepPlan, place: Path) -> StepPlan:
        return replace(step, request=_watched_request(step.request, lambda: self.mark(*place)))

    def _rule(self, rule: RulePlan, index: int) -> RulePlan:
        return cast(RulePlan, _WatchedRule(rule, lambda state: self.mark("rule", index, state)))

    def unreached(self) -> list[Unreached]:
        """What was not reached, in the order of the file."""
        found = []
        for place in _places(self.loaded):
            if place.mark not in self._reached:
                line, column = self.loaded.document.position(place.path, key=True)
                shown = place.path[:-1] if place.of_map else place.path
                found.append(Unreached(self.loaded.file, line, column, show_path(shown), place.value))
        return sorted(found, key=lambda item: (item.line, item.column))


def _mark(section: Path, step: str | None) -> Path:
    return section if step is None else (*section, step)


def _watched_request(request: RequestPlan, mark: Mark) -> RequestPlan:
    method = request.method

    def evaluate(scope: Scope) -> Any:
        mark()
        return method.evaluate(scope)

    return replace(request, method=Value(evaluate, method.names, method.constant))


class _WatchedRule:
    """A rule that tells when it gives a phase: with the state that was mapped, or "" for a rule with `is`."""

    def __init__(self, rule: RulePlan, mark: Callable[[str], None]) -> None:
        self._rule = rule
        self._mark = mark
        self.path = rule.path
        self.order = rule.order
        self.when = rule.when
        self.lacks = rule.lacks
        self.states = _WatchedStates(rule.states, mark)

    @property
    def phase(self) -> str | None:
        self._mark("")
        return self._rule.phase


class _WatchedStates(Mapping[str, str]):
    def __init__(self, states: Mapping[str, str], mark: Callable[[str], None]) -> None:
        self._states = states
        self._mark = mark

    def __getitem__(self, state: str) -> str:
        phase = self._states[state]
        self._mark(state)
        return phase

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)


@dataclass(frozen=True)
class _Place:
    """A place that tests can reach: as it is marked, and where it stands. `value` is a step's name, or the value of a
    `map` (then `path` is the value's)."""

    mark: Path
    path: Path
    value: str | None = None
    of_map: bool = False


def _places(loaded: LoadedSpec) -> Iterator[_Place]:
    spec = loaded.spec
    yield from _call_places(spec.create, ("create",))
    if spec.create.adopt is not None:
        yield from _call_places(spec.create.adopt, ("create", "adopt"))
    for index, step in enumerate(spec.create.on_failure):
        path: Path = ("create", "on_failure", index)
        yield _Place(path, path, step.name)
    for name in ("get", "result", "delete", "logs"):
        section: Calls | None = getattr(spec, name)
        if section is not None:
            yield from _call_places(section, (name,))
    if spec.get is None:
        return
    single = isinstance(loaded.document.data["get"]["phase"], dict)
    for index, rule in enumerate(spec.get.phase):
        here: Path = ("get", "phase") if single else ("get", "phase", index)
        if rule.map is None:
            yield _Place(("rule", index, ""), here)
        for phase, values in (rule.map or {}).items():
            for number, value in enumerate(values):
                text = as_text(value)
                yield _Place(("rule", index, text.casefold()), (*here, "map", phase, number), text, of_map=True)


def _call_places(section: Calls, path: Path) -> Iterator[_Place]:
    for index, step in enumerate(section.steps or []):
        yield _Place(_mark(path, step.name), (*path, "steps", index), step.name)
    if section.request is not None:
        where = path if section.steps is None else (*path, "request")
        yield _Place(_mark(path, section.name), where, section.name)
