"""Translates a workflow of an Arazzo document into a sketch: create, get, result and delete."""

from __future__ import annotations

from typing import Any

from yaml_connector.cli.new.arazzo.conditions import sources_in
from yaml_connector.cli.new.arazzo.criteria import Criteria
from yaml_connector.cli.new.arazzo.phases import rules_of
from yaml_connector.cli.new.arazzo.plan import Step, choose
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.jsonpaths import response_with
from yaml_connector.cli.new.names import field_name
from yaml_connector.cli.new.openapi.calls import message_place
from yaml_connector.cli.new.openapi.document import as_mapping
from yaml_connector.cli.new.phases import Phases
from yaml_connector.cli.new.sketch import Exchange, Path, Play, Sketch, Unused


def sketch_of(content: bytes, file: str, name: str, workflow: str | None = None) -> Sketch:
    """Return the sketch of a workflow: the one that is named, else the one with a poll. Raises ConfigError."""
    arazzo = Arazzo(content, file)
    number, plan = choose(arazzo, workflow)
    return _Translation(arazzo, number, plan, name).run()


class _Translation(Criteria):
    """Makes the sketch."""

    def run(self) -> Sketch:
        sketch = self.sketch
        title = str(self.data.get("summary") or self.data.get("workflowId") or sketch.name)
        workflow = self.data.get("workflowId")
        sketch.begin(f"Made from the workflow {workflow} of {self.arazzo.file.rpartition('/')[2]}.", title)
        self.requests.connection()
        self.requests.find_id()
        self._create()
        self._get()
        self._result()
        self._delete()
        self._outputs()
        self._unused()
        self._tests()
        sketch.finish()
        return sketch

    def _section(self, steps: list[Step], section: str) -> dict[str, Any]:
        """Return a section of one request or of several steps. What later steps save here is filled in at the end."""
        found: list[dict[str, Any]] = []
        for step in steps:
            self.requests.place[step.id] = section
            data = self.requests.sections[step.id] = {"name": step.name}
            data["request"] = self.requests.request(step, section)
            success = self._success(step, section, len(found))
            if success is not None:
                data["success"] = success
            found.append(data)
        if len(found) == 1 and not self._named(steps[0], section):
            del found[0]["name"]
            return found[0]
        return {"steps": found}

    def _named(self, step: Step, section: str) -> bool:
        """Return whether other parts of the spec need a value of this step by its name."""
        if section == "create":
            return False
        later = [other for other in self.plan.result if other is not step]
        used = any(name == step.id for other in later for name, _ in other.used())
        sources = sources_in(self.data.get("outputs"))
        is_last = not self.plan.result or step is self.plan.result[-1]
        return used or (not is_last and any(source.kind == "steps" and source.name == step.id for source in sources))

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
            question = "the workflow reads no state: without `get` the job is SUCCEEDED as soon as it is submitted"
            self.sketch.ask(("create",), question)
            return
        section = self.sketch.spec["get"] = self._section([poll], "get")
        branches = self._branches(poll)
        enum, siblings = self._schema_states(poll)
        has_state = any(branch.condition is not None for branch in branches)
        if not has_state and poll.loops and self._waits_for_404(poll):
            question = "the job is over once it is found: is that what is meant?"
            samples: dict[str, tuple[int, dict[str, Any]]] = {"SUCCEEDED": (self.requests.usual[poll.id], {})}
            self.phases = Phases([{"is": "SUCCEEDED"}], "", questions=[question], samples=samples)
        elif not has_state:
            self.phases = self._from_schema(poll)
        else:
            self.phases = rules_of(branches, self.requests.usual[poll.id], enum, siblings)
        section["phase"] = self.phases.phase
        for question in self.phases.questions:
            self.sketch.ask(("get", "phase"), question)
        message = message_place(poll.call)
        if message is not None:
            section["message"] = message
        self._poll_settings(poll, section)

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
            told = f"The API also has {cancel}, which the workflow does not call: `delete` may use it."
            self.sketch.remark(("get",), told)

    def _outputs(self) -> None:
        for name, raw in as_mapping(self.data.get("outputs")).items():
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
                told = f"the workflow goes on with {step.id} (line {line}), which is not a part of this job"
                self.sketch.ask(place, told)
            elif step.number < (self.plan.poll or self.plan.start).number and "was not found" in why:
                self.sketch.ask(("create",), f"the step {step.id} (line {line}) was not found in the OpenAPI sources")
        for number, workflow in enumerate(self.arazzo.workflows):
            if number != self.number:
                line = self.arazzo.line("workflows", number)
                what = f"the workflow {workflow.get('workflowId')} (--workflow)"
                self.sketch.not_used.append(Unused(what, self.arazzo.file, line))
        for problem in self.arazzo.problems:
            self.sketch.not_used.append(Unused(problem, self.arazzo.file, self.arazzo.line("sourceDescriptions")))

    def _tests(self) -> None:
        login = [self.requests.login] if self.requests.login is not None else []
        answered = [self._exchange(step) for step in [*login, *self._all_create()]]
        create = Play("create", (*self.requests.documented_login, *answered))
        plays = [create]
        poll = self.plan.poll
        if poll is not None and self.phases is not None:
            for phase in ("RUNNING", "SUCCEEDED"):
                if phase in self.phases.samples:
                    status, values = self.phases.samples[phase]
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
        code = status or self.requests.usual.get(step.id, 200)
        response: dict[str, Any] = {"status": code} if code != 200 else {}
        found = {**self.requests.values.get(step.id, {}), **(values or {})}
        response |= response_with({extraction: value for extraction, value in found.items() if extraction != "$"})
        if "json" not in response and code not in (204, 202):
            response["json"] = self.requests.answer(step)
        return Exchange(self.requests.sections[step.id]["request"], response)
