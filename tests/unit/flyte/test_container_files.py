"""What a container left is read through Flyte's storage layer, as Flyte's own code wrote it, and as anybody could."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flyte._internal.runtime.convert import convert_from_native_to_error
from flyte._internal.runtime.io import upload_error
from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument
from hypothesis import given
from hypothesis import strategies as st

from yaml_connector._jobs.container import ContainerEnd
from yaml_connector.errors import EvaluationError
from yaml_connector.flyte import files
from yaml_connector.flyte.container_files import FlyteContainerFiles, decode_error


def read(folder: Path | str, seconds: float = 4.0) -> ContainerEnd:
    return asyncio.run(FlyteContainerFiles().read(str(folder), seconds))


def leave(folder: Path, error: BaseException) -> None:
    """Write the error as Flyte's entry point writes it."""
    converted = convert_from_native_to_error(error)
    asyncio.run(upload_error(converted.err, str(folder), recoverable=converted.recoverable))


def test_an_error_that_flyte_wrote_is_read_with_its_class_and_text(tmp_path: Path) -> None:
    leave(tmp_path, ValueError("no such column"))
    error = read(tmp_path).error
    assert error is not None
    assert (error.message, error.recoverable) == ("ValueError: no such column", True)


def test_an_error_counts_more_than_outputs(tmp_path: Path) -> None:
    (tmp_path / "outputs.pb").write_bytes(b"")
    assert read(f"{tmp_path}/") == ContainerEnd(has_outputs=True)
    leave(tmp_path, ValueError("x"))
    assert read(tmp_path).error is not None


def test_nothing_is_there(tmp_path: Path) -> None:
    assert read(tmp_path) == ContainerEnd()


@pytest.mark.parametrize("content", [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", bytes(2**20 + 1), b"not protobuf"])
def test_an_error_that_cannot_be_read_is_still_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "error.pb").write_bytes(content)
    error = read(tmp_path).error
    assert error is not None
    assert (error.message, error.recoverable) == ("the container left an error that cannot be read (error.pb)", False)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_and_never_a_traceback(content: bytes) -> None:
    error = decode_error(content)
    assert isinstance(error.message, str)
    error.message.encode()


def test_an_empty_error_is_still_an_error(tmp_path: Path) -> None:
    (tmp_path / "error.pb").write_bytes(b"")
    error = read(tmp_path).error
    assert error is not None
    assert (error.message, error.recoverable) == ("", False)


def test_a_class_that_the_text_names_is_not_said_twice(tmp_path: Path) -> None:
    error = ContainerError(code="ValueError", message="Traceback\nValueError: x", kind=ContainerError.RECOVERABLE)
    (tmp_path / "error.pb").write_bytes(ErrorDocument(error=error).SerializeToString())
    found = read(tmp_path).error
    assert found is not None
    assert found.message == "ValueError: Traceback\nValueError: x"


def test_a_service_reads_only_the_places_that_its_operator_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files, "_allowed", ("s3://team/",))
    for place in (str(tmp_path), "s3://other/run", "s3://team/../other", ""):
        with pytest.raises(EvaluationError, match="cannot be read"):
            read(place)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
def test_storage_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, silent_port: int) -> None:
    monkeypatch.setenv("FLYTE_AWS_ENDPOINT", f"http://127.0.0.1:{silent_port}")
    monkeypatch.setenv("FLYTE_AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("FLYTE_AWS_SECRET_ACCESS_KEY", "s")
    began = time.monotonic()
    with pytest.raises(EvaluationError, match=r"did not answer within 0\.3 s: s3://team/run"):
        read("s3://team/run", 0.3)
    assert time.monotonic() - began < 10  # without a limit it would take minutes
