"""Tells the commands apart: which submits the job, reads its state, cancels it, reads its log or result, logs in.

Method, path, order, comments, variables and answers count. What identifies the job is found on the way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import (
    _ID_NAME,
    CANCEL,
    LOGIN,
    LOGS,
    RESULT,
    STATUS,
    SUBMIT,
    Call,
    Key,
    asks,
    cancels,
    ends_with,
    ids_in,
    is_id_like,
    is_token,
    keys_of,
    last_words,
    segments,
    starts_by_get,
)
from yaml_connector.cli.new.curl.page import Page
from yaml_connector.cli.new.curl.tokens import Variable, text_in
from yaml_connector.cli.new.names import word_set

Answers = Mapping[int, Sequence[Answer]]

_NOT_CREATE = word_set("""search token login upload uploads files file assets session validate ping""")
_STATED = re.compile(r"(?i)(status|state|phase|done|running|building)$")


@dataclass
class Roles:
    """The numbers of the calls in their roles, and what identifies the job in each later call."""

    create: int
    login: int | None = None
    before: list[int] = field(default_factory=list)  # calls whose answers the create needs
    get: int | None = None
    delete: int | None = None
    logs: int | None = None
    result: int | None = None
    helper: list[int] = field(default_factory=list)  # reads between create and another call
    job_key: Key | None = None
    is_unlinked: bool = False  # nothing in the status call names the job

    def of(self, page: Page) -> list[str | None]:
        """Return the role of every call; repeated calls have the role of the first."""
        names = {getattr(self, role): role for role in ("create", "get", "delete", "logs", "result", "login")}
        names |= dict.fromkeys(self.before, "before") | dict.fromkeys(self.helper, "helper")
        keys = {page.calls[number].key: role for number, role in names.items() if number is not None}
        return [names.get(call.number) or keys.get(call.key) for call in page.calls]


def in_login(page: Page, answers: Answers) -> int | None:
    """Return the call that logs in: its answer has what later calls send as credentials."""
    for call in page.calls:
        later = page.calls[call.number + 1 :]
        given = {
            str(value) for item in answers.get(call.number, ()) for _, value in item.values() if len(str(value)) > 7
        }
        cookies = [item.headers.get("set-cookie", "") for item in answers.get(call.number, ())]
        for other in later:
            for where, tokens in other.places():
                if where not in ("header", "cookie", "user"):
                    continue
                for part in tokens:
                    if isinstance(part, Variable):
                        own = other.user is not None or other.header("authorization") is not None
                        by_header = where == "header" and own and not _in_authorization(other, part)
                        if part.capture is not None and part.capture.call == call.number and not by_header:
                            return call.number
                    elif any(value in part for value in given) or any(part and f"={part}" in text for text in cookies):
                        return call.number
        submits = any(other.method in ("POST", "PUT", "PATCH") and not cancels(other) for other in later)
        if submits and call.method == "POST" and last_words(call) & LOGIN:
            return call.number
    return None


def _in_authorization(call: Call, part: Variable) -> bool:
    return part in (call.header("authorization") or ())


def _sends(call: Call, key: Key) -> bool:
    return any(found == key for found, _ in keys_of(call))


def roles_of(page: Page, answers: Answers) -> Roles | None:
    """Return the roles of the calls; None if none of them submits a job."""
    login = in_login(page, answers)
    rest = [call for call in page.calls if call.number != login]
    candidates = [call for call in rest if call.method in ("POST", "PUT", "PATCH") and not cancels(call)]
    if not candidates:
        gets = [call for call in rest if call.method == "GET"]
        candidates = [call for call in gets if starts_by_get(call) or _is_asynchronous(call, answers)][:1]
    if not candidates:
        return None
    scores = {call.number: _create_score(call, rest, answers) for call in candidates}
    best = max(scores.values())
    create = next(call for call in candidates if scores[call.number] == best)
    roles = Roles(create.number, login)
    later = [call for call in rest if call.number > create.number]
    roles.job_key = _job_key(create, later, answers)
    roles.before = _before(create, rest, answers)
    _later_roles(roles, page, later, answers)
    return roles


def _is_asynchronous(call: Call, answers: Answers) -> bool:
    """Return whether a GET starts something: it asks for that, or its answer is 202 with a place to look at."""
    asked = "async" in str(call.header("prefer"))
    given = answers.get(call.number, ())
    return asked or any(item.status == 202 and {"location", "content-location"} & item.headers.keys() for item in given)


def from_answer(call: Call, producer: Call, answers: Answers) -> Iterator[tuple[Key, str]]:
    """Yield what of a call comes from the answer of another: a variable, or a value that the answer has, and that was
    not in the other's request."""
    given = {str(value) for item in answers.get(producer.number, ()) for _, value in item.values() if is_token(value)}
    urls = [text for text in given if "/" in text]
    urls += [
        text for item in answers.get(producer.number, ()) for name, text in item.headers.items() if name != "set-cookie"
    ]
    texts = [item.text for item in answers.get(producer.number, ()) if not item.is_json and len(item.text) < 500]
    captured = [part for part in call.variables() if part.capture is not None]
    named = {part.name for part in captured if part.capture and part.capture.call == producer.number}
    own = {key for key, _ in keys_of(producer)}
    path = text_in(call.path)
    whole = [text for text in urls if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", text) and f"/{text}" in path]
    for key, where in keys_of(call):
        kind, text = key
        if kind == "name":
            if text in named:
                yield key, where
        elif key not in own and where == "path" and any(name.endswith(f"/{text}") for name in whole):
            yield key, where  # an id that is a name like `operations/op9`
        elif key not in own and is_token(text):
            in_url = where != "other" and is_id_like(text) and any(ends_with(url, text) for url in urls)
            alone = rf"(?<![\w-]){re.escape(text)}(?![\w-])"
            if text in given or in_url or any(re.search(alone, body) for body in texts):
                yield key, where


def _create_score(call: Call, rest: Sequence[Call], answers: Answers) -> float:
    later = [other for other in rest if other.number > call.number]
    reads = [other for other in later if asks(other) and any(True for _ in from_answer(other, call, answers))]
    others = [other for other in later if other not in reads and any(True for _ in from_answer(other, call, answers))]
    score = 6.0 * bool(reads) + 2.0 * bool([other for other in others if cancels(other)])
    if not reads and others and not all(cancels(other) for other in others):
        score -= 4  # its result is used to submit something else
    own = {key for key, _ in keys_of(call)}
    if not reads:
        score += 2.0 * any(ids_in(other, own) for other in later if asks(other))
        score += any(asks(other) for other in later)
    words = last_words(call)
    score += bool(words & SUBMIT) - 2 * bool(words & _NOT_CREATE) - 2 * (asks(call) and call.method != "GET")
    return score


def _job_key(create: Call, later: Sequence[Call], answers: Answers) -> Key | None:
    """Return what identifies the job later: what comes from the create's answer, else what looks like an id."""
    counted: Counter[Key] = Counter()
    order: dict[Key, int] = {}
    for call in later:
        weight = 3 if asks(call) else 1
        for key, where in dict.fromkeys(from_answer(call, create, answers)):
            if where == "header":
                continue
            counted[key] += weight * (2 if where == "path" else 1)
            order.setdefault(key, len(order))
    if counted:
        return max(counted, key=lambda key: (counted[key], -order[key]))
    own = {key for key, _ in keys_of(create)}
    for call in later:
        weight = 3 if asks(call) else 2 if cancels(call) else 1
        for key in dict.fromkeys(ids_in(call, own)):
            counted[key] += weight + (2 if key[0] == "name" and _ID_NAME.search(key[1]) else 0)
            order.setdefault(key, len(order))
    if not counted and create.method == "PUT" and any(call.path[: len(create.path)] == create.path for call in later):
        last = segments(create.path)[-1]  # a name of the client's own
        if len(last) == 1:
            return ("text", last[0]) if isinstance(last[0], str) else ("name", last[0].name)
    if not counted:
        base = [segment for segment in segments(create.path) if segment]
        for call in later:
            here = [segment for segment in segments(call.path) if segment]
            if len(here) > len(base) and here[: len(base)] == base and len(here[len(base)]) == 1:
                part = here[len(base)][0]
                if isinstance(part, str) and part.lower() not in CANCEL | LOGS | RESULT | STATUS:
                    return ("text", part)
        return None
    return max(counted, key=lambda key: (counted[key], -order[key]))


def _before(create: Call, rest: Sequence[Call], answers: Answers) -> list[int]:
    """Return the calls whose answers the create needs, and those that these need."""
    found: list[int] = []
    wanted = [create]
    while wanted:
        call = wanted.pop()
        for other in rest:
            if other.number < create.number and other.number not in found and other.number < call.number:
                is_needed = any(True for _ in from_answer(call, other, answers))
                found += [other.number] if is_needed else []
                wanted += [other] if is_needed else []
    return sorted(found)


def _later_roles(roles: Roles, page: Page, later: Sequence[Call], answers: Answers) -> None:
    repeated = Counter(call.key for call in page.calls)
    firsts = [call for call in later if next(other for other in later if other.key == call.key) is call]
    reads = [call for call in firsts if asks(call) and not cancels(call)]
    linked = [call for call in reads if _is_linked(call, roles, page, answers)]
    if not linked:
        linked = [call for call in reads if last_words(call) & STATUS or _has_state(call, answers)]
        roles.is_unlinked = bool(linked)
    scores = {call.number: _get_score(call, repeated[call.key], answers) for call in linked}
    if scores and max(scores.values()) > -4:
        best = max(scores.values())
        roles.get = next(call.number for call in linked if scores[call.number] == best)
    _follow_to_state(roles, page, reads, answers)

    def is_of_job(call: Call) -> bool:
        return _is_linked(call, roles, page, answers) or _needs_read(call, roles, page, answers)

    rest = [call for call in reads if call.number not in (roles.get, *roles.helper)]
    for call in rest:
        if not is_of_job(call):
            continue
        words, about = last_words(call), call.about.lower()
        if roles.logs is None and (words & LOGS or ("log" in about and not words & RESULT)):
            roles.logs = call.number
            continue
        is_result = words & RESULT or re.search(r"result|output|download|fetch|artifact", about)
        comes_after = roles.get is not None and last_words(page.calls[roles.get]) & STATUS and call.number > roles.get
        if roles.result is None and (is_result or comes_after):
            roles.result = call.number
    stops = [call for call in firsts if cancels(call)]
    named = [call for call in stops if call.method != "DELETE" or last_words(call) & CANCEL]
    own = {key for key, _ in keys_of(page.calls[roles.create])}
    linked = [call for call in named or stops if is_of_job(call)]
    stops = linked or [call for call in named or stops if ids_in(call, own)]
    if stops:
        roles.delete = stops[0].number


def _has_state(call: Call, answers: Answers) -> bool:
    return any(_STATED.search(path) for item in answers.get(call.number, ()) for path, _ in item.values())


def _follow_to_state(roles: Roles, page: Page, reads: Sequence[Call], answers: Answers) -> None:
    """Take a later read for the status, if the answer of the first has no state and the later one needs it: a queue's
    item names the build, and the build has the state."""
    if roles.get is None or _has_state(page.calls[roles.get], answers):
        return
    for call in reads:
        words = last_words(call)
        if call.number > roles.get and not words & (LOGS | RESULT) and _needs_read(call, roles, page, answers):
            roles.helper.append(roles.get)
            roles.get = call.number
            return


def _is_linked(call: Call, roles: Roles, page: Page, answers: Answers) -> bool:
    """Return whether a call is about the job."""
    if roles.job_key is not None and _sends(call, roles.job_key):
        return True
    return any(True for _ in from_answer(call, page.calls[roles.create], answers))


def _needs_read(call: Call, roles: Roles, page: Page, answers: Answers) -> bool:
    """Return whether a call needs a value that the status answer has."""
    sources = [roles.get, *roles.helper]
    return any(True for number in sources if number is not None for _ in from_answer(call, page.calls[number], answers))


def _get_score(call: Call, times: int, answers: Answers) -> float:
    words = last_words(call)
    given = answers.get(call.number, ())
    score = (
        3.0 * (call.method == "GET")
        + 2.0 * (times > 1)
        + 3.0 * bool(words & STATUS)
        - 3.0 * bool(words & LOGS)
        - 2.0 * bool(words & RESULT)
    )
    if call.hint is not None and call.hint.path and re.search(r"(?i)stat(us|e)|phase|done", call.hint.path):
        score += 3
    score += 2 * any(re.search(r"(?i)(status|state|phase|done)$", path) for item in given for path, _ in item.values())
    if given and not any(item.is_json for item in given):
        score -= 3
    if re.search(r"(?i)status|state|poll|how far|progress|until", call.about):
        score += 1
    return score + 0.5 * (not words)
