"""What only the whole spec can tell: names that are seen, templates that may not be, and what is likely a mistake."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from math import isfinite
from typing import Any

from yaml_connector._expressions.compile import (
    compile_condition,
    compile_extraction,
    compile_extractions,
    compile_text,
    compile_tree,
    find_templates,
    has_template,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._loading.document import Document, Path, TooManyDiagnostics, show_path
from yaml_connector._loading.references import ANSWER_NAMES, Names, SpecNames, step_names
from yaml_connector._loading.unjudged import missing_error_condition
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Model, Slot, slots
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector._spec.sections import Logs, Rule
from yaml_connector._text import did_you_mean, short
from yaml_connector.errors import EvaluationError

MOST_EXPRESSIONS = 2_000  # of one spec; each takes a part of a millisecond to compile
MOST_CHARACTERS = 100_000  # of all of them
_MADE_ELSEWHERE = frozenset({"job", "steps", "item", "jwt"})


def check_spec(spec: ConnectorSpec, document: Document, *, partial: bool = False) -> None:
    """Check a spec that fits the models; what is wrong goes to the document's problems. `partial`: it is a part of the
    document's, so that only what stands there can be wrong, not what is missing."""
    with suppress(TooManyDiagnostics):
        _Checker(spec, document, partial).run()


class _Checker:
    def __init__(self, spec: ConnectorSpec, document: Document, partial: bool) -> None:
        self.spec = spec
        self.document = document
        self.partial = partial
        self.known = {problem.path for problem in document.problems}
        self.names = SpecNames(spec)
        self.used: set[Reference] = set()
        self.counted: set[str] = set()
        self.expressions = 0
        self.characters = 0

    def problem(self, path: Path, message: str, *, key: bool = False) -> None:
        """Something that stands there is wrong."""
        if not self.partial or show_path(path) not in self.known:
            self.document.note(path, message, key=key)

    def lack(self, path: Path, message: str) -> None:
        """Something is wrong with what stands around it."""
        if not self.partial:
            self.document.note(path, message)

    def warn(self, path: Path, message: str) -> None:
        self.document.note(path, message, severity="warning")

    # --- one field ----------------------------------------------------------------------------------------------

    def slot(self, path: Path, mark: Slot | None, value: Any, names: Names, *, root: str = "body") -> None:
        """Compile one field and check the names in it."""
        if mark is None:
            self.no_template(path, value)
            return
        self.count(path, value, mark.kind)
        try:
            if mark.kind == "condition":
                if isinstance(value, str) and has_template(value):
                    raise EvaluationError("a condition is a bare expression: leave ${{ and }} out")
                found = compile_condition(value).names
            elif mark.kind == "extraction":
                found = compile_extraction(value, root=root).names
            elif mark.kind == "extractions":
                if isinstance(value, dict):
                    for key, item in value.items():
                        self.template_key((*path, key), key)
                        self.slot((*path, key), Slot("extraction"), item, names, root=root)
                    return
                found = compile_extractions(value).names
            else:
                self.tree(path, value, names)
                return
        except EvaluationError as problem:
            self.problem(path, str(problem))
            return
        self.see(path, found, names)

    def tree(self, path: Path, value: Any, names: Names) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                self.template_key((*path, key), key)
                self.tree((*path, key), item, names)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.tree((*path, index), item, names)
        elif isinstance(value, str) and has_template(value):
            try:
                found = compile_text(value).names
            except EvaluationError as problem:
                self.problem(path, str(problem))
                return
            self.see(path, found, names)
        elif isinstance(value, float) and not isfinite(value):
            self.problem(path, f"{value} cannot be sent: JSON has no form for it")

    def count(self, path: Path, value: Any, kind: str) -> None:
        """Stop before compiling what is in this value would take long."""
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self.count(path, item, kind)
        if not isinstance(value, str) or value in self.counted:
            return
        a_path = value.startswith("$") and kind in ("extraction", "extractions")
        if not (a_path or kind == "condition" or has_template(value)):
            return
        self.counted.add(value)
        try:
            lengths = [end - start for start, end in find_templates(value)] or [len(value)]
        except EvaluationError:
            return  # compiling it finds the same, soon
        self.expressions += len(lengths)
        self.characters += sum(lengths)
        if self.expressions > MOST_EXPRESSIONS or self.characters > MOST_CHARACTERS:
            self.problem(
                path,
                f"the templates, paths and conditions up to here are more than {MOST_EXPRESSIONS} different ones, or "
                f"longer than {MOST_CHARACTERS} characters",
            )
            raise TooManyDiagnostics

    def see(self, path: Path, references: Iterable[Reference], names: Names) -> None:
        self.used.update(references)
        if self.partial:  # steps and what they save may be what was taken out
            references = [name for name in references if name[0] not in _MADE_ELSEWHERE]
        for message in names.unknown(references):
            self.problem(path, message)

    def template_key(self, path: Path, key: str) -> None:
        if has_template(key):
            self.problem(path, "a key may not hold a template", key=True)

    def no_template(self, path: Path, value: Any) -> None:
        if isinstance(value, str) and has_template(value):
            self.problem(path, "templates are not allowed in this field")

    def fields(self, model: Model, path: Path, names: Names, **roots: str) -> None:
        """Check every field below a model with the same names."""
        for here, mark, value in slots(model, path):
            self.slot(here, mark, value, names, root=roots.get(str(here[len(path)]), "body") if roots else "body")

    # --- the sections -------------------------------------------------------------------------------------------

    def run(self) -> None:
        spec, names = self.spec, self.names
        self.connection()
        for name, secret in spec.secrets.items():
            if secret.file is not None:
                self.slot(("secrets", name, "file"), Slot("template"), secret.file, names.base)
        for section in ("config", "inputs"):
            for name, field in (getattr(spec, section) or {}).items():
                self.fields(field, (section, name), Names())
        for name in ("name", "description", "task_type_name"):
            self.no_template((name,), getattr(spec, name))
        self.create()
        answer = names.base.plus(*ANSWER_NAMES, job=names.job)
        get_steps = self.get(answer) if spec.get else {}
        result_steps = self.result(get_steps, answer) if spec.result else {}
        self.outputs(answer.plus(steps={**get_steps, **result_steps}))
        if spec.delete:
            self.calls(spec.delete, ("delete",), answer, needs_method=True)
        if spec.logs:
            self.logs(spec.logs, answer.plus(page=dict.fromkeys(("token", "lines"))))
        if not any(problem.severity == "error" for problem in self.document.problems):
            self.warnings()

    def connection(self) -> None:
        connection, names = self.spec.connection, self.names.connection
        answer = self.names.base.plus(*ANSWER_NAMES, job=self.names.job, steps=None, item=None)
        for path, mark, value in slots(connection, ("connection",)):
            if path[1] in ("retry_if", "error_message"):
                self.slot(path, mark, value, answer)
            elif path[1] == "auth":
                names_here = names.plus("jwt") if path[2] == "request" and connection.auth.jwt else names  # type: ignore[union-attr]
                if path[2] in ("token", "expires_in") and mark and mark.kind == "extraction":
                    names_here = Names(dict.fromkeys(ANSWER_NAMES)).plus(**names.roots)
                self.slot(path, mark, value, names_here)
            elif path[1] == "base_url":
                self.slot(path, mark, value, Names({key: names.roots[key] for key in ("env", "config")}))
            else:
                self.slot(path, mark, value, names)
        uses_config = isinstance(connection.base_url, str) and any(
            name[0] == "config" for name in self._names_of(connection.base_url)
        )
        if uses_config and connection.allowed_hosts is None:
            self.lack(
                ("connection", "base_url"),
                "base_url uses config, so allowed_hosts is required: the hosts that a task's author may choose from",
            )
        if "verify" in connection.tls.model_fields_set and not connection.tls.verify:
            self.warn(("connection", "tls", "verify"), "TLS verification is off: traffic can be intercepted")

    def _names_of(self, text: str) -> frozenset[Reference]:
        try:
            return compile_tree(text).names
        except EvaluationError:
            return frozenset()

    def calls(self, section: Calls, path: Path, names: Names, *, needs_method: bool = False, **more: Any) -> Names:
        """The requests of a section; gives the names that its extractions see."""
        own_save = more.get("own_save", True)
        if isinstance(section, Logs) and section.each is not None:
            before = self.steps(section.steps_before(), section, path, names, needs_method, {})
            self.slot((*path, "each"), Slot("extraction"), section.each, names.plus(steps=before))
            self.step(section.item_step(), path, names.plus("item", steps=before), needs_method)
            return names.plus("item", steps=before)
        seen = self.steps(section.as_steps(save=own_save), section, path, names, needs_method, more.get("before", {}))
        if section.read is not None and section.read not in step_names(section.steps or []):
            known = step_names(section.steps or [])
            self.lack((*path, "read"), f"there is no step {short(section.read)}{did_you_mean(section.read, known)}")
        return names.plus(steps=seen)

    def steps(
        self, steps: list[Step], section: Calls, path: Path, names: Names, needs_method: bool, before: dict[str, Any]
    ) -> dict[str, Any]:
        seen = dict(before)
        for index, step in enumerate(steps):
            here: Path = (*path, "steps", index) if section.steps is not None and index < len(section.steps) else path
            if step.name in seen:
                self.problem((*here, "name"), f"there is a step {short(step.name)} before this one")
            self.step(step, here, names.plus(steps=seen), needs_method)
            seen.update(step_names([step]))
        return seen

    def step(self, step: Step, path: Path, names: Names, needs_method: bool) -> None:
        each = {"item": None} if step.each is not None or "item" in names.roots else {}
        secrets = {} if "secrets" in names.roots else {"secrets": self.names.with_secrets.roots["secrets"]}
        sent = Names({name: rest for name, rest in names.roots.items() if name not in ANSWER_NAMES}).plus(
            **each, **secrets
        )
        self.request(step.request, (*path, "request"), sent, needs_method)
        judged = names.plus(*ANSWER_NAMES, **each)
        for name, kind in (
            ("when", "condition"),
            ("error", "condition"),
            ("retry_if", "condition"),
            ("each", "extraction"),
            ("follow", "extraction"),
            ("save", "extractions"),
        ):
            value = getattr(step, name, None)
            if value is not None:
                self.slot((*path, "if" if name == "when" else name), Slot(kind), value, judged)  # type: ignore[arg-type]

    def request(self, request: Request, path: Path, names: Names, needs_method: bool) -> None:
        if needs_method and request.method is None:
            self.lack((*path, "method"), "is required in create and delete")
        self.fields(request, path, names)

    def create(self) -> None:
        create, path = self.spec.create, ("create",)
        names = self.names.base.plus(*ANSWER_NAMES)
        if create.adopt is not None:
            adopt = create.adopt
            found = self.calls(adopt, ("create", "adopt"), names, own_save=False)
            self.slot(("create", "adopt", "job_id"), Slot("extraction"), adopt.job_id, found)
            if adopt.save is not None:
                self.slot(("create", "adopt", "save"), Slot("extractions"), adopt.save, found.plus(job=self.names.job))
        answer = self.calls(create, path, names, needs_method=True, own_save=False)
        self.slot(("create", "job_id"), Slot("extraction"), create.job_id, answer)
        if create.save is not None:
            self.slot(("create", "save"), Slot("extractions"), create.save, answer.plus(job=self.names.job))
            for name in ("id", "created_at"):
                if isinstance(create.save, dict) and name in create.save:
                    self.problem(("create", "save", name), f"job.{name} has a meaning of its own; choose another name")
        for index, step in enumerate(create.on_failure):
            self.step(step, ("create", "on_failure", index), answer, needs_method=True)

    def get(self, names: Names) -> dict[str, Any]:
        get = self.spec.get
        assert get is not None
        answer = self.calls(get, ("get",), names.plus("cursor"))
        source = self.document.data.get("get", {}).get("phase")
        for index, rule in enumerate(get.phase):
            here: Path = ("get", "phase") if isinstance(source, dict) else ("get", "phase", index)
            self.rule(rule, here, answer)
        for name, kind in (("message", "extraction"), ("info", "extractions")):
            value = getattr(get, name)
            if value is not None:
                self.slot(("get", name), Slot(kind), value, answer)  # type: ignore[arg-type]
        for index, link in enumerate(get.links):
            self.fields(link, ("get", "links", index), answer)
        self.slot(("get", "poll", "not_found"), Slot("condition"), get.poll.not_found, answer)
        if get.batch is not None:
            # A batch request serves many jobs: only what they have in common can be seen.
            shared = Names({name: self.names.with_secrets.roots[name] for name in ("config", "base_url", "secrets")})
            self.request(get.batch.request, ("get", "batch", "request"), shared.plus("jobs"), needs_method=False)
            self.slot(("get", "batch", "items"), Slot("extraction"), get.batch.items, shared.plus(*ANSWER_NAMES))
            self.slot(("get", "batch", "id"), Slot("extraction"), get.batch.id, shared.plus("item"), root="item")
        return answer.roots["steps"]  # type: ignore[return-value]

    def rule(self, rule: Rule, path: Path, names: Names) -> None:
        if rule.path is not None:
            self.slot((*path, "path"), Slot("extraction"), rule.path, names)
        if rule.when is not None:
            self.slot((*path, "when"), Slot("condition"), rule.when, names)
        for phase, values in (rule.map or {}).items():
            for index, value in enumerate(values):
                self.no_template((*path, "map", phase, index), value)

    def result(self, get_steps: dict[str, Any], names: Names) -> dict[str, Any]:
        assert self.spec.result is not None
        found = self.calls(self.spec.result, ("result",), names.plus(steps=get_steps), before=get_steps)
        return found.roots["steps"]  # type: ignore[return-value]

    def outputs(self, names: Names) -> None:
        for name, output in self.spec.outputs.items():
            if name != "*" and not name.isidentifier():
                self.problem(("outputs", name), f"{short(name)} is no valid name of an output", key=True)
            source = self.document.data.get("outputs", {}).get(name)
            here: Path = ("outputs", name, "value") if isinstance(source, dict) else ("outputs", name)
            seen = names.plus("cursor", output=dict.fromkeys(("name", "type"))) if name == "*" else names.plus("cursor")
            self.slot(here, Slot("extraction"), output.value, seen)

    def logs(self, logs: Logs, names: Names) -> None:
        answer = self.calls(logs, ("logs",), names)
        line = answer.plus("line")
        for name in ("lines", "next"):
            if getattr(logs, name) is not None:
                self.slot(("logs", name), Slot("extraction"), getattr(logs, name), answer)
        for name in ("message", "timestamp", "level"):
            if getattr(logs, name) is not None:
                self.slot(("logs", name), Slot("extraction"), getattr(logs, name), line, root="line")
        self.slot(("logs", "keep"), Slot("condition"), logs.keep, line)
        self.slot(("logs", "more"), Slot("condition"), logs.more, answer)

    # --- likely mistakes ----------------------------------------------------------------------------------------

    def warnings(self) -> None:
        spec = self.spec
        if not spec.create.idempotent and spec.create.adopt is None:
            self.warn(
                ("create",),
                "neither idempotent nor adopt: after a broken connection it can be unknown whether a job was submitted",
            )
        if spec.get is not None:
            reached = {phase for rule in spec.get.phase for phase in (*(rule.map or ()), rule.phase) if phase}
            if not reached & {"FAILED", "RETRYABLE_FAILED", "ABORTED"}:
                self.warn(("get", "phase"), "no rule maps to FAILED: failed jobs would stay RUNNING")
            if "SUCCEEDED" not in reached:
                self.warn(("get", "phase"), "no rule maps to SUCCEEDED: no job would ever succeed")
        for path, message in missing_error_condition(spec):
            self.warn(path, message)
        used = {name[1] for name in self.used if name[0] == "secrets" and len(name) > 1}
        if ("secrets",) not in self.used:
            for name in spec.secrets:
                if name not in used:
                    self.warn(("secrets", name), "this secret is never used")
        connection = spec.connection
        if connection.retry.initial_delay > connection.deadline:
            self.warn(("connection", "retry"), "the first retry would come after the deadline")
        if connection.timeout > connection.deadline:
            self.warn(("connection", "timeout"), "one attempt may take longer than the deadline of the whole call")
