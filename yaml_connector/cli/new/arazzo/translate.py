"""Translates a workflow of an Arazzo document into a sketch: create, get, result and delete."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector._expressions.json_text import as_text
from yaml_connector.cli.new.arazzo.conditions import (
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
from yaml_connector.cli.new.arazzo.expressions import source_of, sources_in
from yaml_connector.cli.new.arazzo.phases import Branch, Rules, phase_of_branch, rules_of, split_state, values_at
from yaml_connector.cli.new.arazzo.plan import Plan, Step, choose
from yaml_connector.cli.new.arazzo.requests import Requests, field_name
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.data import data_at
from yaml_connector.cli.new.openapi.states import state_place, states_of, values_of
from yaml_connector.cli.new.sketch import Exchange, Path, Play, Ref, Sketch, Unused
from yaml_connector.cli.new.words import phase_of

_TEST_URL = "https://api.test"


def sketch_of(content: bytes, file: str, name: str, workflow: str | None = None) -> Sketch:
    """Return the sketch of a workflow: the one that is named, else the one with a poll. Raises ConfigError."""
    arazzo = Arazzo(content, file)
    number, plan = choose(arazzo, workflow)
    return _Translation(arazzo, number, plan, name).run()


class _Translation:
    def __init__(self, arazzo: Arazzo, number: int, plan: Plan, name: str) -> None:
        self.arazzo = arazzo
        self.number = number
        self.plan = plan
        self.data = arazzo.workflows[number]
        self.sketch = Sketch(name)
        self.requests = Requests(arazzo, self.data, plan, self.sketch)
        self.rules: Rules | None = None
        self.facts: dict[str, tuple[int, dict[str, Any]]] = {}  # by step: status and values of a good answer

    def run(self) -> Sketch:
        sketch = self.sketch
        title = str(self.data.get("summary") or self.data.get("workflowId") or sketch.name)
        sketch.head = [
            f"Made from the workflow {self.data.get('workflowId')} of {self.arazzo.file.rpartition('/')[2]}."
        ]
        sketch.spec = {
            "spec_version": 1,
            "task_type_name": sketch.name,
            "name": sketch.name.replace("_", " ").capitalize(),
            "description": " ".join(title.split())[:200],
            "connection": {},
            "secrets": {},
            "config": {},
            "inputs": {},
            "outputs": {},
        }
        self.requests.connection()
        self.requests.find_id()
        self._create()
        self._get()
        self._result()
        self._delete()
        self._outputs()
        self._unused()
        self._tests()
        for section in ("secrets", "config", "inputs", "outputs"):
            if not sketch.spec[section]:
                del sketch.spec[section]
        order = ["spec_version", "task_type_name", "name", "description", "connection", "secrets", "config", "inputs",
                 "outputs", "create", "get", "result", "delete"]  # fmt: skip
        sketch.spec = {key: sketch.spec[key] for key in order if key in sketch.spec}
        return sketch

    # --- sections ---

    def _section(self, steps: list[Step], section: str) -> dict[str, Any]:
        """Return a section of one request or of several steps. What later steps save here is filled in at the end."""
        found: list[dict[str, Any]] = []
        for step in steps:
            self.requests.place[step.id] = section
            data: dict[str, Any] = {"name": step.name, "request": self.requests.request(step, section)}
            success = self._success(step, section, len(found))
            if success is not None:
                data["success"] = success
            found.append(data)
            self.requests.sections[step.id] = data
        if len(found) == 1 and not self._named(steps[0], section):
            single = {key: value for key, value in found[0].items() if key != "name"}
            self.requests.sections[steps[0].id] = single
            return single
        return {"steps": found}

    def _named(self, step: Step, section: str) -> bool:
        """Return whether other parts of the spec need a value of this step by its name."""
        if section == "create":
            return False
        later = [other for other in self.plan.result if other is not step]
        used = any(name == step.id for other in later for name, _ in other.used())
        outputs = self.data.get("outputs")
        wanted = [source for source in sources_in(outputs) if source.kind == "steps" and source.name == step.id]
        is_last = (
            not self.plan.result if section == "get" else step is self.plan.result[-1] if self.plan.result else True
        )
        return used or (bool(wanted) and not is_last)

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
        self.facts[step.id] = (usual, {})
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
                filtered = re.search(r"jsonpath\('(\$[^\[]*)\[\?\(@\.(\w+) == \\'([^\\]*)\\'\)\]'\)", jinja(condition))
                if filtered is not None:
                    place = f"{filtered[1]}[0].{filtered[2]}"
                    self.requests.values.setdefault(step.id, {})[place] = filtered[3]
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

    def _create(self) -> None:
        steps = self._all_create()
        section = self.sketch.spec["create"] = self._section(steps, "create")
        if "steps" in section and self.plan.between:
            section["read"] = self.plan.start.name
        section["job_id"] = self.requests.job_id(steps)
        for question in self.requests.id_questions:
            self.sketch.ask(("create", "job_id"), question)
        for step in self.plan.between:
            self.sketch.remark(("create", "steps", steps.index(step)), "The workflow does this before it polls.")

    def _get(self) -> None:
        poll = self.plan.poll
        if poll is None:
            self.sketch.ask(
                ("create",),
                "the workflow reads no state: without `get` the job is SUCCEEDED as soon as it is submitted",
            )
            return
        section = self.sketch.spec["get"] = self._section([poll], "get")
        branches = self._branches(poll)
        place, enum, siblings = self._schema_states(poll)
        has_state = any(branch.condition is not None for branch in branches)
        if not has_state and poll.loops and self._waits_for_404(poll):
            branches = [Branch(None, "SUCCEEDED")]
            self.rules = Rules([{"is": "SUCCEEDED"}], [], {"SUCCEEDED": (self.facts[poll.id][0], {})})
            self.rules.questions.append("the job is over once it is found: is that what is meant?")
        elif not has_state:
            self.rules = self._from_schema(poll, place, enum)
        else:
            self.rules = rules_of(branches, self.facts[poll.id][0], enum, siblings)
        section["phase"] = self.rules.phase
        for question in self.rules.questions:
            self.sketch.ask(("get", "phase"), question)
        messages = self.requests.messages(poll)
        if messages:
            section["message"] = messages
        self._poll_settings(poll, section)

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
                from yaml_connector.cli.new.arazzo.conditions import Compare

                return [Branch(Compare(items[0].operand, "==", items[0].value), "SUCCEEDED")]
        return []

    def _schema_states(self, poll: Step) -> tuple[str, dict[str, list[Any]], dict[str, list[Any]]]:
        """Return the place of the state as the OpenAPI document has it, the enums by path, and all other fields."""
        assert poll.operation is not None
        document = poll.operation.document
        schema = document.response(poll.operation.path, poll.operation.method)
        enums: dict[str, list[Any]] = {}
        fields: dict[str, list[Any]] = {}
        for path, _, about in document.fields(schema):
            values = list(values_of(document, about))
            fields.setdefault(path, values)
            if values:
                enums.setdefault(path, values)
        for output, raw in (
            (poll.data.get("outputs") or {}).items() if isinstance(poll.data.get("outputs"), dict) else ()
        ):
            source = source_of(raw) if isinstance(raw, str) else None
            if source is not None and source.kind == "response" and source.name == "body" and source.path:
                fields.setdefault(source.path, [])
            del output
        return "", enums, fields

    def _from_schema(self, poll: Step, place: str, enum: dict[str, list[Any]]) -> Rules:
        """Return rules for a poll whose workflow names no state: from the OpenAPI document, else the usual words."""
        assert poll.operation is not None
        document, path = poll.operation.document, poll.operation.path
        found = states_of(document, path) if poll.operation.method == "get" else None
        if found is not None:
            where, words = found
            table: dict[str, list[Any]] = {}
            for value, word in words.items():
                phase = phase_of(word)
                if phase is not None:
                    table.setdefault(phase, []).append(value)
            if table:
                told = ", ".join(
                    f"{value} is {phase_of(word) or 'not mapped (RUNNING)'}" for value, word in words.items()
                )
                rules = Rules(
                    {"path": where, "map": table},
                    [f"the workflow names no state; is this what the states mean? {told}"],
                )
                rules.samples = {phase: (self.facts[poll.id][0], {where: values[0]}) for phase, values in table.items()}
                for wanted in ("SUCCEEDED", "FAILED"):
                    if wanted not in table:
                        rules.questions.append(f"no state means {wanted}: which does?")
                return rules
        where = self._state_output(poll) or (
            state_place(document, path) if poll.operation.method == "get" else "$.status"
        )
        from yaml_connector.cli.new.phases import guessed

        usual = guessed(where)
        question = f"the workflow and the OpenAPI document name no states: {where} is a guess, and so are the words"
        samples = {phase: (self.facts[poll.id][0], {where: words[0]}) for phase, words in usual.rules[0]["map"].items()}
        return Rules(usual.phase, [question], samples)

    def _state_output(self, poll: Step) -> str | None:
        outputs = poll.data.get("outputs")
        for name, raw in outputs.items() if isinstance(outputs, dict) else ():
            source = source_of(raw) if isinstance(raw, str) else None
            if (
                source is not None
                and source.kind == "response"
                and source.path
                and re.search(r"(?i)status|state|phase", str(name))
            ):
                return source.path
        return None

    def _poll_settings(self, poll: Step, section: dict[str, Any]) -> None:
        retries = [
            action
            for action in [*poll.success, *poll.failure]
            if action.get("type") == "retry" and poll.repeats(action)
        ]
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

    def _result(self) -> None:
        if self.plan.result:
            self.sketch.spec["result"] = self._section(self.plan.result, "result")

    def _delete(self) -> None:
        step = self.plan.delete
        if step is not None:
            section = self.sketch.spec["delete"] = self._section([step], "delete")
            section.pop("success", None)
            self.sketch.ask(("delete",), "the workflow calls this at its end; does it cancel a job that runs?")
            return
        cancel = self.requests.cancel_call()
        if cancel is not None and "get" in self.sketch.spec:
            self.sketch.remark(
                ("get",), f"The API also has {cancel}, which the workflow does not call: `delete` may use it."
            )

    def _outputs(self) -> None:
        outputs = self.data.get("outputs")
        for name, raw in outputs.items() if isinstance(outputs, dict) else ():
            value = self.requests.output(raw)
            if value is None:
                line = self.arazzo.line("workflows", self.number, "outputs", name)
                self.sketch.not_used.append(Unused(f"the output {name}", self.arazzo.file, line))
                continue
            self.sketch.spec["outputs"][field_name(str(name))] = {"type": "any", "value": value, "default": None}

    def _unused(self) -> None:
        for step, why in self.plan.unused:
            line = self.arazzo.line("workflows", self.number, "steps", step.number)
            self.sketch.not_used.append(Unused(f"the step {step.id}: {why}", self.arazzo.file, line))
            if "starts something else" in why:
                place: Path = ("get", "phase") if "get" in self.sketch.spec else ("create",)
                self.sketch.ask(
                    place, f"the workflow goes on with {step.id} (line {line}), which is not a part of this job"
                )
            elif step.number < (self.plan.poll or self.plan.start).number and "was not found" in why:
                self.sketch.ask(("create",), f"the step {step.id} (line {line}) was not found in the OpenAPI sources")
        for number, workflow in enumerate(self.arazzo.workflows):
            if number != self.number:
                line = self.arazzo.line("workflows", number)
                what = f"the workflow {workflow.get('workflowId')} (--workflow)"
                self.sketch.not_used.append(Unused(what, self.arazzo.file, line))
        for problem in self.arazzo.problems:
            self.sketch.not_used.append(Unused(problem, self.arazzo.file, self.arazzo.line("sourceDescriptions")))

    # --- the test ---

    def _tests(self) -> None:
        job_id = self.requests.id_value()
        create = Play(
            "create",
            tuple(self._exchange(step) for step in self._all_create()),
            {"job_id": as_text(job_id)},
        )
        plays = [create]
        poll = self.plan.poll
        if poll is not None and self.rules is not None:
            for phase in ("RUNNING", "SUCCEEDED"):
                if phase in self.rules.samples:
                    status, values = self.rules.samples[phase]
                    exchanges = [self._exchange(poll, status, values)]
                    if phase == "SUCCEEDED":
                        exchanges += [self._exchange(step) for step in self.plan.result]
                    interval = self.sketch.spec["get"].get("poll", {}).get("min_interval")
                    if interval is not None and len(plays) > 1:
                        plays.append(Play("after", (), {"after": interval}))
                    plays.append(Play("get", tuple(exchanges), {"phase": phase}))
        self.sketch.tests["a job from its create to its end"] = plays
        if self.plan.delete is not None:
            self.sketch.tests["a job is cancelled"] = [create, Play("delete", (self._exchange(self.plan.delete),))]

    def _exchange(self, step: Step, status: int | None = None, values: dict[str, Any] | None = None) -> Exchange:
        """Return the call of a step with an answer that has what the spec reads of it."""
        usual, _ = self.facts[step.id]
        code = status or usual
        response: dict[str, Any] = {"status": code} if code != 200 else {}
        found = {**self.requests.answer_values(step), **(values or {})}
        plain = {path: value for path, value in found.items() if path.startswith("$") and path != "$"}
        if plain or code not in (204, 202):
            response["json"] = data_at(plain) if plain else self.requests.answer(step)
        headers = {
            path.removeprefix("header:"): str(value) for path, value in found.items() if path.startswith("header:")
        }
        if headers:
            response["headers"] = headers
        return Exchange(self.requests.sections[step.id]["request"], response, step.id)


def _is_error(condition: Condition) -> bool:
    """Return whether a condition looks at statuses that are errors, which `poll` and `retry` deal with."""
    return is_status_only(condition) and all(
        not isinstance(item.value, int) or item.value >= 400 for item in compares(condition)
    )


def _seconds(value: float) -> str:
    return f"{int(value)}s" if value == int(value) else f"{int(value * 1000)}ms"
