"""The catalog: specs of well-known job APIs, each with its contract test, as data of this package."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from yaml_connector._text import closest, short
from yaml_connector.errors import ConfigError

# What runs a job: the words of `# Kind:`.
KINDS = {
    "batch": "a job scheduler or batch service",
    "ci": "a CI service",
    "compute": "Spark, Flink, notebooks and functions",
    "container": "a container service that runs decorated Python functions",
    "data": "data movement and search",
    "inference": "batches of model calls, and predictions",
    "operation": "long-running operations of a cloud",
    "sql": "a query engine or warehouse",
    "training": "training of models",
    "workflow": "an orchestrator or pipeline service",
}
# What a spec may support: what that means, and the field that shows it.
SUPPORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "logs": ("the job's log is read", ("logs",)),
    "cancel": ("an abort cancels the job at the API", ("delete",)),
    "idempotent": ("the API deduplicates a create that is sent again", ("create", "idempotent")),
    "adopt": ("a job of an earlier try is looked for before one is made", ("create", "adopt")),
    "batch": ("many jobs are asked about in one request", ("get", "batch")),
    "container": ("decorated Python functions run there", ("runs",)),
}
_HEAD_LINE = re.compile(
    r"^(Kind|Version|Documentation|Read in|Ran against|Tags|Create again|After the end|Page): (.*)$"
)
_CLOSEST = 3


@dataclass(frozen=True)
class Entry:
    """A spec of the catalog. `files` maps the names of the spec, its contract test, and what those read to files."""

    name: str
    files: dict[str, Traversable]

    @cached_property
    def text(self) -> str:
        """The text of the spec."""
        return self.files[f"{self.name}.yaml"].read_text(encoding="utf-8")

    @property
    def test_text(self) -> str:
        """The text of the contract test."""
        return self.files[f"{self.name}.test.yaml"].read_text(encoding="utf-8")

    @cached_property
    def head(self) -> dict[str, str]:
        """The lines `# NAME: text` of the comment that the spec begins with, each with the lines that continue it."""
        return head_lines(self.text)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the spec is and supports, and what its head says of the API, read without checking the whole spec."""
        from yaml_connector._loading.document import parse

        data = parse(self.text.encode(), self.name).data
        auth = _at(data, "connection", "auth")
        return {
            "name": self.name,
            "task_type": _at(data, "task_type_name") or self.name,
            "title": _at(data, "name") or self.name,
            "description": " ".join(str(_at(data, "description") or "").split()),
            "kind": self.head.get("Kind", ""),
            "auth": auth.get("type") if isinstance(auth, dict) else "none",
            "supports": [name for name, (_, field) in SUPPORTS.items() if _at(data, *field)],
            "version": self.head.get("Version", ""),
            "documentation": _url_in(self.head.get("Documentation", "")),
            "ran_against": self.head.get("Ran against"),
        }

    def place_of(self, word: str) -> int | None:
        """Return where a word is: 0 in the name, title or tags, 1 in the head or summary, 2 in the spec; else None."""
        summary = self.summary
        first = f"{self.name} {summary['title']} {summary['kind']} {self.head.get('Tags', '')}"
        places = (first, f"{_head_of(self.text)} {summary}", self.text)
        return next((number for number, text in enumerate(places) if word.casefold() in text.casefold()), None)

    def contents(self) -> dict[str, str]:
        """Return the contents of all files, by name."""
        return {name: file.read_text(encoding="utf-8") for name, file in self.files.items()}


def entries() -> tuple[Entry, ...]:
    """Return all specs of the catalog by name; raise ConfigError if there are none, for then the data is missing."""
    return _entries_in(files(__name__))  # type: ignore[arg-type]  # all kinds of folders can be hashed


@lru_cache(maxsize=1)  # each keeps what was read of it
def _entries_in(folder: Traversable) -> tuple[Entry, ...]:
    found = {file.name: file for file in folder.iterdir()} if folder.is_dir() else {}
    names = sorted(
        name.removesuffix(".yaml") for name in found if name.endswith(".yaml") and not name.endswith(".test.yaml")
    )
    if not names:
        raise ConfigError("the catalog is missing from this installation; install yaml-connector again")
    return tuple(
        Entry(name, {file: found[file] for file in sorted(found) if file.startswith(f"{name}.")}) for name in names
    )


def entry(name: str) -> Entry:
    """Return one spec of the catalog; raise ConfigError that names the closest one."""
    found = {item.name: item for item in entries()}
    if name not in found:
        guess = closest(name, found)
        told = f"did you mean {guess}?" if guess else "`yaml-connector catalog list` shows all"
        raise ConfigError(f"the catalog has no spec {short(name)}; {told}")
    return found[name]


def search(words: Iterable[str]) -> tuple[list[Entry], list[str]]:
    """Return the specs that contain all words, those first that have them in name, title or tags; if there are none,
    the names of those that fit best."""
    words, all_of_them = list(words), entries()
    found = [([item.place_of(word) for word in words], item) for item in all_of_them]
    good = [(sum(filter(None, places)), item) for places, item in found if None not in places]
    if good:
        return [item for _, item in sorted(good, key=lambda pair: pair[0])], []
    by_count = [(len(words) - places.count(None), item.name) for places, item in found]
    most = max(count for count, _ in by_count)
    return [], [name for count, name in by_count if count == most][:_CLOSEST] if most else _close(words, all_of_them)


def _close(words: list[str], specs: Iterable[Entry]) -> list[str]:
    """Return the names of specs that have a word which is like one of these."""
    known: dict[str, str] = {}
    for item in specs:
        names = " ".join([*map(str, item.summary.values()), item.head.get("Tags", "")])
        known = {part.casefold(): item.name for part in re.findall(r"[^\W_]+", names)} | known
    close = [near for word in words for near in difflib.get_close_matches(word.casefold()[:60], known, _CLOSEST, 0.7)]
    return list(dict.fromkeys(known[near] for near in close))[:_CLOSEST]


def head_lines(text: str) -> dict[str, str]:
    """Return the lines `# NAME: text` of a spec's first comment; an empty line or the next name ends each."""
    found: dict[str, str] = {}
    name = ""
    for line in _head_of(text).splitlines():
        if (match := _HEAD_LINE.match(line)) is not None:
            name, found[match[1]] = match[1], match[2].strip()
        elif name and line and not re.match(r"[A-Z][a-z ]+: ", line):
            found[name] += f" {line}"
        else:
            name = ""
    return found


def _head_of(text: str) -> str:
    """Return the comment that a spec begins with, without its marks."""
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line[1:].strip() for line in lines[:end])


def _url_in(text: str) -> str:
    """Return the first URL of a text, or nothing."""
    found = re.search(r"https?://[^\s<>()]+", text)
    return found[0].rstrip(".,;") if found else ""


def _at(data: Any, *names: str) -> Any:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data
