"""The connection and the requests of a workflow, and where its values come from."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from yaml_connector._expressions.json_text import as_text
from yaml_connector.cli.new.arazzo.conditions import pointer_path
from yaml_connector.cli.new.arazzo.expressions import Source, source_of, sources_in, text_of_value
from yaml_connector.cli.new.arazzo.plan import Plan, Step
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.curl.values import is_secret_header, is_secret_name
from yaml_connector.cli.new.data import data_at
from yaml_connector.cli.new.openapi.calls import Calls, bare, whole_of
from yaml_connector.cli.new.openapi.credentials import credentials_of, server_of
from yaml_connector.cli.new.sketch import Ref, Sketch, Text, text_of

_TEST_URL = "https://api.test"
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_SAMPLES: dict[str, Any] = {"str": "text", "int": 7, "float": 1.5, "bool": True}
_MESSAGES = (
    "error_message",
    "errormessage",
    "message",
    "failure_reason",
    "error",
    "detail",
    "statusmessage",
    "state_message",
)
_MOST_DEPTH = 50
_USUAL_HEADERS = {"user-agent", "accept", "content-type", "authorization", "accept-encoding", "content-length"}


def field_name(text: str) -> str:
    """Return a name of the document as a name of the spec language."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if name[:1].isalpha() or name[:1] == "_" else f"v_{name}"


def with_path(expression: str, path: str) -> str:
    """Return an expression for a JSONPath below another expression."""
    for name, index, quoted in re.findall(r"\.([\w-]+)|\[(\d+)\]|\[\"([^\"]*)\"\]", path.removeprefix("$")):
        if index:
            expression += f"[{index}]"
        elif re.fullmatch(r"[A-Za-z_]\w*", name or ""):
            expression += f".{name}"
        else:
            expression += f"['{name or quoted}']"
    return expression


class Requests:
    """Makes requests of steps. `place` says in which section a step is, `sections` holds what was written of it."""

    def __init__(self, arazzo: Arazzo, workflow: dict[str, Any], plan: Plan, sketch: Sketch) -> None:
        self.arazzo = arazzo
        self.workflow = workflow
        self.plan = plan
        self.sketch = sketch
        self.place: dict[str, str] = {}
        self.sections: dict[str, dict[str, Any]] = {}
        self.id_source: Source | None = None
        self.id_questions: list[str] = []
        self.id_sample: Any = "job-1"
        self.id_extraction = "$.id"
        self.saves: dict[str, Any] = {}
        self.values: dict[str, dict[str, Any]] = {}  # by step: the path in its answer, and the value that a test has
        self.decided: dict[tuple[str, str], str] = {}  # what is meant by an output that is a whole answer
        self.usual: dict[str, int] = {}  # by step: the status of a good answer
        self.auth_header: str | None = None
        self.secret_inputs: dict[str, str] = {}
        inputs = arazzo.component(workflow.get("inputs"))
        self.inputs: dict[str, Any] = inputs if isinstance(inputs, dict) else {}
        properties = self.inputs.get("properties")
        required = self.inputs.get("required")
        self.required = list(map(str, required)) if isinstance(required, list) else []
        self.properties: dict[str, Any] = properties if isinstance(properties, dict) else {}
        self.base = ""

    # --- the connection ---

    def connection(self) -> None:
        """Write the connection: the server and the credentials, from the workflow, else from the OpenAPI document."""
        operation = self.plan.start.operation
        assert operation is not None
        self.base, notes = server_of(operation.document, operation.node, operation.document.paths.get(operation.path))
        variable = re.sub(r"\W", "_", f"{self.sketch.name}_URL").upper()
        connection = self.sketch.spec["connection"]
        connection["base_url"] = Text.of(Ref(f"env.{variable} | default('{self.base}')", _TEST_URL))
        self.sketch.fixture("env", variable, _TEST_URL)
        for note in notes:
            self.sketch.ask(("connection", "base_url"), note)
        self._auth()
        if "auth" not in connection:
            found = credentials_of(operation.document, operation.path, self.base, operation.method)
            if found.auth != "none":
                self._auth_of_document(found.auth, found.values, list(found.notes), found.hosts)

    def _auth_of_document(self, kind: str, values: dict[str, str], notes: list[str], hosts: tuple[str, ...]) -> None:
        """Write the credentials that the OpenAPI document names and the workflow leaves out."""
        connection = self.sketch.spec["connection"]
        if kind == "bearer":
            connection["auth"] = {"type": "bearer", "token": Text.of(self.secret("api_key"))}
        elif urlsplit(self.base).netloc.endswith("amazonaws.com"):
            names = urlsplit(self.base).netloc.split(".")
            keys = {key: Text.of(self.secret(key)) for key in ("access_key_id", "secret_access_key")}
            region = names[1] if len(names) > 3 else "us-east-1"
            connection["auth"] = {"type": "aws_sigv4", "service": names[0], "region": region, **keys}
            notes = [f"the document describes AWS's signature; is the region {region} right?"]
        elif kind == "basic":
            connection["auth"] = {
                "type": "basic",
                "username": Text.of(self.secret("username")),
                "password": Text.of(self.secret("password")),
            }
        elif kind == "api_key":
            place, name = values.get("in", "header"), values.get("name", "X-API-Key")
            connection["auth"] = {
                "type": "api_key",
                "in": place,
                "name": name,
                "value": Text.of(self.secret("api_key")),
            }
        else:
            connection["auth"] = {"type": "bearer", "token": Text.of(self.secret("api_key"))}
            notes = [f"the document has {kind}; here a token is given (yaml-connector explain connection.auth)", *notes]
        del hosts
        for note in ["the workflow sends no credentials; these are of the OpenAPI document", *notes]:
            self.sketch.ask(("connection", "auth"), note)

    def secret(self, name: str, *, required: bool = True) -> Ref:
        """Return a secret."""
        name = field_name(name)
        section = self.sketch.spec["secrets"]
        if name not in section:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f"{self.sketch.name}_{name}")
            section[name] = {"env": re.sub(r"\W", "_", words).upper()}
            if not required:
                section[name]["required"] = False
            self.sketch.fixture("secrets", name, f"test-{name}")
        return Ref(f"secrets.{name}", f"test-{name}")

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
                sources = [source for source in sources_in(value) if source.kind == "inputs"]
                is_key = self._is_scheme(step, name, place)
                secret = (place == "header" and (name.lower() == "authorization" or is_secret_header(name))) or is_key
                secret = secret or place == "cookie" or (place == "query" and is_secret_name(name))
                if not secret or not sources:
                    continue
                for source in sources:
                    self.secret_inputs.setdefault(source.name, field_name(source.name))
                if place == "header" and self.auth_header is None:
                    self._write_auth(name, value)
                elif place == "query" and is_key and "auth" not in self.sketch.spec["connection"]:
                    text = text_of(self.value(value, "connection", step))
                    self.sketch.spec["connection"]["auth"] = {
                        "type": "api_key",
                        "in": "query",
                        "name": name,
                        "value": text,
                    }
                    self.auth_header = f"?{name}"

    def _is_scheme(self, step: Step, name: str, place: str) -> bool:
        assert step.operation is not None
        document = step.operation.document
        schemes = document.node(document.node(document.data.get("components")).get("securitySchemes"))
        for raw in schemes.values():
            about = document.node(raw)
            if (
                about.get("type") == "apiKey"
                and about.get("in") == place
                and str(about.get("name")).lower() == name.lower()
            ):
                return True
        return False

    def _write_auth(self, name: str, value: str) -> None:
        self.auth_header = name.lower()
        text = text_of(self.value(value, "connection", self.plan.start))
        auth: dict[str, Any]
        first = text.parts[0] if text.parts and isinstance(text.parts[0], str) else ""
        if name.lower() == "authorization" and first.strip().lower() == "bearer" and len(text.parts) == 2:
            auth = {"type": "bearer", "token": Text.of(text.parts[1])}
        else:
            auth = {"type": "api_key", "in": "header", "name": name, "value": text}
        self.sketch.spec["connection"]["auth"] = auth

    # --- requests ---

    def parameters(self, step: Step) -> list[tuple[str, str, Any]]:
        """Return name, place and value of the parameters of a step, with those of the workflow."""
        assert step.operation is not None
        known = step.operation.parameters
        found: dict[tuple[str, str], Any] = {}
        shared = self.workflow.get("parameters")
        listed = [*(shared if isinstance(shared, list) else []), *step.data["parameters"]]
        for raw in listed:
            about = self.arazzo.component(raw)
            if not isinstance(about, dict) or "name" not in about:
                continue
            name = str(about["name"])
            place = (
                about.get("in")
                or known.get(name, {}).get("in")
                or ("path" if f"{{{name}}}" in step.operation.path else "query")
            )
            if place == "querystring":
                for key, value in parse_qsl(str(about.get("value")), keep_blank_values=True):
                    found[key, "query"] = value
                continue
            found[name, str(place)] = about.get("value")
        return [(name, place, value) for (name, place), value in found.items()]

    def request(self, step: Step, section: str) -> Any:
        """Return the request of a step."""
        operation = step.operation
        assert operation is not None
        self.place.setdefault(step.id, section)
        parameters = self.parameters(step)
        path = self._path(step, section, {name: value for name, place, value in parameters if place == "path"})
        request: dict[str, Any] = {"method": operation.method.upper()}
        request |= self._location(step, path)
        query = {
            name: self._plain(self.value(value, section, step)) for name, place, value in parameters if place == "query"
        }
        query = {name: value for name, value in query.items() if f"?{name}" != self.auth_header and value is not None}
        headers = {}
        cookies = []
        for name, place, value in parameters:
            if place == "header" and name.lower() != self.auth_header:
                headers[name] = text_of(self._plain(self.value(value, section, step)))
            elif place == "cookie":
                cookies.append((name, text_of(self._plain(self.value(value, section, step)))))
        if cookies:
            parts: list[str | Ref | Text] = []
            for name, text in cookies:
                parts += ["; " if parts else "", f"{name}=", text]
            headers["Cookie"] = Text.of(*parts)
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
        operation = step.operation
        assert operation is not None
        known = {name.lower() for name, _, _ in given} | _USUAL_HEADERS | {(self.auth_header or "").removeprefix("?")}
        for name, about in operation.parameters.items():
            if about.get("required") is True and name.lower() not in known and about.get("in") in ("query", "header"):
                self._ask(
                    section,
                    f"the OpenAPI document requires {name} in the {about['in']} of {step.id}; it is not sent",
                )
        kind, _, needed = operation.document.body(operation.path, operation.method)
        if needed and not body:
            self._ask(section, f"the OpenAPI document requires a body ({kind}) for {step.id}; the workflow sends none")

    def _ask(self, section: str, question: str) -> None:
        self.sketch.ask((section,), question)

    def _path(self, step: Step, section: str, values: dict[str, Any]) -> Text:
        assert step.operation is not None
        parts: list[str | Ref | Text] = []
        for piece in re.split(r"(\{[^}]*\})", step.operation.path.partition("#")[0] or "/"):
            if not piece.startswith("{"):
                parts.append(piece)
                continue
            name = piece[1:-1]
            if name in values:
                parts.append(text_of(self._plain(self.value(values[name], section, step))))
                self._require(parts[-1])
                continue
            self.add_input(name, {"type": "string"}, required=True)
            self._ask(section, f"the workflow gives no value for {name} in the path of {step.id}: here it is an input")
            parts.append(Ref(f"inputs.{field_name(name)}", self.sample(name)))
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
        assert step.operation is not None
        start = self.plan.start.operation
        assert start is not None
        operation = step.operation
        base, _ = server_of(operation.document, operation.node, operation.document.paths.get(operation.path))
        if base == self.base or (operation.document is start.document and not operation.node.get("servers")):
            return {"path": path}
        mine, own = urlsplit(base), urlsplit(self.base)
        if mine[:2] == own[:2]:
            prefix = own.path.rstrip("/")
            whole = mine.path.rstrip("/")
            if whole.startswith(prefix):
                return {"path": Text.of(whole.removeprefix(prefix), path)}
        hosts = self.sketch.spec["connection"].setdefault("allowed_hosts", [])
        if mine.netloc not in hosts and mine.netloc != own.netloc:
            hosts.append(mine.netloc)
        if not hosts:
            del self.sketch.spec["connection"]["allowed_hosts"]
        return {"url": Text.of(base, path)}

    def _plain(self, value: Any) -> Any:
        """Return a value of a path, query or header: text, also where the document has a number."""
        return json.dumps(value) if isinstance(value, bool | int | float) else value

    def _body(self, step: Step, section: str, headers: dict[str, Any]) -> dict[str, Any]:
        body = step.data.get("requestBody")
        if not isinstance(body, dict):
            return {}
        assert step.operation is not None
        documented, _, _ = step.operation.document.body(step.operation.path, step.operation.method)
        kind = str(body.get("contentType") or documented or "application/json").lower()
        payload = body.get("payload")
        if isinstance(payload, str) and ("json" in kind or not kind):
            payload = self._json_text(payload)
        value = self.value(payload, section, step)
        replacements = body.get("replacements")
        for raw in replacements if isinstance(replacements, list) else []:
            if isinstance(raw, dict):
                value = self._replaced(
                    value,
                    str(raw.get("target", "")),
                    self.value(self._selected(raw.get("value")), section, step),
                    section,
                )
        if value is None:
            return {}
        if "urlencoded" in kind:
            return {"form": value}
        if "multipart" in kind:
            return {
                "multipart": value
                if isinstance(value, Text)
                else {name: text_of(self._plain(item)) for name, item in value.items()}
                if isinstance(value, dict)
                else {}
            }
        if "json" in kind:
            if kind.split(";")[0] != "application/json":
                headers["Content-Type"] = kind
            return {"json": value}
        headers["Content-Type"] = kind
        return {"text": value if isinstance(value, Text) else text_of(str(value))}

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

    def _selected(self, value: Any) -> Any:
        """Return a selector object of Arazzo 1.1 as an expression."""
        if isinstance(value, dict) and "selector" in value and "context" in value:
            path = str(value["selector"])
            path = pointer_path(path) if path.startswith("/") else path
            context = str(value["context"])
            if context == "$inputs":
                return f"$inputs{path.removeprefix('$')}"
            return f"{context}{path.removeprefix('$')}"
        return value

    def _replaced(self, body: Any, target: str, value: Any, section: str) -> Any:
        path = pointer_path(target) if target.startswith("/") else target if target.startswith("$") else f"$.{target}"
        parts = re.findall(r"\.([\w-]+)|\[(\d+)\]|\[\"([^\"]*)\"\]", path.removeprefix("$"))
        node = body
        for number, (name, index, quoted) in enumerate(parts):
            key: Any = int(index) if index else name or quoted
            last = number == len(parts) - 1
            fits = isinstance(node, dict) if not index else isinstance(node, list) and int(index) < len(node)
            if not fits:
                self._ask(section, f"the replacement of {target} does not fit the payload")
                return body
            if last:
                node[key] = value
            else:
                node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
        return body

    def value(self, value: Any, section: str, step: Step, depth: int = 0) -> Any:
        """Return a value of the document with its expressions as templates."""
        value = self._selected(value)
        if depth > _MOST_DEPTH:
            return None
        if isinstance(value, dict):
            return {str(key): self.value(item, section, step, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, section, step, depth + 1) for item in value]
        if isinstance(value, str):
            return text_of_value(value, lambda source: self.ref(source, section, step))
        return value

    def ref(self, source: Source, section: str, step: Step) -> Any:
        """Return what an expression becomes; a text with a question if it has no counterpart."""
        if source.kind == "inputs":
            return self._input(source)
        if source.kind == "steps":
            return self.output_of(source, section, step)
        self._ask(
            "create" if section == "connection" else section,
            f"{source.name or source.kind} of the workflow has no counterpart here",
        )
        return ""

    # --- inputs ---

    def _input(self, source: Source) -> Ref:
        if source.name in self.secret_inputs:
            required = not self.required or source.name in self.required
            return self.secret(self.secret_inputs[source.name], required=required)
        about = self.arazzo.component(self.properties.get(source.name))
        about = about if isinstance(about, dict) else {}
        required = source.name in self.required
        self.add_input(source.name, about, required=required)
        expression = with_path(f"inputs.{field_name(source.name)}", source.path)
        sample = self.sample(source.name)
        default = about.get("default")
        if default is not None and not source.path and not required:
            expression += f" | default({_literal(default)})"
        return Ref(expression, sample if not source.path else self._deep(source, sample))

    def _deep(self, source: Source, sample: Any) -> Any:
        self.sketch.fixture("inputs", field_name(source.name), _merged(sample, source.path, "inner"))
        return "inner"

    def add_input(self, name: str, about: dict[str, Any], *, required: bool) -> None:
        """Declare an input."""
        field = field_name(name)
        section = self.sketch.spec["inputs"]
        if field in section:
            return
        kind = input_type(about)
        text = " ".join(str(about.get("description") or "").split())
        sample = _example(about, kind, field)
        kind = kind if required or kind == "any" else f"{kind}?"
        section[field] = {"type": kind, "description": text[:200]} if text and "${{" not in text else kind
        self.sketch.fixture("inputs", field, sample)

    def sample(self, name: str) -> Any:
        """Return the value of an input in the test."""
        return self.sketch.fixtures["inputs"][field_name(name)]

    # --- outputs of steps ---

    def extraction(self, step: Step, output: str, path: str) -> tuple[str, str]:
        """Return where the answer of a step has an output: an extraction, and the place that a test fills."""
        if (step.id, output) in self.decided and not path:
            return self.decided[step.id, output], self.decided[step.id, output]
        outputs = step.data.get("outputs")
        raw = outputs.get(output) if isinstance(outputs, dict) else None
        raw = self._selected(raw)
        if not isinstance(raw, str):
            return (f"$.{output}" if re.fullmatch(r"[A-Za-z_]\w*", output) else "$"), "guess"
        source = source_of(raw)
        if source.kind == "response" and source.name == "body":
            whole = ((source.path or "$") + path.removeprefix("$")).replace("[]", "[*]")
            return whole, whole
        if source.kind == "response":
            return f"${{{{ headers['{source.output}'] }}}}", f"header:{source.output}"
        if source.kind == "status":
            return "${{ status }}", "status"
        if source.kind == "url":
            return "${{ url }}", "url"
        if raw.startswith(("$.", "$[")):
            return raw + path.removeprefix("$"), raw + path.removeprefix("$")
        if source.kind == "inputs":
            return f"${{{{ {self._input(source).expression} }}}}", "input"
        return "$", "guess"

    def output_of(self, source: Source, section: str, user: Step) -> Any:
        """Return the template for an output of another step, and see to it that it is kept."""
        step = self.plan.step(source.name)
        if step is None or step.operation is None:
            self._ask(section, f"{source.name} is not a step with a call")
            return ""
        if self.id_source is not None and source == self.id_source and section != "create":
            return self._id_ref(user)
        place = self.place.get(step.id)
        if place is None:
            self._ask(section, f"the answer of {source.name} is not there: it does not run before {user.id}")
            return ""
        name = field_name(
            source.output
            if not source.path
            else re.sub(r"\W+", "_", source.output + source.path.removeprefix("$")).strip("_")
        )
        extraction, where = self.extraction(step, source.output, source.path)
        if where == "$" and section != "outputs" and not source.path and self._is_object(step):
            same = self.id_source is not None and (source.name, source.output) == (
                self.id_source.name,
                self.id_source.output,
            )
            extraction = where = self.id_extraction if same else self._id_field(step, [source.output])
            self.decided[step.id, source.output] = where
            if not same:
                self._ask(
                    section, f"the workflow takes the whole answer of {step.id} as {source.output}; {where} is a guess"
                )
        if where == "guess":
            self._ask(section, f"the output {source.output} of {source.name} is not declared: {extraction} is a guess")
        if where.startswith(("$", "header:")) and where != "$":
            self.values.setdefault(step.id, {}).setdefault(where, f"{name}-1".replace("_", "-"))

        def sample() -> Any:
            return self.value_at(step, where)

        if place == section or (place == "get" and section in ("result", "outputs")):
            self.sections[step.id].setdefault("save", {})[name] = extraction
            return Ref(f"steps.{step.name}.saved.{name}", sample)
        if place == "create":
            self.keep(step, name, extraction)
            return Ref(f"job.{self._job_name(name)}", sample)
        self._ask(section, f"{source.name}.{source.output} is not known here")
        return ""

    def _job_name(self, name: str) -> str:
        return f"{name}_saved" if name in ("id", "created_at", "cancelled") else name

    def keep(self, step: Step, name: str, extraction: str) -> None:
        """Keep a value of a create's step with the job."""
        create = self.sketch.spec["create"]
        kept = create.setdefault("save", {})
        if "steps" not in create:
            kept[self._job_name(name)] = extraction
            return
        self.sections[step.id].setdefault("save", {})[name] = extraction
        kept[self._job_name(name)] = f"${{{{ steps.{step.name}.saved.{name} }}}}"

    # --- the job's id ---

    def find_id(self) -> None:
        """Find which output identifies the job: the one in the path of the poll, else in its query or body."""
        poll = self.plan.poll
        if poll is None:
            return
        parameters = sorted(self.parameters(poll), key=lambda item: item[1] != "path")
        values: list[Any] = [value for _, place, value in parameters if place in ("path", "query")]
        body = poll.data.get("requestBody")
        values.append(body.get("payload") if isinstance(body, dict) else None)
        sources = [source for value in values for source in sources_in(self._selected(value)) if source.kind == "steps"]
        own = [source for source in sources if source.name == self.plan.start.id]
        self.id_source = next(iter(own or sources), None)
        if self.id_source is None:
            self._id_from_input(poll, parameters)
            return
        step = self.plan.step(self.id_source.name)
        if step is None or step.operation is None:
            self.id_source = None
            return
        self.id_extraction, where = self.extraction(step, self.id_source.output, self.id_source.path)
        if where == "$" and self._is_object(step):
            param = next((name for name, _, value in parameters if sources_in(value) == [self.id_source]), "id")
            self.id_extraction = self._id_field(step, [self.id_source.output, param])
            self.id_questions.append(
                f"job_id: the workflow takes the whole answer of {step.id} as the id; {self.id_extraction} is a guess"
            )
            where = self.id_extraction
        elif where.startswith("$.") and self._is_object(step, where):
            self.id_extraction = self._id_field(step, [self.id_source.output], below=where)
            self.id_questions.append(f"job_id: {where} is an object; {self.id_extraction} is a guess")
            where = self.id_extraction
        elif where == "guess":
            self.id_questions.append(
                f"job_id: {step.id} does not declare {self.id_source.output}; {self.id_extraction} is a guess"
            )
        elif where.startswith("header:"):
            self.id_extraction = self.id_extraction.replace(" }}", " | basename }}")
            self.id_questions.append(f"job_id: is the id the end of the header {where.removeprefix('header:')}?")
        elif where == "$":
            self.id_questions.append(f"job_id: the workflow takes the whole answer of {step.id} as the id")
        elif where.endswith(".name"):
            self.sketch.remark(
                ("create", "job_id"), "If the name is a path (a/b/c) and only its end is wanted: `| basename`."
            )
        self.id_sample = 101 if self._is_number(step, where) else "job-1"
        place = where if where.startswith(("$", "header:")) else "$.id"
        self.values.setdefault(step.id, {})[place] = (
            self.id_sample if not where.startswith("header:") else f"{_TEST_URL}/{self.id_sample}"
        )

    def _id_from_input(self, poll: Step, parameters: list[tuple[str, str, Any]]) -> None:
        """Take an input in the last parameter of the poll's path for the job's id, if the start can give one."""
        named = [(name, value) for name, place, value in parameters if place == "path" and isinstance(value, str)]
        start = self.plan.start
        own = {source.name for source in sources_in([value for _, _, value in self.parameters(start)])}
        for name, value in reversed(named):
            source = source_of(value)
            if source.kind == "inputs" and source.name not in own:
                self.id_source = source
                self.id_extraction = self._id_field(start, [name, source.name])
                self.values.setdefault(start.id, {})[self.id_extraction] = self.id_sample
                self.id_questions.append(
                    f"job_id: in the workflow the id is the input {source.name}; {self.id_extraction} is a guess"
                )
                return
        self.id_questions.append("job_id: nothing of the start's answer is used by the poll; $.id is a guess")
        self.values.setdefault(start.id, {})["$.id"] = self.id_sample

    def _id_field(self, step: Step, names: list[str], below: str = "$") -> str:
        assert step.operation is not None
        document = step.operation.document
        noun = bare(step.operation.path).rstrip("/{}").rpartition("/")[2].removesuffix("s")
        words = [*names, f"{noun}_id", f"{noun}id", "id", "uuid", "uid", "name", "key"]
        wanted = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in words]
        fields = [
            (path, re.sub(r"[^a-z0-9]", "", name.lower()))
            for path, name, about in document.fields(document.response(step.operation.path, step.operation.method))
            if not document.kinds(about) & {"object", "array"} and "properties" not in about
        ]
        fields = [(path, name) for path, name in fields if path.startswith(f"{below}.")]
        return next((path for name in wanted for path, known in fields if known == name), f"{below}.id")

    def _is_object(self, step: Step, path: str = "$") -> bool:
        """Return whether an answer (or the value at a path in it) is an object, as far as the document says."""
        assert step.operation is not None
        document = step.operation.document
        schema = document.response(step.operation.path, step.operation.method)
        if path == "$":
            return not document.kinds(schema) - {"object", "array"}
        about = next((about for known, _, about in document.fields(schema) if known == path), {})
        return document.kinds(about) == {"object"} or "properties" in about

    def _is_number(self, step: Step, path: str) -> bool:
        assert step.operation is not None
        document = step.operation.document
        for known, _, about in document.fields(document.response(step.operation.path, step.operation.method)):
            if known == path:
                return document.kinds(about) == {"integer"}
        return False

    def _id_ref(self, user: Step) -> Ref:
        body = user.data.get("requestBody")
        payload = body.get("payload") if isinstance(body, dict) else None
        if isinstance(self.id_sample, int) and self.id_source in sources_in(payload):
            return Ref("job.id | int", self.id_value)
        return Ref("job.id", lambda: as_text(self.id_value()))

    def id_value(self) -> Any:
        """Return the job's id in the test."""
        source = self.id_source
        step = self.plan.step(source.name) if source is not None and source.kind == "steps" else self.plan.start
        assert step is not None
        if self.id_extraction.startswith("${{"):
            return str(self.id_sample)
        if self.id_extraction != "$":
            self.values.setdefault(step.id, {}).setdefault(self.id_extraction, self.id_sample)
        return self.value_at(step, self.id_extraction)

    def job_id(self, steps: list[Step]) -> str:
        """Return the extraction of `job_id`."""
        source = self.id_source
        if source is None or source.kind != "steps" or source.name == self.plan.start.id:
            return self.id_extraction
        step = self.plan.step(source.name)
        if step is None or step not in steps:
            return self.id_extraction
        name = field_name(source.output)
        self.sections[step.id].setdefault("save", {})[name] = self.id_extraction
        return f"${{{{ steps.{step.name}.saved.{name} }}}}"

    # --- outputs, messages, cancel ---

    def output(self, raw: Any) -> str | None:
        """Return the extraction of an output of the workflow; None if it has none."""
        raw = self._selected(raw)
        source = source_of(raw) if isinstance(raw, str) else None
        if source is None:
            return None
        if source.kind == "inputs":
            ref = self._input(source)
            return None if ref.expression.startswith("secrets.") else f"${{{{ {ref.expression} }}}}"
        if source.kind != "steps":
            return None
        step = self.plan.step(source.name)
        if step is None or step.id not in self.place or self.place[step.id] == "delete":
            return None
        if self.id_source == source:
            return "${{ job.id }}"
        last = self.plan.result[-1] if self.plan.result else self.plan.poll
        extraction, where = self.extraction(step, source.output, source.path)
        if step is last:
            return extraction
        if where == "guess":
            return None
        ref = self.output_of(source, "outputs", step)
        return f"${{{{ {ref.expression} }}}}" if isinstance(ref, Ref) else None

    def answer(self, step: Step) -> Any:
        """Return the body of a step's answer in the test: it has all that the spec reads of it."""
        found = self.values.get(step.id, {})
        plain = {path: value for path, value in found.items() if path.startswith("$") and path != "$"}
        if plain:
            return data_at(plain)
        return found.get("$", {} if self._is_object(step) else [])

    def value_at(self, step: Step, where: str) -> Any:
        """Return what the answer of a step has in the test at a place."""
        found = self.values.get(step.id, {})
        if where == "status":
            return self.usual.get(step.id, 200)
        if where.startswith("header:") or not where.startswith("$"):
            return found.get(where, "value")
        value = self.answer(step)
        for name, quoted, index in re.findall(r"\.([\w-]+)|\[\"([^\"]*)\"\]|\[(\d+|\*)\]", where):
            if index:
                value = value[0 if index == "*" else int(index)] if isinstance(value, list) and value else None
            else:
                value = value.get(name or quoted) if isinstance(value, dict) else None
        return value

    def answer_values(self, step: Step) -> dict[str, Any]:
        """Return what the answer of a step must have for what the spec reads of it."""
        return self.values.get(step.id, {})

    def statuses(self, step: Step) -> list[int]:
        """Return the statuses of success that the OpenAPI document has for a step."""
        assert step.operation is not None
        responses = step.operation.document.node(step.operation.node.get("responses"))
        return [int(code) for code in map(str, responses) if re.fullmatch(r"2\d\d", code)]

    def messages(self, step: Step) -> str | None:
        """Return where the answer of the poll has the API's own words."""
        assert step.operation is not None
        document = step.operation.document
        fields: dict[str, str] = {}
        for path, name, about in document.fields(document.response(step.operation.path, step.operation.method)):
            if not document.kinds(about) & {"object", "array"} and "[" not in path:
                fields.setdefault(name.lower(), path)
        return next((fields[name] for name in _MESSAGES if name in fields), None)

    def cancel_call(self) -> str | None:
        """Return the call that the OpenAPI document has to cancel the job, if it has one."""
        poll, start = self.plan.poll, self.plan.start
        if poll is None or poll.operation is None or poll.operation.method != "get" or start.operation is None:
            return None
        calls: Calls = whole_of(poll.operation.document, start.operation.path, poll.operation.path)
        return f"{calls.delete[0].upper()} {calls.delete[1]}" if calls.delete is not None else None


def input_type(about: dict[str, Any]) -> str:
    """Return the type of an input that a JSON Schema describes."""
    kind = about.get("type")
    kinds = [item for item in (kind if isinstance(kind, list) else [kind]) if item and item != "null"]
    if len(kinds) != 1:
        return "any"
    if kinds[0] == "array":
        items = about.get("items")
        inner = input_type(items) if isinstance(items, dict) else "any"
        return f"list[{inner}]"
    return _TYPES.get(str(kinds[0]), "any")


def _example(about: dict[str, Any], kind: str, name: str) -> Any:
    values = about.get("enum")
    for value in (
        about.get("example"),
        about.get("default"),
        values[0] if isinstance(values, list) and values else None,
    ):
        if value is not None and type(value) is type(_SAMPLES.get(kind)):
            return value
    if kind == "any":
        return {"key": "value"}
    if kind.startswith("list["):
        inner = kind[5:-1]
        return [_example({}, inner, name)]
    return f"a-{name.replace('_', '-')}" if kind == "str" else _SAMPLES.get(kind, "text")


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)


def _merged(sample: Any, path: str, value: Any) -> Any:
    found = data_at({path: value})
    return {**sample, **found} if isinstance(sample, dict) and isinstance(found, dict) else found
