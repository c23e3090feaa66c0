"""A draft of a spec from an OpenAPI 3 document: `document` reads it, `calls` finds a job's life in it, `states`,
`credentials` and `proposal` say what the rest may be."""

from __future__ import annotations

from yaml_connector.cli.new.draft import Draft
from yaml_connector.cli.new.openapi.calls import find_calls
from yaml_connector.cli.new.openapi.document import Document
from yaml_connector.cli.new.openapi.proposal import draft_from


def draft_of(content: bytes, file: str, name: str | None, create: str | None = None, get: str | None = None) -> Draft:
    """The draft; `create` and `get` (`POST /jobs`, `GET /jobs/{id}`) say which calls are meant, else they are found.

    Raises ConfigError if the document is none, lacks these calls, or has no call that could submit a job.
    """
    document = Document.read(content, file)
    chosen, others = find_calls(document, create, get)
    return draft_from(document, chosen, others, name)
