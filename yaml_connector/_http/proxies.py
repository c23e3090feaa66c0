"""Which proxy a request goes through: the spec's, else the one that the environment names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

from yaml_connector._expressions.compile import compile_text, if_given
from yaml_connector._expressions.scope import Scope
from yaml_connector.errors import EvaluationError

_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
_SHAPE = (
    "http://HOST:PORT, or with https://, socks5:// or socks5h://; "
    "a user name and a password before it are percent-encoded (`| quote`)"
)
_SCHEMES = ("http", "https", "socks5", "socks5h")


class Proxies:
    """The proxies of one connection.

    `spec` is the field `proxy`: a URL, `none`, or None for what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the
    environment say, in upper or lower case. `seen` is what a template in it sees as `env`. `some` tells whether there
    can be a proxy at all, `may_be_socks` whether one of them speaks SOCKS, `of_spec` whether the spec decides it.
    `passwords` are those in their URLs: a proxy may echo them.
    """

    def __init__(self, spec: str | None, environment: Mapping[str, str], seen: Mapping[str, str]) -> None:
        self._spec = if_given(compile_text, spec)
        self.of_spec = spec is not None
        self._environment = environment
        self._seen = seen
        named: list[Any] = list(map(environment.get, _VARIABLES))
        if self._spec is not None:
            with suppress(EvaluationError):  # each call says then what is wrong
                named = [self._spec.evaluate(Scope(env=seen))]
        self.some = self.of_spec or any(named)
        self.passwords = frozenset(filter(None, (_password(str(name or "")) for name in named)))
        self.may_be_socks = any(str(name).startswith("socks") for name in named)

    def of(self, url: str) -> str | None:
        """Return the URL of the proxy for a request; None for a direct connection. Raises EvaluationError."""
        if self._spec is not None:
            value = self._spec.evaluate(Scope(env=self._seen))
            return None if value in (None, "", "none") else checked_proxy(str(value), "connection.proxy")
        target = urlsplit(url)
        name = f"{target.scheme}_proxy"
        proxy = self._environment.get(name) or self._environment.get(name.upper())
        if not proxy:
            return None
        excluded = self._environment.get("no_proxy") or self._environment.get("NO_PROXY") or ""
        if _is_excluded(target.hostname or "", target.netloc.rpartition("@")[2], excluded):
            return None
        return checked_proxy(proxy if "://" in proxy else f"http://{proxy}", f"the variable {name.upper()}")


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url if "://" in url else f"http://{url}").password or "")
    except ValueError:
        return ""


def _is_excluded(host: str, authority: str, excluded: str) -> bool:
    """Tell whether `NO_PROXY` holds a host: names count with all names below them (with or without a dot or `*.` in
    front), `NAME:PORT` for one port, addresses and networks as they are, `*` is every host. This machine is always
    excluded, as in Go's HTTP client: no proxy can reach its loopback addresses."""
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return True
    if host == "localhost":
        return True
    for entry in excluded.lower().replace(",", " ").split():
        name = entry.removeprefix("*").removeprefix(".")
        if entry == "*" or authority == name or host == name or (name and host.endswith(f".{name}")):
            return True
        with suppress(ValueError):
            if ip_address(host) in ip_network(name, strict=False):
                return True
    return False


@lru_cache(maxsize=64)
def checked_proxy(url: str, where: str) -> str:
    """Return a proxy's URL; raises EvaluationError, which does not quote it (it may hold a password)."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise EvaluationError(f"{where} is not the URL of a proxy: write {_SHAPE}")
    return url
