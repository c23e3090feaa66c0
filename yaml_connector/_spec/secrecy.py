"""Which secrets of a spec are sensitive: they are masked, and no output may hold them."""

from __future__ import annotations

from collections.abc import Mapping, Set

from yaml_connector._expressions.compile import compile_field
from yaml_connector._spec.fields import Path, slots
from yaml_connector._spec.spec import ConnectorSpec

SHORTEST_HELD = 8  # characters of a secret that an output may not hold
_IDENTIFIERS = frozenset({"username", "client_id", "access_key_id", "key_id"})  # fields of `auth`
_AUTH: tuple[Path, ...] = (("connection", "auth"), ("connection", "auth", "jwt"))


def sensitive_secrets(spec: ConnectorSpec) -> frozenset[str]:
    """Return the names of the sensitive secrets: those that say so, and those that say nothing and are more than the
    name of an account in `auth`."""
    if not spec.secrets:
        return frozenset()
    used, elsewhere = set[str](), set[str]()  # the latter: not only as the name of an account
    for path, mark, value in slots(spec):
        for name in compile_field(mark.kind, value).names if mark is not None else ():
            if name[0] == "secrets":
                names = {str(name[1])} if len(name) > 1 else set(spec.secrets)  # or all of them, as a whole
                used |= names
                if not (path[-1] in _IDENTIFIERS and path[:-1] in _AUTH):
                    elsewhere |= names
    return frozenset(
        name
        for name, secret in spec.secrets.items()
        if (secret.sensitive if secret.sensitive is not None else name not in used or name in elsewhere)
    )


def sensitive_values(names: Set[str], values: Mapping[str, str | None]) -> dict[str, str]:
    """Return the values of the sensitive secrets, whose names are given, as they are used."""
    return {name: one_value(value) for name, value in values.items() if value and name in names}


def one_value(text: str) -> str:
    """Return the value of a secret, without one line break at its end: files and stores add it."""
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text
