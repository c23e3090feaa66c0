"""Compiles `logs`.

A *source* is one place that lines come from: the section's request, or one item of `each`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from yaml_connector._expressions.compile import (
    Expression,
    Extraction,
    compile_condition,
    compile_extraction,
    if_given,
    names_of,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._http.json_need import Json, needed_by
from yaml_connector._jobs.steps import StepPlan, StepsPlan, compile_models, compile_step, compile_steps
from yaml_connector._spec.sections import Logs


@dataclass(frozen=True)
class LogsPlan:
    """The compiled `logs` section. `source` is what is read (with `each`, for each item), `before` finds the items."""

    source: StepsPlan
    before: StepsPlan | None
    each: Extraction | None
    item: StepPlan | None
    format: str
    lines: Extraction | None
    keep: Expression | None
    message: Extraction | None
    timestamp: Extraction | None
    level: Extraction | None
    next: Extraction | None
    more: Expression | None
    reverse: bool
    max_time: float
    streams: bool
    starts_after_lines: bool  # the request says how many lines were given, so the response begins after them
    names: frozenset[Reference]

    @property
    def parses_items(self) -> bool:
        """Tell whether an item is text that may be JSON."""
        return self.format in ("ndjson", "sse") and self.lines is None

    @property
    def takes_items_as_they_are(self) -> bool:
        """Tell whether an item is a line as it is."""
        parts = (self.keep, self.message, self.timestamp, self.level)
        return not self.parses_items and all(part is None for part in parts)


# --- compiling --------------------------------------------------------------------------------------------------------


def compile_logs(logs: Logs, *, whole: bool = False) -> LogsPlan:
    """Compile a `logs` section. `whole`: every response is read whole, since its body may say that a token is
    refused."""
    compile_on_line = partial(compile_extraction, root="line")
    lines = if_given(compile_extraction, logs.lines)
    each = if_given(compile_extraction, logs.each)
    before: StepsPlan | None = None
    item: StepPlan | None = None
    if each is not None:
        model = logs.item_step()
        item = compile_step(model, json=_json_of(logs, lines, model.name))
        source = StepsPlan((item,), None, item.names)
        before = _compile_before(logs, each)
    else:
        read = logs.read or logs.as_steps()[-1].name
        source = compile_steps(logs, json=_json_of(logs, lines, read))
    parts: dict[str, Any] = {
        "lines": lines,
        "each": each,
        "message": if_given(compile_on_line, logs.message),
        "timestamp": if_given(compile_on_line, logs.timestamp),
        "level": if_given(compile_on_line, logs.level),
        "next": if_given(compile_extraction, logs.next),
        "keep": compile_condition(logs.keep) if logs.keep is not True else None,
        "more": compile_condition(logs.more) if logs.more is not True else None,
    }
    return LogsPlan(
        source=source,
        before=before,
        item=item,
        format=logs.format,
        reverse=logs.reverse,
        max_time=logs.max_time,
        streams=not whole and _can_stream(logs, source),
        starts_after_lines=("page", "lines") in source.names,
        names=names_of(source, before, *parts.values()),
        **parts,
    )


def _json_of(logs: Logs, lines: Extraction | None, step: str | None) -> Json | None:
    return needed_by(lines, step) if logs.format == "json" else None


def _compile_before(logs: Logs, each: Extraction) -> StepsPlan:
    models = logs.steps_before()
    read = logs.read or (models[-1].name if models else None)
    return compile_models(models, logs.read, json=needed_by(each, read))


def _can_stream(logs: Logs, source: StepsPlan) -> bool:
    """Tell whether the log is one document of text whose lines need nothing but the text."""
    last = source.steps[-1]
    return (
        logs.format != "json"
        and logs.lines is None
        and logs.next is None
        and not logs.reverse
        and logs.more is True
        and source.read in (None, last.name)
        and last.criteria.by_status
        and last.each is None
        and last.follow is None
        and last.save is None
        and not last.optional
    )
