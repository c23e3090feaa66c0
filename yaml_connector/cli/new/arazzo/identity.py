"""What identifies the job of a workflow, and what else its OpenAPI document says."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.arazzo.conditions import source_of, sources_in
from yaml_connector.cli.new.arazzo.plan import Step
from yaml_connector.cli.new.arazzo.requests import Requests
from yaml_connector.cli.new.arazzo.values import is_filled
from yaml_connector.cli.new.names import field_name
from yaml_connector.cli.new.openapi.calls import whole_of
from yaml_connector.cli.new.sketch import Ref


class Identity(Requests):
    """Finds the id, the outputs, and what the OpenAPI document adds."""

    def find_id(self) -> None:
        """Find which output identifies the job: the one in the path of the poll, else in its query or body."""
        poll = self.plan.poll
        if poll is None:
            self.guess_id()
            return
        path = poll.call.path  # the last parameter of a path is the job's: /projects/{project}/jobs/{job}
        parameters = sorted(self.parameters(poll), key=lambda item: (item[1] != "path", -path.find(f"{{{item[0]}}}")))
        values: list[Any] = [value for _, place, value in parameters if place in ("path", "query")]
        body = poll.data.get("requestBody")
        values.append(body.get("payload") if isinstance(body, dict) else None)
        sources = [source for value in values for source in sources_in(self._selected(value)) if source.kind == "steps"]
        own = [source for source in sources if source.name == self.plan.start.id]
        self.id_source = next(iter(own or sources), None)
        if self.id_source is None:
            self._id_from_input(parameters)
            return
        step = self.plan.step(self.id_source.name)
        if step is None or step.operation is None:
            self.id_source = None
            self.guess_id()
            return
        where, sure = self.extraction(step, self.id_source.output, self.id_source.path)
        self.id_extraction = where
        if "[*]" in where:
            self.id_extraction = where = where.replace("[*]", "[0]")
            self.id_questions.append(
                f"job_id: the workflow takes all items; here it is the first, {where}: is it right?"
            )
        if not sure:
            told = f"{step.id} does not declare {self.id_source.output}; {where} is a guess"
            self.id_questions.append(f"job_id: {told}")
        elif where == "$" and self._is_object(step):
            param = next((name for name, _, value in parameters if sources_in(value) == [self.id_source]), "id")
            told = f"the workflow takes the whole answer of {step.id} as the id"
            where = self._decide_id(step, told, [self.id_source.output, param], "$")
        elif where.startswith("$.") and self._is_object(step, where):
            where = self._decide_id(step, f"{where} is an object", [self.id_source.output], where)
        elif header := re.match(r"\$\{\{ headers\['(.*)'\]", where):
            self.id_extraction = where = where.replace(" }}", " | basename }}")
            self.id_questions.append(f"job_id: is the id the end of the header {header[1]}?")
        elif where == "$":
            self.id_questions.append(f"job_id: the workflow takes the whole answer of {step.id} as the id")
        elif where.endswith(".name"):
            self.sketch.remark(
                ("create", "job_id"), "If the name is a path (a/b/c) and only its end is wanted: `| basename`."
            )
        self.id_sample = 101 if self._is_number(step, where) else "job-1"
        self.values.setdefault(step.id, {})[where if where == "$" or is_filled(where) else "$.id"] = self.id_sample

    def _decide_id(self, step: Step, told: str, names: list[str], below: str) -> str:
        """Guess where an object has the id, with a question, and return the place."""
        assert self.id_source is not None
        self.id_extraction = self._id_field(step, names, below)
        self.id_questions.append(f"job_id: {told}; {self.id_extraction} is a guess")
        self.decided[step.id, self.id_source.output] = self.id_extraction
        return self.id_extraction

    def _id_from_input(self, parameters: list[tuple[str, str, Any]]) -> None:
        """Take an input in the last parameter of the poll's path for the job's id, if the start can give one."""
        named = [(name, value) for name, place, value in parameters if place == "path" and isinstance(value, str)]
        start = self.plan.start
        own = {source.name for source in sources_in([value for _, _, value in self.parameters(start)])}
        for name, value in reversed(named):
            source = source_of(value)
            if source.kind == "inputs" and source.name not in own:
                self.id_source = source
                self.id_extraction = self._id_field(start, [name, source.name])
                self.guess_id()
                self.id_questions.append(
                    f"job_id: in the workflow the id is the input {source.name}; {self.id_extraction} is a guess"
                )
                return
        self.id_questions.append("job_id: nothing of the start's answer is used by the poll; $.id is a guess")
        self.guess_id()

    def job_id(self, steps: list[Step]) -> str:
        """Return the extraction of `job_id`."""
        source = self.id_source
        if source is None or source.kind != "steps" or source.name == self.plan.start.id:
            return self.id_extraction
        step = self.plan.step(source.name)
        if step is None or step not in steps:
            return self.id_extraction
        name = field_name(source.output)
        self.sections[step.id].setdefault("save", {})[name] = self.id_extraction
        return f"${{{{ steps.{step.name}.saved.{name} }}}}"

    def output(self, raw: Any) -> str | None:
        """Return the extraction of an output of the workflow; None if it has none."""
        raw = self._selected(raw)
        source = source_of(raw) if isinstance(raw, str) else None
        if source is None:
            return None
        if source.kind == "inputs":
            ref = self._input(source)
            return None if ref.expression.startswith("secrets.") else f"${{{{ {ref.expression} }}}}"
        if source.kind != "steps":
            return None
        step = self.plan.step(source.name)
        if step is None or step.id not in self.place or self.place[step.id] == "delete":
            return None
        if self.id_source == source:
            return "${{ job.id }}"
        last = self.plan.result[-1] if self.plan.result else self.plan.poll
        extraction, sure = self.extraction(step, source.output, source.path)
        if step is last:
            return extraction
        if not sure:
            return None
        ref = self.output_of(source, "outputs", step)
        return f"${{{{ {ref.expression} }}}}" if isinstance(ref, Ref) else None

    def statuses(self, step: Step) -> list[int]:
        """Return the statuses of success that the OpenAPI document has for a step."""
        responses = step.call.document.node(step.call.node.get("responses"))
        return [int(code) for code in map(str, responses) if re.fullmatch(r"2\d\d", code)]

    def cancel_call(self) -> str | None:
        """Return the call that the OpenAPI document has to cancel the job, if it has one."""
        poll, start = self.plan.poll, self.plan.start
        if poll is None or poll.call.method != "get":
            return None
        delete = whole_of(poll.call.document, start.call.path, poll.call.path).delete
        return str(delete) if delete is not None else None
