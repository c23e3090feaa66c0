"""Every field of the language, as `explain` documents it."""

from __future__ import annotations

from collections.abc import Iterator

from yaml_connector.cli.explain.fields import Field, field_of


def every_field(*, tests: bool = False) -> Iterator[Field]:
    """Yield every field of specs, or of contract tests, in the order of the schema, each definition once."""
    seen: set[str] = set()

    def walk(field: Field) -> Iterator[Field]:
        for below in field.below:
            whole = field_of(below.path, tests=tests)
            yield whole
            if whole.below and whole.about not in seen:
                seen.add(whole.about)
                yield from walk(whole)

    yield from walk(field_of("", tests=tests))
