"""What a function's container left in Flyte's storage: `error.pb`, or `outputs.pb`, below the task's output prefix."""

from __future__ import annotations

import asyncio

from flyteidl2.core.execution_pb2 import ContainerError as ErrorMessage
from flyteidl2.core.execution_pb2 import ErrorDocument
from google.protobuf.message import DecodeError

from yaml_connector._jobs.container import ContainerEnd, ContainerFailure
from yaml_connector.errors import EvaluationError
from yaml_connector.flyte.files import read_file

_ERROR, _OUTPUTS = "error.pb", "outputs.pb"
_LARGEST = 2**20  # bytes of an error; Flyte writes a message and a traceback


class FlyteContainerFiles:
    """Reads them through Flyte's storage layer, from the places that this process may read."""

    async def read(self, output_prefix: str, seconds: float) -> ContainerEnd:
        """Return what a container left; at most `seconds` are spent. Raises EvaluationError if that cannot be read."""
        folder = output_prefix.rstrip("/")
        try:
            async with asyncio.timeout(seconds):
                found = await read_file(f"{folder}/{_ERROR}", _LARGEST + 1)
                if found is not None:
                    return ContainerEnd(error=decode_error(found))
                return ContainerEnd(has_outputs=await read_file(f"{folder}/{_OUTPUTS}", 0) is not None)
        except TimeoutError:
            raise EvaluationError(f"the storage did not answer within {seconds:.1f} s: {folder}") from None


def decode_error(data: bytes) -> ContainerFailure:
    """Return the error in a file's first bytes; one that is not as Flyte writes it is an error, too."""
    try:
        if len(data) > _LARGEST:
            raise DecodeError
        error = ErrorDocument.FromString(data).error
    except DecodeError:
        return ContainerFailure(f"the container left an error that cannot be read ({_ERROR})")
    name, text = error.code.strip(), error.message.strip()
    message = text if not name or name in text.partition("\n")[0] else f"{name}: {text}"
    return ContainerFailure(message, recoverable=error.kind == ErrorMessage.RECOVERABLE)
