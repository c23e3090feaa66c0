"""Drafts a spec from an OpenAPI 3 document.

`document` reads it, `calls` finds the calls of a job, and `states`, `credentials` and `proposal` guess the rest.
"""

from __future__ import annotations

from yaml_connector.cli.new.draft import Draft
from yaml_connector.cli.new.openapi.calls import find_calls
from yaml_connector.cli.new.openapi.document import Document
from yaml_connector.cli.new.openapi.proposal import draft_from
from yaml_connector.cli.new.sketch import Unused


def draft_of(content: bytes, file: str, name: str | None, create: str | None = None, get: str | None = None) -> Draft:
    """Return the draft; `create` and `get` (`POST /jobs`, `GET /jobs/{id}`) name calls that are not to be guessed.

    Raises ConfigError if it is not an OpenAPI 3 document, lacks these calls, or has no call that may submit a job.
    """
    document = Document.read(content, file)
    chosen, others = find_calls(document, create, get)
    draft = draft_from(chosen, others, name)
    told = "the reference to {}: there is no such file in the folder of the document, and nothing is fetched"
    draft.not_used = [Unused(told.format(name), file, 1) for name in sorted(document.not_read)]
    return draft
