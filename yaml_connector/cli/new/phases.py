"""Phase rules of the states that an API was seen to have: where the state is, and what each word means."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.jsonpaths import keys_of, value_at
from yaml_connector.cli.new.names import phase_of, snake, word_set

USUAL: dict[str, list[str]] = {
    "QUEUED": ["queued", "pending", "waiting"],
    "RUNNING": ["running", "in_progress", "processing"],
    "SUCCEEDED": ["succeeded", "success", "successful", "completed", "complete", "done", "finished"],
    "FAILED": ["failed", "failure", "error", "errored", "timed_out", "timeout", "expired"],
    "ABORTED": ["cancelled", "canceled", "aborted", "stopped", "terminated"],
}
ENDS = word_set("""terminated ended end stopped closed exited finished done inactive complete completed""")
_UNCLEAR = ENDS - word_set("finished done complete completed") | {"archived"}
_STATE_NAME = re.compile(r"(?i)(^|_|[a-z])(status|state|phase)$|^(status|state|phase)")
_NOT_STATE = re.compile(r"(?i)(message|reason|code|url|uri|text|detail|details|time|at|id|changed|updated|history)$")
_OUTCOME = re.compile(
    r"(?i)^(result|result_?state|result_?status|conclusion|outcome|success|succeeded|is_?success\w*|"
    r"exit_?code|return_?code|rc|exit_?status|verdict)$"
)
_DONE = re.compile(r"(?i)^(is_?)?(done|finished|completed?|ended|ready)$")
_BUSY = re.compile(r"(?i)^(is_?)?(building|running|busy|in_?progress|active|pending)$")
MESSAGES = tuple(
    """error_message status_message state_message message failure_reason error detail reason statusmessage errormessage
    failurereason error_msg failure_message statemessage msg""".split()  # noqa: SIM905 - as a list it takes a line for each
)
ENDINGS = ("SUCCEEDED", "FAILED", "ABORTED")
_OUTPUTS = re.compile(
    r"(?i)^(outputs?|results?|result_?\w*(url|uri|path|file)|output_?\w*|artifacts?|download_?ur[li]|"
    r"\w*_?(video|image|audio|model|file|files)_?(url|uri|id)?|"
    r"urls?|data|response|fine_tuned_model|out|metrics|assets?|generated\w*|location|answer|transcript\w*|text)$"
)


@dataclass
class Phases:
    """The rules of `get.phase`, the state path (of the rule that says most), the phase of each answer, questions.

    `samples` has an answer for each phase: its status, and values by path.
    """

    rules: list[dict[str, Any]]
    path: str
    seen: list[str | None] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    remark: str = ""
    samples: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    @property
    def phase(self) -> Any:
        """Return the rules as the spec has them."""
        return self.rules[0] if len(self.rules) == 1 and "path" in self.rules[0] else self.rules


def known_in(table: Mapping[str, Iterable[Any]]) -> set[str]:
    """Return the words of all phases in lower case."""
    return {str(word).lower() for words in table.values() for word in words}


@dataclass(frozen=True)
class _Place:
    """A path with its value in each answer (None: not there)."""

    path: str
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        return next((key for key in reversed(keys_of(self.path)) if isinstance(key, str)), "")

    @property
    def depth(self) -> int:
        return self.path.count(".") + self.path.count("[")


def places_of(answers: Sequence[Answer]) -> list[_Place]:
    """Return all places of scalars in these answers; the first item of a list stands for all."""
    found: dict[str, list[Any]] = {}
    for number, answer in enumerate(answers):
        for path, value in answer.values():
            if re.search(r"\[[12]\]", path):
                continue
            found.setdefault(path.replace("[0]", "[*]"), [None] * len(answers))[number] = value
    return [_Place(path, tuple(values)) for path, values in found.items()]


def guessed(path: str | None) -> Phases:
    """Return rules of the usual words for an API of which no answer is known."""
    where = path or "$.status"
    question = "which states has the job, and what does each mean? No answer was given; these are the usual words"
    if path is None:
        question += f", and {where} is a guess"
    return Phases(
        [{"path": where, "map": {phase: list(words) for phase, words in USUAL.items()}}], where, [], [question]
    )


def phases_from(answers: Sequence[Answer], hint: str | None) -> Phases | None:
    """Return the rules for the states in these answers of the status call, in order; None if there is no state."""
    places = places_of(answers)
    scored = sorted(((_score(place, hint), -place.depth, -number), place) for number, place in enumerate(places))
    if scored and scored[-1][0][0] >= 4:
        return _by_words(scored[-1][1], places)
    for pattern, over in ((_DONE, True), (_BUSY, False)):
        for place in places:
            if pattern.fullmatch(place.name) and any(isinstance(value, bool) for value in place.values):
                return _by_flag(place, places, over, answers)
    return _by_status(answers)


def _score(place: _Place, hint: str | None) -> float:
    values = [value for value in place.values if value is not None]
    name = snake(place.name)
    named = _STATE_NAME.search(place.name) and (not _NOT_STATE.search(name) or name in ("status", "state", "phase"))
    if not named and (hint is None or hint.replace("[0]", "[*]") != place.path):
        return -1
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if not texts and not numbers:
        return -1
    known = [value for value in texts if phase_of(value) is not None or value.lower().endswith("ing")]
    score = 4.0 if name in ("status", "state", "phase") else 3.0
    score += 3 * len(known) / len(values) - 2 * bool(numbers)
    score += 2 * (len(set(map(str, values))) > 1) + 0.5 * len(set(map(str, values)))
    score -= 0.4 * place.depth + 0.5 * place.path.count("[*]")
    if any(len(text) > 40 or (" " in text.strip() and phase_of(text) is None) for text in texts):
        score -= 3
    if len(values) > 1 and len(set(texts)) == 1 and texts[0].lower() in ("ok", "success", "true"):
        score -= 5  # the answer's own success
    if hint is not None and place.path.startswith(hint.replace("[0]", "[*]")):
        score += 4
    return score


def _meaning(word: Any, *, last: bool) -> tuple[str, bool]:
    """Return the phase of a word, and whether that is only a guess."""
    text = str(word)
    phase = phase_of(text)
    if phase is not None and not (isinstance(word, bool)):
        return phase, snake(text) in _UNCLEAR
    lower = snake(text)
    for pattern, means in (
        (r"fail|error|crash|reject|invalid|expired|abnormal", "FAILED"),
        (r"cancel|abort|kill|terminat|revoked", "ABORTED"),
        (r"succe|complet|finish|done\b", "SUCCEEDED"),
        (r"queue|wait|pend|sched|submit|accept|creat", "QUEUED"),
    ):
        if re.search(pattern, lower) and not lower.endswith("ing"):
            return means, True
    if re.search(r"queu|wait|pend|sched", lower):
        return "QUEUED", True
    if lower.endswith("ing") or not last:
        return "RUNNING", True
    return "SUCCEEDED", True


def styled(words: Iterable[str], like: Sequence[Any]) -> list[str]:
    """Return words in the style of the API's own."""
    texts = [text for text in like if isinstance(text, str) and text]
    if texts and all(text.isupper() for text in texts):
        return [word.upper() for word in words]
    if texts and all(re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)*", text) for text in texts):
        return ["".join(part.capitalize() for part in word.split("_")) for word in words]
    return list(words)


def usual_words(phase: str, like: Sequence[Any], known: Container[str] = ()) -> list[str]:
    """Return the usual words for a phase in the style of the API's own, without those that are known in lower case."""
    return [word for word in styled(USUAL[phase], like) if word.lower() not in known]


def _by_words(place: _Place, places: Sequence[_Place]) -> Phases:
    seen = [value for value in place.values if value is not None]
    words = list(dict.fromkeys(seen))
    numbers = not any(isinstance(word, str) for word in words)
    found: dict[str, list[Any]] = {}
    questions: list[str] = []
    phases: dict[Any, str] = {}
    for number, word in enumerate(words):
        phase, guess = _meaning(word, last=number == len(words) - 1 and len(words) > 1)
        phases[word] = phase
        if guess:
            questions.append(f"does {word} mean {phase}?")
    prefix = _common_prefix(words)
    last = place.values[-1]
    outcome = _outcome(place, places)
    ended = last is not None and (
        phase_of(str(last)) is None or snake(str(last)).removeprefix(prefix.lower()) in ENDS | {"success", "succeeded"}
    )
    if outcome is not None and ended:
        return _two_rules(place, outcome, phases, words)
    for word, phase in phases.items():
        found.setdefault(phase, []).append(word)
    if not numbers:
        taken = {str(word).lower() for word in words}
        for phase in ENDINGS if "SUCCEEDED" not in found else ENDINGS[1:]:
            more = [prefix + word for word in usual_words(phase, words)]
            found.setdefault(phase, []).extend(word for word in more if word.lower() not in taken)
        if "SUCCEEDED" not in phases.values():
            questions.append(f"which state means success? The answers have only {', '.join(map(str, words))}")
    else:
        questions.append(f"what do the states {', '.join(map(str, words))} mean, and which others are there?")
        found.setdefault("FAILED", [])
    # Of several jobs in a list one that still runs counts first.
    of_several = ["RUNNING", "INITIALIZING", "QUEUED", "FAILED", "ABORTED", "SUCCEEDED"]
    order = of_several if "[*]" in place.path else list(USUAL)
    phases_found = sorted(found, key=lambda phase: order.index(phase) if phase in order else 1)
    ordered = {phase: found[phase] for phase in phases_found if found[phase]}
    if "[*]" in place.path:
        questions.append("all items of the list count, one that runs first: is that right?")
    seen_phases = [phases.get(value) if value is not None else None for value in place.values]
    remark = f"Seen in the answers: {', '.join(map(str, words))}. The other words are the usual ones, in case"
    remark = "" if numbers else f"{remark} the API has them."
    return Phases([{"path": place.path, "map": ordered}], place.path, seen_phases, questions, remark)


def _common_prefix(words: Sequence[Any]) -> str:
    """Return the prefix that all words have: `JOB_STATE_`."""
    texts = [word for word in words if isinstance(word, str)]
    found = re.match(r"[A-Z]+(_[A-Z]+)*_(?:STATE|STATUS|PHASE)_", texts[0]) if texts else None
    return found[0] if found and all(text.startswith(found[0]) for text in texts) else ""


def _outcome(state: _Place, places: Sequence[_Place]) -> _Place | None:
    """Return the place that says how the job ended, which is not there, or null, before."""
    if len(state.values) < 1:
        return None
    for place in places:
        if place is state or not _OUTCOME.fullmatch(place.name) or place.path.count("[*]") != state.path.count("[*]"):
            continue
        value = place.values[-1]
        earlier = [
            item for item, word in zip(place.values[:-1], state.values[:-1], strict=True) if word != state.values[-1]
        ]
        if any(item not in (None, "", False) for item in earlier) or value in (None, ""):
            continue
        if isinstance(value, bool | int) or phase_of(str(value)) in ENDINGS:
            return place
    return None


def _meanings_of_end(value: Any) -> tuple[dict[str, list[Any]], str]:
    """Return what the values of a field that says how the job ended mean, and the phase of this value."""
    if isinstance(value, bool | int):
        good = True if isinstance(value, bool) else 0
        return {"SUCCEEDED": [good]}, "SUCCEEDED" if value == good else "FAILED"
    over = phase_of(str(value)) or "FAILED"
    found = {phase: usual_words(phase, [value], {str(value).lower()}) for phase in ENDINGS}
    found[over] = [value, *(found[over] if over != "SUCCEEDED" else [])]
    return found, over


def _two_rules(state: _Place, outcome: _Place, phases: dict[Any, str], words: Sequence[Any]) -> Phases:
    how, over = _meanings_of_end(outcome.values[-1])
    ended = state.values[-1]
    rest: dict[str, list[Any]] = {}
    for word, phase in phases.items():
        rest.setdefault("FAILED" if word == ended else phase, []).append(word)
    taken = {str(word).lower() for word in words}
    for phase in ("FAILED", "ABORTED"):
        rest.setdefault(phase, []).extend(usual_words(phase, words, taken))
    ordered = {phase: rest[phase] for phase in USUAL if rest.get(phase)}
    ordered |= {phase: listed for phase, listed in rest.items() if phase not in ordered and listed}
    rules = [{"path": outcome.path, "map": how}, {"path": state.path, "map": ordered}]
    seen = [over if word == ended else phases.get(word) for word in state.values]
    remark = f"Seen in the answers: {', '.join(map(str, words))}; {ended} is the end, and {outcome.path} says how."
    remark += " The other words are the usual ones."
    return Phases(rules, state.path, seen, remark=remark)


def _by_flag(place: _Place, places: Sequence[_Place], over: bool, answers: Sequence[Answer]) -> Phases:
    """Return rules for a flag like `done`; an error beside it, or a result, says how the job ended."""
    name = place.path
    questions = []
    outcome = _outcome(place, places)
    expression = f"body{name[1:]}" if re.fullmatch(r"\$(\.\w+)+", name) else f"body | jsonpath('{name}')"
    ended = expression if over else f"{expression} == false"
    seen_end = "SUCCEEDED"
    rules: list[dict[str, Any]]
    if outcome is not None and isinstance(outcome.values[-1], str):
        how, seen_end = _meanings_of_end(outcome.values[-1])
        rules = [{"path": outcome.path, "map": how}, {"when": ended, "is": "FAILED"}]
    elif (ending := _null_outcome(answers)) is not None:
        usual = {phase: USUAL[phase] for phase in ENDINGS}
        rules = [{"path": ending, "map": usual}, {"when": ended, "is": "FAILED"}]
        questions.append(f"{ending} says how the job ended: with these words?")
        seen_end = "FAILED"
    else:
        known = {key for answer in answers if isinstance(answer.data, dict) for key in answer.data}
        error = next((name for name in ("error", "errors", "exception") if name in known), "error")
        rules = [{"when": f"{ended} and body.{error}", "is": "FAILED"}, {"when": ended, "is": "SUCCEEDED"}]
        if not over:
            questions.append(f"{name} says that the job is over, but what says whether it failed?")
    rules.append({"is": "RUNNING"})
    seen = ["RUNNING" if value is None or value is not over else seen_end for value in place.values]
    return Phases(rules, name, list(seen), questions)


def _null_names(answers: Sequence[Answer]) -> list[str]:
    """Return the names at the top of the answers that are null as yet."""
    found = [answer.data for answer in answers if isinstance(answer.data, dict)]
    return [str(key) for data in found for key, value in data.items() if value is None]


def _null_outcome(answers: Sequence[Answer]) -> str | None:
    """Return the path of a field that will say how the job ended, and is null as yet."""
    return next((f"$.{name}" for name in _null_names(answers) if _OUTCOME.fullmatch(name)), None)


def _by_status(answers: Sequence[Answer]) -> Phases | None:
    """Return rules for an API that only tells by its HTTP status: 202 while the job runs, 200 at its end."""
    codes = [answer.status for answer in answers]
    if len(set(codes)) < 2 or None in codes or codes[-1] in codes[:-1]:
        return None
    running = list(dict.fromkeys(codes[:-1]))
    seen: list[str | None] = [*("RUNNING" for _ in codes[:-1]), "SUCCEEDED"]
    rules: list[dict[str, Any]] = [{"when": f"status == {code}", "is": "RUNNING"} for code in running]
    rules.append({"when": f"status == {codes[-1]}", "is": "SUCCEEDED"})
    question = "the answers differ only in their HTTP status: how does the API say that a job failed?"
    return Phases(rules, "status", seen, [question])


def message_in(answers: Sequence[Answer], state: str) -> str | None:
    """Return the path of the API's own words for how the job is doing."""
    paths = {place.path for place in places_of(answers) if "[*]" not in place.path and place.path != state}
    paths |= {f"$.{name}" for name in _null_names(answers)}
    for wanted in MESSAGES:
        for path in sorted(paths, key=lambda path: (len(path), path)):
            if snake(path.rpartition(".")[2]) == wanted:
                return path
    return None


def outputs_in(answer: Answer, state: str, before: Answer | None = None) -> dict[str, str]:
    """Return the names and paths of what the last answer of a successful job has as its result, and an answer before
    it has not."""
    state = state if state.startswith("$") else "$"
    earlier = dict(before.values()) if before is not None else {}
    found: dict[str, str] = {}
    holders: list[tuple[str, Any]] = [("$", answer.data)]
    parent = re.sub(r"(\.\w+|\[[^\]]*\])$", "", state)
    if parent not in ("$", "") and "[" not in parent:
        holders.insert(0, (parent, value_at(answer.data, parent)))
    for path, holder in holders:
        if not isinstance(holder, dict):
            continue
        for key, value in holder.items():
            where = f"{path}.{key}"
            if not re.fullmatch(r"[A-Za-z_]\w*", str(key)) or parent.startswith(where) or where == state:
                continue
            if _OUTPUTS.fullmatch(str(key)) and value not in (None, "", [], {}) and not isinstance(value, bool):
                same = [pair for pair in answer.values() if re.match(re.escape(where) + r"($|[.\[])", pair[0])]
                if not same or any(earlier.get(path) != item for path, item in same):
                    found.setdefault(snake(str(key)), where)
    return dict(list(found.items())[:6])
