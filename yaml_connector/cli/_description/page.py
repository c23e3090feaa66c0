"""The content of the page of `yaml-connector docs`, for workflow authors; `docs/render.py` writes it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yaml_connector._expressions.value_types import SCALARS, ValueType, python_name
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import PHASES, ConnectorSpec
from yaml_connector._spec.phases import PhaseInfo
from yaml_connector._spec.requests import Calls
from yaml_connector.cli._description.snippet import (
    call_line,
    command_line,
    python_literal,
    secret_name,
    secret_variable,
    snippet,
)
from yaml_connector.cli._description.states import State, states
from yaml_connector.cli._description.words import (
    NO_DELETE,
    NO_GET,
    NO_LOGS,
    in_words,
    limits_of,
    lost_response,
    must_be_given,
    phase_lines,
    phase_reasons,
    request_text,
    sources_of,
    unreadable_job,
)
from yaml_connector.cli._diagnostics import printable

INTRO = (
    "Each connector runs a job of another system as a Flyte task: it submits the job, follows its state, shows its "
    "log, and returns its outputs. Copy the Python, fill in your values, and await the task in a workflow."
)


_OF_FUNCTION = "Those of your function."


@dataclass(frozen=True)
class Row:
    """A row of a table: a config field, an input, an output or a secret. `default` is Python."""

    name: str
    type: str = ""
    required: bool = False
    default: str = ""
    allowed: str = ""
    about: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a connector. `note` is shown below its rows, or in its place if there are none."""

    title: str
    rows: list[Row]
    note: str = ""

    def has(self, column: str) -> bool:
        """Return whether any row has something in this column."""
        return any(getattr(row, column) for row in self.rows)


@dataclass(frozen=True)
class Step:
    """A part of a run: what happens, and the requests that are sent."""

    title: str
    requests: list[str]
    sentences: list[str]


@dataclass(frozen=True)
class Connector:
    """The content about one connector. `anchor` is unique on the page."""

    anchor: str
    title: str
    task_type: str
    version: int
    file: str
    about: str
    snippet: str
    call: str
    command: str
    tables: list[Table]
    steps: list[Step]
    phases: dict[str, PhaseInfo]
    picture: str
    states: list[State]
    message: str
    links: list[str]
    info: list[str]


def connectors(loaded: Sequence[LoadedSpec]) -> list[Connector]:
    """Return the connectors of a page, in the order of the specs."""
    versions = Counter(item.spec.task_type_name for item in loaded)
    return [_connector(item, by_name=versions[item.spec.task_type_name] == 1) for item in loaded]


def _connector(loaded: LoadedSpec, *, by_name: bool) -> Connector:
    spec = loaded.spec
    name, version = spec.task_type_name, spec.task_type_version
    file = os.path.relpath(loaded.file)
    if file.startswith(".."):  # the page must not show paths of the machine that made it
        file = os.path.basename(file)
    return Connector(
        anchor=name if by_name else f"{name}:{version}",
        title=_line(spec.title) or name,
        task_type=name,
        version=version,
        file=_line(file),
        about=_line(spec.description),
        snippet=snippet(spec, name if by_name else file),
        call=call_line(spec),
        command=command_line(spec),
        tables=[_inputs(spec), _config(spec), _outputs(spec), _secrets(spec)],
        steps=list(_steps(spec)),
        phases={phase: PHASES[phase] for phase in phase_reasons(spec)},
        picture=printable(in_words("\n".join(phase_lines(spec)))),
        states=[_shown(state) for state in states(spec)],
        message=_line(in_words(str(spec.get.message))) if spec.get and spec.get.message is not None else "",
        links=[_line(link.name) for link in spec.get.links] if spec.get else [],
        info=[_line(name) for name in spec.get.info] if spec.get and isinstance(spec.get.info, dict) else [],
    )


def _line(text: str | None) -> str:
    """Return a text as one line, without characters that cannot be shown."""
    return " ".join(printable(text or "").split())


def _hint(kind: ValueType) -> str:
    return SCALARS[kind.name].hint if kind.name in SCALARS else ""


def _config(spec: ConnectorSpec) -> Table:
    rows = []
    for name, field in spec.config.items():
        about = " ".join(part for part in (_line(field.description), _hint(field.type)) if part)
        allowed = ", ".join(map(_line, limits_of(field)))
        default = "" if field.required else _line(python_literal(field.default))
        rows.append(Row(name, str(field.type), field.required, default, allowed, about))
    return Table("Config", rows, "" if rows else "Nothing to configure.")


def _inputs(spec: ConnectorSpec) -> Table:
    if spec.inputs is None:
        return Table("Inputs", [], "Any that you declare." if spec.runs is None else _OF_FUNCTION)
    rows = [
        Row(name, python_name(field.type), not field.type.optional, about=_line(field.description))
        for name, field in spec.inputs.items()
    ]
    return Table("Inputs", rows, "" if rows else "None.")


def _outputs(spec: ConnectorSpec) -> Table:
    if spec.runs is not None:
        return Table("Outputs", [], _OF_FUNCTION)
    rows = []
    for name, field in spec.outputs.items():
        if name != "*":
            default = python_literal(field.default) if field.has_default else ""
            rows.append(Row(name, python_name(field.type), default=_line(default), about=_line(field.description)))
    any_other = "*" in spec.outputs
    note = ("And any that you declare." if rows else "Any that you declare.") if any_other else "" if rows else "None."
    return Table("Outputs", rows, note)


def _secrets(spec: ConnectorSpec) -> Table:
    rows = []
    for name, secret in spec.secrets.items():
        about = f"{_line(secret.description)} From {_line(sources_of(secret))}.".strip()
        rows.append(Row(name, "", must_be_given(secret), about=about))
    if not rows:
        return Table("Secrets", rows, "None.")
    name = secret_name(rows[0].name)
    note = "A task names a secret of Flyte's secret store, never its value. A local run has no store: "
    return Table("Secrets", rows, f"{note}there the value of {name} is in the variable {secret_variable(name)}.")


def _steps(spec: ConnectorSpec) -> Iterator[Step]:
    create, get = spec.create, spec.get
    adopts = ["First an existing job is looked up: a job of an earlier attempt is adopted."] if create.adopt else []
    yield Step("The job is submitted", _requests(create), [*adopts, lost_response(create)])
    if get is None:
        yield Step("Its state is not read", [], [NO_GET])
    else:
        yield Step(
            "Its state is read", _requests(get), ["A failed request never fails the task.", unreadable_job(get.poll)]
        )
    if spec.result is not None:
        yield Step("Its result is read", _requests(spec.result), ["Once, when the job has succeeded."])
    if spec.runs is not None:
        yield Step("Its outputs are read", [], ["From Flyte's storage, where the function left them, or its error."])
    if spec.logs is None:
        yield Step("Its log is not shown", [], [NO_LOGS])
    else:
        yield Step("Its log is shown", _requests(spec.logs), ["As the job writes it."])
    if spec.delete is None:
        yield Step("It cannot be cancelled", [], [NO_DELETE])
    else:
        yield Step("It can be cancelled", _requests(spec.delete), ["When the task is aborted."])


def _shown(state: State) -> State:
    """Return a row of the table of states without characters that cannot be shown."""
    return State(
        [(printable(text), code) for text, code in state.when],
        state.phase,
        [(_line(text), code) for text, code in state.message],
    )


def _requests(section: Calls) -> list[str]:
    """Return the requests of a section, with templates as `{name}`."""
    requests = [step.request for step in section.as_steps(save=False)]
    requests += [section.request] if section.steps is not None and section.request is not None else []
    return [_line(in_words(request_text(request))) for request in requests]
