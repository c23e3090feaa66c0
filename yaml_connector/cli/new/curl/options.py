"""What a curl command sends: its options as curl reads them, with the variables that are still in the words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from yaml_connector.cli.new.curl.words import Command, Literal, Substitution, Variable, Word, plain
from yaml_connector.cli.new.words import word_set

# Options that mean something here, by their long name; the short ones as curl has them.
_SHORT = {
    "X": "request", "H": "header", "d": "data", "F": "form", "u": "user", "G": "get", "b": "cookie", "k": "insecure",
    "L": "location", "E": "cert", "I": "head", "T": "upload-file", "A": "user-agent", "e": "referer", "o": "output",
    "w": "write-out", "s": "silent", "S": "show-error", "v": "verbose", "f": "fail", "i": "include", "g": "globoff",
    "x": "proxy", "m": "max-time", "c": "cookie-jar", "K": "config", "D": "dump-header", "n": "netrc", "r": "range",
    "C": "continue-at", "P": "ftp-port", "Q": "quote", "U": "proxy-user", "Y": "speed-limit", "t": "telnet-option",
    "y": "speed-time", "z": "time-cond", "h": "help",
}  # fmt: skip
_WITH_VALUE = word_set(
    """request header data data-raw data-binary data-ascii data-urlencode json form form-string user cookie url
    url-query cert key cacert capath cert-type key-type pass upload-file user-agent referer output write-out proxy
    max-time cookie-jar config dump-header range continue-at ftp-port quote proxy-user speed-limit speed-time
    time-cond connect-timeout retry retry-delay retry-max-time max-redirs limit-rate resolve connect-to interface
    local-port proto proto-default proto-redir ciphers tls13-ciphers tls-max oauth2-bearer aws-sigv4 netrc-file
    noproxy unix-socket abstract-unix-socket dns-servers doh-url max-filesize output-dir stderr trace trace-ascii
    keepalive-time request-target rate happy-eyeballs-timeout-ms expect100-timeout socks4 socks4a socks5
    socks5-hostname proxy-header preproxy crlfile pinnedpubkey engine delegation hsts alt-svc etag-compare
    etag-save login-options service-name telnet-option curves random-file krb variable"""
)
_MEANINGLESS = word_set(
    """location location-trusted compressed write-out silent show-error verbose fail fail-with-body fail-early
    include no-progress-meter progress-bar globoff max-time connect-timeout retry retry-delay retry-max-time
    retry-connrefused retry-all-errors max-redirs dump-header http1.0 http1.1 http2 http2-prior-knowledge http3
    remote-name remote-header-name create-dirs output-dir tcp-nodelay tcp-fastopen keepalive-time no-keepalive
    no-buffer ipv4 ipv6 parallel parallel-immediate ssl-no-revoke ssl-reqd tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3
    path-as-is trace trace-ascii trace-time stderr limit-rate user-agent referer styled-output no-styled-output
    raw alpn no-alpn no-npn noproxy tr-encoding post301 post302 post303 cert-type key-type 4 6 0 1 2 3 N O J j R q
    # anyauth basic no-sessionid disable"""
)
_FLAGS = word_set("""get insecure head digest ntlm negotiate netrc netrc-optional next""")

_LONGEST_SHOWN = 30  # characters; more may be a secret
_DATA = ("data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json")


@dataclass(frozen=True)
class Item:
    """A piece of a body: the kind of the option, and its word."""

    kind: str
    word: Word


@dataclass
class CurlRequest:
    """A request as curl sends it. `options` are those that another place must know: cert, key, proxy ..."""

    line: int
    about: str = ""
    url: Word = ()
    method: str | None = None
    headers: list[tuple[str, Word]] = field(default_factory=list)
    data: list[Item] = field(default_factory=list)
    form: list[Item] = field(default_factory=list)
    queries: list[Word] = field(default_factory=list)
    cookies: list[Word] = field(default_factory=list)
    user: Word | None = None
    bearer: Word | None = None
    sigv4: Word | None = None
    flags: set[str] = field(default_factory=set)
    options: dict[str, Word] = field(default_factory=dict)
    upload: Word | None = None
    output: Word | None = None
    stdin: Word | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def verb(self) -> str:
        """Return the method."""
        if self.method:
            return self.method.upper()
        if "head" in self.flags:
            return "HEAD"
        if self.upload is not None:
            return "PUT"
        has_body = self.form or (self.data and "get" not in self.flags)
        return "POST" if has_body else "GET"

    def header(self, name: str) -> Word | None:
        """Return the value of a header."""
        return next((word for known, word in self.headers if known.lower() == name.lower()), None)


def requests_of(command: Command) -> list[CurlRequest]:
    """Return the requests of a curl command: `--next` begins another, and so does each further URL."""
    found: list[CurlRequest] = []
    request = CurlRequest(command.line, command.about, stdin=command.stdin)
    urls: list[Word] = []

    def finish() -> None:
        found.extend(replace(request, url=url) for url in urls)
        urls.clear()

    words = list(command.words[1:])
    while words:
        word = words.pop(0)
        text = _start(word)
        if text.startswith("--") and len(text) > 2:
            name, equals, _ = text[2:].partition("=")
            value: Word | None = _cut(word, len(name) + 3) if equals else None
            name = "insecure" if name == "no-insecure" else name
            if name in _WITH_VALUE and value is None:
                value = words.pop(0) if words else ()
            if name == "next":
                finish()
                request = CurlRequest(command.line, command.about, stdin=command.stdin)
            else:
                _set(request, urls, name, value)
        elif text.startswith("-") and len(text) > 1:
            for index, letter in enumerate(text[1:], 2):
                name = _SHORT.get(letter, letter)
                if name in _WITH_VALUE:
                    value = _cut(word, index) or (words.pop(0) if words else ())
                    _set(request, urls, name, value)
                    break
                _set(request, urls, name, None)
        elif _looks_like_url(word):
            urls.append(word)
        elif plain(word):
            request.unknown.append(plain(word) or "")
    finish()
    return found


def _set(request: CurlRequest, urls: list[Word], name: str, value: Word | None) -> None:
    word = value or ()
    if name == "request":
        request.method = plain(word) or "POST"
    elif name == "url":
        urls.append(word)
    elif name == "header":
        _add_header(request, word)
    elif name in _DATA:
        request.data.append(Item(name, word))
        if name == "json":
            for header in ("Content-Type", "Accept"):
                if request.header(header) is None:
                    request.headers.append((header, (Literal("application/json"),)))
    elif name in ("form", "form-string"):
        request.form.append(Item(name, word))
    elif name == "url-query":
        request.queries.append(word)
    elif name == "cookie":
        request.cookies.append(word)
    elif name == "user":
        request.user = word
    elif name == "oauth2-bearer":
        request.bearer = word
    elif name == "aws-sigv4":
        request.sigv4 = word
    elif name == "output":
        request.output = word
    elif name == "upload-file":
        request.upload = word
    elif name in _FLAGS:
        request.flags.add(name)
    elif name in ("cert", "key", "cacert", "pass", "proxy", "proxy-user", "cookie-jar", "config", "netrc-file"):
        request.options[name] = word
    elif name not in _MEANINGLESS:
        request.unknown.append(f"--{name}" if len(name) > 1 else f"-{name}")


def _add_header(request: CurlRequest, word: Word) -> None:
    """Add a header; one without a value removes it, `Name;` sends it empty, `@file` is not read."""
    first = _start(word)
    name, colon, _ = first.partition(":")
    if not colon and any(isinstance(part, Variable | Substitution) for part in word):
        request.headers.append(("", word))  # the whole header, or its name, is in a variable
        return
    if not colon:
        if first.endswith(";"):
            request.headers.append((first[:-1], (Literal(""),)))
        elif first:
            request.unknown.append(f"-H {first.split()[0]}" if len(first) <= _LONGEST_SHOWN else "-H")
        return
    value = _stripped(_cut(word, len(name) + 1))
    if value and (value != (Literal(""),)):
        request.headers.append((name.strip(), value))


def _stripped(word: Word) -> Word:
    parts = list(word)
    if parts and isinstance(parts[0], Literal):
        parts[0] = Literal(parts[0].text.lstrip())
    if parts and isinstance(parts[-1], Literal):
        parts[-1] = Literal(parts[-1].text.rstrip())
    return tuple(part for part in parts if part != Literal(""))


def _start(word: Word) -> str:
    return word[0].text if word and isinstance(word[0], Literal) else ""


def _cut(word: Word, count: int) -> Word:
    """Return a word without its first characters, which are text."""
    first = word[0]
    assert isinstance(first, Literal)
    rest = first.text[count:]
    return ((Literal(rest),) if rest else ()) + tuple(word[1:])


def _looks_like_url(word: Word) -> bool:
    if any(isinstance(part, Variable) for part in word):
        return True
    text = plain(word)
    return text is None or "/" in text or "." in text or text.startswith("localhost")
