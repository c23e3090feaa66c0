"""File inputs, opened for streaming."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Protocol

from yaml_connector.errors import EvaluationError

_CHUNK = 64 * 1024


class Files(Protocol):
    """Reads file inputs. Both methods raise EvaluationError if the file cannot be read."""

    async def size(self, uri: str) -> int | None:
        """Return the size in bytes; None if only reading tells it."""

    def read(self, uri: str) -> AsyncIterator[bytes]:
        """Yield the content, piece by piece."""


class NoFiles:
    """Refuses every file."""

    async def size(self, uri: str) -> int | None:
        raise EvaluationError(f"the file {uri} cannot be read here")

    async def read(self, uri: str) -> AsyncIterator[bytes]:
        raise EvaluationError(f"the file {uri} cannot be read here")
        yield b""


class LocalFiles:
    """Reads files of this machine; `folder` is where relative paths start (default: the current directory)."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder

    def _path(self, uri: str) -> str:
        path = os.path.join(self._folder, uri.removeprefix("file://"))
        if "://" in path:
            raise EvaluationError(f"the file {uri} cannot be read here: only local files can be read")
        return path

    async def size(self, uri: str) -> int | None:
        try:
            return os.stat(self._path(uri)).st_size
        except OSError as error:
            raise EvaluationError(f"the file {uri} cannot be read: {error.strerror}") from None

    async def read(self, uri: str) -> AsyncIterator[bytes]:
        try:
            with open(self._path(uri), "rb") as handle:  # noqa: ASYNC230 - a local file, and no service waits
                while chunk := handle.read(_CHUNK):
                    yield chunk
        except OSError as error:
            raise EvaluationError(f"the file {uri} cannot be read: {error.strerror}") from None


NO_FILES = NoFiles()


class StreamedBody:
    """A body of bytes and files, one after the other. It is read anew for each attempt.

    `pieces` are bytes, or the URIs of files.
    """

    def __init__(self, pieces: list[bytes | str], files: Files) -> None:
        self._pieces = pieces
        self._files = files
        self._sizes: list[int | None] | None = None

    async def size(self) -> int | None:
        """Return the size in bytes; None if it is not known. Raises EvaluationError if a file cannot be read."""
        if self._sizes is None:
            self._sizes = [
                len(piece) if isinstance(piece, bytes) else await self._files.size(piece) for piece in self._pieces
            ]
        return None if None in self._sizes else sum(size or 0 for size in self._sizes)

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the content, piece by piece. Raises EvaluationError if a file cannot be read, or has another size than
        was said: a body that is shorter than its Content-Length would never end."""
        for piece, size in zip(self._pieces, self._sizes or [None] * len(self._pieces), strict=True):
            if isinstance(piece, bytes):
                yield piece
                continue
            count = 0
            async for chunk in self._files.read(piece):
                count += len(chunk)
                if size is not None and count > size:
                    break
                yield chunk
            if size is not None and count != size:
                raise EvaluationError(f"the file {piece} changed while it was sent")
