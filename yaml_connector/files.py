"""File inputs, streamed through Flyte's own file layer: never whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from yaml_connector.errors import ValueProblem

_CHUNK = 1024 * 1024


async def open_file(uri: str) -> AsyncIterator[bytes]:
    """The content of a file, piece by piece; raises ValueProblem if it cannot be read."""
    from flyte.io import File

    try:
        async with File.from_existing_remote(uri).open("rb") as handle:
            while chunk := await handle.read(_CHUNK):
                yield bytes(chunk)
    except OSError as error:
        raise ValueProblem(f"the file {uri} cannot be read: {error.strerror or error}") from None
