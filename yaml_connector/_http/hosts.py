"""Hosts that a request may reach (`allowed_hosts`, `public_hosts`).

A URL is parsed strictly and its host normalised; the URL that is sent is built again from the checked parts.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import quote, urljoin, urlsplit

import idna

from yaml_connector._expressions.budget import consume_reading
from yaml_connector._text import did_you_mean
from yaml_connector.errors import EvaluationError

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 64 * 1024  # characters; servers take less
USUAL_URL = 1024  # characters: a longer one is not remembered
_LONGEST_HOST = 1024  # characters, before it is encoded
_QUOTED = 100  # nanoseconds of a character
_ILLEGAL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# These characters stay as they are in a path and a query; all others are percent-encoded.
_URL_SAFE = "/:@!$&'()*+,;=-._~%?"
_METADATA = frozenset(
    {"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"}
)
# NAT64's well-known and local prefixes, the IPv4-compatible addresses, and the IPv4-translated ones
_HOLD_IPV4_LAST = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))


@dataclass(frozen=True)
class ParsedUrl:
    """A checked URL: `host` is normalised (an IPv6 address without brackets), `rest` is path and query, encoded."""

    scheme: str
    host: str
    port: int
    rest: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @cached_property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def url(self) -> str:
        return self.origin + self.rest


def parse_url(url: str) -> ParsedUrl:
    """Parse a URL; raises EvaluationError unless it is an http(s) URL of one unambiguous host."""
    return _remembered(url) if len(url) <= USUAL_URL else _parse(url)


def _parse(url: str) -> ParsedUrl:
    _check_characters(url)
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise EvaluationError(f"{url!r} is not a valid URL: {error}") from None
    if parts.scheme.lower() not in DEFAULT_PORTS:
        raise EvaluationError(f"{url!r} is not a usable URL: it must start with http:// or https://")
    if "@" in parts.netloc:
        raise EvaluationError("a URL must not contain a user name or password; use auth")
    scheme = parts.scheme.lower()
    host = normal_host(parts.hostname or "")
    path = quote(parts.path, safe=_URL_SAFE.replace("?", "")) or "/"
    query = quote(parts.query, safe=_URL_SAFE)
    return ParsedUrl(scheme, host, port or DEFAULT_PORTS[scheme], path + (f"?{query}" if query else ""))


_remembered = lru_cache(maxsize=4096)(_parse)


def resolve_url(base: str, url: str) -> str:
    """Return an absolute URL for one that may be relative to `base` (`Location`, `nextUri`), and have blanks in it."""
    url = url.strip().replace(" ", "%20")
    _check_characters(url)
    if url.startswith("///") or re.match(r"https?:(?!//[^/?#])", url, re.IGNORECASE):
        raise EvaluationError(f"{url!r} is neither an absolute URL nor a path")
    try:
        return urljoin(base, url)
    except ValueError as error:
        raise EvaluationError(f"{url!r} is not a valid URL: {error}") from None


def _check_characters(url: str) -> None:
    check_length(url)
    if _ILLEGAL.search(url.strip()):
        raise EvaluationError(
            f"{url!r} is not a valid URL: it contains blanks, backslashes, control characters or half a character"
        )


def check_length(url: str) -> None:
    """Raise EvaluationError if a URL is too long."""
    if len(url) > LONGEST_URL:
        raise EvaluationError(f"the URL {url[:80]!r}... has {len(url)} characters, and {LONGEST_URL} are the most")


def quoted(text: str, safe: str = "") -> str:
    """Percent-encode a text for a URL. Raises TurnOver if that takes long."""
    if len(text) > USUAL_URL:
        consume_reading(_QUOTED * len(text))
    return quote(text, safe=safe)


def normal_host(host: str) -> str:
    """Return a host name in lower case, without a trailing dot, IDN encoded; an address in its canonical form.

    Raises EvaluationError for addresses that parsers read differently (`0x7f.1`, `2130706433`, `017700000001`).
    """
    if not host:
        raise EvaluationError("the URL has no host")
    if len(host) > _LONGEST_HOST:
        raise EvaluationError(f"{host[:80]!r}... is not a valid host name: it has {len(host)} characters")
    return _normal_host(host)


@lru_cache(maxsize=4096)
def _normal_host(host: str) -> str:
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise EvaluationError(f"{host!r} is not a valid IPv6 address") from None
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(address)
    name = host.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            raise EvaluationError(f"{host!r} is not a valid host name") from None
    labels = name.split(".")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise EvaluationError(f"{host!r} is not a valid host: write an address as four decimal numbers") from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise EvaluationError(f"{host!r} is not a valid host name")
    return name


@dataclass(frozen=True)
class HostPattern:
    """`api.acme.com`, `*.acme.com` (one or more labels), `acme.com:8443`; only base_url has a `scheme`."""

    host: str
    port: int | None = None
    scheme: str | None = None

    def matches(self, target: ParsedUrl) -> bool:
        if self.port is not None and self.port != target.port:
            return False
        if self.scheme is not None and self.scheme != target.scheme:
            return False
        if self.host.startswith("*."):
            return target.host.endswith(self.host[1:]) and len(target.host) > len(self.host) - 1
        return target.host == self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port is not None else host


def parse_pattern(text: str) -> HostPattern:
    """Parse a host pattern; raises EvaluationError."""
    match = re.fullmatch(r"(\*\.)?(\[[^\]]+\]|[^:/@\s]+)(?::(\d{1,5}))?", text.strip())
    if match is None or "*" in match[2]:
        raise EvaluationError(f"{text!r} is not a valid host pattern; write api.acme.com, *.acme.com or acme.com:8443")
    host = normal_host(match[2].strip("[]"))
    return HostPattern((match[1] or "") + host, int(match[3]) if match[3] else None)


@dataclass(frozen=True)
class HostRules:
    """Which hosts a connection may reach, and which of them with credentials."""

    base: HostPattern
    allowed: tuple[HostPattern, ...] = ()
    public: tuple[HostPattern, ...] = ()

    def check(self, target: ParsedUrl) -> bool:
        """Return whether credentials may go to a URL; raises EvaluationError if no request may."""
        if self.base.matches(target):
            return True
        if any(pattern.matches(target) for pattern in self.allowed):
            if self.base.scheme == "https" and target.scheme == "http" and not self._has_port(target):
                raise EvaluationError(f"{target.origin} is not encrypted, but base_url is; no request was sent")
            return True
        if any(pattern.matches(target) for pattern in self.public):
            return False
        known = [str(pattern) for pattern in (self.base, *self.allowed, *self.public)]
        raise EvaluationError(
            f"the host {target.authority} is not allowed; no request was sent; "
            f"add it to allowed_hosts (or to public_hosts, without credentials)"
            f"{did_you_mean(target.host, known)}"
        )

    def _has_port(self, target: ParsedUrl) -> bool:
        return any(pattern.port == target.port for pattern in self.allowed)


@dataclass(frozen=True)
class Endpoint:
    """Where the requests of one configuration go: `base_url` as it is sent, parsed as `target`."""

    base_url: str
    target: ParsedUrl
    rules: HostRules


FORBIDDEN_ADDRESS = "the name resolves to a link-local or metadata address, which is refused"


def is_forbidden_address(address: str) -> bool:
    """Tell whether an address is one of a cloud's metadata service or of the local link.

    Names that resolve to one are refused; a pattern can still allow such an address itself.
    """
    plain = ipaddress.ip_address(address.split("%")[0])
    forms: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [plain]
    if isinstance(plain, ipaddress.IPv6Address):
        forms += _embedded(plain)
    return any(
        item.is_link_local or item.is_unspecified or item.is_multicast or str(item) in _METADATA for item in forms
    )


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address may lead to: mapped, 6to4, Teredo, NAT64, IPv4-compatible."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _HOLD_IPV4_LAST):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [item for item in found if item is not None]
