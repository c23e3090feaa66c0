"""A request of a page: what it does, what in it may be an id, and placeholders of documentation in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from yaml_connector.cli.new.curl.options import CurlRequest
from yaml_connector.cli.new.curl.tokens import Capture, FilePart, Leaf, Tokens, Variable, joined, start_of, text_in
from yaml_connector.cli.new.names import phase_of, word_set
from yaml_connector.cli.new.sketch import each_leaf

Key = tuple[str, str]  # ("name", a variable) or ("text", a literal value)
CANCEL = word_set("""cancel cancels cancelled canceled cancellation stop terminate abort kill halt interrupt revoke""")
LOGS = word_set("""log logs logging stdout stderr console events event trace traces tail""")
RESULT = word_set(
    """result results output outputs artifact artifacts download content report text transcript transcription metrics
    files"""
)
STATUS = word_set("""status state poll progress check describe info getstatus""")
SUBMIT = word_set(
    """submit create run runs start launch trigger execute jobs job batches dispatch enqueue invoke new"""
)
_READ = word_set("""get describe status query poll check info list show read state""")
LOGIN = word_set("""login signin auth authenticate oauth oauth2 token tokens session sessions logon authorize""")
_VERBS = CANCEL | LOGS | RESULT | STATUS | SUBMIT
_ID_NAME = re.compile(
    r"(^|[_.-]|[a-z](?=I))(id|ids|uuid|uid|guid|key|name|handle|ref|urn|arn)$|^(job|run|task|batch|build)$", re.I
)
_ID_LIKE = re.compile(
    r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-.*|\d+|(?=[^/]*\d)(?=[^/]*[a-z])[\w.:~=-]{6,}|[\w-]{16,}|[a-z]{1,8}[-_]\w*\d\w*"
)
_CANCELS = re.compile(r"(cancel|abort|terminat|kill|stop)\w{0,6}$")
STATE_NAME = re.compile(r"(?i)stat(us|e)$")
_CHANGES = frozenset(["set", "update", "put", "mark", "change", "add", "patch", "modify"])
_VERSION = re.compile(r"v\d+(\.\d+)*([a-z]+\d*)?|\d+\.\d+(\.\d+)*|\d{4}-\d\d(-\d\d)?|api", re.IGNORECASE)
_ANY = (
    r"<([A-Za-z][\w .-]*)>|\{\{\s*\$?([A-Za-z_][\w.-]*)\s*\}\}|\[([A-Z][A-Z0-9_]{2,})\]|"
    r"\b(YOUR_[A-Z0-9_]+)\b|\b(your-[a-z-]+)\b"
)
_IN_URL = re.compile(_ANY + r"|\{([A-Za-z_][\w-]*)\}|(?<=/):([A-Za-z_]\w*)(?=/|$)")
_IN_HEADER = re.compile(_ANY + r"|\{([A-Za-z_][\w-]*)\}")
_WHOLE = re.compile(
    r"<([A-Za-z][\w .-]*)>|\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}|(YOUR_[A-Z0-9_]+)|(your-[a-z-]+)|"
    r"\{([A-Z_]+|[a-z]+_[a-z_]+)\}"
)
_INSIDE = re.compile(r"<([A-Z][A-Z0-9_]+)>")


@dataclass
class Call:
    """A request: its parts as tokens, the body by kind (json, form, multipart, text, file), and what is known of it."""

    number: int
    line: int
    about: str
    method: str
    origin: Tokens
    path: Tokens
    query: list[tuple[str, Tokens]]
    headers: list[tuple[str, Tokens]]
    cookies: list[tuple[str, Tokens]]
    user: Tokens | None
    body_kind: str | None
    body: Any
    source: CurlRequest
    sigv4: str | None = None
    hint: Capture | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """Return the words of the path, in lower case."""
        return words_of("".join(part if isinstance(part, str) else "/" for part in self.path))

    def header(self, name: str) -> Tokens | None:
        """Return the value of a header."""
        return next((tokens for known, tokens in self.headers if known.lower() == name), None)

    @property
    def place(self) -> tuple[Any, ...]:
        """Return the method and the URL without its query."""
        return self.method, self.origin, self.path

    @property
    def key(self) -> tuple[Any, ...]:
        """Return what two calls have in common that are the same request."""
        action = [value for name, value in self.headers if name.lower() in ("x-amz-target", "action")]
        return *self.place, tuple(self.query), tuple(action), json.dumps(self.body, default=repr)

    def places(self) -> Iterable[tuple[str, Tokens]]:
        """Yield all texts of the request with the part where they are: path, query, header, cookie, user, body."""
        yield "path", self.path
        for _, tokens in self.query:
            yield "query", tokens
        for _, tokens in self.headers:
            yield "header", tokens
        for _, tokens in self.cookies:
            yield "cookie", tokens
        if self.user is not None:
            yield "user", self.user
        for value in leaves(self.body):
            yield "body", value.tokens if isinstance(value, Leaf) else (str(value),)

    def variables(self) -> list[Variable]:
        """Return the variables in all texts of the request."""
        return [part for _, tokens in self.places() for part in tokens if isinstance(part, Variable)]


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case; camel case counts, too."""
    return [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()) if word]


def leaves(value: Any) -> Iterable[Any]:
    """Yield the scalars and texts of a body."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool | FilePart):
        yield value


def segments(tokens: Tokens) -> list[Tokens]:
    """Return the segments of a path; a `:verb` at the end of one is a segment, too."""
    found: list[list[str | Variable]] = [[]]
    for part in tokens:
        if isinstance(part, Variable):
            found[-1].append(part)
            continue
        first, *rest = re.split(r"/|:(?=[A-Za-z]+(?:/|$))", part)
        found[-1].append(unquote(first))
        found += [[unquote(piece)] for piece in rest]
    return [tuple(item for item in piece if item != "") for piece in found]


def keys_of(call: Call) -> Iterator[tuple[Key, str]]:
    """Yield what may identify something in a call, with the part where it is."""
    for number, segment in enumerate(segments(call.path)):
        for part in segment:
            if isinstance(part, Variable):
                yield ("name", part.name), "path"
        if len(segment) == 1 and isinstance(segment[0], str) and number:
            yield ("text", segment[0]), "path"
    for name, tokens in call.query:
        yield from _keys(tokens, "query" if _ID_NAME.search(name) else "other")
    for name, value in named_leaves(call.body):
        tokens = value.tokens if isinstance(value, Leaf) else (str(value),)
        yield from _keys(tokens, "body" if _ID_NAME.search(name) else "other")
    for _, tokens in call.headers:
        yield from ((("name", part.name), "header") for part in tokens if isinstance(part, Variable))


def _keys(tokens: Tokens, where: str) -> Iterator[tuple[Key, str]]:
    for part in tokens:
        if isinstance(part, Variable):
            yield ("name", part.name), "path" if where == "other" else where
    if len(tokens) == 1 and isinstance(tokens[0], str):
        yield ("text", tokens[0]), where


def named_leaves(body: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(body, dict):
        for key, item in body.items():
            yield from named_leaves(item, str(key))
    elif isinstance(body, list):
        for item in body:
            if isinstance(item, tuple) and len(item) == 2:
                yield from named_leaves(item[1], str(item[0]))
            else:
                yield from named_leaves(item, name.removesuffix("s"))
    elif body is not None and not isinstance(body, bool):
        yield name, body


def last_words(call: Call) -> set[str]:
    """Return the words of the last segment of a path that is not an id, and of an action in query or headers."""
    found: set[str] = set()
    for segment in reversed(segments(call.path)):
        text = text_in(segment)
        if not text or any(isinstance(part, Variable) for part in segment) or text.lower() in ("json", "api", "xml"):
            continue
        if (
            _ID_LIKE.fullmatch(text)
            and not re.fullmatch(r"[a-z_-]+", text, re.IGNORECASE)
            and not _VERBS.intersection(words_of(text))
        ):
            continue
        found = set(words_of(text))
        break
    for name, tokens in [*call.query, *call.headers]:
        if name.lower() in ("action", "x-amz-target", "cmd", "command", "op", "operation", "method"):
            found |= set(words_of(text_in(tokens).rpartition(".")[2]))
    return found


def cancels(call: Call) -> bool:
    """Return whether a call cancels: by its method, its path, or a word in its body."""
    if call.method == "DELETE":
        return True
    if last_words(call) & CANCEL:
        return True
    if call.method not in ("PUT", "PATCH", "POST"):
        return False
    words = [str(value).lower() for value in leaves(call.body) if isinstance(value, str)]
    cancelled = any(phase_of(word) == "ABORTED" or _CANCELS.match(word) for word in words)
    if call.method in ("PUT", "PATCH"):
        named = named_leaves(call.body)
        cancelled |= any(STATE_NAME.search(name) and phase_of(str(value)) == "FAILED" for name, value in named)
    query = re.search(r"(?i)mutation[^{]*\{?\s*\w*(cancel|abort|stop|terminate)", " ".join(words))
    return (cancelled and len(words) <= 4) or bool(query)


def asks(call: Call) -> bool:
    """Return whether a call only reads: a GET, or a POST whose name says so."""
    if call.method in ("GET", "HEAD"):
        return True
    words = last_words(call)
    text = " ".join(str(value) for value in leaves(call.body) if isinstance(value, str))
    is_query = re.match(r"\s*(query\b|\{)", text) is not None and "query" in str(call.body)
    return (
        call.method == "POST"
        and (bool(words & _READ) or is_query)
        and not words & (CANCEL | _CHANGES | SUBMIT - {"jobs", "job", "runs"})
    )


def starts_by_get(call: Call) -> bool:
    return bool(last_words(call) & (SUBMIT - {"jobs", "job", "runs", "run"} | {"build", "export"}))


def is_id_like(text: str) -> bool:
    return bool(_ID_LIKE.fullmatch(text) and not _VERSION.fullmatch(text) and not re.fullmatch(r"[a-z_-]+", text, re.I))


def is_token(value: object) -> bool:
    """Return whether a value may identify something."""
    text = str(value)
    if isinstance(value, bool | float) or not text or len(text) > 300 or " " in text:
        return False
    return len(text) > 3 or (text.isdigit() and len(text) > 1) or (isinstance(value, int) and value > 1)


def ends_with(text: str, value: str) -> bool:
    return re.search(rf"[/=:]{re.escape(value)}(?:[/?&;]|$)", text) is not None


def ids_in(call: Call, known: set[Key]) -> list[Key]:
    """Return what in a call looks like an id and is not known."""
    found = []
    for key, where in keys_of(call):
        kind, text = key
        if key in known or where in ("other", "header"):
            continue
        if kind == "name" or (where == "path" and is_id_like(text)) or (where in ("query", "body") and len(text) > 1):
            found.append(key)
    return found


def name_placeholders(calls: Iterable[Call]) -> None:
    """Make variables of the placeholders in all calls of a page."""
    for call in calls:
        call.origin = _replaced(call.origin, _IN_URL)
        call.path = _replaced(call.path, _IN_URL)
        call.query = [(name, _replaced(tokens, _IN_HEADER)) for name, tokens in call.query]
        call.headers = [(name, _replaced(tokens, _IN_HEADER)) for name, tokens in call.headers]
        call.user = _replaced(call.user, _IN_HEADER) if call.user is not None else None
        call.body = each_leaf(call.body, _in_leaf)


def _replaced(tokens: Tokens, pattern: re.Pattern[str]) -> Tokens:
    return joined(piece for part in tokens for piece in (_pieces(part, pattern) if isinstance(part, str) else (part,)))


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[str | Variable]:
    end = 0
    for found in pattern.finditer(text):
        yield text[end : found.start()]
        yield Variable(next(name for name in found.groups() if name))
        end = found.end()
    yield text[end:]


def _in_leaf(value: Any) -> Any:
    if isinstance(value, str):
        tokens = _of_text(value)
        return value if tokens == (value,) or tokens == () else Leaf(tokens)
    if isinstance(value, Leaf):
        parts = [piece for part in value.tokens for piece in (_of_text(part) if isinstance(part, str) else (part,))]
        return Leaf(joined(parts) or ("",), value.bare)
    return value


def _of_text(text: str) -> Tokens:
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return (Variable(next(name for name in whole.groups() if name)),)
    return joined(_pieces(text, _INSIDE))


def step_name(call: Call) -> str:
    """Return a name for the step that a call becomes."""
    words = [
        word for word in call.words if word.isalpha() and len(word) > 2 and word not in ("api", "rest", "json", "text")
    ]
    return f"{call.method.lower()}_{words[-1]}" if words else f"step_{call.number + 1}"


def without_user(origin: Tokens) -> Tokens:
    """Return an origin without the user and password in it."""
    bare = re.sub(r"^((?:[a-z]+://)?)[^/@]*@", r"\1", start_of(origin))
    return joined([bare, *origin[1:]]) if start_of(origin) else origin


def host_of(origin: Tokens) -> str:
    """Return the host of an origin, as far as it is known."""
    text = "".join(part if isinstance(part, str) else part.value or f"${part.name}" for part in without_user(origin))
    return re.sub(r"^https?://", "", text).rstrip("/").lower()
