"""The connection and the requests of a workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from yaml_connector.cli.new.arazzo.conditions import Source, sources_in
from yaml_connector.cli.new.arazzo.plan import Step
from yaml_connector.cli.new.arazzo.values import Values
from yaml_connector.cli.new.draft import write_auth
from yaml_connector.cli.new.jsonpaths import keys_of, pointer_path
from yaml_connector.cli.new.names import field_name, is_secret_header, is_secret_name
from yaml_connector.cli.new.openapi.credentials import Credentials, credentials_of, schemes_of, server_of
from yaml_connector.cli.new.sketch import Exchange, Ref, Text, as_template, text_of

_USUAL_HEADERS = {"user-agent", "accept", "content-type", "authorization", "accept-encoding", "content-length"}


class Requests(Values):
    """Makes the connection and the requests of steps; `login` is a step before the start that returns their token,
    `documented_login` the one that only the OpenAPI document has."""

    login: Step | None = None
    documented_login: Sequence[Exchange] = ()

    def connection(self) -> None:
        """Write the connection: the server and the credentials, from the workflow, else from the OpenAPI document."""
        operation = self.plan.start.call
        self.base, notes = server_of(operation)
        connection = self.sketch.spec["connection"]
        connection["base_url"] = self.sketch.base_url(self.base)
        for note in notes:
            self.sketch.ask(("connection", "base_url"), note)
        self._auth()
        if "auth" not in connection:
            found = credentials_of(operation, self.base)
            if found.auth != "none":
                self._auth_of_document(found)

    def _auth_of_document(self, found: Credentials) -> None:
        """Write the credentials that the OpenAPI document names and the workflow leaves out."""
        notes = list(found.notes)
        names = urlsplit(self.base).netloc.split(".")
        if found.auth != "bearer" and names[-2:] == ["amazonaws", "com"]:
            region = names[1] if len(names) > 3 else "us-east-1"
            write_auth(self.sketch, "aws_sigv4", {"service": names[0], "region": region})
            notes = [f"the document describes AWS's signature; is the region {region} right?"]
        else:
            self.documented_login = write_auth(self.sketch, found.auth, found.values, found.hosts)
        for note in ["the workflow sends no credentials; these are of the OpenAPI document", *notes]:
            self.sketch.ask(("connection", "auth"), note)

    def _steps(self) -> list[Step]:
        plan = self.plan
        listed = [*plan.before, plan.start, *plan.between, plan.poll, *plan.result, plan.delete]
        return [step for step in listed if step is not None]

    def _auth(self) -> None:
        """Find the header, query parameter or cookie that carries an input as credentials."""
        for step in self._steps():
            for name, place, value in self.parameters(step):
                if not isinstance(value, str):
                    continue
                sources = [source for source in sources_in(value) if source.kind in ("inputs", "steps")]
                is_key = self._is_scheme(step, name, place)
                secret = (place == "header" and (name.lower() == "authorization" or is_secret_header(name))) or is_key
                secret = secret or place == "cookie" or (place == "query" and is_secret_name(name))
                if not secret:
                    continue
                if not sources:
                    self._constant_auth(name, place, value)
                    continue
                for source in sources:
                    if source.kind == "steps":
                        found = self.login_auth(name, value, source) if place == "header" else None
                        if found is not None and self.auth_header is None:
                            self.sketch.spec["connection"]["auth"] = found
                            self.auth_header = name.lower()
                        continue
                    self.secret_inputs.setdefault(source.name, field_name(source.name))
                if place == "header" and self.auth_header is None and all(item.kind == "inputs" for item in sources):
                    self._write_auth(name, value)
                elif place == "query" and is_key and "auth" not in self.sketch.spec["connection"]:
                    text = text_of(self.value(value, "connection", step))
                    auth = {"type": "api_key", "in": "query", "name": name, "value": text}
                    self.sketch.spec["connection"]["auth"] = auth
                    self.auth_header = f"?{name}"

    def login_auth(self, header: str, value: str, source: Source) -> dict[str, Any] | None:
        """Return the auth of a header that carries the output of a step; None if no step before the start has it."""
        step = self.plan.step(source.name)
        if step is None or step not in self.plan.before or step.operation is None or step.used():
            return None
        extraction, sure = self.extraction(step, source.output, source.path)
        if not sure or not extraction.startswith(("$.", "$[")):
            return None
        self.plan.before.remove(step)
        self.login = step
        for key in ("parameters", "requestBody"):
            for given in sources_in(step.data.get(key)):
                if given.kind == "inputs":
                    self.secret_inputs.setdefault(given.name, field_name(given.name))
        self.values.setdefault(step.id, {})[extraction] = "test-token"
        self.place[step.id] = "connection"
        auth: dict[str, Any] = {"type": "token", "request": self.request(step, "connection"), "token": extraction}
        self.sections[step.id] = auth
        if any(path == "$.expires_in" for path, _, _ in step.call.fields):
            auth["expires_in"] = "$.expires_in"
            self.values[step.id]["$.expires_in"] = 3600
        if header.lower() != "authorization":
            auth["header"] = header
        prefix = re.split(r"\{?\$", value, maxsplit=1)[0].strip()
        if prefix != "Bearer":
            auth["prefix"] = prefix
        return auth

    def _constant_auth(self, name: str, place: str, value: str) -> None:
        """Make a secret of a credential whose value the document has; the value is not copied."""
        if self.auth_header is not None or place not in ("header", "query") or "$" in value:
            return
        word, _, rest = value.strip().partition(" ")
        if name.lower() == "authorization" and word.lower() == "basic":
            write_auth(self.sketch, "basic")
        elif place == "header":
            self._write_auth_text(name, Text.of(f"{word} " if rest else "", self.secret("api_key")))
        else:
            write_auth(self.sketch, "api_key", {"in": place, "name": name})
        self.auth_header = name.lower() if place == "header" else f"?{name}"
        self.sketch.ask(
            ("connection", "auth"), f"the document has a value of {name}, which is not copied: give the secret"
        )

    def _is_scheme(self, step: Step, name: str, place: str) -> bool:
        """Return whether the OpenAPI document has a key with such a place and name."""
        keys = [about for about in schemes_of(step.call.document).values() if about.get("type") == "apiKey"]
        return any(about.get("in") == place and str(about.get("name")).lower() == name.lower() for about in keys)

    def _write_auth(self, name: str, value: str) -> None:
        self.auth_header = name.lower()
        self._write_auth_text(name, text_of(self.value(value, "connection", self.plan.start)))

    def _write_auth_text(self, name: str, text: Text) -> None:
        auth: dict[str, Any]
        first = text.parts[0] if text.parts and isinstance(text.parts[0], str) else ""
        if name.lower() == "authorization" and first.strip().lower() == "bearer" and len(text.parts) == 2:
            auth = {"type": "bearer", "token": Text.of(text.parts[1])}
        else:
            auth = {"type": "api_key", "in": "header", "name": name, "value": text}
        self.sketch.spec["connection"]["auth"] = auth

    def parameters(self, step: Step) -> list[tuple[str, str, Any]]:
        """Return name, place and value of the parameters of a step, with those of the workflow."""
        known = step.call.parameters
        found: dict[tuple[str, str], Any] = {}
        shared = self.workflow.get("parameters")
        listed = [*(shared if isinstance(shared, list) else []), *step.data["parameters"]]
        for raw in listed:
            about = self.arazzo.component(raw)
            if not isinstance(about, dict) or "name" not in about:
                continue
            name = str(about["name"])
            usual = "path" if f"{{{name}}}" in step.call.path else "query"
            place = about.get("in") or known.get(name, {}).get("in") or usual
            if place == "querystring":
                for key, value in parse_qsl(str(about.get("value")), keep_blank_values=True):
                    found[key, "query"] = value
                continue
            found[name, str(place)] = about.get("value")
        return [(name, place, value) for (name, place), value in found.items()]

    def request(self, step: Step, section: str) -> Any:
        """Return the request of a step."""
        self.place.setdefault(step.id, section)
        parameters = self.parameters(step)
        path = self._path(step, section, {name: value for name, place, value in parameters if place == "path"})
        request: dict[str, Any] = {"method": step.call.method.upper()}
        request |= self._location(step, path)
        query = {
            name: self._plain(self.value(value, section, step)) for name, place, value in parameters if place == "query"
        }
        query = {name: value for name, value in query.items() if f"?{name}" != self.auth_header and value is not None}
        headers = {}
        cookies: list[str | Ref | Text] = []
        for name, place, value in parameters:
            if place == "header" and name.lower() != self.auth_header:
                headers[name] = self._text(self.value(value, section, step))
            elif place == "cookie":
                cookies += ["; " if cookies else "", f"{name}=", self._text(self.value(value, section, step))]
        headers |= {"Cookie": Text.of(*cookies)} if cookies else {}
        body = self._body(step, section, headers)
        request |= {"query": query} if query else {}
        request |= {"headers": headers} if headers else {}
        request |= body
        self._ask_for_missing(step, section, parameters, body)
        if request.keys() == {"method", "path"}:
            return Text.of(f"{request['method']} ", text_of(request["path"]))
        return request

    def _ask_for_missing(
        self, step: Step, section: str, given: list[tuple[str, str, Any]], body: dict[str, Any]
    ) -> None:
        """Ask about what the OpenAPI document requires and the workflow does not send."""
        known = {name.lower() for name, _, _ in given} | _USUAL_HEADERS | {(self.auth_header or "").removeprefix("?")}
        for name, about in step.call.parameters.items():
            if about.get("required") is True and name.lower() not in known and about.get("in") in ("query", "header"):
                where = f"{name} in the {about['in']} of {step.id}"
                self._ask(section, f"the OpenAPI document requires {where}; it is not sent")
        kind, _, needed = step.call.body
        if needed and not body:
            self._ask(section, f"the OpenAPI document requires a body ({kind}) for {step.id}; the workflow sends none")

    def _path(self, step: Step, section: str, values: dict[str, Any]) -> Text:
        parts: list[str | Ref | Text] = []
        for piece in re.split(r"(\{[^}]*\})", step.call.path.partition("#")[0] or "/"):
            if not piece.startswith("{"):
                parts.append(piece)
                continue
            name = piece[1:-1]
            if name in values:
                parts.append(self._text(self.value(values[name], section, step)))
                self._require(parts[-1])
                continue
            self.add_input(name, {"type": "string"}, required=True)
            self._ask(section, f"the workflow has no value for {name} in the path of {step.id}: here it is an input")
            parts.append(Ref(f"inputs.{field_name(name)}"))
        return Text.of(*parts)

    def _require(self, text: Any) -> None:
        """Make the inputs in a path required: without them there is no path."""
        inputs = self.sketch.spec["inputs"]
        for ref in text_of(text).refs:
            name = ref.expression.removeprefix("inputs.")
            about = inputs.get(name)
            if isinstance(about, str):
                inputs[name] = about.removesuffix("?")
            elif isinstance(about, dict):
                about["type"] = about["type"].removesuffix("?")

    def _location(self, step: Step, path: Text) -> dict[str, Any]:
        """Return `path`, or `url` if the call is at another server than the one that starts the job."""
        base, _ = server_of(step.call)
        if base == self.base or (
            step.call.document is self.plan.start.call.document and not step.call.node.get("servers")
        ):
            return {"path": path}
        mine, own = urlsplit(base), urlsplit(self.base)
        whole, prefix = mine.path.rstrip("/"), own.path.rstrip("/")
        if mine[:2] == own[:2] and whole.startswith(prefix):
            return {"path": Text.of(whole.removeprefix(prefix), path)}
        if mine.netloc != own.netloc:
            hosts = self.sketch.spec["connection"].setdefault("allowed_hosts", [])
            hosts += [mine.netloc] if mine.netloc not in hosts else []
        return {"url": Text.of(base, path)}

    def _plain(self, value: Any) -> Any:
        """Return a value of a path, query or header: text, also where the document has a number."""
        return json.dumps(value) if isinstance(value, bool | int | float) else value

    def _text(self, value: Any) -> Text:
        """Return a value of a path, header or form as text: a list with commas."""
        if isinstance(value, list):
            parts = [part for item in value for part in (",", self._text(item))]
            return Text.of(*parts[1:])
        if value is None or isinstance(value, dict):
            return Text.of("" if value is None else json.dumps(as_template(value)))
        return text_of(self._plain(value))

    def _body(self, step: Step, section: str, headers: dict[str, Any]) -> dict[str, Any]:
        body = step.data.get("requestBody")
        if not isinstance(body, dict):
            return {}
        documented, _, _ = step.call.body
        kind = str(body.get("contentType") or documented or "application/json").lower()
        payload = body.get("payload")
        if isinstance(payload, str) and ("json" in kind or not kind):
            payload = self._json_text(payload)
        value = self.value(payload, section, step)
        replacements = body.get("replacements")
        for raw in replacements if isinstance(replacements, list) else []:
            if isinstance(raw, dict):
                new = self.value(self._selected(raw.get("value")), section, step)
                value = self._replaced(value, str(raw.get("target", "")), new, section)
        if value is None:
            return {}
        if "urlencoded" in kind:
            return {"form": value}
        if "multipart" in kind:
            if isinstance(value, dict):
                value = {name: self._text(item) for name, item in value.items()}
            return {"multipart": value if isinstance(value, Text | dict) else {}}
        if "json" in kind:
            if kind.split(";")[0] != "application/json":
                headers["Content-Type"] = kind
            return {"json": value}
        headers["Content-Type"] = kind
        if isinstance(value, dict | list):
            self._ask(section, f"the body of {step.id} is {kind}: how are the fields of the workflow written in it?")
        return {"text": self._text(value)}

    def _json_text(self, text: str) -> Any:
        """Return a payload that is JSON as text, in which expressions may stand without quotes."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
        quoted = re.sub(
            r"(?<=[:\[,])\s*(\{\$[^}]*\}|\$[\w.#/\[\]-]+)\s*(?=[,}\]])", lambda found: json.dumps(found[1]), text
        )
        try:
            return json.loads(quoted)
        except (ValueError, RecursionError):
            return text

    def _replaced(self, body: Any, target: str, value: Any, section: str) -> Any:
        path = pointer_path(target) if target.startswith("/") else target if target.startswith("$") else f"$.{target}"
        keys = keys_of(path)
        node = body
        for number, key in enumerate(keys, 1):
            fits = isinstance(node, list) and key < len(node) if isinstance(key, int) else isinstance(node, dict)
            if not fits:
                self._ask(section, f"the replacement of {target} does not fit the payload")
                return body
            if number == len(keys):
                node[key] = value
            else:
                node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
        return body
