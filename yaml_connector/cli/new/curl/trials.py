"""The login before the job, and the contract test of the job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.credentials import Credentials, cut
from yaml_connector.cli.new.curl.ids import Ids
from yaml_connector.cli.new.curl.tokens import Leaf, Tokens, Variable, joined, start_of
from yaml_connector.cli.new.jsonpaths import data_at, response_with
from yaml_connector.cli.new.names import identifier, word_set
from yaml_connector.cli.new.phases import places_of
from yaml_connector.cli.new.sketch import Exchange, Play, Ref, Text, text_of

_ACCOUNTS = word_set("username user email login client_id clientid account user_name access_key_id")


class Trials(Ids):
    """Makes the request of the login, and the tests."""

    def _login(self, login: Call | None) -> None:
        auth = self.credentials.auth
        if login is None or auth is None or auth.get("type") != "token":
            return
        auth["request"] = self._login_request(login)
        values = {str(auth["token"]): "test-token"} | ({"$.expires_in": 3600} if "expires_in" in auth else {})
        self.credentials.login = Exchange(auth["request"], response_with(values))

    def _login_request(self, login: Call) -> dict[str, Any]:
        values = self.values

        def visit(value: Any, name: str = "") -> Any:
            if isinstance(value, dict):
                return {key: visit(item, str(key)) for key, item in value.items()}
            if isinstance(value, list):
                return [visit(item, name) for item in value]
            tokens = value.tokens if isinstance(value, Leaf) else (value,) if isinstance(value, str) else None
            if tokens is None:
                return value
            part = tokens[0] if len(tokens) == 1 else ""
            if isinstance(part, Variable):
                return Text.of(values.secret(name or part.name, part.value, part.name))
            if part and (identifier(name) in _ACCOUNTS or re.search(r"(?i)pass|secret", name)):
                return Text.of(values.secret(name, part))
            return values.text(tokens, name=name)

        request: dict[str, Any] = {"method": login.method}
        path = values.text(login.path, path=True) if login.path else Text.of("/")
        if self._is_base(login):
            request["path"] = path
        else:
            request["url"] = self._other_url(login, path)
            host = re.sub(r"^https?://", "", text_of(request["url"]).template).split("/")[0]
            if host in self.public:
                self.public.remove(host)
            self.hosts.append(host)
        query = {name: visit(Leaf(tokens), name) for name, tokens in login.query}
        request |= {"query": query} if query else {}
        headers = values.headers(login)
        authorization = login.header("authorization")
        if login.user is not None or authorization is not None:
            headers["Authorization"] = self._login_header(login.user, authorization)
        request |= {"headers": headers} if headers else {}
        if login.body_kind == "json":
            request["json"] = visit(login.body)
        elif login.body_kind in ("form", "multipart"):
            request[login.body_kind] = {name: visit(item, name) for name, item in login.body}
        else:
            request |= values.body(login)
        return request

    def _login_header(self, user: Tokens | None, authorization: Tokens | None) -> Text:
        credentials = Credentials(self.values, [])
        if user is not None:
            name, password = cut(user, ":")
            refs = list(credentials.credential(name, "username").refs)[:1] or [Ref("''")]
            refs += list(credentials.credential(password, "password").refs)[:1] if password else []
            pair = " ~ ':' ~ ".join(ref.expression for ref in refs) if len(refs) > 1 else f"{refs[0].expression} ~ ':'"
            return Text.of("Basic ", Ref(f"({pair}) | b64encode"))
        assert authorization is not None
        first = start_of(authorization)
        scheme = first.partition(" ")[0] + " " if " " in first else ""
        rest = joined([first[len(scheme) :], *authorization[1 if first else 0 :]])
        return Text.of(scheme, credentials.credential(rest, "login_key"))

    def _exchanges(self, section: str, last: dict[str, Any]) -> tuple[Exchange, ...]:
        """Return the calls of a section; `last` is the response to the last."""
        data = self.sketch.spec[section]
        *before, final = data.get("steps", [data])
        found = []
        for step in before:
            values = {path: f"{name}-1" for name, path in step.get("save", {}).items()}
            found.append(Exchange(step["request"], response_with(values)))
        return (*found, Exchange(final["request"], last))

    def _tests(self) -> None:
        login = (self.credentials.login,) if self.credentials.login is not None else ()
        values = {str(self.sketch.spec["create"]["job_id"]): self.id_sample}
        values |= {extraction: f"{name}-1" for name, extraction in self.saves.items()}
        answered = (*login, *self._exchanges("create", response_with(values)))
        create = Play("create", answered)
        plays = [create]
        for answer, phase in self._polls() if self.phases is not None else ():
            exchanges = self._exchanges("get", answer)
            if phase == "SUCCEEDED" and "result" in self.sketch.spec:
                exchanges += self._exchanges("result", {"json": {"value": 1}})
            plays.append(Play("get", exchanges, {"phase": phase}))
        self.sketch.tests["a job from its create to its end"] = plays
        if "delete" in self.sketch.spec:
            self.sketch.tests["a job is cancelled"] = [create, Play("delete", self._exchanges("delete", {}))]
        if "logs" in self.sketch.spec:
            logs = Play("logs", self._exchanges("logs", self.log_answer), {"lines": self.log_lines})
            self.sketch.tests["the log of a job is read"] = [create, logs]

    def _polls(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield responses of the status call, made from what was seen, and the phase that each must give."""
        assert self.phases is not None
        rules = [rule for rule in self.phases.rules if "path" in rule]
        if self.states and any(self.phases.seen):
            places = {place.path: place.values for place in places_of(self.states)}
            wanted = [
                path for path in dict.fromkeys([*(rule["path"] for rule in rules), self.phases.path]) if path in places
            ]
            for number, phase in enumerate(self.phases.seen):
                values = {path: places[path][number] for path in wanted if places[path][number] is not None}
                response: dict[str, Any] = {"json": data_at(values)} if values else {}
                if self.phases.path == "status":
                    response = {"status": self.states[number].status, "json": {}}
                if phase is not None:
                    yield response, phase
        elif rules:
            for phase in ("RUNNING", "SUCCEEDED"):
                if rules[0]["map"].get(phase):
                    yield {"json": data_at({rules[0]["path"]: rules[0]["map"][phase][0]})}, phase
