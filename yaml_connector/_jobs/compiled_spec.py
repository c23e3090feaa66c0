"""A spec, compiled: every section as functions, and which values later calls need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from yaml_connector._expressions.compile import (
    Expression,
    Extraction,
    Value,
    compile_condition,
    compile_extraction,
    compile_extractions,
    compile_text,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import as_text
from yaml_connector._http.connection import Connection
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.batch import Batcher
from yaml_connector._jobs.logs import compile_logs
from yaml_connector._jobs.reading import Lacks, has_content, lacking, reads_fields
from yaml_connector._jobs.secret_values import Secrets
from yaml_connector._jobs.snapshot import snapshot_spec
from yaml_connector._jobs.steps import CallPlan, StepPlan, compile_calls, compile_step
from yaml_connector._loading.references import names_in
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.sections import Get, Link, Rule

_DELETED = frozenset({"2xx", "404", "409", "410"})


@dataclass(frozen=True)
class RulePlan:
    """One phase rule. `states` maps a state, as case-insensitive text, to its phase; `order` is the map's. `lacks` asks
    an answer that is no JSON whether the rule needs JSON of it: then it says nothing."""

    path: Extraction | None
    states: Mapping[str, str]
    order: tuple[str, ...]
    when: Expression | None
    phase: str | None
    lacks: Lacks | None


@dataclass(frozen=True)
class LinkPlan:
    """One link; `from_start` if it can be shown without an answer."""

    name: Value
    url: Extraction
    when: Expression | None
    from_start: bool


@dataclass(frozen=True)
class GetPlan:
    """The compiled `get` section."""

    calls: CallPlan
    rules: tuple[RulePlan, ...]
    message: Extraction | None
    info: Value | None
    links: tuple[LinkPlan, ...]


@dataclass(frozen=True)
class RetainedValues:
    """Which of the create call's values later calls refer to; None: all of them."""

    inputs: frozenset[str] | None
    config: frozenset[str] | None
    task: frozenset[str] | None

    def of(self, root: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that are kept with the job."""
        names = getattr(self, root)
        if names is None:
            return dict(values)
        return {name: values[name] for name in names if name in values}


class CompiledSpec:
    """A compiled spec. `data` is the spec as written, `environment` the connector's; `pinned` is given for a spec that
    comes from a job's pin. Raises ConfigError if the library for its auth is missing."""

    def __init__(
        self,
        spec: ConnectorSpec,
        data: Mapping[str, Any],
        environment: Mapping[str, str],
        transport: Transport | None = None,
        *,
        pinned: tuple[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self._data = data
        if pinned is not None:
            self.pinned = pinned
        self.connection = Connection(spec.connection, environment, transport)
        self.secrets = Secrets(spec.secrets, environment)
        self.create = compile_calls(spec.create, own_save=False)
        self.job_id = compile_extraction(spec.create.job_id)
        self.job_id_lacks = lacking(self.job_id, self.create.read_step)
        self.save = compile_extractions(spec.create.save) if spec.create.save is not None else None
        adopt = spec.create.adopt
        self.adopt = compile_calls(adopt, own_save=False) if adopt else None
        self.adopt_id = compile_extraction(adopt.job_id) if adopt else None
        self.adopt_save = compile_extractions(adopt.save) if adopt and adopt.save is not None else None
        self.on_failure: tuple[StepPlan, ...] = tuple(compile_step(step) for step in spec.create.on_failure)
        self.get = _compile_get(spec.get) if spec.get else None
        self.batcher = Batcher(spec.get.batch) if spec.get and spec.get.batch else None
        self.result = compile_calls(spec.result) if spec.result else None
        self.delete = compile_calls(spec.delete, default_success=_DELETED) if spec.delete else None
        self.logs = compile_logs(spec.logs) if spec.logs else None
        self.outputs = {name: compile_extraction(field.value) for name, field in spec.outputs.items()}

    # What no start needs, only calls: made at the first one.

    @cached_property
    def pinned(self) -> tuple[str, str]:
        """The digest and the pin: see `snapshot_spec`."""
        return snapshot_spec(self._data)

    @cached_property
    def digest(self) -> str:
        """What tells this spec from every other, and from itself before a change."""
        return self.pinned[0]

    @cached_property
    def pin(self) -> str:
        """What is kept of the spec with each job."""
        return self.pinned[1]

    def only_reads(self, section: str) -> bool:
        """Is this a section (`get` with `result`, `logs`) whose requests change nothing, whatever the values?"""
        return section in self._reading_sections

    @cached_property
    def _reading_sections(self) -> frozenset[str]:
        logs = (self.logs.source, self.logs.before) if self.logs else ()
        sections = {"get": (self.get.calls if self.get else None, self.result), "logs": logs}
        return frozenset(
            name
            for name, calls in sections.items()
            if all(step.request.only_reads for plan in calls if plan is not None for step in plan.steps)
        )

    @cached_property
    def kept(self) -> RetainedValues:
        """Which of the create call's values are kept with each job."""
        found: dict[str, set[str] | None] = {"inputs": set(), "config": set(), "task": set()}
        for name in self._later_names():
            names = found.get(str(name[0]))
            if names is None:
                continue
            if len(name) == 1:
                found[str(name[0])] = None  # the whole mapping, or a computed key of it
            else:
                names.add(str(name[1]))
        return RetainedValues(**{root: None if names is None else frozenset(names) for root, names in found.items()})

    def _later_names(self) -> Iterable[Reference]:
        for calls in (self.get.calls if self.get else None, self.result, self.delete):
            if calls is not None:
                yield from calls.names
        if self.get is not None:
            for rule in self.get.rules:
                yield from rule.path.names if rule.path else ()
                yield from rule.when.names if rule.when else ()
            for link in self.get.links:
                yield from link.name.names | link.url.names | (link.when.names if link.when else frozenset())
            for value in (self.get.message, self.get.info):
                yield from value.names if value is not None else ()
            yield from self.batcher.names if self.batcher else ()
        for output in self.outputs.values():
            yield from output.names
        yield from self.secrets.names
        yield from names_in(self.spec.connection)
        yield from self.logs.names if self.logs else ()


def _compile_get(get: Get) -> GetPlan:
    calls = compile_calls(get, not_found=compile_condition(get.poll.not_found))
    return GetPlan(
        calls=calls,
        rules=tuple(_compile_rule(rule, calls.read_step) for rule in get.phase),
        message=compile_extraction(get.message) if get.message is not None else None,
        info=compile_extractions(get.info) if get.info is not None else None,
        links=tuple(_compile_link(link) for link in get.links),
    )


def _compile_rule(rule: Rule, step: str | None) -> RulePlan:
    path = compile_extraction(rule.path) if rule.path is not None else None
    when = compile_condition(rule.when) if rule.when is not None else None
    states = {as_text(value).casefold(): phase for phase, values in (rule.map or {}).items() for value in values}
    return RulePlan(
        path=path,
        states=states,
        order=tuple(rule.map or ()),
        when=when,
        phase=rule.phase,
        lacks=_rule_lacks(path, when, step),
    )


def _rule_lacks(path: Extraction | None, when: Expression | None, step: str | None) -> Lacks | None:
    if path is not None:
        return lacking(path, step)
    if when is None or not reads_fields(when.names, step) or any(name[0] == "text" for name in when.names):
        return None  # one that reads the text, too, expects answers that are no JSON
    return has_content


def _compile_link(link: Link) -> LinkPlan:
    name, url = compile_text(link.name, answer=True), compile_extraction(link.url)
    when = compile_condition(link.when) if link.when is not None else None
    used = name.names | url.names | (when.names if when else frozenset())
    without_answer = {"job", "inputs", "config", "task", "base_url"}
    return LinkPlan(name, url, when, not url.is_path and all(reference[0] in without_answer for reference in used))
