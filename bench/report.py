"""The results as a table and as JSON."""

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any

from bench.measure import REFERENCE, Operation, Plan, Results, Sample

# Heading, width of a column, and the median that it shows.
_COLUMNS: list[tuple[str, int, Callable[[dict[str, Any]], str]]] = [
    (f"CPU / {REFERENCE}", 7, lambda cell: "-" if cell["ratio"] is None else f"{cell['ratio']:.2f}"),
    ("CPU us per call", 8, lambda cell: f"{cell['cpu_us']:.0f}"),
    ("calls/s", 7, lambda cell: f"{cell['calls_per_s']:.0f}"),
    ("p50 ms", 8, lambda cell: f"{cell['p50_ms']:.2f}"),
    ("p99 ms", 8, lambda cell: f"{cell['p99_ms']:.2f}"),
]


def cells(results: Results) -> list[dict[str, Any]]:
    """One mapping for each connector, operation and number of calls at once: medians over the rounds.

    `ratio` is the median of the rounds' ratios to the reference connector's CPU time in the same round, null without
    it; half of them lie between `ratio_low` and `ratio_high`.
    """
    return [
        {
            "connector": connector,
            "operation": operation,
            "at_once": at_once,
            **_ratios(samples, results.samples.get((REFERENCE, operation, at_once), [])),
            "cpu_us": median(each.cpu for each in samples) * 1e6,
            "calls_per_s": median(each.rate for each in samples),
            "p50_ms": median(each.p50 for each in samples) * 1e3,
            "p99_ms": median(each.p99 for each in samples) * 1e3,
            "rounds": len(samples),
            "calls": sum(each.calls for each in samples),
        }
        for (connector, operation, at_once), samples in results.samples.items()
    ]


def _ratios(samples: Sequence[Sample], references: Sequence[Sample]) -> dict[str, float | None]:
    reference = {each.round: each.cpu for each in references}
    ratios = [each.cpu / reference[each.round] for each in samples if each.round in reference]
    if not ratios:
        return {"ratio": None, "ratio_low": None, "ratio_high": None}
    low, middle, high = quantiles(ratios, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {"ratio": middle, "ratio_low": low, "ratio_high": high}


def as_json(plan: Plan, results: Results) -> dict[str, Any]:
    """Everything that was measured, and how."""
    return {
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "calls": plan.calls, "quick": plan.quick},
        "reference": REFERENCE,
        "cells": cells(results),
        "left_out": results.left_out,
    }


def as_table(plan: Plan, results: Results) -> str:
    """A block for each operation, a line for each connector."""
    by_cell = {(each["connector"], each["operation"], each["at_once"]): each for each in cells(results)}
    return "\n\n".join(_block(plan, operation, by_cell) for operation in plan.operations)


def _block(plan: Plan, operation: Operation, by_cell: dict[tuple[str, str, int], dict[str, Any]]) -> str:
    widths = [width * len(plan.at_once) for _, width, _ in _COLUMNS]
    headings = (heading.rjust(width) for (heading, *_), width in zip(_COLUMNS, widths, strict=True))
    counts = (str(at_once).rjust(width) for _, width, _ in _COLUMNS for at_once in plan.at_once)
    lines = [f"{operation.name}: {operation.about}", " " * 17 + " ".join(headings)]
    lines.append("at once".ljust(17) + _join(list(counts), len(plan.at_once)))
    for subject in plan.subjects:
        row = [by_cell.get((subject.name, operation.name, at_once)) for at_once in plan.at_once]
        if not any(row):
            continue
        texts = [(show(cell) if cell else "-").rjust(width) for _, width, show in _COLUMNS for cell in row]
        lines.append(subject.name.ljust(17) + _join(texts, len(plan.at_once)))
    return "\n".join(lines)


def _join(texts: Sequence[str], group: int) -> str:
    return " ".join("".join(texts[start : start + group]) for start in range(0, len(texts), group))
