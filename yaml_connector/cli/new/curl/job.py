"""What is known of the job while its sketch is made."""

from __future__ import annotations

from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.credentials import Credentials
from yaml_connector.cli.new.curl.page import Page
from yaml_connector.cli.new.curl.roles import Answers, Roles
from yaml_connector.cli.new.curl.texts import step_name
from yaml_connector.cli.new.curl.values import Values
from yaml_connector.cli.new.phases import (
    Phases,
)
from yaml_connector.cli.new.sketch import Sketch


class Job:
    """The commands and answers of a job, and the sketch that is made of them."""

    def __init__(self, page: Page, roles: Roles, answers: Answers, file: str, name: str) -> None:
        self.page = page
        self.roles = roles
        self.answers = answers
        self.file = file
        self.sketch = Sketch(name)
        self.values = Values(self.sketch)
        self.create = page.calls[roles.create]
        numbers = [*roles.before, roles.create, roles.get, *roles.helper, roles.delete, roles.logs, roles.result]
        self.used = [page.calls[number] for number in numbers if number is not None]
        self.credentials = Credentials(self.values, self.used)
        self.id_sample = "job-1"
        self.saves: dict[str, str] = {}
        self.phases: Phases | None = None
        self.states: list[Answer] = []
        self.hosts: list[str] = []
        self.public: list[str] = []
        self.id_value: Any = None
        self.step_names: dict[int, str] = {}
        self.log_answer: dict[str, Any] = {"text": "one\ntwo\n"}
        self.log_lines = ["one", "two"]

    def step_name(self, call: Call) -> str:
        """Return the name of the step that a call becomes: no other call has it."""
        if call.number not in self.step_names:
            base = name = step_name(call, call.number)
            number = 2
            while name in self.step_names.values():
                name, number = f"{base}_{number}", number + 1
            self.step_names[call.number] = name
        return self.step_names[call.number]
