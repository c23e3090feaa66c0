"""Checks of `connection` that need no other section: URLs, hosts, proxy and TLS files as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from yaml_connector._expressions.compile import has_template
from yaml_connector._spec.auth import SignedToken, TokenAuth
from yaml_connector._spec.connection import Connection
from yaml_connector._spec.fields import Path
from yaml_connector._spec.requests import FRAMING
from yaml_connector._text import did_you_mean, short

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"(\*\.)?(\[[0-9A-Fa-f:.]+\]|[^:/@\s*\[\]]+)(?::\d{1,5})?")
_ALGORITHMS = (
    *(f"{family}{bits}" for family in ("RS", "ES", "HS", "PS") for bits in (256, 384, 512)),
    *("ES256K", "EdDSA"),
)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def connection_problems(connection: Connection) -> Iterator[tuple[Path, str]]:
    """Yield the path and the message of each value that no request could use."""
    if (problem := _url_problem(connection.base_url)) is not None:
        yield ("connection", "base_url"), problem
    for name in ("allowed_hosts", "public_hosts"):
        for index, pattern in enumerate(getattr(connection, name) or ()):
            if not has_template(pattern) and not _HOST.fullmatch(pattern.strip()):
                yield ("connection", name, index), _host_problem(pattern)
    if connection.proxy is not None and not has_template(connection.proxy) and not _is_proxy(connection.proxy):
        shape = "http://HOST:PORT, or with https://, socks5:// or socks5h://, or none"
        yield ("connection", "proxy"), f"this is not the URL of a proxy: write {shape}"  # it may hold a password
    yield from header_problems(("connection", "headers"), connection.headers)
    for signed, path in ((connection.auth, ()), (getattr(connection.auth, "jwt", None), ("jwt",))):
        if isinstance(signed, SignedToken) and signed.algorithm not in _ALGORITHMS:
            message = f"{short(signed.algorithm)} is not allowed{did_you_mean(signed.algorithm, _ALGORITHMS)}"
            yield ("connection", "auth", *path, "algorithm"), message
    tls = connection.tls
    if tls.key_file is not None and tls.cert_file is None:
        yield ("connection", "tls", "key_file"), "key_file needs cert_file: the certificate that the key belongs to"


def connection_warnings(connection: Connection, meant: str | None) -> Iterator[tuple[Path, str]]:
    """Yield the path and the message of each value that is probably a mistake; `meant` is the secret that was declared
    for a credential which is written in the file."""
    tls = connection.tls
    if tls.cert_file is not None and tls.key_file is None:
        yield ("connection", "tls", "cert_file"), "without key_file, the private key must be in this file, too"
    if connection.deadline > _FLYTES_DEADLINE:
        yield ("connection", "deadline"), "Flyte gives up a call after 10s, so what takes longer is lost"
    if connection.retry.initial_delay > connection.deadline:
        yield ("connection", "retry"), "the first retry would come after the deadline"
    if connection.timeout > connection.deadline:
        yield ("connection", "timeout"), "one attempt may take longer than the deadline of the whole call"
    yield from _credential_warnings(connection, meant)


_FLYTES_DEADLINE = 10.0  # seconds
_CREDENTIALS = ("token", "password", "value", "client_secret", "secret_access_key", "key")


def literal_credentials(connection: Connection) -> list[str]:
    """Return the fields of `auth` that hold a credential as it is, instead of a template."""
    given = _texts_of(connection.auth)
    if isinstance(connection.auth, TokenAuth) or any(map(has_template, given.values())):
        return []
    return [name for name in _CREDENTIALS if len(given.get(name, "")) > 1]


def _texts_of(auth: Any) -> dict[str, str]:
    fields = () if auth is None else type(auth).model_fields
    return {name: value for name in fields if isinstance(value := getattr(auth, name), str)}


def _credential_warnings(connection: Connection, meant: str | None) -> Iterator[tuple[Path, str]]:
    """Yield what is doubtful about the credentials: written in the file, or sent in two ways."""
    auth = connection.auth
    if auth is None:
        return
    for name in literal_credentials(connection):
        declare = "declare a secret, and " if meant is None else ""
        instead = f'{declare}write {name}: "${{{{ secrets.{meant or "NAME"} }}}}"'
        yield ("connection", "auth", name), f"this is written in the file; {instead}"
    given = _texts_of(auth)
    if given.get("type") == "bearer" and re.match(r"bearer\s", given["token"], re.IGNORECASE):
        yield ("connection", "auth", "token"), "the word Bearer is added to the token; leave it out here"
    names = [str(name) for name in connection.headers] if isinstance(connection.headers, dict) else []
    for name in names:
        if name.lower() in {header.lower() for header in auth.masked_headers("")}:
            yield ("connection", "headers", name), f"auth sends {name}, too; leave one of them out"


def _url_problem(url: str) -> str | None:
    if url.startswith("${{"):
        return None
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"{short(url)} has no scheme; write https://{url.lstrip('/')}, or http:// if the API has no TLS"
    if scheme[1].lower() not in ("http", "https"):
        return f"{short(url)} must start with https:// or http://, not {scheme[0]}"
    if url[scheme.end() :].startswith("/") or not url[scheme.end() :]:
        return f"{short(url)} has no host"
    return None


def _host_problem(pattern: str) -> str:
    text = pattern.strip()
    host = _SCHEME.sub("", text).partition("/")[0]
    if host != text and _HOST.fullmatch(host):
        return f"{short(pattern)} is a URL; write the host alone: {host}"
    return f"{short(pattern)} is not a valid host pattern; write api.acme.com, *.acme.com or acme.com:8443"


def _is_proxy(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return text in ("none", "") or (parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def header_problems(path: Path, headers: Any) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with the names and values of headers that are written in the spec."""
    seen: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, dict) else ():
        first = seen.setdefault(name.lower(), name)
        if _HEADER.fullmatch(name) is None:
            meant = re.sub(r"[\s:]+", "-", name.strip(" :"))
            instead = f"; write {meant}" if _HEADER.fullmatch(meant) else ""
            yield (*path, name), f"{short(name)} is not a valid name of a header{instead}"
        elif first != name:
            yield (*path, name), f"{short(name)} is the same header as {first}: case does not count; leave one out"
        elif name.lower() in FRAMING:
            yield (*path, name), f"{short(name)} is set for each request as its body needs it; leave it out"
        elif isinstance(value, str) and not has_template(value) and re.search(r"[\r\n]", value.strip("\n")):
            yield (*path, name), "the value of a header is one line"
