"""What a curl command sends: its options as curl reads them, with the variables that are still in the words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from yaml_connector.cli.new.curl.tokens import Command, Word, cut_text, joined, plain, start_of
from yaml_connector.cli.new.names import word_set

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
_DATA = ("data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json")
_MEANINGFUL = word_set(
    """request form form-string user cookie url-query oauth2-bearer aws-sigv4 output upload-file get insecure head
    digest ntlm negotiate netrc netrc-optional cert key cacert pass proxy proxy-user cookie-jar config netrc-file"""
) | {*_DATA}
_LONGEST_SHOWN = 30  # characters; more may be a secret


@dataclass
class CurlRequest:
    """A request as curl sends it: its options in their order, by long name; those without a value have an empty one."""

    line: int
    about: str = ""
    stdin: Word | None = None
    url: Word = ()
    headers: list[tuple[str, Word]] = field(default_factory=list)
    options: list[tuple[str, Word]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def all(self, *names: str) -> list[tuple[str, Word]]:
        """Return the options of these names with their values."""
        return [(name, word) for name, word in self.options if name in names]

    @property
    def data(self) -> list[tuple[str, Word]]:
        """Return the pieces of the body, each with its option."""
        return self.all(*_DATA)

    def last(self, name: str) -> Word | None:
        """Return the value of an option, the last if it is given several times; None if it is not given."""
        return next((word for known, word in reversed(self.options) if known == name), None)

    def has(self, name: str) -> bool:
        """Return whether an option is given."""
        return self.last(name) is not None

    @property
    def verb(self) -> str:
        """Return the method."""
        if (method := self.last("request")) is not None:
            return (plain(method) or "POST").upper()
        if self.has("head"):
            return "HEAD"
        if self.has("upload-file"):
            return "PUT"
        has_body = self.all("form", "form-string") or (self.data and not self.has("get"))
        return "POST" if has_body else "GET"


def requests_of(command: Command) -> list[CurlRequest]:
    """Return the requests of a curl command: `--next` begins another, and so does each further URL."""
    found: list[CurlRequest] = []
    request = CurlRequest(command.line, command.about, stdin=command.stdin)
    urls: list[Word] = []

    def finish() -> None:
        found.extend(replace(request, url=url) for url in urls)
        urls.clear()

    def add(name: str, word: Word) -> None:
        if name == "url":
            urls.append(word)
        elif name == "header":
            _add_header(request, word)
        elif name in _MEANINGFUL:
            request.options.append((name, word))
        elif name not in _MEANINGLESS:
            request.unknown.append(f"--{name}" if len(name) > 1 else f"-{name}")
        for header in ("Content-Type", "Accept") if name == "json" else ():
            if not any(known.lower() == header.lower() for known, _ in request.headers):
                request.headers.append((header, ("application/json",)))

    words = list(command.words[1:])
    while words:
        word = words.pop(0)
        text = start_of(word)
        if text.startswith("--") and len(text) > 2:
            name, equals, _ = text[2:].partition("=")
            name = "insecure" if name == "no-insecure" else name
            is_apart = name in _WITH_VALUE and not equals and words
            value = cut_text(word, len(name) + 3) if equals else words.pop(0) if is_apart else ()
            if name == "next":
                finish()
                request = CurlRequest(command.line, command.about, stdin=command.stdin)
            else:
                add(name, value)
        elif text.startswith("-") and len(text) > 1:
            for index, letter in enumerate(text[1:], 2):
                name = _SHORT.get(letter, letter)
                if name in _WITH_VALUE:
                    value = cut_text(word, index) or (words.pop(0) if words else ())
                    add(name, value)
                    break
                add(name, ())
        elif _looks_like_url(word):
            urls.append(word)
        elif plain(word):
            request.unknown.append(plain(word) or "")
    finish()
    return found


def _add_header(request: CurlRequest, word: Word) -> None:
    """Add a header; one without a value removes it, `Name;` sends it empty, `@file` is not read."""
    first = start_of(word)
    name, colon, _ = first.partition(":")
    if not colon and plain(word) is None:
        request.headers.append(("", word))  # the whole header, or its name, is in a variable
        return
    if not colon:
        if first.endswith(";"):
            request.headers.append((first[:-1], ()))
        elif first:
            request.unknown.append(f"-H {first.split()[0]}" if len(first) <= _LONGEST_SHOWN else "-H")
        return
    value = [part for part in cut_text(word, len(name) + 1) if part]
    for at, strip in (0, str.lstrip), (-1, str.rstrip):
        if value and isinstance(part := value[at], str):
            value[at] = strip(part)
    if value := [part for part in value if part]:
        request.headers.append((name.strip(), joined(value)))


def _looks_like_url(word: Word) -> bool:
    text = plain(word)
    return text is None or "/" in text or "." in text or text.startswith("localhost")
