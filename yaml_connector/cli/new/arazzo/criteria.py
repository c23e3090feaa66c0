"""What the criteria and actions of a workflow mean."""

from __future__ import annotations

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
)
from yaml_connector.cli.new.arazzo.expressions import source_of
from yaml_connector.cli.new.arazzo.identity import Identity
from yaml_connector.cli.new.arazzo.phases import Branch, Rules, filtered_sample, phase_of_branch, split_state, values_at
from yaml_connector.cli.new.arazzo.plan import Plan, Step
from yaml_connector.cli.new.arazzo.source import Arazzo
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
        self.rules: Rules | None = None

    def _criteria(self, step: Step) -> list[Condition]:
        """Return the success criteria of a step; what cannot be said is a question."""
        found = []
        for number, raw in enumerate(step.data.get("successCriteria") or []):
            condition = self._condition(raw, step, ("successCriteria", number))
            found += [condition] if condition is not None else []
        return found

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
            self.sketch.not_used.append(Unused(f"the criterion {text!r}: {error}", self.arazzo.file, line))
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
        path: Path = (
            (section, "steps", number, "success")
            if section == "create" and len(self._all_create()) > 1
            else (section, "success")
        )
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
        found = []
        for key, actions in (("onSuccess", step.success), ("onFailure", step.failure)):
            for number, action in enumerate(actions):
                condition = self._action_condition(step, key, number, action)
                for item in compares(condition) if condition is not None else ():
                    if item.operand.place == "status" and isinstance(item.value, int) and 200 <= item.value < 300:
                        found.append(item.value)
        return found

    def _action_condition(self, step: Step, key: str, number: int, action: dict[str, Any]) -> Condition | None:
        found = []
        for at, raw in enumerate(action.get("criteria") or []):
            condition = self._condition(raw, step, (key, number, "criteria", at))
            found += [condition] if condition is not None else []
        return joined(found)

    def _success_codes(self, step: Step) -> list[Any]:
        status, _ = split_state(self._criteria(step))
        return [item.value for condition in status for item in compares(condition)]

    def _never_fires(self, condition: Condition, key: str) -> bool:
        """Return whether a retry looks at nothing but the 200 that an answer has anyway: it is meant for a state that
        no other criterion names."""
        return (
            key == "onFailure" and is_status_only(condition) and any(item.value == 200 for item in compares(condition))
        )

    def _goal_from_loop(self, found: list[Branch]) -> list[Branch]:
        """Return the end of a loop that only says while what it goes on."""
        running = [branch for branch in found if branch.phase == "RUNNING" and branch.condition is not None]
        for branch in running:
            assert branch.condition is not None
            items = [item for item in compares(branch.condition) if item.operand.place != "status"]
            if len(items) == 1 and items[0].operator == "!=" and items[0].value is not None:
                return [Branch(Compare(items[0].operand, "==", items[0].value), "SUCCEEDED")]
        return []

    def _loops_on_status(self, poll: Step) -> bool:
        return any(
            poll.repeats(action)
            and (condition := self._action_condition(poll, "onFailure", number, action)) is not None
            and all(
                item.operand.place == "status" and isinstance(item.value, int) and 200 <= item.value < 300
                for item in compares(condition)
            )
            and all(item.value not in self._success_codes(poll) for item in compares(condition))
            and list(compares(condition))
            for number, action in enumerate(poll.failure)
        )

    def _waits_for_404(self, poll: Step) -> bool:
        for number, action in enumerate(poll.failure):
            condition = self._action_condition(poll, "onFailure", number, action)
            if condition is not None and any(item.value in (404, 410) for item in compares(condition)):
                return True
        return False

    def _branches(self, poll: Step) -> list[Branch]:
        """Return what the criteria and actions of the poll mean, in their order."""
        found: list[Branch] = []
        status, state = split_state(self._criteria(poll))
        goal = joined(state)
        if goal is None and poll.failure and self._loops_on_status(poll):
            goal = joined(list(status))
        for key, actions in (("onSuccess", poll.success), ("onFailure", poll.failure)):
            for number, action in enumerate(actions):
                condition = self._action_condition(poll, key, number, action)
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
        if not any(branch.phase == "SUCCEEDED" for branch in found) and any(
            branch.phase == "RUNNING" for branch in found
        ):
            found += self._goal_from_loop(found)
        return found


def _is_error(condition: Condition) -> bool:
    """Return whether a condition looks at statuses that are errors, which `poll` and `retry` deal with."""
    return is_status_only(condition) and all(
        not isinstance(item.value, int) or item.value >= 400 for item in compares(condition)
    )
