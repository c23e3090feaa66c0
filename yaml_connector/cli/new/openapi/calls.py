"""Finds the calls of a job in an OpenAPI document: one that submits it, one that reads it, one that cancels it ..."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from os.path import commonpath

from yaml_connector._text import did_you_mean
from yaml_connector.cli.new.openapi.document import Document
from yaml_connector.cli.new.openapi.states import states_of
from yaml_connector.errors import ConfigError

_JOBS = ("job", "run", "task", "batch", "execution", "workflow", "query", "statement", "build", "pipeline", "operation")
_SUBMIT = ("submit", "start", "create", "new", "run", "launch", "execute", "trigger", "dispatch", "invoke")
_CANCEL = ("cancel", "stop", "terminate", "abort", "kill")
_LOGS = ("logs", "log", "stdout", "output")
_MOST_LISTED = 40
_CLOSE, _LEAST = 4, 3  # other calls are named if their score is this close to the best, and at least this


@dataclass(frozen=True)
class Calls:
    """The paths of a job's calls in the document; `delete` with its method, the others are a POST and GETs."""

    create: str
    get: str
    delete: tuple[str, str] | None = None
    logs: str | None = None


def find_calls(document: Document, create: str | None, get: str | None) -> tuple[Calls, list[str]]:
    """Return the calls of a job, and the other calls that may submit one. `create` and `get` name calls to use.

    Raises ConfigError if the document lacks them, or if no call looks like one that submits a job.
    """
    wanted = _named(document, create, "post", "--create") if create else None
    asked = _named(document, get, "get", "--get") if get else None
    if wanted and asked:
        return whole_of(document, wanted, asked), []
    pairs = {pair for pair in _pairs(document) if wanted in (None, pair[0]) and asked in (None, pair[1])}
    known: dict[str, bool] = {}
    scored = sorted((-_score(document, *pair, known), len(pair[0]), *pair) for pair in pairs)
    if not scored:
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
    return whole_of(document, path, ask), others


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


@lru_cache(maxsize=10_000)
def bare(path: str) -> str:
    """Return a path without the names of its parameters and without a trailing slash."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def _pairs(document: Document) -> set[tuple[str, str]]:
    """Return the pairs of a call that may submit a job and one that may read it."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in document.paths:
        if re.search(r"/\{[^}/]+\}/?$", path) and document.has(path, "get"):
            by_stem[bare(path).removesuffix("/{}")].append(path)
            name = document.response_name(path, "get")
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
        same = by_name.get(document.response_name(path, "post") or "", [])
        if same:
            asked = max(same, key=lambda other: len(commonpath([bare(path), bare(other)])))
            noun = _word(bare(asked).removesuffix("/{}").rpartition("/")[2])
            if _word(last) == noun or _word(last) in _SUBMIT:
                found.add((path, asked))
    return found


def _score(document: Document, path: str, asked: str, known: dict[str, bool]) -> int:
    """Return how much two calls look like those of a job. `known` caches which responses, by name, have states."""
    noun = bare(asked).removesuffix("/{}").rpartition("/")[2].lower()
    response = document.response_name(asked, "get")
    if (response or asked) not in known:
        known[response or asked] = states_of(document, asked) is not None
    score = 3 * any(word in noun for word in _JOBS) + 2 * known[response or asked]
    score += 2 * (response is not None and response == document.response_name(path, "post"))
    below = {_word(bare(other).removeprefix(bare(asked))) for other in _below(document, asked)}
    return score + 2 * bool(below & set(_CANCEL)) - bare(path).count("{")


def _below(document: Document, asked: str) -> list[str]:
    return [path for path in document.paths if re.match(re.escape(bare(asked)) + r"[/:][^/{}]+$", bare(path))]


def _word(segment: str) -> str:
    word = re.sub(r"[^a-z]", "", segment.lower())
    return word.removesuffix("s") if word not in ("status", "process") else word


def whole_of(document: Document, path: str, asked: str) -> Calls:
    """Return these two calls with those that cancel the job and read its log."""
    delete: tuple[str, str] | None = None
    logs: str | None = None
    for other in _below(document, asked):
        tail = bare(other).removeprefix(bare(asked)).strip("/:").lower()
        method = next((method for method in ("post", "put", "delete") if document.has(other, method)), None)
        if tail.startswith(_CANCEL) and method and delete is None:
            delete = (method, other)
        if tail in _LOGS and document.has(other, "get") and logs is None:
            logs = other
    if delete is None and document.has(asked, "delete"):
        delete = ("delete", asked)
    return Calls(path, asked, delete, logs)
