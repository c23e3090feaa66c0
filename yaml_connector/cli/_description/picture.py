"""The phases of a job as a picture in text: what the API says, and what Flyte sees of it."""

from __future__ import annotations

from collections.abc import Iterator

from yaml_connector._expressions.filters import as_text
from yaml_connector._spec import PHASES, TERMINAL_PHASES, ConnectorSpec


def phase_reasons(spec: ConnectorSpec) -> dict[str, list[str]]:
    """Each phase that the spec can give, with what leads to it, in the order of a job's life."""
    found: dict[str, list[str]] = {}
    if spec.get is None:
        return {"SUCCEEDED": ["as soon as it is submitted"]}
    for rule in spec.get.phase:
        if rule.phase is not None:
            found.setdefault(rule.phase, []).append(f"when {rule.when}" if rule.when is not None else "otherwise")
        for phase, values in (rule.map or {}).items():
            shown = ", ".join(as_text(value) or '""' for value in values)
            several = len(spec.get.phase) > 1
            found.setdefault(phase, []).append(f"{rule.path} is {shown}" if several else shown)
    return {phase: found[phase] for phase in PHASES if phase in found}


def phase_lines(spec: ConnectorSpec) -> Iterator[str]:
    """The picture: where a job goes on, and where it ends."""
    reasons = phase_reasons(spec)
    going = [phase for phase in reasons if phase not in TERMINAL_PHASES]
    ends = [phase for phase in reasons if phase in TERMINAL_PHASES]
    width = max(len(phase) for phase in reasons) + 2
    if spec.get is not None and len(spec.get.phase) == 1 and spec.get.phase[0].path is not None:
        yield f"{spec.get.phase[0].path} says"
    yield "submitted"
    for number, phase in enumerate(going):
        last = number == len(going) - 1 and not ends
        yield from _branch("└─▶" if last else "├─▶", phase, reasons[phase], width, " " if last else "│")
    if going and ends:
        yield "│"
    for number, phase in enumerate(ends):
        last = number == len(ends) - 1
        name = f"{PHASES[phase].sign} {phase}"
        yield from _branch("└─▶" if last else "├─▶", name, reasons[phase], width, " " if last else "│")
    if spec.get is not None and not any(rule.phase is not None and rule.when is None for rule in spec.get.phase):
        yield "anything else: RUNNING, and the message names what the API said"


def _branch(arrow: str, name: str, reasons: list[str], width: int, stem: str) -> Iterator[str]:
    yield f"{arrow} {name:<{width}}  {reasons[0]}"
    for reason in reasons[1:]:
        yield f"{stem}   {'':<{width}}  {reason}"
