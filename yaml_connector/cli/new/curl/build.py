"""Makes a sketch of a page with curl commands and of the answers to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer, answers_between, answers_of, assign, lines_of
from yaml_connector.cli.new.curl.call import CANCEL, Call, last_words, named_leaves
from yaml_connector.cli.new.curl.page import Page, read_page
from yaml_connector.cli.new.curl.roles import Answers, Roles, roles_of
from yaml_connector.cli.new.curl.tokens import Leaf, shown, text_in
from yaml_connector.cli.new.curl.trials import Trials
from yaml_connector.cli.new.names import phase_of
from yaml_connector.cli.new.phases import guessed, known_in, message_in, outputs_in, phases_from
from yaml_connector.cli.new.sketch import Sketch, Text, Unused, text_of
from yaml_connector.errors import ConfigError


class _Builder(Trials):
    """Makes the sketch."""

    def build(self) -> Sketch:
        file = Path(self.file).name if self.file != "-" else "the standard input"
        self.sketch.begin(f"Made from the curl commands of {file}.", "")
        login = self.page.calls[self.roles.login] if self.roles.login is not None else None
        self.credentials.find(login, self.answers.get(self.roles.login, ()) if self.roles.login is not None else ())
        self._connection()
        self._differing()
        self._create()
        self.values.differing.clear()  # of a create: a field of the same name in another call has its own value
        self._get()
        self._result()
        self._delete()
        self._logs()
        self._login(login)
        self._finish()
        self._tests()
        self._not_used()
        self.sketch.finish()
        return self.sketch

    def _get(self) -> None:
        if self.roles.get is None:
            question = "no command reads the job's state: without `get` the job is SUCCEEDED as soon as it is submitted"
            self.sketch.ask(("create",), question)
            return
        call = self.page.calls[self.roles.get]
        same = [number for number, other in enumerate(self.page.calls) if other.key == call.key]
        self.states = [answer for number in same for answer in self.answers.get(number, ())]
        calls, links = self._with_helpers(call)
        section = self.sketch.spec["get"] = self._steps(calls, "get", links)
        self._check_ids(call, "get")
        if self.roles.is_unlinked:
            self.sketch.ask(("get",), "nothing in this call names the job: does it read this one, whatever else runs?")
        hint = next((found.path for number in same if (found := self.page.calls[number].hint) is not None), None)
        phases = phases_from(self.states, hint) if self.states else None
        if phases is None and self.states:
            phases = guessed(hint)
            phases.questions = [
                f"the answers have no state that is clear: where is it? {phases.path} is a guess, and so are the words"
            ]
        self.phases = phases or guessed(hint)
        self._first_state()
        section["phase"] = self.phases.phase
        for question in self.phases.questions:
            self.sketch.ask(("get", "phase"), question)
        if self.phases.remark:
            self.sketch.remark(("get", "phase"), self.phases.remark)
        message = message_in(self.states, self.phases.path)
        if message:
            section["message"] = message
        outputs = self.sketch.spec["outputs"]
        last = self.states[-1] if self.states else None
        if last is not None and self.phases.seen and self.phases.seen[-1] == "SUCCEEDED":
            for name, path in outputs_in(last, self.phases.path, self._earlier()).items():
                outputs[name] = {"type": "any", "value": path, "default": None}
        has_state = self.phases.path.startswith("$") and "[*]" not in self.phases.path
        if not outputs and has_state and self.roles.result is None:
            outputs["status"] = {"type": "any", "value": self.phases.path, "default": None}

    def _earlier(self) -> Answer | None:
        """Return an answer from before the job's end."""
        created = self.answers.get(self.create.number, ())
        return self.states[0] if len(self.states) > 1 else created[-1] if created else None

    def _first_state(self) -> None:
        """Add the state in the create's own answer to the rule that it belongs to."""
        assert self.phases is not None
        rule = self.phases.rules[-1]
        for answer in self.answers.get(self.create.number, ()) if "map" in rule else ():
            for path, value in answer.values():
                same = path == rule["path"] or (
                    "[" not in rule["path"]
                    and path.count(".") == 1
                    and path.endswith("." + rule["path"].rpartition(".")[2])
                )
                phase = phase_of(value) if isinstance(value, str) else None
                new = str(value).lower() not in known_in(rule["map"])
                if same and phase in ("QUEUED", "INITIALIZING", "RUNNING") and new:
                    rule["map"] = {phase: [], **rule["map"]} if phase not in rule["map"] else rule["map"]
                    rule["map"][phase].append(value)
                    seen = "Seen in the answers: "
                    self.phases.remark = self.phases.remark.replace(seen, f"{seen}{value}, ")

    def _result(self) -> None:
        if self.roles.result is None:
            return
        call = self.page.calls[self.roles.result]
        calls, links = self._with_helpers(call)
        self.sketch.spec["result"] = self._steps(calls, "result", links)
        self._check_ids(call, "result")
        answers = self.answers.get(call.number, ())
        whole = "$" if answers and answers[-1].is_json else "${{ body | default(text) }}"
        self.sketch.spec["outputs"] = {"result": {"type": "any", "value": whole, "default": None}}
        if not answers:
            self.sketch.ask(("outputs", "result"), "what of the result's answer is an output? Here it is the whole")

    def _delete(self) -> None:
        if self.roles.delete is None:
            return
        call = self.page.calls[self.roles.delete]
        calls, links = self._with_helpers(call)
        paths = [path for saves in links.values() for path in saves.values()]
        if len(calls) > 1 and any("[*]" in path or "[0]" in path for path in paths):
            told = "the list of the first answer may have several items, or none: only the first is cancelled"
            self.sketch.ask(("delete", "steps"), told)
        self.sketch.spec["delete"] = self._steps(calls, "delete", links)
        self._check_ids(call, "delete")
        says_so = last_words(call) & CANCEL or "cancel" in json.dumps(call.body, default=repr).lower()
        if call.method != "DELETE" and not says_so:
            values = (value for _, value in named_leaves(call.body))
            words = [text_in(value.tokens) if isinstance(value, Leaf) else str(value) for value in values]
            if "ABORTED" not in map(phase_of, words):
                self.sketch.ask(("delete",), "does this cancel the job?")

    def _logs(self) -> None:
        if self.roles.logs is None:
            return
        call = self.page.calls[self.roles.logs]
        calls, links = self._with_helpers(call)
        section = self.sketch.spec["logs"] = self._steps(calls, "logs", links)
        self._check_ids(call, "logs")
        answers = self.answers.get(call.number, ())
        answer = answers[-1] if answers else None
        if answer is None:
            words = last_words(call)
            accepts = text_in(call.header("accept") or ())
            if "json" in accepts or ("events" in words and not words & {"log", "stdout", "console"}):
                section |= {"lines": "$.data[*]", "message": "$.message"}
                self.log_answer = {"json": {"data": [{"message": "one"}, {"message": "two"}]}}
            else:
                section["format"] = "text"
            question = "how does the log's answer look? No answer was given; this is a guess"
            self.sketch.ask(("logs",), f"{question} (yaml-connector explain logs)")
            return
        found = lines_of(answer)
        if found is None:
            section["format"] = "text"
            return
        section |= found[0]
        self.log_answer, self.log_lines = found[1], found[2]
        self.sketch.remark(("logs",), "Is there a next page? `next` and `more` say so (yaml-connector explain logs).")

    def _finish(self) -> None:
        connection = self.sketch.spec["connection"]
        hosts = list(dict.fromkeys(self.hosts))
        public = [host for host in dict.fromkeys(self.public) if host not in hosts]
        ordered = {"base_url": connection["base_url"]}
        ordered |= {"allowed_hosts": hosts} if hosts else {}
        ordered |= {"public_hosts": public} if public else {}
        self.sketch.spec["connection"] = ordered | connection
        self._share_headers()
        used = re.findall(r"config\.(\w+)", repr(self.sketch.spec))
        for name in [name for name in self.sketch.spec["config"] if name not in used]:
            del self.sketch.spec["config"][name]

    def _share_headers(self) -> None:
        """Move headers that all requests of the job have to the connection."""
        sections = [self.sketch.spec.get(name) for name in ("create", "get", "result", "delete", "logs")]
        holders = [holder for section in sections if section for holder in section.get("steps", [section])]
        whole = [holder["request"] for holder in holders if isinstance(holder["request"], dict)]
        if len(whole) < 2 or len(whole) < len(holders):
            return
        first = whole[0].get("headers", {})
        for name, value in list(first.items()):
            refs = [ref.expression for ref in text_of(value).refs]
            if any(request.get("headers", {}).get(name) != value for request in whole):
                continue
            if all(expression.startswith(("secrets.", "config.")) for expression in refs):
                self.sketch.spec["connection"].setdefault("headers", {})[name] = value
                for request in whole:
                    del request["headers"][name]
                    if not request["headers"]:
                        del request["headers"]
        for holder in holders:
            request = holder["request"]
            if isinstance(request, dict) and request.keys() == {"method", "path"}:
                holder["request"] = Text.of(f"{request['method']} ", text_of(request["path"]))

    def _not_used(self) -> None:
        names = self.roles.of(self.page)
        for call, role in zip(self.page.calls, names, strict=True):
            if call not in self.used and role is None and call.place != self.create.place:
                what = f"{call.method} {self._masked(shown(call.path))}: not part of the job"
                self.sketch.not_used.append(Unused(what, self.file, call.line))
            for what in call.source.unknown:
                if call in self.used:
                    question = f"{self._masked(what)} (line {call.line}) is not in the request: what does it mean?"
                    self.sketch.ask((self._section_of(call),), question)
                else:
                    self.sketch.not_used.append(Unused(self._masked(what), self.file, call.line))
        for what, line in self.page.not_used:
            self.sketch.not_used.append(Unused(what, self.file, line))

    def _masked(self, text: str) -> str:
        for value in sorted(self.values.secrets, key=len, reverse=True):
            if len(value) > 3:
                text = text.replace(value, "***")
        return text


def sketch_of(
    text: str,
    file: str,
    name: str,
    folder: Path,
    answers: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> Sketch:
    """Return the sketch of the commands in `text`, which is the content of `file`; files that they name are in
    `folder`. With `tell`, which is told of each request, they are sent, to see the answers.

    Raises ConfigError if no command submits a job.
    """
    page = read_page(text, folder)
    if not page.calls:
        raise ConfigError(f"{file}: there is no curl command in it")
    by_call, roles = _matched(page, answers_of(answers)) if answers else _shown(page)
    if roles is None:
        calls = ", ".join(f"{call.method} (line {call.line})" for call in page.calls[:10])
        raise ConfigError(f"{file}: no command submits a job (a POST, say); it has: {calls}")
    if tell is not None:
        from yaml_connector.cli.new.curl.live import answers_live

        by_call = answers_live(page, roles, folder, tell)
        roles = roles_of(page, by_call) or roles
    return _Builder(page, roles, by_call, file, name).build()


def _shown(page: Page) -> tuple[Answers, Roles | None]:
    """Return the answers that the page itself shows, each below its command, and the roles."""
    shown = answers_between(page.rest, [call.line for call in page.calls])
    if len(shown) > 2 and len({number for number, _ in shown}) == 1 < len(page.calls):
        return _matched(page, [answer for _, answer in shown])  # all of them after all commands
    by_call: dict[int, list[Answer]] = {}
    for number, answer in shown:
        by_call.setdefault(number, []).append(_as_whole(answer, page.calls[number]))
    return by_call, roles_of(page, by_call)


def _matched(page: Page, given: Sequence[Answer]) -> tuple[Answers, Roles | None]:
    """Return the answers of each call, and the roles: told apart first without the answers, then with them."""
    by_call: dict[int, list[Answer]] = {}
    roles = roles_of(page, by_call)
    if roles is None or not given:
        return by_call, roles
    for _ in range(2):
        names = roles.of(page)
        by_call = {}
        for answer, number in zip(given, assign(given, names), strict=True):
            if number is not None:
                by_call.setdefault(number, []).append(_as_whole(answer, page.calls[number]))
        again = roles_of(page, by_call)
        if again is None or again.of(page) == names:
            return by_call, again or roles
        roles = again
    return by_call, roles


def _as_whole(answer: Answer, call: Call) -> Answer:
    """Return an answer that a filter behind the command has shown only a part of as the whole that it was part of."""
    path = call.hint.path if call.hint is not None else None
    is_whole = isinstance(answer.data, dict | list) or (not answer.is_json and "\n" in answer.text)
    if path is None or "[" in path or is_whole:
        return answer
    value: Any = answer.data if answer.is_json else answer.text.strip()
    for key in reversed(path.removeprefix("$.").split(".")):
        value = {key: value}
    return Answer(answer.status, answer.headers, answer.text, value, True)
