"""Which secrets of a spec are sensitive: they are masked, and no output may hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yaml_connector._spec.fields import Model, names_in
from yaml_connector._spec.sections import ConnectorSpec

SHORTEST_HELD = 8  # characters of a secret that an output may not hold
_IDENTIFIERS = frozenset({"username", "client_id", "access_key_id", "key_id"})  # fields of `auth`


def sensitive_secrets(spec: ConnectorSpec) -> frozenset[str]:
    """Return the names of the sensitive secrets: those that say so, and those that say nothing and are more than the
    name of an account in `auth`."""
    if not spec.secrets:
        return frozenset()
    auth = spec.connection.auth
    used = _names(spec)
    if auth is not None:
        connection = spec.connection.model_copy(update={"auth": _without_identifiers(auth)})
        elsewhere = _names(spec.model_copy(update={"connection": connection}))
    else:
        elsewhere = used
    return frozenset(
        name
        for name, secret in spec.secrets.items()
        if (secret.sensitive if secret.sensitive is not None else name not in used or name in elsewhere)
    )


def sensitive_values(spec: ConnectorSpec, values: Mapping[str, str | None]) -> dict[str, str]:
    """Return those of the values of secrets that are sensitive, as they are used."""
    names = sensitive_secrets(spec)
    return {name: one_value(value) for name, value in values.items() if value and name in names}


def one_value(text: str) -> str:
    """Return the value of a secret, without one line break at its end: files and stores add it."""
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text


def _names(spec: ConnectorSpec) -> set[str]:
    """Return the names of the secrets that a spec uses; all of them if it uses them as a whole."""
    found: set[str] = set()
    for name in names_in(spec):
        if name[0] == "secrets":
            found |= {str(name[1])} if len(name) > 1 else set(spec.secrets)
    return found


def _without_identifiers(model: Any) -> Any:
    given = {name: getattr(model, name) for name in model.model_fields_set}
    update = {
        name: None if name in _IDENTIFIERS else _without_identifiers(value)
        for name, value in given.items()
        if name in _IDENTIFIERS or (isinstance(value, Model) and name == "jwt")
    }
    return model.model_copy(update=update)
