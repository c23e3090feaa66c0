"""A draft of a spec from an OpenAPI 3 document: which calls look like a job's life, and what its states may mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from yaml_connector.cli.draft import Draft
from yaml_connector.errors import ConfigError

_LARGEST = 64 * 2**20
_JOBS = ("job", "run", "task", "batch", "execution", "workflow", "query", "statement", "build", "pipeline", "operation")
_CANCEL = ("cancel", "stop", "terminate", "abort", "kill")
_LOGS = ("logs", "log", "stdout", "output")
_MEANINGS = {
    "QUEUED": "queued pending waiting created submitted new scheduled accepted not_started validating blocked",
    "INITIALIZING": "initializing starting preparing provisioning booting",
    "RUNNING": "running in_progress active processing started executing finalizing cancelling canceling stopping",
    "SUCCEEDED": "succeeded success successful completed complete done finished ok",
    "FAILED": "failed failure error errored expired timed_out timeout timedout crashed internal_error",
    "ABORTED": "cancelled canceled aborted stopped terminated killed skipped deleted",
}
_KINDS = {"string": ("str", "hello"), "integer": ("int", 1), "number": ("float", 1.5), "boolean": ("bool", True)}


def draft_of(content: bytes, file: str, name: str | None) -> Draft:
    """The draft; raises ConfigError if the document is none, or has no call that could submit a job."""
    document = _Document(_parse(content, file), file)
    found = document.best()
    if found is None:
        raise ConfigError(f"{file}: no call looks like submitting a job: a POST, and a GET of the same path with an id")
    return document.draft(*found, name=name)


def _parse(content: bytes, file: str) -> dict[str, Any]:
    if len(content) > _LARGEST:
        raise ConfigError(f"{file} is longer than {_LARGEST // 2**20} MiB")
    try:
        data = json.loads(content)
    except ValueError:
        import yaml

        try:
            data = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is safe
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{file} is neither JSON nor YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith("3"):
        raise ConfigError(f"{file} is no OpenAPI 3 document: it has no `openapi: 3...`")
    return data


class _Document:
    def __init__(self, data: dict[str, Any], file: str) -> None:
        self.data = data
        self.file = file
        paths = data.get("paths")
        self.paths: dict[str, Any] = paths if isinstance(paths, dict) else {}

    def resolved(self, node: Any) -> dict[str, Any]:
        """A node of the document, with references followed and `allOf` merged."""
        for _ in range(20):
            if not isinstance(node, dict) or "$ref" not in node:
                break
            target: Any = self.data
            for name in str(node["$ref"]).removeprefix("#/").split("/"):
                key = name.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, dict) else None
            node = target
        if not isinstance(node, dict):
            return {}
        parts = [self.resolved(part) for part in node.get("allOf", []) if isinstance(part, dict)]
        if not parts:
            return node
        properties: dict[str, Any] = {}
        for part in (*parts, node):
            properties |= part.get("properties") or {}
        return {**parts[0], **node, "properties": properties}

    def best(self) -> tuple[str, str] | None:
        """The path that submits, and the one that asks for the job."""
        found = []
        for path, item in self.paths.items():
            if not isinstance(item, dict) or "post" not in item:
                continue
            for asked, other in self.paths.items():
                beside = re.fullmatch(re.escape(path.rstrip("/")) + r"/\{[^}/]+\}/?", asked)
                if beside and isinstance(other, dict) and "get" in other:
                    found.append((self._score(path, asked), path, asked))
        if not found:
            return None
        _, path, asked = max(found, key=lambda item: (item[0], -len(item[1])))
        return path, asked

    def _score(self, path: str, asked: str) -> int:
        last = path.rstrip("/").rpartition("/")[2].lower()
        score = 3 * any(word in last for word in _JOBS) + 2 * (self._states(asked) is not None)
        around = {other.removeprefix(asked).strip("/").lower() for other in self.paths if other.startswith(asked)}
        return score + 2 * bool(around & set(_CANCEL)) - path.count("{")

    def answer(self, path: str, method: str) -> dict[str, Any]:
        """The schema of a call's good answer."""
        responses = self.resolved(self.resolved(self.paths[path].get(method)).get("responses"))
        for status in sorted(map(str, responses)):
            if status.startswith("2") or status == "default":
                schema = self._content(self.resolved(responses.get(status, responses.get(_number(status)))))
                if schema:
                    return schema
        return {}

    def _content(self, node: Mapping[str, Any]) -> dict[str, Any]:
        for kind, media in (node.get("content") or {}).items():
            if "json" in kind and isinstance(media, dict):
                return self.resolved(media.get("schema"))
        return {}

    def _fields(self, schema: dict[str, Any], where: str = "$", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
        """Every field of an answer, from the outside in: its path, name and schema."""
        inner = []
        for name, raw in (schema.get("properties") or {}).items():
            about = self.resolved(raw)
            if re.fullmatch(r"[A-Za-z_]\w*", str(name)):
                yield f"{where}.{name}", str(name), about
                inner.append((f"{where}.{name}", about))
        if depth < 2:
            for path, about in inner:
                yield from self._fields(about, path, depth + 1)

    def _states(self, asked: str) -> tuple[str, list[str]] | None:
        for path, name, about in self._fields(self.answer(asked, "get")):
            options = [about, *(self.resolved(part) for key in ("anyOf", "oneOf") for part in about.get(key) or [])]
            values = [value for option in options for value in option.get("enum") or [] if isinstance(value, str)]
            if values and re.search(r"status|state|phase", name, re.IGNORECASE):
                return path, list(dict.fromkeys(values))
        return None

    def draft(self, path: str, asked: str, *, name: str | None) -> Draft:
        """The draft of these calls."""
        word = re.sub(r"\W+", "_", path.rstrip("/").rpartition("/")[2].lower()).strip("_") or "job"
        draft = Draft(name or (word if word[0].isalpha() else f"api_{word}"), self._server())
        draft.description = str(self.resolved(self.paths[path]["post"]).get("summary") or "")
        draft.create, draft.get = f"POST {path}", f"GET {self._with_id(asked)}"
        draft.auth = self._auth()
        draft.decide["connection"] = [f"auth was taken from {self.file}: is it what you use?"]
        self._set_id(draft, path, asked)
        self._set_states(draft, asked)
        self._set_body(draft, path)
        self._set_others(draft, asked)
        for parameter in re.findall(r"\{([^}]+)\}", path):
            safe = re.sub(r"\W", "_", parameter)
            if safe == "id" or safe in draft.fields:
                safe = f"path_{safe}"
            for place in ("create", "get", "delete", "logs"):
                text = getattr(draft, place)
                setattr(draft, place, text and text.replace(f"{{{parameter}}}", f"{{{safe}}}", 1))
        return draft

    def _with_id(self, path: str) -> str:
        head, _, tail = path.rpartition("{")
        return f"{head}{{id}}{tail.partition('}')[2]}"

    def _server(self) -> str:
        servers = self.data.get("servers")
        url = str(servers[0].get("url", "")) if isinstance(servers, list) and servers else ""
        return url.rstrip("/") if re.fullmatch(r"https?://[\w.:/-]+", url) else "https://api.example.com"

    def _auth(self) -> str:
        schemes = self.resolved(self.data.get("components")).get("securitySchemes") or {}
        for raw in schemes.values():
            scheme = self.resolved(raw)
            kind = (str(scheme.get("type")), str(scheme.get("scheme", "")).lower())
            if kind == ("http", "bearer"):
                return "bearer"
            if kind == ("http", "basic"):
                return "basic"
            if kind[0] == "apiKey":
                return "api_key"
            if kind[0] == "oauth2":
                return "oauth2"
        return "bearer" if schemes else "none"

    def _set_id(self, draft: Draft, path: str, asked: str) -> None:
        wanted = (asked.rpartition("{")[2].partition("}")[0], "id", "uuid", f"{draft.name.rstrip('s')}_id", "name")
        fields = list(self._fields(self.answer(path, "post")))
        for name in wanted:
            for place, found, _ in fields:
                if found.lower() == name.lower():
                    draft.id_path = place
                    return
        draft.decide.setdefault("create", []).append(
            "where in the answer is the job's id? None was found in the document"
        )

    def _set_states(self, draft: Draft, asked: str) -> None:
        fields = {name: place for place, name, _ in self._fields(self.answer(asked, "get"))}
        messages = (name for name in ("message", "error_message", "detail", "reason") if name in fields)
        draft.message_path = next((fields[name] for name in messages), None)
        found = self._states(asked)
        if found is None:
            place = next((fields[name] for name in ("status", "state", "phase") if name in fields), "$.status")
            draft.state_path = place
            draft.decide["get"] = [f"the document lists no states of {place}: write down what the API says"]
            return
        draft.state_path, values = found
        draft.states, unknown = {}, []
        for phase, words in _MEANINGS.items():
            mapped = [value for value in values if _snake(value) in words.split()]
            if mapped:
                draft.states[phase] = mapped
        known = {value for mapped in draft.states.values() for value in mapped}
        unknown = [value for value in values if value not in known]
        notes = ["is this what each state means?"]
        if unknown:
            notes.append(f"these states are not mapped, and count as RUNNING: {', '.join(unknown)}")
        notes += [f"no state means {phase}" for phase in ("SUCCEEDED", "FAILED") if phase not in draft.states]
        draft.states = draft.states or {"RUNNING": values}
        draft.decide["get"] = notes

    def _set_body(self, draft: Draft, path: str) -> None:
        body = self.resolved(self.resolved(self.paths[path]["post"]).get("requestBody"))
        schema = self._content(body)
        draft.fields, notes = {}, []
        required = [str(name) for name in schema.get("required") or []]
        for name in required:
            about = self.resolved((schema.get("properties") or {}).get(name))
            kind, example = _KINDS.get(str(about.get("type")), ("any", {"key": "value"}))
            if about.get("enum") and kind == "str":
                example = str(about["enum"][0])
            if re.fullmatch(r"[A-Za-z_]\w*", name):
                draft.fields[name] = (kind, example)
            else:
                notes.append(f"the body needs {name!r}")
        others = [str(name) for name in schema.get("properties") or {} if name not in required]
        if others:
            notes.append(f"the body may also have: {', '.join(others[:20])}{', ...' if len(others) > 20 else ''}")
        draft.decide.setdefault("create", []).extend(notes)

    def _set_others(self, draft: Draft, asked: str) -> None:
        draft.delete = draft.logs = None
        for path, item in self.paths.items():
            tail = path.removeprefix(asked).lower().strip("/:").rpartition("/")[2] if path.startswith(asked) else ""
            if not isinstance(item, dict):
                continue
            for method in ("post", "put"):
                if tail in _CANCEL and method in item and draft.delete is None:
                    draft.delete = f"{method.upper()} {self._with_id_of(asked, path)}"
            if tail in _LOGS and "get" in item and draft.logs is None:
                draft.logs = f"GET {self._with_id_of(asked, path)}"
                draft.decide["logs"] = ["is the log text? For JSON, say `lines` (yaml-connector explain logs)"]
        if draft.delete is None and "delete" in self.paths[asked]:
            draft.delete = f"DELETE {self._with_id(asked)}"
            draft.decide["delete"] = ["does this cancel the job, or only forget it?"]

    def _with_id_of(self, asked: str, path: str) -> str:
        return self._with_id(asked) + path.removeprefix(asked)


def _snake(text: str) -> str:
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)).lower()


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else text
