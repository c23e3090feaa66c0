"""Sends the commands once, to see how the API answers: `new --from-curl --try`.

The job is really submitted, and followed for a minute at most. Nothing is cancelled. Variables that the text does not
set are read from the environment.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from yaml_connector._expressions.json_text import as_text
from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call, Key
from yaml_connector.cli.new.curl.page import Page, read_beside
from yaml_connector.cli.new.curl.roles import Roles
from yaml_connector.cli.new.curl.tokens import FilePart, Leaf, Tokens, Variable
from yaml_connector.cli.new.phases import ENDINGS, phases_from
from yaml_connector.cli.new.sketch import each_leaf
from yaml_connector.errors import ConfigError

_LONGEST = 60.0  # seconds that a job is followed for
_LARGEST = 2**20  # bytes of an answer that are read


def answers_live(page: Page, roles: Roles, folder: Path, tell: Callable[[str], None]) -> dict[int, list[Answer]]:
    """Return the answers to the commands that submit and read the job, by the numbers of the calls.

    The ids that were pasted become those of the new job, in the page, too. `tell` is told of each request. Raises
    ConfigError if a variable is missing, or an API cannot be reached.
    """
    return _Attempt(page, roles, folder, tell).run()


class _Attempt:
    def __init__(self, page: Page, roles: Roles, folder: Path, tell: Callable[[str], None]) -> None:
        self.page = page
        self.roles = roles
        self.folder = folder
        self.tell = tell
        self.found: dict[int, list[Answer]] = {}
        self.inputs = _missing(page, roles)

    def run(self) -> dict[int, list[Answer]]:
        if self.inputs:
            raise ConfigError(f"set these variables of the commands for --try: {', '.join(sorted(self.inputs))}")
        first = [self.roles.login, *self.roles.before, self.roles.create]
        for number in sorted({number for number in first if number is not None}):
            self.send(number)
        self.rename()
        for number in self.roles.helper:
            self.send(number)
        if self.roles.get is not None:
            self.poll(self.roles.get)
        for after in (self.roles.logs, self.roles.result):
            if after is not None:
                self.send(after)
        return self.found

    def poll(self, number: int) -> None:
        began, pause = time.monotonic(), 0.2
        while True:
            self.send(number)
            phases = phases_from(self.found[number], None)
            over = phases is not None and phases.seen and phases.seen[-1] in ENDINGS
            if over or time.monotonic() - began > _LONGEST:
                return
            time.sleep(pause)
            pause = min(3.0, pause * 1.5)

    def send(self, number: int) -> None:
        """Send a call, and keep its answer."""
        call = self.page.calls[number]
        url = self.text(call.origin) + self.text(call.path, encode=True)
        url = url if "://" in url else f"http://{url}"
        self.tell(f"{call.method} {url.partition('?')[0]}")
        headers = [(name, self.text(value)) for name, value in call.headers]
        if call.cookies:
            headers.append(("Cookie", "; ".join(f"{name}={self.text(value)}" for name, value in call.cookies)))
        user, _, password = self.text(call.user).partition(":") if call.user is not None else ("", "", "")
        options: dict[str, Any] = {"auth": (user, password)} if call.user is not None else {}
        query = httpx.QueryParams([(name, self.text(value)) for name, value in call.query])
        try:
            with httpx.Client(verify=not call.source.has("insecure"), timeout=20) as client:
                request = client.build_request(call.method, url, params=query, headers=headers, **self.body(call))
                response = client.send(request, stream=True, **options)
                content = b""
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > _LARGEST:
                        break
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ConfigError(f"line {call.line}: the request failed: {error or type(error).__name__}") from None
        answer = _answer(response, content)
        if number == self.roles.create and response.status_code >= 400:
            words = answer.text[:200]
            raise ConfigError(f"line {call.line}: the API refused the create with {response.status_code}: {words}")
        self.found.setdefault(number, []).append(answer)

    def body(self, call: Call) -> dict[str, Any]:
        if call.body_kind == "json":
            return {"json": each_leaf(call.body, self.leaf)}
        if call.body_kind == "form":
            return {"data": {name: self.text(value.tokens) for name, value in call.body}}
        if call.body_kind == "text":
            return {"content": self.text(call.body.tokens).encode()}
        if call.body_kind == "file":
            return {"content": self.file(call.body)}
        if call.body_kind == "multipart":
            return {"files": [(name, self.part(value)) for name, value in call.body]}
        return {}

    def part(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, FilePart):
            return (value.filename or value.name, self.file(value), value.content_type or "application/octet-stream")
        if isinstance(value, dict):
            return (None, value["content"].encode(), value.get("content_type"))
        return (None, self.text(value.tokens).encode())

    def file(self, part: FilePart) -> bytes:
        content = read_beside(self.folder, part.name)
        if content is None:
            raise ConfigError(f"the file {part.name} is not there, which --try would send")
        return content.encode()

    def leaf(self, value: Any) -> Any:
        if not isinstance(value, Leaf):
            return value
        text = self.text(value.tokens)
        return int(text) if value.bare and re.fullmatch(r"-?\d{1,15}", text) else text

    def text(self, tokens: Tokens, *, encode: bool = False) -> str:
        """Return tokens with the values of their variables; `encode` those, as segments of a path."""
        parts = []
        for part in tokens:
            if isinstance(part, str):
                parts.append(part)
                continue
            value = self.value(part)
            parts.append(quote(value, safe="") if encode else value)
        return "".join(parts)

    def value(self, part: Variable) -> str:
        if part.capture is not None and self.found.get(part.capture.call):
            answer = self.found[part.capture.call][-1]
            path = part.capture.path
            if path is None:
                return answer.text.strip()
            found = dict(answer.values()).get(path.replace("[*]", "[0]"))
            if found is not None:
                return as_text(found)
        if self.roles.job_key == ("name", part.name):
            return self.job_id()
        return part.value if part.value is not None else os.environ.get(part.name, "")

    def job_id(self) -> str:
        """Return the id of the new job, as well as it can be told."""
        answer = self.found[self.roles.create][-1]
        key = self.roles.job_key
        names = {name.lower() for call in self.page.calls for name, tokens in call.query if key and tokens == (key[1],)}
        values = [(path, as_text(value)) for path, value in answer.values() if not isinstance(value, bool)]
        for pattern in (*map(re.escape, sorted(names)), r"(.*_)?u?u?id", r".*id|key|name|handle|number|.*job.*"):
            for path, value in values:
                if re.fullmatch(pattern, re.split(r"[.\[]", path)[-1].strip("]\"'"), re.IGNORECASE):
                    return value
        place = answer.headers.get("location") or answer.headers.get("content-location") or ""
        return place.rstrip("/").rpartition("/")[2] or answer.text.strip()[:200]

    def rename(self) -> None:
        """Put the id of the new job in the place of the pasted one, in all later calls."""
        key: Key | None = self.roles.job_key
        if key is None or key[0] != "text":
            return
        old, new = key[1], self.job_id()

        def tokens(given: Tokens) -> Tokens:
            return tuple(part.replace(old, new) if isinstance(part, str) else part for part in given)

        def leaf(value: Any) -> Any:
            if isinstance(value, Leaf):
                return replace(value, tokens=tokens(value.tokens))
            if type(value) is int and str(value) == old and new.isdigit():
                return int(new)
            return value.replace(old, new) if isinstance(value, str) else value

        for call in self.page.calls[self.roles.create + 1 :]:
            call.path = tokens(call.path)
            call.query = [(name, tokens(value)) for name, value in call.query]
            call.body = each_leaf(call.body, leaf)
        self.roles.job_key = ("text", new)


def _missing(page: Page, roles: Roles) -> set[str]:
    """Return the variables that neither the text nor the environment sets, nor an answer."""
    numbers = [roles.login, *roles.before, roles.create, *roles.helper, roles.get, roles.logs, roles.result]
    return {
        part.name
        for number in numbers
        if number is not None
        for tokens in (page.calls[number].origin, *(tokens for _, tokens in page.calls[number].places()))
        for part in tokens
        if isinstance(part, Variable)
        and part.value is None
        and part.capture is None
        and ("name", part.name) != roles.job_key
        and part.name not in os.environ
    }


def _answer(response: httpx.Response, content: bytes) -> Answer:
    text = content.decode("utf-8", "replace")
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        return Answer(response.status_code, headers, text, json.loads(text), True)
    except (ValueError, RecursionError):
        return Answer(response.status_code, headers, text)
