"""Which step of a workflow starts the job, which polls it, and what comes before and after."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.names import CANCELS
from yaml_connector.cli.new.openapi.document import Operation, as_list, as_mapping
from yaml_connector.errors import ConfigError

_CANCEL = re.compile("(?i)" + "|".join(CANCELS))
_REPORTS_FAILURE = re.compile(r"(?i)fail|error|cancel|abort|reject")
_STATUS = re.compile(r"(?i)status|state|poll|progress|check")


@dataclass
class Step:
    """A step: its number, id, data with references followed, its call, and its actions."""

    number: int
    id: str
    data: dict[str, Any]
    operation: Operation | None
    success: list[dict[str, Any]]
    failure: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Return the name of the step in the spec."""
        name = re.sub(r"\W", "_", self.id)
        return name if name[:1].isalpha() or name[:1] == "_" else f"step_{name}"

    @property
    def call(self) -> Operation:
        """Return the call of a step that has one."""
        assert self.operation is not None
        return self.operation

    @property
    def reads(self) -> bool:
        """Return whether the call only reads."""
        return self.operation is not None and self.operation.method in ("get", "head")

    def used(self, *, headers: bool = True) -> list[tuple[str, str]]:
        """Return the outputs of other steps that its request uses: pairs of step and output.

        Without headers they are what may identify a job, and no token of a login.
        """
        request = {key: self.data.get(key) for key in ("parameters", "requestBody")}
        if not headers:
            listed = [
                item for item in as_list(request["parameters"]) if not isinstance(item, dict) or not _carries(item)
            ]
            request["parameters"] = listed
        return re.findall(r"\$steps\.([\w-]+)\.outputs\.([\w-]+)", json.dumps(request, default=str))

    def repeats(self, action: dict[str, Any]) -> bool:
        """Return whether an action runs this step again."""
        target = action.get("stepId")
        if action.get("type") == "retry":
            return target in (None, self.id) and "workflowId" not in action
        return action.get("type") == "goto" and target == self.id

    @property
    def loops(self) -> bool:
        """Return whether an action runs this step again."""
        return any(self.repeats(action) and not _is_after_error(action) for action in [*self.success, *self.failure])


def _carries(parameter: dict[str, Any]) -> bool:
    return parameter.get("in") in ("header", "cookie")


def _is_after_error(action: dict[str, Any]) -> bool:
    """Return whether an action only looks for a server that is busy or broken, which every call is sent again for."""
    criteria = json.dumps(action.get("criteria") or [], default=str)
    return re.search(r"statusCode\s*(>=?\s*[45]\d\d|==\s*(429|408|5\d\d))", criteria) is not None


@dataclass
class Plan:
    """The steps of a workflow in their roles. `steps` are all of them; `before` and `between` belong to create."""

    steps: list[Step]
    start: Step
    poll: Step | None = None
    before: list[Step] = field(default_factory=list)
    between: list[Step] = field(default_factory=list)
    result: list[Step] = field(default_factory=list)
    delete: Step | None = None
    unused: list[tuple[Step, str]] = field(default_factory=list)

    def step(self, name: str) -> Step | None:
        """Return a step by its id."""
        return next((step for step in self.steps if step.id == name), None)


def steps_of(arazzo: Arazzo, workflow: dict[str, Any]) -> list[Step]:
    """Return the steps of a workflow."""
    found = []
    listed = workflow.get("steps")
    for number, raw in enumerate(as_list(listed)):
        data = arazzo.component(raw)
        if not isinstance(data, dict):
            continue
        data = {**data, **{key: as_list(data.get(key)) for key in ("parameters", "successCriteria")}}
        data["outputs"] = as_mapping(data.get("outputs"))
        step = Step(number, str(data.get("stepId") or f"step{number + 1}"), data, arazzo.operation(data), [], [])
        for actions, own, shared in (
            (step.success, "onSuccess", "successActions"),
            (step.failure, "onFailure", "failureActions"),
        ):
            given = as_list(data.get(own)) or (as_list(workflow.get(shared)) if step.reads else [])
            actions += _mappings([arazzo.component(item) for item in given])
        found.append(step)
    return found


def _mappings(values: list[Any]) -> list[dict[str, Any]]:
    return [{**value, "criteria": as_list(value.get("criteria"))} for value in values if isinstance(value, dict)]


def choose(arazzo: Arazzo, name: str | None) -> tuple[int, Plan]:
    """Return the number of the workflow, and its plan. Raises ConfigError if none starts something."""
    wanted = arazzo.workflow(name)
    numbers = [wanted] if wanted is not None else list(range(len(arazzo.workflows)))
    found: list[tuple[int, int, Plan]] = []
    for number in numbers:
        plan = plan_of(steps_of(arazzo, arazzo.workflows[number]))
        if plan is not None:
            score = 2 * (plan.poll is not None) + 2 * bool(plan.poll is not None and plan.poll.loops)
            found.append((-score, number, plan))
    if not found:
        reasons = "; ".join(arazzo.problems)
        unresolved = [
            str(step.data.get("operationId") or step.data.get("operationPath"))
            for number in numbers
            for step in steps_of(arazzo, arazzo.workflows[number])
            if step.operation is None
        ]
        told = f"; these operations were not found: {', '.join(unresolved[:5])}" if unresolved else ""
        raise ConfigError(f"{arazzo.file}: no workflow starts something{told}{'; ' + reasons if reasons else ''}")
    found.sort(key=lambda item: item[:2])
    return found[0][1], found[0][2]


def plan_of(steps: list[Step]) -> Plan | None:
    """Return the steps in their roles; None if no step starts something."""
    starts = [step for step in steps if step.operation is not None and not step.reads]
    if not starts:
        return None
    by_id = {step.id: step for step in steps}
    poll = next((step for step in steps if step.loops and step.operation is not None and _is_poll(step, steps)), None)
    start = _start_of(poll, steps, by_id) if poll is not None else None
    if start is None:
        pairs = [
            (source, step)
            for step in steps
            if step.reads
            for source in starts
            if source.number < step.number and any(used[0] == source.id for used in step.used(headers=False))
        ]
        named = [(source, step) for source, step in pairs if _STATUS.search(step.id + step.call.path)]
        if pairs:
            start, poll = (named or pairs)[0]
        else:
            start = starts[0]
            later = [step for step in steps if step.reads and step.number > start.number]
            by_input = [step for step in later if step.operation is not None and "{" in step.operation.path]
            poll = next((step for step in by_input if _STATUS.search(step.id)), None) or next(iter(by_input), None)
    plan = Plan(steps, start, poll)
    _place_rest(plan)
    return plan


def _is_poll(step: Step, steps: list[Step]) -> bool:
    """Return whether a step that repeats itself comes after one that starts something."""
    return any(other.number < step.number and other.operation is not None and not other.reads for other in steps)


def _start_of(poll: Step, steps: list[Step], by_id: dict[str, Step]) -> Step | None:
    linked = [by_id[name] for name, _ in poll.used(headers=False) if name in by_id]
    for listed in (linked, steps):
        found = [step for step in listed if step.number < poll.number and not step.reads and step.operation is not None]
        if found:
            return found[-1]
    return None


def _place_rest(plan: Plan) -> None:
    """Place the steps before, between and after start and poll."""
    end = plan.poll.number if plan.poll is not None else len(plan.steps)
    for step in plan.steps:
        if step is plan.start or step is plan.poll:
            continue
        if step.operation is None:
            what = step.data.get("operationId") or step.data.get("operationPath") or step.data.get("workflowId") or "?"
            plan.unused.append((step, f"{what} was not found in the OpenAPI sources, or is not a call"))
        elif step.number < plan.start.number:
            plan.before.append(step)
        elif step.number < end:
            used = any(name == step.id for other in plan.steps for name, _ in other.used())
            if step.reads and not used:
                plan.unused.append((step, "a read between start and poll whose answer nothing uses"))
            else:
                plan.between.append(step)
    if plan.poll is None:
        return
    path = _success_path(plan)
    for step in plan.steps:
        if step.operation is None or step.number <= end:
            continue
        if step not in path:
            plan.unused.append((step, "it does not follow a success of the poll"))
        elif step.reads:
            if plan.delete is None:
                plan.result.append(step)
            else:
                plan.unused.append((step, "it comes after the end of the job"))
        elif plan.delete is None and _cancels(step, plan.poll):
            plan.delete = step
        elif _reads_by_post(step):
            plan.result.append(step)
        else:
            plan.unused.append((step, "it starts something else after the end of the job"))
    _drop_unknown(plan)
    if plan.delete is None:  # a cancel that is reached in another way, as when the workflow gives up
        found = next((pair for pair in plan.unused if _cancels(pair[0], plan.poll)), None)
        if found is not None:
            plan.unused.remove(found)
            plan.delete = found[0]


def _cancels(step: Step, poll: Step) -> bool:
    """Return whether a step ends the job that the poll reads."""
    return (
        step.operation is not None
        and not step.reads
        and (step.operation.method == "delete" or _CANCEL.search(step.id + step.operation.path) is not None)
        and bool(set(step.used(headers=False)) & set(poll.used(headers=False)))
    )


def _drop_unknown(plan: Plan) -> None:
    """Leave out the steps after the poll that need the answer of a step that is left out, or wait themselves."""
    for step in list(plan.result):
        left_out = {other.id for other, _ in plan.unused}
        needed = [name for name, _ in step.used() if name in left_out]
        if needed or (step.loops and plan.poll is not None and plan.poll.loops):
            plan.result.remove(step)
            why = f"it needs the answer of {needed[0]}" if needed else "it waits for something else"
            plan.unused.append((step, why))


def _reads_by_post(step: Step) -> bool:
    reads = re.search(r"(?i)^(get|read|fetch|retrieve|list|describe|download)", step.id) is not None
    return reads and step.call.method == "post"


def _success_path(plan: Plan) -> list[Step]:
    """Return the steps that run after the poll has found a success, in order."""
    assert plan.poll is not None
    found: list[Step] = []
    step: Step | None = plan.poll
    while step is not None and len(found) < len(plan.steps):
        targets = [action for action in step.success if not step.repeats(action)]
        good = [
            action
            for action in targets
            if not _REPORTS_FAILURE.search(str(action.get("name", "")) + str(action.get("stepId", "")))
        ]
        following: Step | None = None
        jumps = [action for action in good if action.get("type") == "goto" and isinstance(action.get("stepId"), str)]
        ends = [action for action in good if action.get("type") == "end" and not (step is not plan.poll and jumps)]
        if jumps:
            following = plan.step(jumps[0]["stepId"])
        elif ends:
            break
        else:
            following = next((other for other in plan.steps if other.number == step.number + 1), None)
        if following is None or following in found or following is plan.poll or following.number <= plan.poll.number:
            break
        if _REPORTS_FAILURE.search(following.id) and not jumps:
            break
        found.append(following)
        step = following
    return found
