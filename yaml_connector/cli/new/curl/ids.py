"""Where answers have what identifies the job, and everything else that later calls need."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call, Key, ids_in, keys_of
from yaml_connector.cli.new.curl.requests import Requests
from yaml_connector.cli.new.curl.roles import from_answer
from yaml_connector.cli.new.curl.tokens import Variable
from yaml_connector.cli.new.names import identifier, is_secret_name
from yaml_connector.cli.new.sketch import Ref, quoted


class Ids(Requests):
    """Finds what identifies what."""

    def _create(self) -> None:
        """Write create: the calls before it as steps, then its own; and find where the answer has the id."""
        links: dict[int, dict[str, str]] = {}
        calls = [self.page.calls[number] for number in self.roles.before]
        for number, call in enumerate(calls):
            for later in (*calls[number + 1 :], self.create, *self.used):
                for key, _ in from_answer(later, call, self.answers):
                    if key in self.values.keys:
                        continue
                    path, _, sure = self._extraction(call, key) or ("$.id", None, False)
                    self._save(links.setdefault(call.number, {}), key, path, f"steps.{self.step_name(call)}.saved")
                    if not sure:
                        question = f"where does the answer have {key[1]}? {path} is a guess"
                        self.sketch.ask(("create", "steps", number, "save"), question)
        section = self.sketch.spec["create"] = self._steps([*calls, self.create], "create", links)
        if any(name.lower().endswith(("idempotency-key", "idempotency-token")) for name, _ in self.create.headers):
            section["idempotent"] = True
        self._job_id(section)

    def _job_id(self, section: dict[str, Any]) -> None:
        key = self.roles.job_key
        answers = self.answers.get(self.create.number, ())
        extraction, question = "$.id", None
        value: Any = None
        if key is not None:
            place = self._extraction(self.create, key)
            if place is not None:
                extraction, value, sure = place
                if not sure:
                    question = f"job_id: where does the answer have the job's id? {extraction} is a guess"
            elif self.create.hint is not None and self.create.hint.path is not None:
                extraction = self.create.hint.path
                if not self.create.hint.sure:
                    question = f"job_id: where does the answer have the job's id? {extraction} is a guess"
            else:
                extraction = self._guessed_id(key)
                question = f"job_id: where does the answer of the create have the job's id? {extraction} is a guess"
        elif answers and answers[-1].is_json:
            paths = (path for path, _ in answers[-1].values() if re.search(r"(?i)(^\$\.|_|\.)(id|uuid)$", path))
            extraction = next(paths, "$.id")
            question = "job_id: no other command uses an id; is this the job's?"
        else:
            question = "job_id: where does the answer of the create have the job's id? $.id is a guess"
        if key is not None and self.create.method == "PUT" and any(found == key for found, _ in keys_of(self.create)):
            own = f"{key[1]} is the job's own name: each job needs one, `task.key` say"
            self.sketch.ask(("create", "request"), own)
        section["job_id"] = extraction
        if question:
            self.sketch.ask(("create", "job_id"), question)
        if value is None and key is not None and key[0] == "text":
            value = int(key[1]) if key[1].isdigit() else key[1]
        self.id_sample = 101 if isinstance(value, int) else "101" if str(value).isdigit() else "job-1"
        if key is not None:
            self.values.keys[key] = Ref("job.id")
            if key[0] == "name":
                named = self.page.variables.get(key[1])
                if named and len(named) == 1 and isinstance(named[0], str):
                    self.values.keys[("text", named[0])] = Ref("job.id")
            if value is not None:
                self.values.keys[("text", str(value))] = Ref("job.id")
        self._same_id()
        self._other_saves(section)

    def _same_id(self) -> None:
        """Find other variables that are the job's id, too: captured from the same place of the same answer."""
        captures = {
            part.name: part.capture.path
            for call in self.used
            for part in call.variables()
            if part.capture is not None and part.capture.call == self.create.number
        }
        key = self.roles.job_key
        own = captures.get(key[1]) if key is not None and key[0] == "name" else None
        for name, path in captures.items():
            if path is not None and path == own:
                self.values.keys.setdefault(("name", name), Ref("job.id"))

    def _other_saves(self, section: dict[str, Any]) -> None:
        """Keep what else later calls need of the create's answer."""
        saves: dict[str, str] = {}
        for call in self.used:
            if call.number <= self.create.number:
                continue
            own = {found for found, _ in keys_of(self.create)}
            for key, where in from_answer(call, self.create, self.answers):
                if key in self.values.keys or (key[0] == "text" and (key in own or where == "other")):
                    continue
                place = self._extraction(self.create, key)
                if place is None:
                    continue
                self._save(saves, key, place[0], "job")
        if saves:
            section["save"] = saves
        self.saves = saves

    def _save(self, saves: dict[str, str], key: Key, extraction: str, holder: str) -> None:
        """Save what an extraction finds: all that `key` identifies is then a name below `holder`."""
        last = re.sub(r"[\W\d]+$", "", extraction).rpartition(".")[2]
        name = identifier(key[1] if key[0] == "name" else last or "value")
        name = f"{name}_2" if holder == "job" and name in ("id", "created_at", "cancelled") else name
        saves[name] = extraction
        self.values.keys[key] = Ref(f"{holder}.{name}")

    def _guessed_id(self, key: Key) -> str:
        if key[0] == "name":
            named = key[1]
            name = identifier(named)
            for call in self.used:
                for pair, tokens in call.query:
                    if tokens == (Variable(named),) and re.search(r"(?i)id$", pair):
                        return f"$.{pair}"
            return f"$.{name}" if name.endswith("_id") and name != "job_id" else "$.id"
        for call in self.used:
            for pair, tokens in call.query:
                if tokens == (key[1],) and re.search(r"(?i)[a-z]+[_-]?id$", pair):
                    return f"$.{pair}"
            if isinstance(call.body, dict):
                for pair, value in call.body.items():
                    if str(value) == key[1] and re.fullmatch(r"\w+", pair):
                        return f"$.{pair}"
        return "$.id"

    def _extraction(self, producer: Call, key: Key) -> tuple[str, Any, bool] | None:
        """Return where the answer of a call has what identifies something: an extraction, its value, if it is sure."""
        kind, text = key
        answers = self.answers.get(producer.number, ())
        if kind == "name":
            return self._captured(producer, text, answers)
        for answer in answers:
            matches = [
                (path, value) for path, value in answer.values() if str(value) == text and not isinstance(value, bool)
            ]
            if matches:
                return *min(matches, key=_unlike_an_id), True
            for name, value in answer.headers.items():
                if found := from_url(value, text, f"headers['{name.title()}']"):
                    return found, text, True
            for path, value in answer.values():
                if isinstance(value, str) and "/" in value and re.fullmatch(r"\$(\.\w+)+", path):
                    found = from_url(value, text, "body" + path[1:])
                    if found is not None:
                        return found, text, True
            if not answer.is_json and answer.text.strip() == text:
                return "${{ text | trim }}", text, True
            before = re.search(rf"([A-Za-z#:= ]{{2,20}}){re.escape(text)}\b", answer.text)
            if not answer.is_json and before is not None:
                pattern = re.escape(before[1].lstrip()).replace("\\ ", " ") + r"([^\s,;]+)"
                return f"${{{{ text | regex({quoted(pattern)}) }}}}", text, True
        return None

    def _captured(self, producer: Call, name: str, answers: Sequence[Answer]) -> tuple[str, Any, bool] | None:
        """Return the same for a variable, which a filter has set."""
        captures = (part.capture for call in self.page.calls for part in call.variables() if part.name == name)
        capture = next(filter(None, captures), None)
        if capture is None or capture.call != producer.number:
            return None
        if capture.path is not None:
            values = [pair for answer in answers for pair in answer.values()]
            value = next((value for path, value in values if path == capture.path), None)
            if value is None and not capture.sure:
                for path, found in values:
                    if path.endswith(capture.path.removeprefix("$")):
                        return path, found, True
            return capture.path, value, capture.sure
        for answer in answers:
            if answer.is_json and not isinstance(answer.data, dict | list):
                return "$", answer.data, True
            if not answer.is_json and re.fullmatch(r"\s*[\w.:-]+\s*", answer.text):
                return "${{ text | trim }}", answer.text.strip(), True
        return "${{ text | trim }}", None, False

    def _check_ids(self, call: Call, section: str) -> None:
        """Ask about what looks like an id of this one job and is still in a request as it was pasted."""
        own = {key for key, _ in keys_of(self.create)}
        path = (section, "request") if "request" in self.sketch.spec[section] else (section,)
        for kind, text in ids_in(call, own):
            named = next((name for name, tokens in call.query if tokens == (text,)), "")
            known = (kind, text) in self.values.keys or text in self.values.secrets
            if kind == "text" and is_own(text) and not known and not is_secret_name(named):
                told = f"{text} looks like the id of something of this one job: where does it come from?"
                self.sketch.ask(path, told)

    def _with_helpers(self, call: Call) -> tuple[list[Call], dict[int, dict[str, str]]]:
        """Return a call with the reads before it whose answers it needs, and what of them is saved."""
        links: dict[int, dict[str, str]] = {}
        calls = [call]
        for other in reversed(self.page.calls):
            again = other.number in self.roles.before and other.method == "GET"
            if other.number >= call.number or (other.number <= self.create.number and not again):
                continue
            if any(other.key == known.key for known in calls):
                continue
            for key, _ in dict.fromkeys(
                pair for known in list(calls) for pair in from_answer(known, other, self.answers)
            ):
                if key in self.values.keys and not self.values.keys[key].expression.startswith("steps."):
                    continue
                found = self._extraction(other, key)
                if found is None:
                    continue
                self._save(links.setdefault(other.number, {}), key, found[0], f"steps.{self.step_name(other)}.saved")
                if other not in calls:
                    calls.insert(0, other)
                    self.used.append(other)
        return calls, links


def _unlike_an_id(pair: tuple[str, Any]) -> tuple[bool, int, int]:
    """Return how little a place looks like that of an id: by its name, its depth and its length."""
    path, _ = pair
    is_named = re.search(r"(?i)(id|uuid|uid|name|key|handle|ref|number)$", path) is not None
    return not is_named, path.count("[") + path.count("."), len(path)


def from_url(url: str, text: str, source: str) -> str | None:
    """Return the template that takes an id out of a URL in an answer; None if it is not a segment of it."""
    found = re.search(rf"([^/]*)/{re.escape(text)}(?=[/?#]|$)(.*)", url)
    if found is None:
        return None
    if found[2] in ("", "/") and not url.endswith("/"):
        return f"${{{{ {source} | basename }}}}"
    before = re.escape(found[1]).replace("\\-", "-")
    return f"${{{{ {source} | regex({quoted(f'/{before}/([^/?#]+)')}) }}}}"


def is_own(text: str) -> bool:
    """Return whether a literal can only be an id: a number, a UUID, or letters with digits."""
    return re.fullmatch(r"(?i)[0-9a-f-]{16,}|\d{3,}|(?=.*\d)(?=.*[a-z])[\w.:-]{6,}", text) is not None
