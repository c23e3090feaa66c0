"""What the criteria and actions of a workflow mean, how it polls, and what its OpenAPI document says of the states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yaml_connector.cli.new.arazzo.conditions import (
    Compare,
    Condition,
    Operand,
    Untranslatable,
    body_operand,
    compares,
    is_status_only,
    jinja,
    joined,
    parse_condition,
    source_of,
)
from yaml_connector.cli.new.arazzo.identity import Identity
from yaml_connector.cli.new.arazzo.phases import (
    Branch,
    filtered_sample,
    other_way,
    phase_of_branch,
    split_state,
    values_at,
)
from yaml_connector.cli.new.arazzo.plan import Plan, Step
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.names import phase_of
from yaml_connector.cli.new.openapi.calls import state_place, states_of, values_of
from yaml_connector.cli.new.phases import Phases, guessed
from yaml_connector.cli.new.sketch import Path, Ref, Sketch, Unused


class Criteria:
    """Reads criteria: what is a success, and what stands for which phase."""

    def __init__(self, arazzo: Arazzo, number: int, plan: Plan, name: str) -> None:
        self.arazzo = arazzo
        self.number = number
        self.plan = plan
        self.data = arazzo.workflows[number]
        self.sketch = Sketch(name)
        self.requests = Identity(arazzo, self.data, plan, self.sketch)
        self.phases: Phases | None = None

    def _criteria(self, step: Step) -> list[Condition]:
        """Return the success criteria of a step; what cannot be said is a question."""
        return self._conditions(step.data["successCriteria"], step, "successCriteria")

    def _conditions(self, listed: list[Any], step: Step, *where: str | int) -> list[Condition]:
        found = [self._condition(raw, step, (*where, number)) for number, raw in enumerate(listed)]
        return [condition for condition in found if condition is not None]

    def _actions(self, step: Step, *keys: str) -> Iterator[tuple[str, dict[str, Any], Condition | None]]:
        """Yield the actions after a success and after a failure, each with its criteria as one condition."""
        for key in keys or ("onSuccess", "onFailure"):
            for number, action in enumerate(step.success if key == "onSuccess" else step.failure):
                yield key, action, joined(self._conditions(action["criteria"], step, key, number, "criteria"))

    def _condition(self, raw: Any, step: Step, where: tuple[Any, ...]) -> Condition | None:
        if not isinstance(raw, dict) or not isinstance(raw.get("condition"), str):
            return None
        kind = raw.get("type", "simple")
        kind = str(kind.get("type", "simple")) if isinstance(kind, dict) else str(kind)
        text = raw["condition"]
        try:
            return parse_condition(text, kind, str(raw.get("context") or ""), lambda word: self._operand(word, step))
        except Untranslatable as error:
            line = self.arazzo.line("workflows", self.number, "steps", step.number, *where)
            self.sketch.ask(self._place_of(step), f"the criterion {text!r} (line {line}) has no counterpart: {error}")
            unused = Unused(f"the criterion {text!r}: {error}", self.arazzo.file, line)
            self.sketch.not_used += [unused] if unused not in self.sketch.not_used else []
            return None

    def _place_of(self, step: Step) -> Path:
        if step is self.plan.poll:
            return ("get", "phase")
        if step in self.plan.result:
            return ("result",)
        return ("delete",) if step is self.plan.delete else ("create",)

    def _operand(self, text: str, step: Step) -> Operand:
        source = source_of(text)
        if source.kind == "status":
            return Operand("status", "status")
        if source.kind == "response" and source.name == "body":
            return body_operand(source.path or "$")
        if source.kind == "response":
            return Operand(f"headers['{source.output}']")
        if source.kind in ("inputs", "steps"):
            ref = self.requests.ref(source, self.requests.place.get(step.id, "create"), step)
            if isinstance(ref, Ref):
                if ref.expression.startswith("secrets."):
                    raise Untranslatable("it compares a credential")
                return Operand(ref.expression)
        raise Untranslatable(f"{text} has no counterpart")

    def _success(self, step: Step, section: str, number: int) -> Any:
        """Return `success` of a step: its criteria, without those on the state of the poll."""
        status, state = split_state(self._criteria(step))
        codes = [item.value for condition in status for item in compares(condition) if item.operator == "=="]
        usual = codes[0] if codes and isinstance(codes[0], int) else 200
        self.requests.usual[step.id] = usual
        documented = self.requests.statuses(step)
        is_step = section == "create" and len(self._all_create()) > 1
        path: Path = (section, "steps", number, "success") if is_step else (section, "success")
        if step is self.plan.poll:
            listed = list(dict.fromkeys([*codes, *self._action_statuses(step)]))
            return self._codes(listed, documented, path)
        if state or any(item.operator != "==" for condition in status for item in compares(condition)):
            whole = joined([*status, *state])
            assert whole is not None
            for condition in state:
                found = values_at(condition)
                if found is not None:
                    self.requests.values.setdefault(step.id, {})[found[0]] = found[1][0]
                self.requests.values.setdefault(step.id, {}).update(filtered_sample(condition) or {})
            return jinja(whole)
        return self._codes(codes, documented, path)

    def _all_create(self) -> list[Step]:
        return [*self.plan.before, self.plan.start, *self.plan.between]

    def _codes(self, codes: list[Any], documented: list[int], path: Path) -> Any:
        """Return the statuses of success: those of the workflow, and the document's if it has none of these."""
        numbers = [code for code in codes if isinstance(code, int)]
        if numbers and documented and not set(numbers) & set(documented):
            known = ", ".join(map(str, documented))
            expected = f"the workflow expects {numbers[0]}, but the OpenAPI document only has {known}"
            self.sketch.ask(path, f"{expected}: both are accepted")
            return [*numbers, *documented]
        return numbers or None

    def _action_statuses(self, step: Step) -> list[int]:
        """Return the statuses that actions of a poll look at, which are answers then, not failures."""
        found = [item for _, _, condition in self._actions(step) for item in compares(condition)]
        return [item.value for item in found if _is_good_status(item)]

    def _success_codes(self, step: Step) -> list[Any]:
        status, _ = split_state(self._criteria(step))
        return [item.value for condition in status for item in compares(condition)]

    def _never_fires(self, condition: Condition, key: str) -> bool:
        """Return whether a retry looks at nothing but the 200 that an answer has anyway: it is meant for a state that
        no other criterion names."""
        is_usual = is_status_only(condition) and any(item.value == 200 for item in compares(condition))
        return key == "onFailure" and is_usual

    def _goal_from_loop(self, found: list[Branch]) -> list[Branch]:
        """Return the end of a loop that only says while what it goes on."""
        for branch in found:
            other = other_way(branch.condition)
            if branch.phase == "RUNNING" and other is not None and other.value is not None:
                return [Branch(Compare(other.operand, "==", other.value), "SUCCEEDED")]
        return []

    def _loops_on_status(self, poll: Step) -> bool:
        """Return whether the poll goes on while it is answered with a status of success that is not its own."""
        loops = [
            compares(condition) for _, action, condition in self._actions(poll, "onFailure") if poll.repeats(action)
        ]
        own = self._success_codes(poll)
        return any(found and all(_is_good_status(item) and item.value not in own for item in found) for found in loops)

    def _waits_for_404(self, poll: Step) -> bool:
        found = [item for _, _, condition in self._actions(poll, "onFailure") for item in compares(condition)]
        return any(item.value in (404, 410) for item in found)

    def _branches(self, poll: Step) -> list[Branch]:
        """Return what the criteria and actions of the poll mean, in their order."""
        found: list[Branch] = []
        status, state = split_state(self._criteria(poll))
        goal = joined(state)
        if goal is None and poll.failure and self._loops_on_status(poll):
            goal = joined(list(status))
        for key, action, condition in self._actions(poll):
            name = f"{action.get('name', '')} {action.get('stepId', '')}"
            if poll.repeats(action):
                if condition is not None and not self._never_fires(condition, key) and not _is_error(condition):
                    found.append(Branch(condition, "RUNNING", name))
                continue
            if condition is None and (key == "onFailure" or goal is not None):
                continue
            if key == "onFailure" and condition is not None and is_status_only(condition):
                continue  # an error of the call, not a state
            default = "FAILED" if key == "onFailure" else "SUCCEEDED"
            found.append(Branch(condition, phase_of_branch(condition, name, default), name))
        if goal is not None:
            found.append(Branch(goal, phase_of_branch(goal, "", "SUCCEEDED"), "success"))
        return found if any(branch.phase == "SUCCEEDED" for branch in found) else found + self._goal_from_loop(found)

    def _schema_states(self, poll: Step) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Return what the OpenAPI document has: the enums by path, and all other fields."""
        document = poll.call.document
        enums: dict[str, list[Any]] = {}
        fields: dict[str, list[Any]] = {}
        for path, _, about in poll.call.fields:
            values = list(values_of(document, about))
            if document.is_scalar(about):
                fields.setdefault(path, values)
            if values:
                enums.setdefault(path, values)
        outputs = poll.data["outputs"]
        for source in (source_of(raw) for raw in outputs.values() if isinstance(raw, str)):
            if source.kind == "response" and source.name == "body" and source.path:
                fields.setdefault(source.path, [])
        return enums, fields

    def _from_schema(self, poll: Step) -> Phases:
        """Return rules for a poll whose workflow names no state: from the OpenAPI document, else the usual words."""
        is_get = poll.call.method == "get"
        found = states_of(poll.call) if is_get else None
        if found is not None:
            where, words = found
            table: dict[str, list[Any]] = {}
            for value, word in words.items():
                phase = phase_of(word)
                if phase is not None:
                    table.setdefault(phase, []).append(value)
            if table:
                listed = [f"{value} is {phase_of(word) or 'not mapped (RUNNING)'}" for value, word in words.items()]
                told = f"the workflow names no state; is this what the states mean? {', '.join(listed)}"
                missing = [phase for phase in ("SUCCEEDED", "FAILED") if phase not in table]
                questions = [told, *(f"no state means {phase}: which does?" for phase in missing)]
                return self._with_samples(poll, Phases([{"path": where, "map": table}], where, questions=questions))
        where = self._state_output(poll) or (state_place(poll.call) if is_get else "$.status")
        usual = guessed(where)
        question = f"the workflow and the OpenAPI document name no states: {where} is a guess, and so are the words"
        usual.questions = [question]
        return self._with_samples(poll, usual)

    def _with_samples(self, poll: Step, phases: Phases) -> Phases:
        """Return rules that are one table, with an answer for each of its phases."""
        status, table = self.requests.usual[poll.id], phases.rules[0]["map"]
        phases.samples = {phase: (status, {phases.path: values[0]}) for phase, values in table.items()}
        return phases

    def _state_output(self, poll: Step) -> str | None:
        """Return the path of an output of the poll whose name says that it is the state."""
        for name, raw in poll.data["outputs"].items():
            source = source_of(raw if isinstance(raw, str) else "")
            if source.kind == "response" and source.path and re.search(r"(?i)status|state|phase", str(name)):
                return source.path
        return None

    def _poll_settings(self, poll: Step, section: dict[str, Any]) -> None:
        """Write how often is polled, and for how long."""
        actions = [action for action in [*poll.success, *poll.failure] if action.get("type") == "retry"]
        retries = [action for action in actions if poll.repeats(action)]
        if not retries:
            return
        after, limit = retries[0].get("retryAfter"), retries[0].get("retryLimit")
        settings: dict[str, Any] = {}
        if isinstance(after, int | float) and 0 < after <= 86400:
            settings["min_interval"] = _seconds(after)
            if isinstance(limit, int) and 0 < limit * after <= 30 * 86400:
                if self._waits_for_404(poll):
                    settings["not_found_grace"] = _seconds(after * limit)
                else:
                    settings["timeout"] = _seconds(after * limit)
                    self.sketch.remark(("get", "poll", "timeout"), f"The workflow gives up after {limit} tries.")
        if settings:
            section["poll"] = settings


def _is_good_status(item: Compare) -> bool:
    return item.operand.place == "status" and isinstance(item.value, int) and 200 <= item.value < 300


def _is_error(condition: Condition) -> bool:
    """Return whether a condition looks at statuses that are errors, which `poll` and `retry` deal with."""
    return is_status_only(condition) and all(
        not isinstance(item.value, int) or item.value >= 400 for item in compares(condition)
    )


def _seconds(value: float) -> str:
    return f"{int(value)}s" if value == int(value) else f"{int(value * 1000)}ms"
