"""The connection, and requests as the spec has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call, host_of, keys_of, leaves, step_name, without_user
from yaml_connector.cli.new.curl.credentials import Credentials
from yaml_connector.cli.new.curl.page import Page
from yaml_connector.cli.new.curl.roles import Answers, Roles
from yaml_connector.cli.new.curl.tokens import FilePart, Leaf, Tokens, Variable, plain, text_in
from yaml_connector.cli.new.curl.values import Values
from yaml_connector.cli.new.jsonpaths import TEST_URL
from yaml_connector.cli.new.names import identifier, unused, word_set
from yaml_connector.cli.new.phases import Phases
from yaml_connector.cli.new.sketch import Ref, Sketch, Text, add_value, quoted

_COMMON_NAMES = word_set("HOST HOSTNAME URL API BASE BASE_URL SERVER NAME")  # of variables that other programs have
_LOCKED = "has a password, which a spec cannot give: use a key without one"


class Requests:
    """The commands and answers of a job, and the sketch that is made of them: here, the connection and the requests."""

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
        self.id_sample: str | int = "job-1"
        self.saves: dict[str, str] = {}
        self.phases: Phases | None = None
        self.states: list[Answer] = []
        self.hosts: list[str] = []
        self.public: list[str] = []
        self.step_names: dict[int, str] = {}
        self.log_answer: dict[str, Any] = {"text": "one\ntwo\n"}
        self.log_lines = ["one", "two"]

    def step_name(self, call: Call) -> str:
        """Return the name of the step that a call becomes: no other call has it."""
        if call.number not in self.step_names:
            self.step_names[call.number] = unused(step_name(call), self.step_names.values())
        return self.step_names[call.number]

    def _connection(self) -> None:
        connection = self.sketch.spec["connection"]
        connection["base_url"] = self._base_url(self.create.origin)
        if self.credentials.auth is not None:
            connection["auth"] = self.credentials.auth
        for question in self.credentials.questions:
            self.sketch.ask(("connection", "auth"), question)
        if self.credentials.extra:
            connection["headers"] = dict(self.credentials.extra)
        if any(call.source.has("insecure") for call in self.page.calls):
            connection["tls"] = {"verify": False}
            text = (
                "the commands use -k: TLS certificates are not checked, so that others can read and change what is sent"
            )
            self.sketch.remark(("connection", "tls"), f"Warning: {text}. Better: ca_file.")
            self.sketch.warnings.append(text)
        for option, field in (("cacert", "ca_file"), ("cert", "cert_file"), ("key", "key_file")):
            for call in self.used:
                if call.source.has(option):
                    connection.setdefault("tls", {})[field] = self._file_name(call, option, field)
                    break
        for call in self.used:
            if call.source.has("pass"):
                self.sketch.ask(("connection", "tls"), f"the key {_LOCKED}")
            if (word := call.source.last("proxy")) is not None:
                proxy = plain(word)
                if proxy and "@" not in proxy:
                    connection["proxy"] = proxy if "://" in proxy else f"http://{proxy}"
                else:
                    self.sketch.ask(("connection", "base_url"), "the commands use a proxy: set connection.proxy")

    def _file_name(self, call: Call, option: str, field: str) -> str:
        parts = []
        for part in call.source.last(option) or ():
            if isinstance(part, str):
                parts.append(part)
            elif isinstance(part, Variable):
                known = self.page.variables.get(part.name)
                text = known[0] if known and len(known) == 1 and isinstance(known[0], str) else None
                parts.append(text if text is not None else f"${{{{ env.{part.name} }}}}")
        text = "".join(parts)
        if option == "cert" and re.search(r"[^\\/:]:[^\\/]+$", text):
            text = text.rpartition(":")[0]
            self.sketch.ask(("connection", "tls"), f"the certificate {_LOCKED}")
        if "$" in text.replace("${{", ""):
            self.sketch.ask(("connection", "tls"), f"where is {field}?")
        if option == "cert" and not call.source.has("key"):
            self.sketch.spec["connection"].setdefault("tls", {})["key_file"] = text
        return text

    def _base_url(self, origin: Tokens) -> Text:
        """Return the base URL: a variable of the connector's environment, with the host of the commands as default."""
        tokens = without_user(origin)
        named = [part for part in tokens if isinstance(part, Variable)]
        if not named:
            text = text_in(tokens)
            return self.sketch.base_url((text if "://" in text else f"http://{text}").rstrip("/"))
        parts: list[str | Ref] = []
        first, whole = tokens[0], len(tokens) == 1
        if isinstance(first, str):
            parts += ["http://"] if "://" not in first else []
        elif not whole and "://" not in (first.value or ""):
            parts += ["https://"] if not re.match(r"(?i).*(url|base|endpoint|host|api)", first.name) else []
        for part in tokens:
            if isinstance(part, str):
                parts.append(part)
                continue
            variable = re.sub(r"\W", "_", part.name)
            value = part.value
            if value is not None and variable.upper() in _COMMON_NAMES:
                variable = f"{self.sketch.name}_{variable}".upper()
            if part.capture is not None:
                self.sketch.ask(("connection", "base_url"), f"{part.name} comes from an answer: which host is it?")
            whole_url = part is first and (value is None or "://" in value or whole)
            if whole and value is not None and "://" not in value:
                value = f"http://{value}"
            sample = TEST_URL if whole_url else "api.test" if value is None or "." in value else value
            self.sketch.fixture("env", variable, sample)
            given = f"env.{variable}"
            if value is not None:
                given += f" | default({quoted(value.rstrip('/') if part is tokens[-1] else value)})"
            parts.append(Ref(given))
        return Text.of(*parts)

    def _request(self, call: Call) -> Any:
        """Return the request of a call; the short form if it has only a method and a path."""
        request: dict[str, Any] = {"method": call.method if call.method != "HEAD" else "GET"}
        path = self.values.text(call.path, path=True) if call.path else Text.of("/")
        if self._is_base(call):
            request["path"] = path
        else:
            request["url"] = self._other_url(call, path)
        query: dict[str, Any] = {}
        for name, tokens in call.query:
            if name in self.credentials.query:
                continue
            differing = self.values.differing.get(("query", name))
            add_value(query, name, Text.of(differing) if differing else self.values.text(tokens, name=name))
        request |= {"query": query} if query else {}
        given = self.values.headers(call).items()
        headers = {name: value for name, value in given if name.lower() not in self.credentials.headers}
        request |= {"headers": headers} if headers else {}
        request |= self.values.body(call)
        for file in call.missing:
            question = f"{file} is not there: its content is the task's input `file`; or write the body here"
            self.sketch.ask((self._section_of(call), "request"), question)
        if len(request) == 2 and "path" in request:
            return Text.of(f"{request['method']} ", path)
        return request

    def _section_of(self, call: Call) -> str:
        role = self.roles.of(self.page)[call.number] or "create"
        return {"before": "create", "login": "connection", "helper": "get"}.get(role, role)

    def _is_base(self, call: Call) -> bool:
        return without_user(call.origin) == without_user(self.create.origin) or host_of(call.origin) == host_of(
            self.create.origin
        )

    def _other_url(self, call: Call, path: Text) -> Text:
        parts: list[str] = []
        for part in without_user(call.origin):
            if isinstance(part, Variable) and part.value is None:
                question = f"{part.name} is the host of another call: write it here; api.example.com is a guess"
                self.sketch.ask((self._section_of(call),), question)
                parts.append("api.example.com" if parts else "https://api.example.com")
            else:
                parts.append(part if isinstance(part, str) else part.value or "")
        whole = "".join(parts) if "://" in "".join(parts) else "http://" + "".join(parts)
        host = re.sub(r"^https?://", "", whole).split("/")[0].rpartition("@")[2]
        has_header = any(name.lower() in self.credentials.headers for name, _ in call.headers)
        sends = bool(call.cookies or call.user) or has_header
        (self.hosts if sends else self.public).append(host)
        return Text.of(whole, path)

    def _steps(self, calls: Sequence[Call], section: str, links: dict[int, dict[str, str]]) -> dict[str, Any]:
        """Return a section of one request, or of several steps; `links` are the saves of a call by name."""
        if len(calls) == 1:
            return {"request": self._request(calls[0])}
        steps = []
        for number, call in enumerate(calls):
            last = number == len(calls) - 1
            step: dict[str, Any] = {"name": self.step_name(call)}
            sent = {key for key, _ in keys_of(call)}
            known = [ref.expression for key, ref in self.values.keys.items() if key in sent]
            wanted = [expression for expression in known if expression.startswith("steps.")]
            if last and section in ("get", "delete", "logs") and wanted:
                step["if"] = " and ".join(dict.fromkeys(wanted))
            step["request"] = self._request(call)
            if links.get(call.number):
                step["save"] = dict(links[call.number])
            steps.append(step)
        return {"steps": steps}

    def _differing(self) -> None:
        """Make inputs of values that differ between commands that are the same but for them."""
        names = self.roles.of(self.page)
        others = [call for call in self.page.calls if call is not self.create and names[call.number] is None]
        same = [call for call in others if call.place == self.create.place and call.body_kind == self.create.body_kind]
        if not same:
            return

        def add(path: tuple[Any, ...], name: str, value: Any) -> None:
            field = unused(identifier(name), self.sketch.spec["inputs"])
            kind = {str: "str", bool: "bool", int: "int", float: "float"}.get(type(value), "any")
            self.values.differing[path] = self.sketch.input(field, kind, value)

        def compare(mine: Any, others: list[Any], path: tuple[Any, ...], name: str) -> None:
            if all(item == mine for item in others):
                return
            if isinstance(mine, dict) and all(isinstance(item, dict) and item.keys() == mine.keys() for item in others):
                for key in mine:
                    compare(mine[key], [item[key] for item in others], (*path, key), str(key))
            elif isinstance(mine, list) and all(isinstance(item, list) and len(item) == len(mine) for item in others):
                for number, item in enumerate(mine):
                    compare(item, [other[number] for other in others], (*path, number), name)
            elif any(isinstance(item, Leaf | FilePart) for item in leaves(mine)):
                return
            else:
                add(path, name, mine)

        if self.create.body_kind == "json":
            compare(self.create.body, [call.body for call in same], (), "body")
        for name, tokens in self.create.query:
            differs = any(other != tokens for call in same for known, other in call.query if known == name)
            if differs and all(isinstance(part, str) for part in tokens):
                add(("query", name), name, text_in(tokens))
