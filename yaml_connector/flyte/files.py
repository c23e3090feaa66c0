"""File inputs, streamed through Flyte's own file layer: never whole in memory.

In a service, task authors have no right to the files of its host: `restrict_local_files` keeps those that may hold
secrets of the connector (its environment in /proc, mounted secrets, cloud credentials) from being sent as an input.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from yaml_connector.errors import EvaluationError

_CHUNK = 1024 * 1024
_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs")
_SYSTEM = tuple(map(Path, ("/proc", "/sys", "/dev", "/etc", "/run", "/var/run", "/boot")))
_guarded: list[str] | None = None


def restrict_local_files(secret_files: Iterable[str]) -> None:
    """Let this process open object stores and harmless local files only, from now on.

    `secret_files` are the files of the specs' secrets; of a template, every path that starts like it is refused.
    """
    global _guarded
    starts = (text.partition("${{")[0] for text in secret_files)
    _guarded = [*(_guarded or ()), *(os.path.realpath(start) for start in starts if start)]


async def open_file(uri: str) -> AsyncIterator[bytes]:
    """The content of a file, piece by piece; raises EvaluationError if it cannot be read."""
    from flyte.io import File

    if _guarded is not None:
        _check(uri, _guarded)
    try:
        async with File.from_existing_remote(uri).open("rb") as handle:
            while chunk := await handle.read(_CHUNK):
                yield bytes(chunk)
    except OSError as error:
        raise EvaluationError(f"the file {uri} cannot be read: {error.strerror or error}") from None


def _check(uri: str, secret_files: list[str]) -> None:
    scheme, separator, rest = uri.partition("://")
    if separator and scheme in _STORES and "::" not in uri:
        return
    path = rest if separator and scheme == "file" else uri
    if "::" in path or "://" in path:
        raise EvaluationError(f"the file {uri} cannot be read: a file input is in a store ({', '.join(_STORES)})")
    real = Path(os.path.realpath(path))
    home = Path(os.path.realpath(os.path.expanduser("~")))
    hidden = real.is_relative_to(home) and any(part.startswith(".") for part in real.relative_to(home).parts)
    named = {os.path.realpath(value) for value in os.environ.values() if value.startswith("/") and "\0" not in value}
    if (
        hidden
        or str(real) in named
        or any(real.is_relative_to(folder) for folder in _SYSTEM)
        or any(str(real).startswith(start) for start in secret_files)
    ):
        raise EvaluationError(f"the file {uri} is on the connector's host and cannot be a task input")
