"""Where the values of a workflow come from: inputs, secrets, and what earlier steps gave."""

from __future__ import annotations

import json
import re
from typing import Any

from yaml_connector.cli.new.arazzo.conditions import Source, source_of, sources_in, text_of_value
from yaml_connector.cli.new.arazzo.plan import Plan, Step
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.jsonpaths import data_at, pointer_path, response_with
from yaml_connector.cli.new.names import field_name, is_secret_name, snake, variable_name
from yaml_connector.cli.new.openapi.calls import id_place
from yaml_connector.cli.new.openapi.document import as_list, as_mapping
from yaml_connector.cli.new.sketch import Ref, Sketch, quoted, with_path

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}

_SAMPLES: dict[str, Any] = {"str": "text", "int": 7, "float": 1.5, "bool": True}

_MOST_DEPTH = 50


class Values:
    """Makes a template of each expression. `place` has the section of each step, `sections` what was written of it."""

    def __init__(self, arazzo: Arazzo, workflow: dict[str, Any], plan: Plan, sketch: Sketch) -> None:
        self.arazzo = arazzo
        self.workflow = workflow
        self.plan = plan
        self.sketch = sketch
        self.place: dict[str, str] = {}
        self.sections: dict[str, dict[str, Any]] = {}
        self.id_source: Source | None = None
        self.id_questions: list[str] = []
        self.id_sample: Any = "job-1"
        self.id_extraction = "$.id"
        self.values: dict[str, dict[str, Any]] = {}  # by step: the path in its answer, and the value that a test has
        self.decided: dict[tuple[str, str], str] = {}  # what is meant by an output that is a whole answer
        self.usual: dict[str, int] = {}  # by step: the status of a good answer
        self.auth_header: str | None = None
        self.secret_inputs: dict[str, str] = {}
        inputs = as_mapping(arazzo.component(workflow.get("inputs")))
        self.required = list(map(str, as_list(inputs.get("required"))))
        self.properties: dict[str, Any] = as_mapping(inputs.get("properties"))
        self.base = ""

    def secret(self, name: str, *, required: bool = True) -> Ref:
        """Return a secret."""
        env = variable_name(snake(f"{self.sketch.name}_{field_name(name)}"))
        return self.sketch.secret(field_name(name), env, **({} if required else {"required": False}))

    def _selected(self, value: Any) -> Any:
        """Return a selector object of Arazzo 1.1 as an expression."""
        if isinstance(value, dict) and "selector" in value and "context" in value:
            path = str(value["selector"])
            path = pointer_path(path) if path.startswith("/") else path
            context = str(value["context"])
            if context == "$inputs":
                return f"$inputs{path.removeprefix('$')}"
            return f"{context}{path.removeprefix('$')}"
        return value

    def value(self, value: Any, section: str, step: Step, depth: int = 0) -> Any:
        """Return a value of the document with its expressions as templates."""
        value = self._selected(value)
        if depth > _MOST_DEPTH:
            return None
        if isinstance(value, dict):
            return {str(key): self.value(item, section, step, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, section, step, depth + 1) for item in value]
        if isinstance(value, str):
            return text_of_value(value, lambda source: self.ref(source, section, step))
        return value

    def ref(self, source: Source, section: str, step: Step) -> Any:
        """Return what an expression becomes; a text with a question if it has no counterpart."""
        asked = "create" if section == "connection" else section
        if source.kind == "inputs":
            if source.output:
                told = f"{source.name} comes from the workflow {source.output}, which is not run here: give it"
                self._ask(asked, told)
            return self._input(source)
        if source.kind == "steps":
            return self.output_of(source, section, step)
        self._ask(asked, f"{source.name or source.kind} of the workflow has no counterpart here")
        return ""

    def _ask(self, section: str, question: str) -> None:
        self.sketch.ask((section,), question)

    def _input(self, source: Source) -> Ref:
        if source.name in self.secret_inputs:
            required = not self.required or source.name in self.required
            return self.secret(self.secret_inputs[source.name], required=required)
        about = as_mapping(self.arazzo.component(self.properties.get(source.name)))
        required = source.name in self.required
        self.add_input(source.name, about, required=required)
        field = field_name(source.name)
        expression = with_path(f"inputs.{field}", source.path)
        default = about.get("default")
        if default is not None and not source.path and not required:
            expression += f" | default({quoted(default) if isinstance(default, str) else json.dumps(default)})"
        if source.path:
            self.sketch.fixture("inputs", field, _merged(self.sketch.fixtures["inputs"][field], source.path, "inner"))
        return Ref(expression)

    def add_input(self, name: str, about: dict[str, Any], *, required: bool) -> None:
        """Declare an input."""
        field = field_name(name)
        if field in self.sketch.spec["inputs"]:
            return
        kind = input_type(about)
        text = " ".join(str(about.get("description") or "").split())
        sample = _example(about, kind, field)
        kind = kind if required or kind == "any" else f"{kind}?"
        declared = {"type": kind, "description": text[:200]} if text and "${{" not in text else kind
        self.sketch.input(field, declared, sample)

    def extraction(self, step: Step, output: str, path: str) -> tuple[str, bool]:
        """Return where the answer of a step has an output: an extraction, and whether it is known, not guessed."""
        if (step.id, output) in self.decided and not path:
            return self.decided[step.id, output], True
        raw = self._selected(step.data["outputs"].get(output))
        if not isinstance(raw, str):
            return (f"$.{output}" if re.fullmatch(r"[A-Za-z_]\w*", output) else "$"), False
        source = source_of(raw)
        if source.kind == "response" and source.name == "body":
            return ((source.path or "$") + path.removeprefix("$")).replace("[]", "[*]"), True
        if source.kind == "response":
            return f"${{{{ headers['{source.output}'] }}}}", True
        if source.kind in ("status", "url"):
            return f"${{{{ {source.kind} }}}}", True
        if raw.startswith(("$.", "$[")):
            return raw + path.removeprefix("$"), True
        if source.kind == "inputs":
            return f"${{{{ {self._input(source).expression} }}}}", True
        return "$", False

    def output_of(self, source: Source, section: str, user: Step) -> Any:
        """Return the template for an output of another step, and see to it that it is kept."""
        step = self.plan.step(source.name)
        if step is None or step.operation is None:
            self._ask(section, f"{source.name} is not a step with a call")
            return ""
        if step is user and section != "outputs":
            self._ask(section, f"{user.id} needs its own answer")
            return ""
        if self.id_source is not None and source == self.id_source and section != "create":
            return self._id_ref(user)
        place = self.place.get(step.id)
        if place is None:
            self._ask(section, f"the answer of {source.name} is not there: it does not run before {user.id}")
            return ""
        return self._saved(step, source, section, place)

    def _saved(self, step: Step, source: Source, section: str, place: str) -> Any:
        """Return the template for an output of a step, which its section, or the job, is made to keep."""
        name = source.output
        if source.path:
            name = re.sub(r"\W+", "_", name + source.path.removeprefix("$")).strip("_")
        name = field_name(name)
        extraction, sure = self.extraction(step, source.output, source.path)
        if sure and extraction == "$" and section != "outputs" and not source.path and self._is_object(step):
            known = self.id_source
            same = known is not None and (source.name, source.output) == (known.name, known.output)
            extraction = self.id_extraction if same else self._id_field(step, [source.output])
            self.decided[step.id, source.output] = extraction
            if not same:
                told = f"the workflow takes the whole answer of {step.id} as {source.output}"
                self._ask(section, f"{told}; {extraction} is a guess")
        if not sure:
            self._ask(section, f"the output {source.output} of {source.name} is not declared: {extraction} is a guess")
        if is_filled(extraction):
            self.values.setdefault(step.id, {}).setdefault(extraction, f"{name}-1".replace("_", "-"))

        is_same = place == section or (place in ("get", "result") and section in ("result", "outputs"))
        if is_same or place == "connection":
            self.sections[step.id].setdefault("save", {})[name] = extraction
            return Ref(f"steps.{step.name}.saved.{name}" if is_same else f"auth.{name}")
        if place == "create":
            if is_secret_name(name):
                self._ask(
                    "create", f"{name} of {step.id} is kept with the job, where others may read it: is it a secret?"
                )
            self.keep(step, name, extraction)
            return Ref(f"job.{self._job_name(name)}")
        self._ask(section, f"{source.name}.{source.output} is not known here")
        return ""

    def _job_name(self, name: str) -> str:
        return f"{name}_saved" if name in ("id", "created_at", "cancelled") else name

    def keep(self, step: Step, name: str, extraction: str) -> None:
        """Keep a value of a create's step with the job."""
        create = self.sketch.spec["create"]
        kept = create.setdefault("save", {})
        if "steps" not in create:
            kept[self._job_name(name)] = extraction
            return
        self.sections[step.id].setdefault("save", {})[name] = extraction
        kept[self._job_name(name)] = f"${{{{ steps.{step.name}.saved.{name} }}}}"

    def _id_field(self, step: Step, names: list[str], below: str = "$") -> str:
        return id_place(step.call, names, below) or f"{below}.id"

    def _is_object(self, step: Step, path: str = "$") -> bool:
        """Return whether an answer (or the value at a path in it) is an object, as far as the document says."""
        document = step.call.document
        if path == "$":
            return not document.kinds(step.call.schema) - {"object", "array"}
        about = next((about for known, _, about in step.call.fields if known == path), {})
        return document.kinds(about) == {"object"} or "properties" in about

    def _is_number(self, step: Step, path: str) -> bool:
        about = next((about for known, _, about in step.call.fields if known == path), {})
        return step.call.document.kinds(about) == {"integer"}

    def _id_ref(self, user: Step) -> Ref:
        body = user.data.get("requestBody")
        payload = body.get("payload") if isinstance(body, dict) else None
        if isinstance(self.id_sample, int) and self.id_source in sources_in(payload):
            return Ref("job.id | int")
        return Ref("job.id")

    def guess_id(self) -> None:
        """Let the answer of the start have the id in the test."""
        self.values.setdefault(self.plan.start.id, {})[self.id_extraction] = self.id_sample

    def answer(self, step: Step) -> Any:
        """Return the body of a step's answer in the test: it has all that the spec reads of it."""
        found = self.values.get(step.id, {})
        inside = {extraction: value for extraction, value in found.items() if extraction != "$"}
        whole = found.get("$", {} if self._is_object(step) else [])
        return response_with(inside).get("json", whole)


def is_filled(extraction: str) -> bool:
    """Return whether a test can give the value of an extraction: it is below the body, or a header."""
    return extraction != "$" and extraction.startswith(("$.", "$[", "${{ headers["))


def input_type(about: dict[str, Any]) -> str:
    """Return the type of an input that a JSON Schema describes."""
    kind = about.get("type")
    kinds = [item for item in (kind if isinstance(kind, list) else [kind]) if item and item != "null"]
    if len(kinds) != 1:
        return "any"
    if kinds[0] == "array":
        items = about.get("items")
        inner = input_type(items) if isinstance(items, dict) else "any"
        return f"list[{inner}]"
    return _TYPES.get(str(kinds[0]), "any")


def _example(about: dict[str, Any], kind: str, name: str) -> Any:
    values = about.get("enum")
    first = values[0] if isinstance(values, list) and values else None
    for value in (about.get("example"), about.get("default"), first):
        if value is not None and type(value) is type(_SAMPLES.get(kind)):
            return value
    if kind == "any":
        return {"key": "value"}
    if kind.startswith("list["):
        inner = kind[5:-1]
        return [_example({}, inner, name)]
    return f"a-{name.replace('_', '-')}" if kind == "str" else _SAMPLES.get(kind, "text")


def _merged(sample: Any, path: str, value: Any) -> Any:
    found = data_at({path: value})
    return {**sample, **found} if isinstance(sample, dict) and isinstance(found, dict) else found
