"""Finds the calls of a job in an OpenAPI document, and where their responses have its id, state and message."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from os.path import commonpath
from typing import Any

from yaml_connector._text import did_you_mean
from yaml_connector.cli.new.names import CANCELS, phase_of
from yaml_connector.cli.new.openapi.document import Document, Node, Operation, bare
from yaml_connector.cli.new.phases import MESSAGES
from yaml_connector.errors import ConfigError

_JOBS = ("job", "run", "task", "batch", "execution", "workflow", "query", "statement", "build", "pipeline", "operation")
_RESULTS = ("task", "generation", "prediction", "request", "transcript", "export", "import", "report")
_SUBMIT = ("submit", "start", "create", "new", "run", "launch", "execute", "trigger", "dispatch", "invoke")
_LOGS = ("logs", "log", "stdout", "output")
_MOST_LISTED = 40
_MOST_LOOSE = 500  # calls that may submit what another call reads
_CLOSE, _LEAST = 4, 3  # other calls are named if their score is this close to the best, and at least this
# Where the API's own words about a job are: at the top, or below a part with such a name.
_OF_THE_JOB = re.compile(
    r"(?i)\$(\.(data|job|run|task|build|result|attributes|operation|status|state|reason|failure\w*|\w*error\w*))*\.\w+$"
)


@dataclass(frozen=True)
class Calls:
    """The calls of a job in the document. `is_loose`: only its name says that `get` reads what `create` submits."""

    create: Operation
    get: Operation
    delete: Operation | None = None
    logs: Operation | None = None
    is_loose: bool = False


def find_calls(document: Document, create: str | None, get: str | None) -> tuple[Calls, list[str]]:
    """Return the calls of a job, and the other calls that may submit one. `create` and `get` name calls to use.

    Raises ConfigError if the document lacks them, or if no call looks like one that submits a job.
    """
    wanted = _named(document, create, "post", "--create") if create else None
    asked = _named(document, get, "get", "--get") if get else None
    if wanted and asked:
        return whole_of(document, wanted, asked), []

    def fitting(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
        return {pair for pair in pairs if wanted in (None, pair[0]) and asked in (None, pair[1])}

    tight = fitting(_pairs(document))
    pairs = tight or fitting(_loose_pairs(document))
    known: dict[str, bool] = {}
    scored = sorted((-_score(document, *pair, known), len(pair[0]), *pair) for pair in pairs)
    creates = {pair[0] for pair in pairs}
    unclear = len(creates) > 1 and not wanted and not any(_is_of_a_job(document, path, known) for _, path in pairs)
    if not scored or unclear:
        if create:
            raise ConfigError(
                f"{document.file}: no call reads the job that {create} submits; name it with --get. "
                f"It has: {_calls_of(document)}"
            )
        raise ConfigError(
            f"{document.file}: no call looks like one that submits a job (a POST, and a GET of the same path with "
            f"an id); name them with --create and --get. It has: {_calls_of(document)}"
        )
    best, _, path, ask = scored[0]
    worst = min(best + _CLOSE, -_LEAST)
    close = [other for score, _, other, _ in scored[1:] if score <= worst and other != path]
    others = [] if wanted else list(dict.fromkeys(f"POST {other}" for other in close))
    return replace(whole_of(document, path, ask), is_loose=not tight), others


def _calls_of(document: Document) -> str:
    """Return the calls of the document that may be meant, those that submit first."""
    calls = [
        f"{method.upper()} {path}"
        for method in ("post", "put", "get")
        for path in document.paths
        if document.has(path, method)
    ]
    return ", ".join(calls[:_MOST_LISTED]) + (", ..." if len(calls) > _MOST_LISTED else "") if calls else "no calls"


def _named(document: Document, call: str, method: str, option: str) -> str:
    """Return the document's path of a call, in which `{id}` may have another name."""
    given, _, path = call.partition(" ")
    for known in document.paths:
        if given.lower() == method and bare(known) == bare(path) and document.has(known, method):
            return known
    calls = [f"{method.upper()} {known}" for known in document.paths if document.has(known, method)]
    raise ConfigError(f"{document.file} has no call {call} ({option}){did_you_mean(call, calls)}")


def _pairs(document: Document) -> set[tuple[str, str]]:
    """Return the pairs of a call that may submit a job and one that may read it."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in document.paths:
        if re.search(r"/\{[^}/]+\}/?$", path) and document.has(path, "get"):
            by_stem[bare(path).removesuffix("/{}")].append(path)
            name = document.operation(path, "get").response_name
            if name:
                by_name[name].append(path)
    found = set()
    for path in document.paths:
        if not document.has(path, "post"):
            continue
        stem, _, last = bare(path).rpartition("/")
        found |= {(path, asked) for asked in by_stem[bare(path)]}
        if _word(last) in _SUBMIT:
            found |= {(path, asked) for asked in by_stem[stem]}
        same = by_name.get(document.operation(path, "post").response_name or "", [])
        if same:
            asked = max(same[:_MOST_LISTED], key=lambda other: len(commonpath([bare(path), bare(other)])))
            noun = _word(bare(asked).removesuffix("/{}").rpartition("/")[2])
            if _word(last) == noun or _word(last) in _SUBMIT:
                found.add((path, asked))
    return found


def _loose_pairs(document: Document) -> set[tuple[str, str]]:
    """Return the pairs of any POST and a GET that reads a task, a generation or the like by its id."""
    asked = [
        path
        for path in document.paths
        if re.search(r"/\{[^}/]+\}/?$", path)
        and document.has(path, "get")
        and any(word in _noun(path) for word in (*_JOBS, *_RESULTS))
    ]
    verbs = {other for path in asked for other in document.below(path)}
    posts = [path for path in document.paths if document.has(path, "post") and not path.rstrip("/").endswith("}")]
    posts = posts[:_MOST_LOOSE]
    return {(path, other) for path in posts if path not in verbs for other in asked[:_MOST_LISTED]}


def _noun(path: str) -> str:
    return bare(path).removesuffix("/{}").rpartition("/")[2].lower()


def _is_of_a_job(document: Document, asked: str, known: dict[str, bool]) -> bool:
    """Return whether a GET reads a job, as far as its name or its states say."""
    is_named = any(word in _noun(asked) for word in (*_JOBS, *_RESULTS))
    return is_named or known[document.operation(asked, "get").response_name or asked]


def _score(document: Document, path: str, asked: str, known: dict[str, bool]) -> int:
    """Return how much two calls look like those of a job. `known` caches which responses, by name, have states."""
    noun = _noun(asked)
    read = document.operation(asked, "get")
    response = read.response_name
    if (response or asked) not in known:
        known[response or asked] = states_of(read) is not None
    score = 3 * any(word in noun for word in _JOBS) + 2 * known[response or asked]
    score += 2 * (response is not None and response == document.operation(path, "post").response_name)
    below = {_word(bare(other).removeprefix(bare(asked))) for other in document.below(asked)}
    return score + 2 * bool(below & set(CANCELS)) - bare(path).count("{")


def _word(segment: str) -> str:
    word = re.sub(r"[^a-z]", "", segment.lower())
    return word.removesuffix("s") if word not in ("status", "process") else word


def whole_of(document: Document, path: str, asked: str) -> Calls:
    """Return these two calls with those that cancel the job and read its log."""
    delete = logs = None
    for other in document.below(asked):
        tail = bare(other).removeprefix(bare(asked)).strip("/:").lower()
        method = next((method for method in ("post", "put", "delete") if document.has(other, method)), None)
        if tail.startswith(CANCELS) and method and delete is None:
            delete = document.operation(other, method)
        if tail in _LOGS and document.has(other, "get") and logs is None:
            logs = document.operation(other, "get")
    if delete is None and document.has(asked, "delete"):
        delete = document.operation(asked, "delete")
    return Calls(document.operation(path, "post"), document.operation(asked, "get"), delete, logs)


def scalars_of(call: Operation) -> list[tuple[str, str]]:
    """Return the path and the name, in lower case, of each scalar in the response of a call, outer ones first."""
    return [(where, name.lower()) for where, name, about in call.fields if call.document.is_scalar(about)]


def message_place(call: Operation) -> str | None:
    """Return where the response of a call has the API's own words for how the job is doing."""
    fields: dict[str, str] = {}
    for where, name in scalars_of(call):
        if _OF_THE_JOB.match(where):
            fields.setdefault(_plain(name), where)
    return next((fields[name] for name in map(_plain, MESSAGES) if name in fields), None)


def id_place(call: Operation, names: list[str], below: str = "$") -> str | None:
    """Return where the response of a call has an id: a field with one of the names, or one that such a call has."""
    noun = bare(call.path).rstrip("/{}").rpartition("/")[2].removesuffix("s")
    words = [*names, f"{noun}_id", f"{noun}id", "id", "uuid", "uid", "name", "key"]
    fields = [(where, _plain(name)) for where, name in scalars_of(call)]
    fields = [(where, name) for where, name in fields if where.startswith(f"{below}.")]
    return next((where for word in words for where, name in fields if name == _plain(word)), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def states_of(call: Operation) -> tuple[str, dict[Any, str]] | None:
    """Return the path of the state in the response to a GET, and its values, each with the API's word for it.

    Of several fields, the one with most known words is taken.
    """
    document = call.document
    found: tuple[int, str, dict[Any, str]] | None = None
    for path, name, about in call.fields:
        if not re.search(r"status|state|phase", name, re.IGNORECASE):
            continue
        many = "array" in document.kinds(about)
        values = values_of(document, document.node(about.get("items")) if many else about)
        known = sum(phase_of(word) is not None for word in values.values())
        if known > (found[0] if found else 0):
            found = (known, path + ("[*]" if many else ""), values)
    return (found[1], found[2]) if found else None


def state_place(call: Operation) -> str:
    """Guess the path of the state if the document lists no values: the outermost field with a suitable name."""
    document = call.document
    for path, name, about in call.fields:
        is_named = name.lower() in ("status", "state", "phase")
        if is_named and document.is_scalar(about) and "boolean" not in document.kinds(about):
            return path
    return "$.status"


def values_of(document: Document, about: Node) -> dict[Any, str]:
    """Return the values of a state: from `enum` and `const`, or from a table `1: Queued` in the description."""
    values: dict[Any, str] = {}
    for form in document.options(about):
        for value in [*(form.get("enum") or []), *([form["const"]] if "const" in form else [])]:
            if isinstance(value, str):
                values[value] = value
        names = form.get("x-enum-varnames") or form.get("x-enumNames") or []
        numbers = [value for value in form.get("enum") or [] if isinstance(value, int)]
        if numbers and len(names) == len(numbers):
            values |= dict(zip(numbers, map(str, names), strict=True))
    if not values:
        told = re.findall(r"(?m)^\W*(-?\d{1,4})\W*[:=-]\W*([A-Za-z][\w -]*?)\W*$", str(about.get("description", "")))
        values = {int(number): word for number, word in told}
    return values
