"""File inputs, opened for streaming."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Protocol

from yaml_connector.errors import EvaluationError

_CHUNK = 64 * 1024


class Files(Protocol):
    """Opens a file input."""

    def __call__(self, uri: str) -> AsyncIterator[bytes]:
        """Yield the content, piece by piece; raises EvaluationError if the file cannot be read."""


def no_files(uri: str) -> AsyncIterator[bytes]:
    """Refuse every file."""
    raise EvaluationError(f"the file {uri} cannot be read here")


def local_files(folder: str = "") -> Files:
    """Open files of this machine; `folder` is where relative paths start (default: the current directory)."""

    async def open_file(uri: str) -> AsyncIterator[bytes]:
        path = os.path.join(folder, uri.removeprefix("file://"))
        if "://" in path:
            raise EvaluationError(f"the file {uri} cannot be read here: only local files can be read")
        try:
            with open(path, "rb") as handle:  # noqa: ASYNC230 - a local file, and no service waits
                while chunk := handle.read(_CHUNK):
                    yield chunk
        except OSError as error:
            raise EvaluationError(f"the file {uri} cannot be read: {error.strerror}") from None

    return open_file
