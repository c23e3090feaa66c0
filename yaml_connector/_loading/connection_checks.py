"""Checks of `connection` that need no other section: URLs, hosts, proxy and TLS files as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from yaml_connector._expressions.compile import has_template
from yaml_connector._spec.connection import Connection
from yaml_connector._spec.fields import Path
from yaml_connector._text import short

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"(\*\.)?(\[[0-9A-Fa-f:.]+\]|[^:/@\s*\[\]]+)(?::\d{1,5})?")
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
    tls = connection.tls
    if tls.key_file is not None and tls.cert_file is None:
        yield ("connection", "tls", "key_file"), "key_file needs cert_file: the certificate that the key belongs to"


def connection_warnings(connection: Connection) -> Iterator[tuple[Path, str]]:
    """Yield the path and the message of each value that is probably a mistake."""
    tls = connection.tls
    if tls.cert_file is not None and tls.key_file is None:
        yield ("connection", "tls", "cert_file"), "without key_file, the private key must be in this file, too"


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
