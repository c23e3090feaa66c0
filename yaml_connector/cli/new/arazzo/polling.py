"""How a workflow polls, and what its OpenAPI document says of the states."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.arazzo.criteria import Criteria
from yaml_connector.cli.new.arazzo.expressions import source_of
from yaml_connector.cli.new.arazzo.phases import Rules
from yaml_connector.cli.new.arazzo.plan import Step
from yaml_connector.cli.new.openapi.states import state_place, states_of, values_of
from yaml_connector.cli.new.words import phase_of


class Polling(Criteria):
    """Reads the states of the OpenAPI document, and how often is polled."""

    def _schema_states(self, poll: Step) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Return what the OpenAPI document has: the enums by path, and all other fields."""
        assert poll.operation is not None
        document = poll.operation.document
        schema = document.response(poll.operation.path, poll.operation.method)
        enums: dict[str, list[Any]] = {}
        fields: dict[str, list[Any]] = {}
        for path, _, about in document.fields(schema):
            values = list(values_of(document, about))
            if document.is_scalar(about):
                fields.setdefault(path, values)
            if values:
                enums.setdefault(path, values)
        outputs = poll.data["outputs"]
        for source in (source_of(raw) for raw in outputs.values() if isinstance(raw, str)):
            if source.kind == "response" and source.name == "body" and source.path:
                fields.setdefault(source.path, [])
        return enums, fields

    def _from_schema(self, poll: Step) -> Rules:
        """Return rules for a poll whose workflow names no state: from the OpenAPI document, else the usual words."""
        assert poll.operation is not None
        document, path = poll.operation.document, poll.operation.path
        found = states_of(document, path) if poll.operation.method == "get" else None
        if found is not None:
            where, words = found
            table: dict[str, list[Any]] = {}
            for value, word in words.items():
                phase = phase_of(word)
                if phase is not None:
                    table.setdefault(phase, []).append(value)
            if table:
                told = ", ".join(
                    f"{value} is {phase_of(word) or 'not mapped (RUNNING)'}" for value, word in words.items()
                )
                rules = Rules(
                    {"path": where, "map": table},
                    [f"the workflow names no state; is this what the states mean? {told}"],
                )
                rules.samples = {
                    phase: (self.requests.usual[poll.id], {where: values[0]}) for phase, values in table.items()
                }
                for wanted in ("SUCCEEDED", "FAILED"):
                    if wanted not in table:
                        rules.questions.append(f"no state means {wanted}: which does?")
                return rules
        where = self._state_output(poll) or (
            state_place(document, path) if poll.operation.method == "get" else "$.status"
        )
        from yaml_connector.cli.new.phases import guessed

        usual = guessed(where)
        question = f"the workflow and the OpenAPI document name no states: {where} is a guess, and so are the words"
        samples = {
            phase: (self.requests.usual[poll.id], {where: words[0]}) for phase, words in usual.rules[0]["map"].items()
        }
        return Rules(usual.phase, [question], samples)

    def _state_output(self, poll: Step) -> str | None:
        outputs = poll.data.get("outputs")
        for name, raw in outputs.items() if isinstance(outputs, dict) else ():
            source = source_of(raw) if isinstance(raw, str) else None
            if (
                source is not None
                and source.kind == "response"
                and source.path
                and re.search(r"(?i)status|state|phase", str(name))
            ):
                return source.path
        return None

    def _poll_settings(self, poll: Step, section: dict[str, Any]) -> None:
        retries = [
            action
            for action in [*poll.success, *poll.failure]
            if action.get("type") == "retry" and poll.repeats(action)
        ]
        if not retries:
            return
        after, limit = retries[0].get("retryAfter"), retries[0].get("retryLimit")
        settings: dict[str, Any] = {}
        if isinstance(after, int | float) and 0 < after <= 86400:
            settings["min_interval"] = _seconds(after)
            if isinstance(limit, int) and 0 < limit * after <= 30 * 86400:
                if self._waits_for_404(poll):
                    settings["not_found_grace"] = _seconds(after * limit)
                else:
                    settings["timeout"] = _seconds(after * limit)
                    self.sketch.remark(("get", "poll", "timeout"), f"The workflow gives up after {limit} tries.")
        if settings:
            section["poll"] = settings


def _seconds(value: float) -> str:
    return f"{int(value)}s" if value == int(value) else f"{int(value * 1000)}ms"
