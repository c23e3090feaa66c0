"""Reads a saved response: a body alone, or what `curl -i` prints, with its heads."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterable

import click
from multidict import CIMultiDict

from yaml_connector._expressions.units import size_text
from yaml_connector._http.messages import Response
from yaml_connector.errors import ConfigError

_LARGEST_HEAD = 256 * 1024  # bytes of one head, as the connector takes
_MOST_HEADS = 100  # redirects and interim responses
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?:[ \t][^\r\n]*)?\r?\n")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:|[ \t]")
_GZIP = b"\x1f\x8b"


def read_file_or_stdin(file: str | None, limit: int) -> bytes:
    """Return what a file, or the standard input (`-`, or no file), holds. Raises ConfigError if it is too long."""
    if file not in (None, "-"):
        with open(file, "rb") as handle:  # an OSError is told by the command line
            content = handle.read(limit + _LARGEST_HEAD + 1)
    elif file is None and sys.stdin.isatty():
        raise click.UsageError("name the FILE of a saved response, or - for the standard input")
    else:
        content = sys.stdin.buffer.read(limit + _LARGEST_HEAD + 1)
    if len(content) > limit + _LARGEST_HEAD:
        raise ConfigError(f"{file or '-'} is longer than max_response, {size_text(limit)}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what PowerShell writes with `>`
        content = content.decode("utf-16", "replace").encode()
    return content


def saved_response(content: bytes, *, status: int | None, headers: Iterable[str], url: str, limit: int) -> Response:
    """Return a saved response. Before the body there may be heads; the last one counts.

    `status` and `headers` (`NAME: VALUE`) replace what a head says; without one, the status is 200. Raises ConfigError
    if the body is longer than `limit` bytes.
    """
    found_status, found, body = _split(content)
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"--header {text!r}: write it as 'NAME: VALUE'")
        found.popall(name.strip(), None)
        found[name.strip()] = value.strip()
    if body.startswith(_GZIP) and "gzip" in found.get("Content-Encoding", "").lower():
        body = _unpacked(body, limit)  # curl prints what came, unless --compressed is given
    if len(body) > limit:
        raise ConfigError(f"the body is longer than max_response, {size_text(limit)}")
    return Response("GET", url, found_status if status is None else status, found, body)


def _split(content: bytes) -> tuple[int, CIMultiDict[str], bytes]:
    """Return status, headers and body; the body is all of it if it has no head."""
    status, headers, position = 200, CIMultiDict[str](), 0
    start = 3 if content.startswith(b"\xef\xbb\xbf") and content[3:8] == b"HTTP/" else 0
    for _ in range(_MOST_HEADS):
        line = _STATUS_LINE.match(content, start)
        head = _head(content, line.end()) if line is not None else None
        if line is None or head is None:
            break
        (headers, start), status = head, int(line[1])
        position = start
    return status, headers, content[position:]


def _head(content: bytes, position: int) -> tuple[CIMultiDict[str], int] | None:
    """Return the headers that begin here, and where the body begins; None if this is not a head."""
    headers, last, end = CIMultiDict[str](), "", min(len(content), position + _LARGEST_HEAD)
    while position < end:
        newline = content.find(b"\n", position, end)
        newline = end if newline < 0 else newline
        line = content[position:newline].removesuffix(b"\r")
        position = newline + 1
        if not line:
            return headers, position
        if not _HEADER.match(line):
            return None
        name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
        if line[:1] in b" \t":  # it goes on with the header before
            if not last:
                return None
            headers[last] = f"{headers[last]} {line.decode('utf-8', 'surrogateescape').strip()}"
        else:
            headers.add(name, value.strip())
            last = name
    return (headers, position) if position > len(content) or position == end == len(content) else None


def _unpacked(body: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(body, limit + 1)
    except zlib.error:
        return body
