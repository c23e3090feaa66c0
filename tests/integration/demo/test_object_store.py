"""The tour's object store, spoken to by Flyte's own storage layer."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from flyte import storage

from tests.support.real_processes import clean_environment, started
from yaml_connector.flyte.files import read_file

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder of the store."""
    command = [sys.executable, "-m", "yaml_connector.demo.objectstore"]
    with started(command, cwd=tmp_path, env=clean_environment(tmp_path), log=tmp_path / "store.log") as store:
        store.wait_for("listening on ")
        monkeypatch.setenv("FLYTE_AWS_ENDPOINT", store.output.split("listening on ")[1].strip())
        for name in ("FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(name, "tour")
        yield "s3://bucket/folder"


async def content_of(uri: str) -> bytes:
    return b"".join([chunk async for chunk in storage.get_stream(uri)])


@pytest.mark.parametrize("size", [0, 5, 12_000_000])
def test_what_is_put_is_read_back_also_in_parts(place: str, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)

    async def there_and_back() -> tuple[bytes, bytes]:
        await storage.put(str(tmp_path / "file"), f"{place}/file")
        await storage.put_stream(content, to_path=f"{place}/streamed")
        return await content_of(f"{place}/file"), await content_of(f"{place}/streamed")

    assert asyncio.run(there_and_back()) == (content, content)


def test_a_range_of_bytes_is_read_alone(place: str) -> None:
    asyncio.run(storage.put_stream(b"0123456789", to_path=f"{place}/digits"))
    url = f"{os.environ['FLYTE_AWS_ENDPOINT']}/{place.removeprefix('s3://')}/digits"
    with urlopen(Request(url, headers={"Range": "bytes=2-4"}), timeout=10) as response:
        assert (response.status, response.headers["Content-Range"]) == (206, "bytes 2-4/10")
        assert response.read() == b"234"


def test_what_is_not_there_is_not_there(place: str) -> None:
    assert asyncio.run(read_file(f"{place}/nothing", 10)) is None
