"""Bodies that are compressed, said to be, or stored as compressed files; and JSON and text in other encodings."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.support.fake_api import job, reply, run, spec_data
from tests.support.sending import Sender
from tests.support.wire import ask, failure, serving
from yaml_connector._http.httpx_transport import HttpxTransport
from yaml_connector._http.messages import Response, TransportError
from yaml_connector._http.unpacking import reader, unpack, without_encoding
from yaml_connector.errors import PermanentError

STATE = b'{"state": "done"}'
RAW_DEFLATE = zlib.compressobj(wbits=-15)
RAW = RAW_DEFLATE.compress(STATE) + RAW_DEFLATE.flush()
GZIP = gzip.compress(STATE, mtime=0)


def answered(headers: dict[str, str], content: bytes, request: Any, *, by_sockets: bool) -> Response:
    """The response to a request, by either transport."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    async def main() -> Response:
        if by_sockets:
            async with serving(handler) as url:
                return await ask(url, request)
        stream = httpx.ByteStream(content)
        transport = HttpxTransport(
            httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=stream))
        )
        return await Sender(transport).send_now(request)

    return run(main())


@pytest.mark.parametrize("by_sockets", [True, False], ids=["aiohttp", "httpx"])
@pytest.mark.parametrize(
    ("encoding", "content", "decode"),
    [
        ("gzip", GZIP, None),
        ("GZIP", GZIP, None),
        ("x-gzip", GZIP, None),
        ("deflate", zlib.compress(STATE), None),
        ("deflate", RAW, None),
        ("gzip, deflate", zlib.compress(GZIP), None),
        ("gzip", GZIP + b"\0" * 9, None),
        ("gzip", gzip.compress(STATE[:5], mtime=0) + gzip.compress(STATE[5:], mtime=0), None),
        # what the header says is not true
        ("gzip", STATE, None),
        ("deflate", STATE, None),
        ("br", STATE, None),
        ("zstd", STATE, None),
        ("gzip, gzip", GZIP, None),
        # nor is it an encoding
        ("utf-8", STATE, None),
        ("identity", STATE, None),
        ("aws-chunked,gzip", GZIP, None),
        ("", STATE, None),
        # a stored file
        ("", GZIP, "gzip"),
        ("gzip", gzip.compress(GZIP, mtime=0), "gzip"),
        ("gzip", GZIP, "gzip"),
        ("", STATE, "gzip"),
    ],
)
def test_a_body_is_unpacked_by_what_it_is(encoding: str, content: bytes, decode: str | None, by_sockets: bool) -> None:
    request = {"path": "/"} if decode is None else {"path": "/", "decode": decode}
    found = answered({"Content-Encoding": encoding} if encoding else {}, content, request, by_sockets=by_sockets)
    assert (found.body, found.size) == ({"state": "done"}, len(STATE))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_file_that_comes_with_an_error_is_not_unpacked(streamed: bool) -> None:
    """A damaged one would make the answer look like one that broke off."""
    answer = httpx.Response(404, content=GZIP[:20])
    logs = {"request": {"path": "/log", "decode": "gzip"}, "format": "text"} | ({} if streamed else {"reverse": True})
    driver = job({"GET /log": lambda request: answer}, logs=logs)
    with pytest.raises(PermanentError, match="answered 404"):
        driver.logs()


def test_a_page_that_is_followed_is_unpacked_as_the_first_one() -> None:
    routes = {
        "GET /jobs/7": reply(content=gzip.compress(b'{"state": "running", "next": "/more"}')),
        "GET /more": reply(content=GZIP),
    }
    section = {**spec_data()["get"], "request": {"path": "/jobs/7", "decode": "gzip"}, "follow": "$.next"}
    assert job(routes, get=section).get().phase == "SUCCEEDED"


def test_a_file_is_not_unpacked_unless_the_request_says_so() -> None:
    assert answered({}, GZIP, "GET /", by_sockets=True).content == GZIP


@pytest.mark.parametrize(
    ("headers", "content", "told"),
    [
        ({"Content-Encoding": "gzip"}, GZIP[:-9], "its gzip content is cut"),
        ({"Content-Encoding": "gzip"}, GZIP[:-8] + b"\0" * 8, "its gzip content is damaged"),
        ({"Content-Encoding": "br"}, b"\x0b\x08\x80\x03", "it is encoded as br, which was not asked for"),
        ({"Content-Encoding": ",".join(["gzip"] * 5)}, GZIP, "it names 5 encodings"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_a_transient_failure(headers: Any, content: bytes, told: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    async def main() -> None:
        async with serving(handler) as url:
            assert told in str(await failure(url))

    run(main())


async def _pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield b""
        yield content[start : start + size]


async def through(content: bytes, encodings: list[str], size: int) -> bytes:
    """A content as it is read after it was packed, and came in pieces of a size."""
    packed = content
    for encoding in encodings:
        packed = gzip.compress(packed) if encoding == "gzip" else zlib.compress(packed)
    read = without_encoding(CIMultiDict({"Content-Encoding": ", ".join(encodings)}), reader(_pieces(packed, size)))
    found = b""
    while piece := await read():
        found += piece
    return found


@given(
    content=st.binary(max_size=300),
    encodings=st.lists(st.sampled_from(["gzip", "deflate"]), max_size=3),
    size=st.integers(1, 400),
)
def test_any_content_comes_out_as_it_went_in_however_it_is_cut(content: bytes, encodings: list[str], size: int) -> None:
    assert run(through(content, encodings, size)) == content


@pytest.mark.parametrize("encodings", [["gzip"], ["deflate"], ["gzip", "deflate", "gzip"]])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("pieces", [1, 5])
def test_a_content_that_fills_the_pieces_of_64_kib_comes_out_whole(
    pieces: int, more: int, encodings: list[str]
) -> None:
    content = b"0" * (65_536 * pieces + more)
    assert run(through(content, encodings, 400)) == content


@given(content=st.binary(max_size=200), start=st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00", GZIP[:20]]))
def test_whatever_a_stored_file_holds_it_is_unpacked_kept_or_refused(content: bytes, start: bytes) -> None:
    try:
        found = run(unpack(start + content, 1000))
    except TransportError:
        assert start
    else:
        assert start or content.startswith(b"\x1f\x8b") or found == content


def test_a_bomb_is_unpacked_up_to_the_most() -> None:
    assert run(unpack(gzip.compress(b"\0" * 10**7), 10**6)) is None


TEXT = '{"name": "Zürich €"}'
LATIN = '{"name": "Zürich"}'


@pytest.mark.parametrize(
    ("charset", "content"),
    [
        (None, TEXT.encode()),
        (None, codecs.BOM_UTF8 + TEXT.encode()),
        ("utf-8", codecs.BOM_UTF8 + TEXT.encode()),
        ("iso-8859-1", LATIN.encode("latin-1")),
        ("ISO-8859-15", TEXT.encode("iso-8859-15")),
        ('"windows-1252"', TEXT.encode("cp1252")),
        ("latin-1", TEXT.encode()),  # not true
        ("utf-16", TEXT.encode("utf-16")),
        ("utf-16", TEXT.encode("utf-16-le")),
        ("utf-16le", TEXT.encode("utf-16-le")),
        ("utf-16le", TEXT.encode("utf-16")),
        ("utf-16be", TEXT.encode("utf-16-be")),
        (None, TEXT.encode("utf-16-be")),
        (None, codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        ("utf-8", TEXT.encode("utf-16")),
        (None, TEXT.encode("utf-32")),
        ("shift_jis", '{"name": "東京"}'.encode("shift_jis")),
        ("iso-2022-jp", '{"name": "東京"}'.encode("iso-2022-jp")),
    ],
)
def test_json_is_read_in_any_encoding_that_it_says_or_shows(charset: str | None, content: bytes) -> None:
    kind = "application/json" + (f"; charset={charset}" if charset else "")
    found = Response("GET", "https://h.test/", 200, CIMultiDict({"Content-Type": kind}), content)
    assert found.body["name"] in ("Zürich €", "Zürich", "東京")
    assert found.is_json


@pytest.mark.parametrize(
    ("charset", "content"),
    [
        ("latin-1", LATIN.encode("latin-1")),
        (None, codecs.BOM_UTF8 + TEXT.encode()),
        ("utf-16", TEXT.encode("utf-16-le")),
        ("utf-16le", codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")),
        ("utf-16be", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        ("utf-8", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        (None, codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le")),
    ],
)
def test_text_has_no_byte_order_mark_whatever_its_charset(charset: str | None, content: bytes) -> None:
    headers = CIMultiDict({"Content-Type": f"text/plain; charset={charset}"} if charset else {})
    found = Response("GET", "https://h.test/", 200, headers, content)
    assert json.loads(found.text)["name"].startswith("Zürich")
