"""A step that logs in, whose token later steps send: the credentials of the connection."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.arazzo.expressions import Source, sources_in
from yaml_connector.cli.new.arazzo.plan import Step
from yaml_connector.cli.new.arazzo.values import Values
from yaml_connector.cli.new.names import field_name


class Login(Values):
    """Finds the login of a workflow, which is a step before the start."""

    login: Step | None = None

    def request(self, step: Step, section: str) -> Any:
        """Return the request of a step."""
        raise NotImplementedError

    def login_auth(self, header: str, value: str, source: Source) -> dict[str, Any] | None:
        """Return the auth of a header that carries the output of a step; None if no step before the start has it."""
        step = self.plan.step(source.name)
        if step is None or step not in self.plan.before or step.operation is None or step.used():
            return None
        extraction, where = self.extraction(step, source.output, source.path)
        if where.startswith("header:") or where in ("guess", "$", "input", "url", "status"):
            return None
        self.plan.before.remove(step)
        self.login = step
        for key in ("parameters", "requestBody"):
            for given in sources_in(step.data.get(key)):
                if given.kind == "inputs":
                    self.secret_inputs.setdefault(given.name, field_name(given.name))
        self.values.setdefault(step.id, {})[where] = "test-token"
        self.place[step.id] = "connection"
        auth: dict[str, Any] = {"type": "token", "request": self.request(step, "connection"), "token": extraction}
        self.sections[step.id] = auth
        document = step.operation.document
        answer = document.response(step.operation.path, step.operation.method)
        if any(path == "$.expires_in" for path, _, _ in document.fields(answer)):
            auth["expires_in"] = "$.expires_in"
            self.values[step.id]["$.expires_in"] = 3600
        if header.lower() != "authorization":
            auth["header"] = header
        prefix = re.split(r"\{?\$", value, maxsplit=1)[0].strip()
        if prefix != "Bearer":
            auth["prefix"] = prefix
        return auth
