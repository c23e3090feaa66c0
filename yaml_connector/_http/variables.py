"""`env` in expressions: the connector's environment, of which only what the spec names can be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from yaml_connector._spec.connection import Connection
from yaml_connector._spec.fields import names_in
from yaml_connector._text import closest, short_name


class Variables(Mapping[str, str]):
    """The variables of an environment. Any can be read by its name; listed are those that the spec names."""

    def __init__(self, environment: Mapping[str, str], spec: Connection) -> None:
        self._environment = environment
        self._spec = spec

    def __getitem__(self, name: str) -> str:
        return self._environment[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._named() if name in self._environment)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _named(self) -> list[str]:
        return sorted({str(name[1]) for name in names_in(self._spec) if name[0] == "env" and len(name) > 1})

    def explain_missing(self, name: str) -> str:
        """Say that a variable is not set: with those that the spec names, and the closest that is set. A name that the
        spec does not write itself (a computed one) is compared with the spec's alone."""
        named = self._named()
        guess = closest(name, self._environment if name in named else self)
        meant = f"did you mean {short_name(guess)}? " if guess else ""
        return (
            f"the variable '{short_name(name)}' is not set in the connector's environment; {meant}"
            f"this spec uses: {', '.join(map(short_name, named)) or 'none by name'}"
        )
