"""The contract test of the job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yaml_connector.cli.new.curl.login import Login
from yaml_connector.cli.new.curl.texts import (
    response_for,
)
from yaml_connector.cli.new.data import data_at
from yaml_connector.cli.new.phases import (
    places_of,
)
from yaml_connector.cli.new.sketch import Exchange, Play


class Trials(Login):
    """Makes the tests."""

    def _exchanges(
        self, section: str, last: dict[str, Any], given: dict[str, dict[str, Any]] | None = None
    ) -> tuple[Exchange, ...]:
        data = self.sketch.spec[section]
        if "request" in data:
            return (Exchange(data["request"], last),)
        found = []
        steps = data["steps"]
        for step in steps:
            if step is steps[-1]:
                found.append(Exchange(step["request"], last))
                continue
            paths = step.get("save", {})
            response: dict[str, Any] = {}
            values = {}
            for name, path in paths.items():
                key = next(
                    (
                        ref.sample
                        for ref in self.values.keys.values()
                        if ref.expression == f"steps.{step['name']}.saved.{name}"
                    ),
                    "x-1",
                )
                values[path] = key
            plain = {path: value for path, value in values.items() if path.startswith("$.")}
            response = {"json": data_at(plain)} if plain else {}
            for path, value in values.items():
                if path not in plain:
                    response |= response_for(path, value)
            found.append(Exchange(step["request"], response))
        return tuple(found)

    def _create_response(self) -> dict[str, Any]:
        section = self.sketch.spec["create"]
        path = str(section["job_id"])
        sample: Any = (
            int(self.id_sample) if isinstance(self.id_value, int) and self.id_sample.isdigit() else self.id_sample
        )
        values = {path: sample} | {extraction: f"{name}-1" for name, extraction in self.saves.items()}
        plain = {path: value for path, value in values.items() if path.startswith("$") and not path.startswith("${")}
        response: dict[str, Any] = {"json": data_at(plain)} if plain else {}
        for extraction, value in values.items():
            if extraction not in plain:
                response |= response_for(extraction, value)
        return response

    def _tests(self) -> None:
        login = (self.credentials.login,) if self.credentials.login is not None else ()
        create = Play(
            "create", (*login, *self._exchanges("create", self._create_response())), {"job_id": str(self.id_sample)}
        )
        plays = [create]
        if self.phases is not None:
            for answer, phase in self._polls():
                plays.append(Play("get", self._exchanges("get", answer), {"phase": phase}))
                if phase == "SUCCEEDED" and "result" in self.sketch.spec:
                    result = self._exchanges("result", {"json": {"value": 1}})
                    plays[-1] = Play("get", (*self._exchanges("get", answer), *result), {"phase": phase})
        self.sketch.tests["a job from its create to its end"] = plays
        if "delete" in self.sketch.spec:
            self.sketch.tests["a job is cancelled"] = [create, Play("delete", self._delete_exchanges())]
        if "logs" in self.sketch.spec:
            logs = Play("logs", self._exchanges("logs", self.log_answer), {"lines": self.log_lines})
            self.sketch.tests["the log of a job is read"] = [create, logs]

    def _delete_exchanges(self) -> tuple[Exchange, ...]:
        return self._exchanges("delete", {})

    def _polls(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield responses of the status call, made from what was seen, and the phase that each must give."""
        assert self.phases is not None
        rules = [rule for rule in self.phases.rules if "path" in rule]
        if self.states and any(self.phases.seen):
            places = {place.path: place.values for place in places_of(self.states)}
            for number, phase in enumerate(self.phases.seen):
                if phase is None:
                    continue
                wanted = {rule["path"] for rule in rules} | {self.phases.path}
                values = {
                    path: places[path][number] for path in wanted if path in places and places[path][number] is not None
                }
                response: dict[str, Any] = {"json": data_at(values)} if values else {}
                if self.phases.path == "status":
                    response = {"status": self.states[number].status, "json": {}}
                yield response, phase
            return
        if rules:
            rule = rules[0]
            for phase in ("RUNNING", "SUCCEEDED"):
                if rule["map"].get(phase):
                    yield {"json": data_at({rule["path"]: rule["map"][phase][0]})}, phase
