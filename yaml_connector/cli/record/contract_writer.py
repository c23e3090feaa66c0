"""Makes a contract test of recorded calls: secrets, times and ids are replaced."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from yaml_connector._expressions.value_types import as_plain
from yaml_connector._http.messages import Response
from yaml_connector._http.redact import MASK
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector.cli._live.interactive_run import CallRecord
from yaml_connector.cli._live.recorder import RecordedExchange, Recorder
from yaml_connector.testing.compare import plain_strings

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_SHORTEST = 4  # characters of a secret that is replaced in text; shorter ones occur in too many words
_OMITTED_REQUEST_HEADERS = frozenset(
    {"content-type", "content-length", "accept", "accept-encoding", "host", "user-agent", "date", "x-amz-date"}
)
_KEPT_RESPONSE_HEADERS = frozenset({"retry-after", "location"})


class Scrubber:
    """Replaces what must not be kept or differs from run to run: secrets, the run's key, times, and the job's id.

    The id is replaced only if a response to the create has it as it is, and if it is long enough to be unmistakable.
    `short` maps secrets that are too short to be replaced in text to their names. `secrets` and `env` are the values of
    a test that is there already (default: stand-ins for secrets, and variables as they are).
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        recorder: Recorder,
        values: CreateValues,
        records: Iterable[CallRecord],
        *,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = loaded.spec
        self.source = loaded.document.text
        self.recorder = recorder
        self.secrets = {**self._stand_ins(values.secrets), **(secrets or {})}
        self.words: dict[str, str] = {}
        for name, value in self._known(values.secrets).items():
            self.words |= dict.fromkeys({value, quote(value, safe=""), json.dumps(value)[1:-1]}, self.secrets[name])
        fetched = sorted(secret for secret in recorder.secrets if secret not in self.words and len(secret) >= _SHORTEST)
        self.words |= {secret: f"test-token-{number}" for number, secret in enumerate(fetched, 1)}
        for name, value in (env or {}).items():
            if len(os.environ.get(name, "")) >= _SHORTEST:
                self.words[os.environ[name]] = value
        key = str(values.task["key"])
        self.words[key] = "test-key"
        self.job_id = _id_in_response(records)
        self.replaces_id = len(self.job_id) >= 6 and not self.job_id.isdigit() and key not in self.job_id
        if self.replaces_id:
            self.words |= dict.fromkeys((self.job_id, quote(self.job_id, safe="")), "job-1")
        self.short = {value: name for name, value in self._known(values.secrets).items() if len(value) < _SHORTEST}
        longest_first = sorted((word for word in self.words if len(word) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._times: dict[str, str] = {}

    def _known(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the values of the spec's secrets, from the command line or the environment."""
        known = dict(given)
        for name, secret in self.spec.secrets.items():
            if name not in known and secret.env is not None and os.environ.get(secret.env):
                known[name] = os.environ[secret.env]
        return known

    def _stand_ins(self, given: Mapping[str, str]) -> dict[str, str]:
        return {name: f"test-{name.replace('_', '-')}" for name in self.spec.secrets}

    def text(self, text: str) -> str:
        """Return a text as it may be kept."""
        text = self._pattern.sub(lambda match: self.words[match[0]], text)
        return self.recorder.redact(_TIME.sub(lambda match: self._time(match[0]), text))

    def header(self, name: str, value: str) -> str | None:
        """Return the value of a header as it may be kept; None if it cannot be known when the test runs."""
        scheme, _, encoded = value.partition(" ")
        if scheme == "Basic":
            try:
                pair = base64.b64decode(encoded, validate=True).decode()
            except ValueError:
                return None
            kept = self._pattern.sub(lambda match: self.words[match[0]], pair)
            return f"Basic {base64.b64encode(kept.encode()).decode()}"
        text = self.text(value)
        if MASK in text:
            return None
        if self.recorder.is_credential(name) and not any(word in text for word in self.words.values()):
            return None  # signed or encoded: it cannot be replaced
        return text

    def _time(self, text: str) -> str:
        if text not in self._times:
            number = len(self._times)
            zone = "Z" if text.endswith("Z") else "+00:00" if re.search(r"[+-]\d\d:?\d\d$", text[10:]) else ""
            self._times[text] = f"2026-01-01{text[10]}00:{number // 60 % 60:02}:{number % 60:02}{zone}"
        return self._times[text]

    def tree(self, value: Any) -> Any:
        """Return a value as it may be kept."""
        value = as_plain(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.tree(item) for key, item in value.items()}
        return value


def _id_in_response(records: Iterable[CallRecord]) -> str:
    """Return the job's id if a response to the create has it as it is; else "": the spec composed it from values that
    are kept, too."""
    for record in records:
        if record.kind == "create" and (job_id := str(record.found.get("job_id") or "")):
            for exchange in record.exchanges:
                if exchange.response is None:
                    continue
                headers = " ".join(exchange.response.headers.values())
                if job_id in headers or job_id in exchange.response.content.decode("utf-8", "replace"):
                    return job_id
    return ""


def contract_test(
    scrub: Scrubber, values: CreateValues, records: list[CallRecord], spec_file: str, name: str
) -> dict[str, Any]:
    """Return a file with one test, as data."""
    calls = list(recorded_calls(scrub, records))
    spec = scrub.spec
    names = dict.fromkeys(re.findall(r"\benv\.([A-Za-z_][A-Za-z0-9_]*)", scrub.source))
    env = {name: scrub.text(os.environ[name]) for name in names if os.environ.get(name)}
    defaults: dict[str, Any] = {
        "config": {name: scrub.tree(values.config[name]) for name in values.config if name in spec.config},
        "inputs": scrub.tree({name: value for name, value in values.inputs.items() if value is not None}),
        "secrets": {name: scrub.secrets[name] for name in spec.secrets},
        "env": env,
        "task": _task(scrub, values, set(re.findall(r"\btask\.(\w+)", scrub.source))),
    }
    if "*" in spec.outputs:
        defaults["outputs"] = dict(values.outputs)
    kept = {key: value for key, value in defaults.items() if value}
    return {"spec": spec_file, "defaults": kept, "tests": [{"name": name, "calls": calls}]}


def _task(scrub: Scrubber, values: CreateValues, used: set[str]) -> dict[str, Any]:
    task = {name: scrub.tree(value) for name, value in values.task.items() if name in used}
    return {name: value for name, value in task.items() if name not in ("key", "type") and value is not None}


def recorded_calls(scrub: Scrubber, records: list[CallRecord]) -> Iterable[dict[str, Any]]:
    """Yield the calls of a test, as data."""
    settings = scrub.spec.get
    paced = settings is not None and settings.poll.min_interval > 0
    before: dict[str, dict[str, Any]] = {}  # the last get, and the last reading of the log
    token = ""  # where a test goes on to read the log
    last_get = 0.0
    for record in records:
        body: dict[str, Any] = {}
        if record.exchanges:
            body["exchanges"] = [_exchange(scrub, exchange) for exchange in record.exchanges]
        elif record.kind == "get" and "get" in before:
            continue  # answered from the cache
        expect = plain_strings(scrub.tree(record.found))
        if record.error is not None:
            expect = {"error": re.escape(scrub.text(record.error))[:80].rstrip("\\")}
        if expect:
            body["expect"] = expect
        if record.kind == "logs" and record.token != token:  # a stop came before all of the last page was shown
            body["token"] = record.token
        call = {record.kind: body}
        is_empty = record.kind == "logs" and not expect.get("lines") and not expect.get("next")
        if is_empty or call == before.get(record.kind):
            continue
        if record.kind == "get":
            waited = any(item.response and "Retry-After" in item.response.headers for item in record.exchanges)
            if last_get and (paced or waited):
                yield {"after": f"{math.ceil(record.at - last_get) + 1}s"}
            last_get = record.at
        if record.kind in ("get", "logs"):
            before[record.kind] = call
            token = record.following or token
        yield call


def _exchange(scrub: Scrubber, exchange: RecordedExchange) -> dict[str, Any]:
    request: dict[str, Any] = {"method": exchange.request.method, "url": scrub.text(exchange.request.url)}
    headers = {}
    for name, value in exchange.request.headers.items():
        if name.lower() not in _OMITTED_REQUEST_HEADERS and (text := scrub.header(name, value)) is not None:
            headers[name] = plain_strings(text)
    if headers:
        request["headers"] = headers
    content = exchange.request.body
    if isinstance(content, bytes) and content:
        request |= _body(scrub, content, exchange.request.headers.get("Content-Type", ""))
    return {"request": request, "response": _response(scrub, exchange)}


def _is_kept(scrub: Scrubber, name: str) -> bool:
    if scrub.recorder.is_credential(name):
        return False
    if name.lower() in _KEPT_RESPONSE_HEADERS:
        return True
    return re.search(rf"headers\W+{re.escape(name)}", scrub.source, re.IGNORECASE) is not None


def _body(scrub: Scrubber, content: bytes, kind: str) -> dict[str, Any]:
    text = content.decode("utf-8", "replace")
    if "json" in kind:
        try:
            return {"json": plain_strings(scrub.tree(json.loads(text)))}
        except ValueError:
            pass
    if "multipart" in kind:
        return {}  # the boundary differs from run to run
    return {"text": plain_strings(scrub.text(text))}


def _response(scrub: Scrubber, exchange: RecordedExchange) -> dict[str, Any]:
    response, failure = exchange.response, exchange.failure
    if failure is not None:
        late = "within" in str(failure)
        return {"fault": "timeout" if late else "reset" if failure.may_have_been_processed else "refused"}
    if response is None:  # the call ended before there was one
        return {"fault": "timeout"}
    data: dict[str, Any] = {} if response.status == 200 else {"status": response.status}
    headers = {name: scrub.text(value) for name, value in response.headers.items() if _is_kept(scrub, name)}
    data |= {"headers": headers} if headers else {}
    return data | _content(scrub, response)


def _content(scrub: Scrubber, response: Response) -> dict[str, Any]:
    if not response.content:
        return {}
    if response.is_json:
        return {"json": scrub.tree(response.body)}
    if "\ufffd" in response.text:  # binary, but it may contain secrets
        kept = scrub.text(response.content.decode("utf-8", "surrogateescape"))
        return {"base64": base64.b64encode(kept.encode("utf-8", "surrogateescape")).decode()}
    return {"text": scrub.text(response.text)}
