"""Answers as people paste them, with the head that `curl -i` prints or without, and the lines of a log in one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from yaml_connector.cli.new.jsonpaths import data_at, member, value_at

_HEAD = re.compile(r"HTTP/\d(?:\.\d)? +(\d{3})[^\n]*")
_MOST = 500
_CANCELLED = re.compile(r"(?i)cancel|abort|stopp|terminat|kill")
_TEXTS = ("message", "text", "line", "log", "msg", "content", "body", "event")
_TIMES = ("timestamp", "time", "created_at", "ts", "date", "at", "createdAt", "@timestamp", "created")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Answer:
    """An answer: its status (None: not pasted), headers by lower-case name, and the body as data or as text."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    data: Any = None
    is_json: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """Return the names at the top of the body, and one level below."""
        if not isinstance(self.data, dict):
            return frozenset()
        below = {f"{key}.{name}" for key, item in self.data.items() if isinstance(item, dict) for name in item}
        return frozenset(map(str, self.data)) | below

    def values(self) -> Iterator[tuple[str, Any]]:
        """Yield the JSONPath and the value of each scalar of the body, outer ones first; of a list, its first three."""
        level: list[tuple[str, Any]] = [("$", self.data)] if self.is_json else []
        count = 0
        while level and count < 5000:
            below: list[tuple[str, Any]] = []
            for path, value in level:
                count += 1
                if isinstance(value, dict):
                    below += [(path + member(key), item) for key, item in value.items()]
                elif isinstance(value, list):
                    below += [(f"{path}[{number}]", item) for number, item in enumerate(value[:3])]
                elif value is not None:
                    yield path, value
            level = below


def answers_of(page: str) -> list[Answer]:
    """Return the answers of a text, in order."""
    text = page.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    found: list[Answer] = []
    position = 0
    while len(found) < _MOST:
        blanks = re.compile(r"(?:[ \t]*\n)*(?:[ \t]*(?=[{\[]))?").match(text, position)
        position = blanks.end() if blanks else position
        if position >= len(text):
            break
        status, headers, after = _head(text, position)
        if status is not None and (not text[after:].strip() or _HEAD.match(text, _skip(text, after)) or status == 204):
            found.append(Answer(status, headers))
            position = after
            continue
        sized = {"content-type", "transfer-encoding"} & headers.keys() or headers.get("content-length", "0") != "0"
        if status is not None and headers and not sized:
            found.append(Answer(status, headers))  # a head that announces no body: what follows is another answer
            position = after
            continue
        body_at = _skip(text, after) if status is not None else position
        data, end = _json_at(text, body_at)
        if end is not None:
            found.append(Answer(status, headers, text[body_at:end], data, True))
            position = end
            continue
        end = _text_end(text, body_at)
        body = text[body_at:end]
        if status is None and _is_noise(body):
            position = end
            continue
        before = found[-1] if found else None
        if status is None and before is not None and not before.is_json and before.text:
            found[-1] = replace(before, text=f"{before.text}\n\n{body}")  # a log with empty lines in it
        else:
            found.append(Answer(status, headers, body))
        position = end
    return found


_SHOWN = re.compile(r"^[ \t]*((?:(?:#|//|=>|->|→|>|<|\*)[ \t]*)*)(?=[{\[]|HTTP/)")
_OF_REQUEST = re.compile(
    r"(?i)\b(payload|request|body|send|sent|post|input|config)\b(?!.*\b(response|answer|return|reply))"
)


def answers_between(lines: Sequence[tuple[int, str]], commands: Sequence[int]) -> list[tuple[int, Answer]]:
    """Return the answers that a page shows between its commands, each with the number of the command above it.

    `lines` are the lines beside the commands with their numbers, and `commands` the first lines of the commands.
    What is called a payload or a request is not an answer.
    """
    found: list[tuple[int, Answer]] = []
    about, until = "", 0
    for index, (number, line) in enumerate(lines):
        start = _SHOWN.match(line)
        above = [at for at, first in enumerate(commands) if first < number]
        if start is None or number <= until or not above:
            about = line if line.strip(" `~") else about
            continue
        lead = start[1].strip()
        block = [text for at, text in lines[index:] if not any(number < first <= at for first in commands)]
        text = "\n".join(re.sub(rf"^[ \t]*(?:{re.escape(lead)})?", "", item) if lead else item for item in block)
        answers = answers_of(text) if text.lstrip().startswith("HTTP/") else answers_of(text)[:1]
        if answers and (answers[0].is_json or answers[0].status) and not _OF_REQUEST.search(about):
            first = answers[0]
            found.append((above[-1], first))
            until = number + first.text.count("\n") + len(first.headers) + bool(first.headers)
    return found


def _skip(text: str, position: int) -> int:
    return len(text) - len(text[position:].lstrip())


def _head(text: str, position: int) -> tuple[int | None, dict[str, str], int]:
    """Return status, headers and the end of a head; of several in a row (100, redirects, proxies) the last."""
    status: int | None = None
    headers: dict[str, str] = {}
    while found := _HEAD.match(text, position):
        after_head = text.find("\n\n", position)
        end = after_head if after_head >= 0 else len(text)
        is_redirect = status is not None and 300 <= status < 400 and "set-cookie" not in headers
        if status is not None and not (status < 200 or is_redirect or (status == 200 and not headers)):
            break
        status = int(found[1])
        headers = {}
        for line in text[found.end() : end].split("\n"):
            name, colon, value = line.partition(":")
            if colon and re.fullmatch(r"[!#$%&'*+.^`|~\w-]+", name.strip()):
                headers.setdefault(name.strip().lower(), value.strip())
        position = min(len(text), end + 2)
    return status, headers, position


def _json_at(text: str, position: int) -> tuple[Any, int | None]:
    """Return the JSON at a position and its end; several objects, one a line, are a list of them."""
    if text[position : position + 1] not in ("{", "[", '"'):
        word = re.compile(r"(?:-?\d+(?:\.\d+)?|true|false|null)(?=[ \t]*(?:\n|$))").match(text, position)
        if word is None:
            return None, None
        return json.loads(word[0]), word.end()
    try:
        data, end = _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return None, None
    rest = re.compile(r"[^\n]*").match(text, end)
    if rest and rest[0].strip(" \t,;"):
        return None, None  # a line that begins like JSON: a log
    return data, end


def _text_end(text: str, position: int) -> int:
    """Return the end of a text: an empty line, or a line where a head begins."""
    found = re.compile(r"\n[ \t]*(?:\n|$)|\n(?=HTTP/\d)").search(text, position)
    return found.start() if found else len(text)


def _is_noise(body: str) -> bool:
    """Return whether a text between answers is a comment or a command, not an answer."""
    lines = [line for line in body.split("\n") if line.strip()]
    return all(re.match(r"\s*(#|//|\$ |> |--+\s*$|==+|curl |C:\\|PS )", line) for line in lines)


def assign(answers: Sequence[Answer], roles: Sequence[str | None]) -> list[int | None]:
    """Return the number of the command that each answer belongs to; None if there is none.

    `roles` are those of the commands. The answers are in the order of the commands;
    one with the keys of the status answer is another poll.
    """
    found: list[int | None] = []
    command = 0
    polled: Answer | None = None  # the last answer of a poll
    extra = len(answers) - len(roles)
    for number, answer in enumerate(answers):
        left = len(answers) - number
        again = polled is not None and _is_like(answer, polled)
        is_text = not answer.is_json and answer.text != ""
        last_poll = next((at for at in range(command - 1, -1, -1) if roles[at] == "get"), None)
        if command < len(roles) and roles[command] == "get":
            found.append(command)
            polled = answer
            command += 1
            continue
        bodiless = polled is not None and polled.status is not None and not polled.is_json and answer.status is not None
        if (again or (bodiless and answer.is_json)) and last_poll is not None:
            words = [value for _, value in answer.values() if isinstance(value, str)]
            cancelled = any(re.fullmatch(r"[\w-]{1,30}", word) and _CANCELLED.search(word) for word in words)
            next_role = roles[command] if command < len(roles) else None
            if not (next_role == "delete" and cancelled) and (next_role != "result" or extra > 0 or left > 1):
                found.append(last_poll)
                extra -= 1
                polled = answer
                continue
        while (
            command < len(roles)
            and is_text
            and roles[command] not in ("logs", "result")
            and any(role in ("logs", "result") for role in roles[command + 1 :])
            and left <= len(roles) - command - 1
        ):
            command += 1
        if command >= len(roles):
            found.append(last_poll if again or bodiless else None)
            continue
        found.append(command)
        if roles[command] == "get":
            polled = answer
        command += 1
    return found


def _is_like(answer: Answer, other: Answer) -> bool:
    """Return whether two answers have the same names, nearly."""
    if isinstance(answer.data, dict) and isinstance(other.data, dict):
        both = answer.keys & other.keys
        if any(answer.data.get(key) == other.data[key] and len(str(other.data[key])) > 5 for key in other.data):
            return True  # the same id
        return len(both) >= 2 and len(both) >= 0.6 * min(len(answer.keys), len(other.keys))
    return False


def lines_of(answer: Answer) -> tuple[dict[str, Any], dict[str, Any], list[str]] | None:
    """Return the fields of `logs` for an answer, a response like it, and its lines; None for plain text."""
    if not answer.is_json:
        lines = [line for line in answer.text.split("\n") if line.strip()]
        if lines and all(line.lstrip().startswith("data:") for line in lines):
            return {"format": "sse"}, {"text": "data: one\n\ndata: two\n\n"}, ["one", "two"]
        if len(lines) < 2 or not all(line.startswith("{") for line in lines):
            return None
        try:
            items = [json.loads(line) for line in lines]
        except ValueError:
            return None
        fields, rows, shown = _rows_like(items[0])
        return {"format": "ndjson"} | fields, {"text": "".join(f"{_compact(row)}\n" for row in rows)}, shown
    if isinstance(answer.data, str):
        return None
    for path, items in _lists_in(answer.data):
        if all(isinstance(item, str) for item in items):
            rows = ["one", "two"]
            return {"lines": f"{path}[*]"}, {"json": data_at({f"{path}[0]": "one", f"{path}[1]": "two"})}, rows
        if items and isinstance(items[0], dict):
            fields, rows, shown = _rows_like(items[0])
            times = [value_at(item, fields["timestamp"]) for item in items] if "timestamp" in fields else []
            if len(times) > 1 and type(times[0]) is type(times[-1]) and times[0] > times[-1]:
                fields["reverse"] = True
                rows.reverse()
            response = {"json": data_at({f"{path}[0]": rows[0], f"{path}[1]": rows[1]})}
            return {"lines": f"{path}[*]"} | fields, response, shown
    texts = [(path, value) for path, value in answer.values() if isinstance(value, str)]
    places = [path for path, value in texts if "\n" in value]
    places += [path for path, _ in texts if re.search(r"(?i)\.(logs?|output|stdout|text|content)$", path)]
    if not places:
        return None
    lines_in = f"${{{{ (body{places[0][1:]} or '').splitlines() }}}}"
    return {"lines": lines_in}, {"json": data_at({places[0]: "one\ntwo\n"})}, ["one", "two"]


def _lists_in(data: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the answer itself, if it is a list, and the lists in it that are not empty, with their paths."""
    if isinstance(data, list):
        yield "$", data
    queue: list[tuple[str, Any]] = [("$", data)]
    while queue:
        path, value = queue.pop(0)
        for key, item in value.items() if isinstance(value, dict) else ():
            if isinstance(item, list) and item:
                yield path + member(key), item
            elif isinstance(item, dict):
                queue.append((path + member(key), item))


def _rows_like(item: Any) -> tuple[dict[str, Any], list[Any], list[str]]:
    """Return where a line has its text and its time, two lines like it, and how the log shows these."""
    first = item if isinstance(item, dict) else {}
    message = next((key for key in _TEXTS if isinstance(first.get(key), str)), None)
    time = next((key for key in _TIMES if isinstance(first.get(key), str | int | float)), None)
    fields: dict[str, Any] = {"message": f"$.{message}"} if message else {}
    fields |= {"timestamp": "$" + member(time)} if time else {}
    rows = [{message or "text": word} | ({time: first[time]} if time else {}) for word in ("one", "two")]
    return fields, rows, ["one", "two"] if message else [_compact(row) for row in rows]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
