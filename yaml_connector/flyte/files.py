"""File inputs, streamed through Flyte's own file layer: never whole in memory.

In a service, a task's author names the file, and the service's rights read it. So `restrict_files` lets the process
read object stores alone, and only below the prefixes that its operator names. A local run reads local files, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from yaml_connector._text import short
from yaml_connector.errors import ConfigError, EvaluationError

PREFIXES_VARIABLE = "YAML_CONNECTOR_FILE_PREFIXES"
_CHUNK = 1024 * 1024
_LONGEST = 2048  # characters of a URI
# What Flyte's file layer reads as object stores. All else it hands to fsspec, which also knows local files and http.
_STORE = re.compile(
    r"(?:(?:s3|gs)://[A-Za-z0-9][A-Za-z0-9._-]*"
    r"|abfss?://[a-z0-9$][a-z0-9-]*(?:@[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+)?)(?:/|\Z)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_AZURE = (".core.windows.net", ".core.usgovcloudapi.net", ".core.chinacloudapi.cn", ".dfs.fabric.microsoft.com")
_allowed: tuple[str, ...] | None = None


def restrict_files(prefixes: str) -> None:
    """Let this process read object stores only, from now on; `prefixes` are separated by commas ("": any place there).

    Raises ConfigError for a prefix that is none.
    """
    global _allowed
    wanted = [prefix.strip() for prefix in prefixes.split(",") if prefix.strip()]
    for prefix in wanted:
        if (wrong := _what_is_wrong(prefix)) is not None:
            raise ConfigError(f"{PREFIXES_VARIABLE}: {short(prefix)} is not a place in an object store: {wrong}")
    _allowed = tuple(prefix.rstrip("/") + "/" for prefix in wanted)


class FlyteFiles:
    """Reads files through Flyte's file layer."""

    async def size(self, uri: str) -> int | None:
        async with _opened(uri) as handle:
            return int(await handle.seek(0, os.SEEK_END))

    async def read(self, uri: str) -> AsyncIterator[bytes]:
        async with _opened(uri) as handle:
            while chunk := await handle.read(_CHUNK):
                yield bytes(chunk)


class MissingFileError(EvaluationError):
    """There is no file at this place."""


async def read_file(uri: str, most: int) -> bytes | None:
    """Return the first bytes of a file, at most so many; None if there is no file. Raises EvaluationError."""
    try:
        async with _opened(uri) as handle:
            content = b""
            while len(content) < most and (chunk := bytes(await handle.read(most - len(content)))):
                content += chunk
            return content
    except MissingFileError:
        return None


@asynccontextmanager
async def _opened(uri: str) -> AsyncIterator[Any]:
    """Open a file. Raises EvaluationError if it cannot be read, also while it is."""
    from flyte.io import File

    check_place(uri)
    try:
        async with File.from_existing_remote(uri).open("rb") as handle:
            yield handle
    except (EvaluationError, GeneratorExit):
        raise
    except Exception as error:  # whatever a store's library raises; its text may hold anything
        name = type(error).__name__
        missing = isinstance(error, FileNotFoundError) or "NotFound" in name
        reason = getattr(error, "strerror", None) or ("it is not there" if missing else f"the store says {name}")
        kind = MissingFileError if missing else EvaluationError
        raise kind(f"the file {uri} cannot be read: {reason}") from None


def check_place(uri: str, what: str = "the file") -> None:
    """Raise EvaluationError if this process may not read a file or folder at this place."""
    if _allowed is None:
        if "\0" in uri:
            raise EvaluationError(f"{what} {short(uri)} cannot be read: its name holds a NUL")
        return
    wrong = _what_is_wrong(uri)
    if wrong is None and _allowed and not (uri.rstrip("/") + "/").startswith(_allowed):
        wrong = f"it is not below one of the places that {PREFIXES_VARIABLE} allows: {', '.join(_allowed)}"
    if wrong is None and not _allowed and "@" in uri.split("/")[2] and not uri.split("/")[2].endswith(_AZURE):
        wrong = f"its account is on another host than Azure's; name it in {PREFIXES_VARIABLE}"
    if wrong is not None:
        raise EvaluationError(f"{what} {uri if uri.isprintable() else short(uri)} cannot be read: {wrong}")


def _what_is_wrong(uri: str) -> str | None:
    """Say why a URI is not one unambiguous place of an object store."""
    if len(uri) > _LONGEST:
        return f"its URI is longer than {_LONGEST} characters"
    if not _STORE.match(uri) or "::" in uri:
        return "a service reads object stores only: s3://bucket/key, gs://bucket/key, abfs://container@account/key"
    if any(name in (".", "..") or "/" in name or _CONTROL.search(name) for name in _names(uri)):
        return "its path has a '..', a '.', a backslash or a control character"
    return None


def _names(uri: str) -> list[str]:
    """Return the parts of its path, as they are after every percent-encoding is undone."""
    names = []
    for name in uri.split("/")[3:]:
        while (plain := unquote(name)) != name:
            name = plain
        names.append(name)
    return names
