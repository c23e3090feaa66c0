"""The checks of a whole spec, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from math import isfinite
from typing import Any

from yaml_connector._expressions.compile import compile_tree, has_template
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._loading.connection_checks import connection_problems, header_problems
from yaml_connector._loading.document import Document, TooManyDiagnostics, show_path
from yaml_connector._loading.field_checks import FieldChecker
from yaml_connector._loading.likely_mistakes import likely_mistakes
from yaml_connector._loading.references import ANSWER_NAMES, Names, SpecNames, step_names
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import READ, Path, Slot, fields_of, slots
from yaml_connector._spec.interface import RESERVED_SECRETS, SECRETS_FIELD
from yaml_connector._spec.phases import state_key
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector._spec.sections import Adopt, Batch, Create, Logs, Poll
from yaml_connector._text import did_you_mean, short
from yaml_connector.errors import EvaluationError

_OF_STEPS = fields_of(Step).keys() - {"request"}
_OF_LINES = {"message", "timestamp", "level", "keep"}


def _own(section: Calls) -> Set[str]:
    """Return the fields that a section has beside its requests. A new one sees what the others see."""
    return fields_of(type(section)).keys() - fields_of(Calls).keys()


def check_spec(spec: ConnectorSpec, document: Document, *, partial: bool = False) -> None:
    """Check a valid model of a spec, and add what is wrong to the document's problems.

    `partial`: the spec is what is left of an invalid one, so nothing is reported as missing.
    """
    with suppress(TooManyDiagnostics):
        _SpecChecker(spec, document, partial).run()


class _SpecChecker(FieldChecker):
    def __init__(self, spec: ConnectorSpec, document: Document, partial: bool) -> None:
        super().__init__(document, partial)
        self.spec = spec
        self.names = SpecNames(spec, document.data if partial else None)

    # --- the sections -------------------------------------------------------------------------------------------

    def run(self) -> None:
        spec, names = self.spec, self.names
        self.connection()
        for name, secret in spec.secrets.items():
            if name in RESERVED_SECRETS:
                message = f"a secret cannot be called {name!r}: Flyte passes something else by that name"
                self.report(("secrets", name), message, key=True)
            if secret.file is not None:
                self.slot(("secrets", name, "file"), Slot("template"), secret.file, names.base)
        for section in ("config", "inputs"):
            for name, field in (getattr(spec, section) or {}).items():
                self.fields(field, (section, name), Names())
        if spec.allow is not None:
            self.fields(spec.allow, ("allow",), Names())
        for name in ("name", "description", "task_type_name"):
            self.no_template((name,), getattr(spec, name))
        if spec.runs is not None:
            self.container()
        self.create()
        answer = names.base.plus(*ANSWER_NAMES, job=names.job)
        get_steps = self.get(answer) if spec.get else {}
        result_steps = self.result(get_steps, answer) if spec.result else {}
        self.outputs(answer.plus(steps={**get_steps, **result_steps}))
        if spec.delete:
            judged = self.calls(spec.delete, ("delete",), answer, needs_method=True)
            self.fields(spec.delete, ("delete",), judged, *_own(spec.delete))
        if spec.logs:
            self.logs(spec.logs, answer.plus(page=dict.fromkeys(("token", "lines"))))
        if not any(problem.severity == "error" for problem in self.document.problems):
            told = {problem.path for problem in self.document.problems}
            for path, message in likely_mistakes(spec, self.document, self.used):
                if show_path(path) not in told:  # of one value, one doubt is enough
                    self.warn(path, message)

    def container(self) -> None:
        """Check that the spec leaves to the container's function what is the function's own."""
        for section in ("inputs", "outputs", "result"):
            if section in self.spec.model_fields_set:
                message = f"a spec with `runs: container` has no {section}: the function's own pass through its storage"
                self.report((section,), message, key=True)
        if SECRETS_FIELD in self.spec.config:
            self.report(
                ("config", SECRETS_FIELD),
                f"with `runs: container`, {SECRETS_FIELD} of a task's config are its secrets; choose another name",
                key=True,
            )

    def connection(self) -> None:
        connection, names = self.spec.connection, self.names.connection
        answer = self.names.base.plus(*ANSWER_NAMES, job=self.names.job, steps=None, item=None)
        for path, mark, value in slots(connection, ("connection",)):
            if path[-1] in ("retry_if", "error_message", "retry_after"):
                self.slot(path, mark, value, answer)
            elif path[1] == "auth":
                names_here = names.plus("jwt") if path[2] == "request" and connection.auth.jwt else names  # type: ignore[union-attr]
                if path[2] in ("token", "expires_in", "save", "renew_if") and mark and mark.kind != "template":
                    names_here = Names(dict.fromkeys(ANSWER_NAMES)).plus(**names.roots)
                self.slot(path, mark, value, names_here)
            elif path[1] == "proxy":
                self.slot(path, mark, value, Names({"env": None}))
            elif path[1] == "base_url":
                self.slot(path, mark, value, Names({key: names.roots[key] for key in ("env", "config")}))
            else:
                self.slot(path, mark, value, names)
        uses_config = isinstance(connection.base_url, str) and any(
            name[0] == "config" for name in self._names_of(connection.base_url)
        )
        if uses_config and connection.allowed_hosts is None:
            self.report_missing(
                ("connection", "base_url"),
                "base_url uses config, so allowed_hosts is required: the hosts that a task's author may choose from",
            )
        for path, message in connection_problems(connection):
            self.report(path, message)
        if connection.http2 and str(connection.base_url).startswith("http://"):
            self.warn(("connection", "http2"), "HTTP/2 needs TLS: over http:// the requests are sent by HTTP/1.1")
        if "verify" in connection.tls.model_fields_set and not connection.tls.verify:
            self.warn(("connection", "tls", "verify"), "TLS verification is off: traffic can be intercepted")

    def _names_of(self, text: str) -> frozenset[Reference]:
        try:
            return compile_tree(text).names
        except EvaluationError:
            return frozenset()

    def calls(
        self,
        section: Calls,
        path: Path,
        names: Names,
        *,
        needs_method: bool = False,
        own_save: bool = True,
        before: Mapping[str, Any] | None = None,
    ) -> Names:
        """Check the requests of a section; return the names that its extractions see. `before`: the steps that other
        sections have run; without `own_save`, what the section saves is kept with the job."""
        if isinstance(section, Logs) and section.each is not None:
            found = self.steps(section.steps_before(), section, path, names, needs_method, {})
            self.slot((*path, "each"), READ, section.each, names.plus(steps=found))
            self.step(section.item_step(), path, names.plus("item", steps=found), needs_method)
            return names.plus("item", steps=found)
        seen = self.steps(section.as_steps(save=own_save), section, path, names, needs_method, before or {})
        known = [name for name in step_names(section.steps or []) if not self.partial or name in self.written]
        if section.read is not None and section.read not in known and not (self.partial and not known):
            self.report((*path, "read"), f"there is no step {short(section.read)}{did_you_mean(section.read, known)}")
        return names.plus(steps=seen)

    def steps(
        self, steps: list[Step], section: Calls, path: Path, names: Names, needs_method: bool, before: Mapping[str, Any]
    ) -> dict[str, Any]:
        seen = dict(before)
        for index, step in enumerate(steps):
            here: Path = (*path, "steps", index) if section.steps is not None and index < len(section.steps) else path
            if step.name in seen:
                self.report((*here, "name"), f"there is a step {short(step.name)} before this one")
            self.step(step, here, names.plus(steps=seen), needs_method)
            seen.update(step_names([step]))
        return seen

    def step(self, step: Step, path: Path, names: Names, needs_method: bool) -> None:
        each = {"item": None} if step.each is not None or "item" in names.roots else {}
        seen = {name: rest for name, rest in names.roots.items() if name not in ANSWER_NAMES}
        sent = Names({**self.names.only_sent, **seen}).plus(**each)
        self.request(step.request, (*path, "request"), sent, needs_method)
        judged = names.plus(*ANSWER_NAMES, **each)
        self.fields(step, path, judged, *_OF_STEPS)
        if step.collect is not None and step.follow is None:
            message = "collect takes something from each page, so it needs follow: where the next page is"
            self.report((*path, "collect"), message)

    def request(self, request: Request, path: Path, names: Names, needs_method: bool) -> None:
        for here, message in header_problems((*path, "headers"), request.headers):
            self.report(here, message, key=True)
        for name in request.headers if isinstance(request.headers, dict) else ():
            if name.lower() == "host":
                told = (
                    "the host is that of the URL; leave this out, unless the server wants another name than the URL's"
                )
                self.warn((*path, "headers", name), told)
        if needs_method and request.method is None:
            written = self.document.at(path)
            if not self.partial or (isinstance(written, dict) and "method" not in written):
                self.report((*path, "method"), "is required in create and delete")
        self.fields(request, path, names)

    def create(self) -> None:
        create, path = self.spec.create, ("create",)
        names = self.names.base.plus(*ANSWER_NAMES)
        if create.adopt is not None:
            self.identity(
                create.adopt, ("create", "adopt"), self.calls(create.adopt, ("create", "adopt"), names, own_save=False)
            )
        answer = self.calls(create, path, names, needs_method=True, own_save=False)
        self.identity(create, path, answer)
        if create.idempotent is not False and create.tolerance > create.idempotent_for:
            given = "tolerance" if "tolerance" in create.model_fields_set else "idempotent"
            message = (
                f"tolerance ({duration_text(create.tolerance)}) is longer than idempotent "
                f"({duration_text(create.idempotent_for)}): a create that is sent later could make a second job"
            )
            self.report(("create", given), message)
        for name in ("id", "created_at", "cancelled"):
            if isinstance(create.save, dict) and name in create.save:
                self.report(("create", "save", name), f"job.{name} has a meaning of its own; choose another name")
        for index, step in enumerate(create.on_failure):
            self.step(step, ("create", "on_failure", index), answer, needs_method=True)

    def identity(self, section: Create | Adopt, path: Path, names: Names) -> None:
        """Check what the job is known by: its id, and what is saved with it."""
        self.fields(section, path, names, "job_id")
        others = _own(section) - {"job_id", "adopt", "on_failure"}
        self.fields(section, path, names.plus(job=self.names.job), "save", *others)

    def get(self, names: Names) -> dict[str, Any]:
        get = self.spec.get
        assert get is not None
        answer = self.calls(get, ("get",), names.plus("cursor"))
        for index, rule in enumerate(get.phase):
            here = self.document.item(("get", "phase"), index)
            self.fields(rule, here, answer)
            self.states(rule.map or {}, (*here, "map"))
        named: set[str] = set()  # links that are always shown
        for index, link in enumerate(get.links):
            if link.name in named and link.when is None:
                message = f"two links are called {short(link.name)}; Flyte shows one of them, so give one an `if`"
                self.report(("get", "links", index, "name"), message)
            if link.when is None and not has_template(link.name):
                named.add(link.name)
        self.fields(get, ("get",), answer, *(_own(get) - {"phase", "poll", "batch"}))
        self.fields(get.poll, ("get", "poll"), answer, *(fields_of(Poll).keys() - {"timeout"}))
        self.fields(get.poll, ("get", "poll"), Names({"config": names.roots["config"]}), "timeout")
        if get.batch is not None:
            # A batch request serves many jobs: only what they have in common can be seen.
            shared = Names({name: self.names.base.roots[name] for name in ("config", "base_url")})
            sent = shared.plus("jobs", **self.names.only_sent)
            self.request(get.batch.request, ("get", "batch", "request"), sent, needs_method=False)
            judged = fields_of(Batch).keys() - {"request", "id"}
            self.fields(get.batch, ("get", "batch"), shared.plus(*ANSWER_NAMES), *judged)
            self.fields(get.batch, ("get", "batch"), shared.plus("item"), "id", root="item")
        return answer.roots["steps"]  # type: ignore[return-value]

    def states(self, phases: Mapping[Any, list[Any]], path: Path) -> None:
        """Check the states of the API that a rule maps: each means one phase."""
        seen: dict[str, str] = {}
        for phase, values in phases.items():
            for index, value in enumerate(values):
                if isinstance(value, float) and not isfinite(value):
                    self.report((*path, phase, index), f"{value} is not a valid state")
                elif (first := seen.setdefault(state_key(value), phase)) != phase:
                    message = f"the value {short(value)} is mapped to both {first} and {phase}"
                    self.report((*path, phase, index), message)

    def result(self, get_steps: dict[str, Any], names: Names) -> dict[str, Any]:
        assert self.spec.result is not None
        found = self.calls(self.spec.result, ("result",), names.plus(steps=get_steps), before=get_steps)
        return found.roots["steps"]  # type: ignore[return-value]

    def outputs(self, names: Names) -> None:
        for name, output in self.spec.outputs.items():
            if name != "*" and not name.isidentifier():
                self.report(("outputs", name), f"{short(name)} is not a valid name of an output", key=True)
            source = self.document.data.get("outputs", {}).get(name)
            here: Path = ("outputs", name, "value") if isinstance(source, dict) else ("outputs", name)
            seen = names.plus("cursor", output=dict.fromkeys(("name", "type"))) if name == "*" else names.plus("cursor")
            self.slot(here, Slot("extraction"), output.value, seen)

    def logs(self, logs: Logs, names: Names) -> None:
        answer = self.calls(logs, ("logs",), names)
        self.fields(logs, ("logs",), answer.plus("line"), *_OF_LINES, root="line")
        self.fields(logs, ("logs",), answer, *(_own(logs) - _OF_LINES))
