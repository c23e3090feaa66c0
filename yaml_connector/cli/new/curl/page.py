"""The requests of a page with curl commands: variables followed, bodies read, pipes behind them understood."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from yaml_connector.cli.new.curl.call import Call, name_placeholders
from yaml_connector.cli.new.curl.options import CurlRequest, requests_of
from yaml_connector.cli.new.curl.shell import commands_of
from yaml_connector.cli.new.curl.tokens import (
    Capture,
    Command,
    FilePart,
    Leaf,
    Substitution,
    Tokens,
    Variable,
    Word,
    cookies_of,
    decoded,
    joined,
    plain,
    read_body,
    shown,
    split,
    split_url,
    start_of,
    text_in,
)
from yaml_connector.cli.new.jsonpaths import filtered_path, member
from yaml_connector.cli.new.names import variable_name

_LARGEST_FILE = 2**20
_DEEPEST = 20


@dataclass
class Page:
    """The calls of a page, its variables, and what was not used of it, with lines."""

    calls: list[Call] = field(default_factory=list)
    variables: dict[str, Tokens] = field(default_factory=dict)
    not_used: list[tuple[str, int]] = field(default_factory=list)
    rest: list[tuple[int, str]] = field(default_factory=list)  # lines beside the commands


def read_page(text: str, folder: Path) -> Page:
    """Read a page; `folder` is where the files are that its commands name."""
    page = _Reader(folder).read(text)
    name_placeholders(page.calls)
    return page


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = Page()
        self.files: dict[str, Word] = {}
        self.outputs: dict[str, Tokens] = {}  # of curl commands, by the file that they went to
        self.depth = 0

    def read(self, text: str) -> Page:
        pipelines, skipped = commands_of(text, self.page.rest)
        self.page.not_used += [(f"could not be read as a command: {why}", line) for line, why in skipped]
        for pipeline in pipelines:
            self.run(tuple(pipeline))
        return self.page

    def run(self, pipeline: tuple[Command, ...]) -> Tokens:
        """Follow a pipeline, and return its output: as far as it is known, the captures of an answer."""
        output: Tokens = ()
        if self.depth > _DEEPEST:
            return output
        self.depth += 1
        for command in pipeline:
            output = self.command(command, output)
        self.depth -= 1
        return output

    def command(self, command: Command, given: Tokens) -> Tokens:
        for name, word in command.assignments:
            self.page.variables[name] = self.tokens(word)
        if not command.words:
            return given
        inner = _inside(command)
        if inner is not None:
            for pipeline in inner:
                given = self.run(tuple(pipeline))
            return given
        arguments = [self.tokens(word) if command.name != "curl" else () for word in command.words[1:]]
        if command.name == "curl":
            return self.curl(command, given)
        if command.name == "cat" and len(command.words) == 2 and not given and command.stdin is None:
            name = plain(command.words[1]) or ""
            if name in self.outputs:
                return self.outputs[name]
            text = read_beside(self.folder, name) if name and "token" not in name and "secret" not in name else None
            return (text,) if text is not None else (Variable(_output_name(command)),)
        if command.name == "tee" and given:
            self.outputs |= {plain(word) or "": given for word in command.words[1:]}
        if command.name in ("echo", "printf", "cat", "tee", "write-output"):
            output = command_output(command, arguments, given)
            if command.writes is not None:
                self.files[command.writes] = output if command.stdin is None else command.stdin
            if command.stdin is not None:
                return self.tokens(command.stdin)
            return output
        if command.name == "read" and command.stdin is not None:
            name = plain(command.words[-1]) or ""
            self.page.variables[name] = self.tokens(command.stdin)
        return self.filtered(command, given)

    def filtered(self, command: Command, given: Tokens) -> Tokens:
        """Return the output of jq, grep and the like over an answer."""
        source = next((part.capture for part in given if isinstance(part, Variable) and part.capture), None)
        texts = [plain(word) for word in command.words[1:]]
        for text in texts:
            if source is None and text in self.outputs:
                source = next((part.capture for part in self.outputs[text] if isinstance(part, Variable)), None)
        if source is None:
            return given or (Variable(_output_name(command)),)
        found = filtered_path(
            command.name, [text for text in texts if text and not text.startswith("-")] or [""], source.path
        )
        if found is None:
            return given
        path, sure = found
        call = self.page.calls[source.call]
        capture = Capture(source.call, path, sure and source.sure)
        if call.hint is None or call.hint.path is None:
            call.hint = capture
        return (Variable("answer", None, capture),)

    def curl(self, command: Command, given: Tokens) -> Tokens:
        requests = requests_of(command)
        if not requests:
            self.page.not_used.append(("a curl command without a URL", command.line))
        for request in requests:
            call = self.call(request, given)
            if call is not None:
                self.page.calls.append(call)
        if not self.page.calls:
            return ()
        output = (Variable("answer", None, Capture(len(self.page.calls) - 1)),)
        for file in (command.writes, *(plain(word) for request in requests for _, word in request.all("output"))):
            if file:
                self.outputs[file] = output
        return output

    # --- values ---

    def tokens(self, word: Word, seen: frozenset[str] = frozenset()) -> Tokens:
        """Return the value of a word: text, and the variables that stay."""
        found: list[str | Variable] = []
        for part in word:
            if isinstance(part, str) or (isinstance(part, Variable) and (part.value or part.capture)):
                found.append(part)
            elif isinstance(part, Substitution):
                found += self.run(part.pipeline)
            else:
                found += self.variable(part, seen)
        return joined(found)

    def variable(self, part: Variable, seen: frozenset[str]) -> Tokens:
        name, _, rest = part.name.partition(".")
        value = self.page.variables.get(name)
        if value is None and name.upper() in self.page.variables:
            value = self.page.variables[name.upper()]
        if value is None:
            default = self.tokens(part.default, seen) if part.default is not None else ()
            text = text_in(default) if default and all(isinstance(item, str) for item in default) else None
            return (Variable(part.name, text),)
        if len(value) == 1 and isinstance(value[0], Variable) and value[0].capture is not None:
            capture = value[0].capture
            path = (capture.path or "$") + "".join(member(key) for key in rest.split(".")) if rest else capture.path
            return (Variable(name, None, Capture(capture.call, path, capture.sure)),)
        if all(isinstance(item, str) for item in value):
            return (Variable(name, text_in(value)),)
        is_argument = (
            isinstance(value[0], Variable) and value[0].value is None and re.match(r"ARGS$|ARG\d$", value[0].name)
        )
        return (Variable(name),) if len(value) == 1 and is_argument else value  # NAME=$1

    # --- requests ---

    def call(self, request: CurlRequest, given: Tokens) -> Call | None:
        raw = self.tokens(request.url)
        origin, path, query = split_url(raw)
        if not path and not origin:
            return None
        headers = [self.header(name, self.tokens(word), request) for name, word in request.headers]
        headers = [(name, value) for name, value in headers if name]
        if (bearer := request.last("oauth2-bearer")) is not None:
            headers.append(("Authorization", joined(["Bearer ", *self.tokens(bearer)])))
        user, sigv4 = request.last("user"), request.last("aws-sigv4")
        cookies: list[tuple[str, Tokens]] = []
        for _, word in request.all("cookie"):
            cookies += cookies_of(self.tokens(word))
        for name, value in list(headers):
            if name.lower() == "cookie":
                cookies += cookies_of(value)
        call = Call(
            number=len(self.page.calls),
            line=request.line,
            about=request.about,
            method=request.verb,
            origin=origin,
            path=path,
            query=query,
            headers=[(name, value) for name, value in headers if name.lower() != "cookie"],
            cookies=cookies,
            user=self.tokens(user) if user is not None else None,
            body_kind=None,
            body=None,
            source=request,
            sigv4=plain(sigv4) if sigv4 is not None else None,
        )
        for _, word in request.all("url-query"):
            call.query += self.pairs(self.tokens(word), encode=True)
        self.body(call, request, given)
        return call

    def header(self, name: str, value: Tokens, request: CurlRequest) -> tuple[str, Tokens]:
        """Return a header; one that is in a variable as a whole is taken apart."""
        if name:
            return name, value
        first = value[0] if value else ""
        text = first if isinstance(first, str) else first.value or ""
        name, colon, rest = text.partition(":")
        if not colon:
            request.unknown.append(f"-H ${first.name}" if isinstance(first, Variable) else "-H")
            return "", ()
        return name.strip(), joined([rest.lstrip(), *value[1:]])

    def body(self, call: Call, request: CurlRequest, given: Tokens) -> None:
        if form := request.all("form", "form-string"):
            call.body_kind = "multipart"
            call.body = [pair for kind, word in form for pair in self.part(kind, word)]
            return
        if (upload := request.last("upload-file")) is not None:
            call.body_kind, call.body = "file", FilePart(plain(upload) or "file")
            return
        pieces: list[Tokens] = []
        for kind, word in request.data:
            tokens = self.tokens(word)
            if kind == "data-urlencode":
                pairs = self.pairs(tokens, encode=True)
                if request.has("get"):
                    call.query += pairs
                else:
                    pieces.append(joined([part for name, value in pairs for part in (name + "=", *encoded(value))]))
                continue
            if kind != "data-raw" and start_of(tokens).startswith("@"):
                content = self.file(call, text_in(tokens)[1:] if len(tokens) == 1 else None, request, given)
                if content is None:
                    return
                tokens = content
            if request.has("get"):
                for pair in split(tokens, "&"):
                    call.query += self.pairs(pair, encode=False)
                continue
            pieces.append(tokens)
        if pieces:
            glue = "" if request.has("json") else "&"
            whole: list[str | Variable] = []
            for piece in pieces:
                whole += [glue, *piece] if whole else piece
            call.body_kind, call.body = read_body(joined(whole), shown(call.header("content-type") or ()))

    def file(self, call: Call, name: str | None, request: CurlRequest, given: Tokens) -> Tokens | None:
        """Return the content of a file that a body comes from; None if it is not there: it is an input then."""
        if name == "-" or (name is not None and name.startswith("-")):
            if request.stdin is not None:
                start = plain(request.stdin)
                if start is not None and start.startswith("@"):
                    return self.file(call, start[1:], request, ())
                return self.tokens(request.stdin)
            if given:
                return given
            name = None
        if name is not None and name in self.files:
            return self.tokens(self.files[name])
        if name is not None:
            text = read_beside(self.folder, name)
            if text is not None:
                return (text,)
        call.body_kind, call.body = "file", FilePart(name or "body")
        call.missing.append(name or "the standard input")
        return None

    def part(self, kind: str, word: Word) -> list[tuple[str, Any]]:
        """Return a part of a multipart form."""
        tokens = self.tokens(word)
        name, equals, rest = start_of(tokens).partition("=")
        if not equals:
            return []
        value = joined([rest, *tokens[1:]])
        start = start_of(value)
        if kind == "form-string" or not start.startswith(("@", "<")):
            text, _, content_type = start.partition(";type=")
            if kind != "form-string" and len(value) == 1 and content_type:
                return [(name, {"content": text.strip('"'), "content_type": content_type.split(";")[0]})]
            return [(name, Leaf(value))]
        pieces = shown(value)[1:].split(";")
        options = dict(piece.partition("=")[::2] for piece in pieces[1:])
        path = pieces[0].strip('"')
        if start.startswith("<"):
            content = read_beside(self.folder, path)
            return [(name, Leaf((content,)) if content is not None else FilePart(path))]
        filename = options.get("filename", "").strip('"') or path.replace("\\", "/").rsplit("/", 1)[-1]
        return [(name, FilePart(path, filename, options.get("type")))]

    def pairs(self, tokens: Tokens, *, encode: bool) -> list[tuple[str, Tokens]]:
        """Return a `name=value` as a pair; what is not encoded yet stays as it is, what is, is decoded."""
        first = start_of(tokens)
        name, equals, value = first.partition("=")
        if not equals:
            return [(first, ("",))] if first and len(tokens) == 1 else [("", tokens)]
        rest = joined([value, *tokens[1:]]) or ("",)
        return [(name, rest if encode else decoded(rest))]


def command_output(command: Command, arguments: list[Tokens], given: Tokens) -> Tokens:
    """Return what echo, printf or cat write."""
    if command.name in ("cat", "tee"):
        return given
    texts = [tokens for tokens in arguments if tokens not in (("-n",), ("-e",), ("%s",), ("%s\\n",))]
    words: list[str | Variable] = []
    for tokens in texts:
        words += [" ", *tokens] if words else tokens
    return joined(words)


def _inside(command: Command) -> list[list[Command]] | None:
    """Return the commands that another one runs: `watch curl ...`, `trap 'curl ...' INT`, `bash -c '...'`."""
    if command.name in ("curl", "echo", "printf", "alias", "grep", "which", "apt", "apt-get", "brew"):
        return None
    for number, word in enumerate(command.words):
        text = plain(word)
        if number and text in ("curl", "curl.exe"):
            return [[replace(command, words=command.words[number:])]]
        runs = command.name in ("trap", "watch", "bash", "sh", "eval", "ssh", "zsh")
        if number and runs and re.search(r"\bcurl\s+\S", text or ""):
            return commands_of(text or "")[0]
    return None


def _output_name(command: Command) -> str:
    """Return a name for the output of another program: `$(gcloud auth print-access-token)`, `$(cat token)`."""
    words = [plain(word) or "" for word in command.words]
    text = " ".join(words)
    if re.search(r"(?i)token", text):
        return "ACCESS_TOKEN"
    last = re.sub(r"\W+", "_", words[-1].rpartition("/")[2]).strip("_").upper()
    if re.match(r"[A-Z]", last) and command.name in ("cat", "pass", "printenv"):
        return last
    return variable_name(command.name) or "VALUE"


def read_beside(folder: Path, name: str) -> str | None:
    """Return the text of a file beside the commands; None if there is none, it is large, or it is not text."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            return None
        content = path.read_bytes() if path.stat().st_size <= _LARGEST_FILE else b"\xff"
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def encoded(tokens: Tokens) -> Tokens:
    """Return tokens as a form has them."""
    return tuple(quote_plus(part) if isinstance(part, str) else part for part in tokens)
