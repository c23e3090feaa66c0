"""Reads requests that are large, so that they do not hold up the others.

gRPC hands over bytes, since parsing four megabytes of them can take the event loop a tenth of a second. The parts of a
large one are counted before it is parsed, in another thread, and few are read at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import grpc
from flyteidl2.connector import service_pb2
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from yaml_connector._http.memory import SMALL, NoRoomError, ResponseMemory, Room
from yaml_connector._http.thread import in_thread
from yaml_connector.errors import TransientError
from yaml_connector.flyte.admission import RefusedInputError
from yaml_connector.flyte.routing import drop_inputs_of_container

_MOST_PARTS = 60_000  # of one request; inputs that are admitted have half of it
_MOST = 32 * 2**20  # bytes of all large requests of one kind
_COPIES = 4  # of a request: as it came, as it is parsed, its values, and what is sent of them
_LONGEST_WAIT = 0.8  # seconds; with the call's own deadline less than Flyte waits
_LARGEST_OUTPUTS = 256 * 1024  # bytes that declare them
_LARGEST_IDENTITY = 256 * 1024  # bytes of an attempt's names, labels and annotations
_TYPES_OF_MESSAGES = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP)
_TYPES_OF_BYTES = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_SERVICE = service_pb2.DESCRIPTOR.services_by_name["AsyncConnectorService"]
REQUESTS = {method.name: GetMessageClass(method.input_type) for method in _SERVICE.methods}


def _path(*names: str) -> tuple[int, ...]:
    """Return the numbers of fields inside each other, of a CreateTaskRequest."""
    kind, numbers = CreateTaskRequest.DESCRIPTOR, []
    for name in names:
        numbers.append(kind.fields_by_name[name].number)
        kind = kind.fields_by_name[name].message_type
    return tuple(numbers)


_INPUTS, _IDENTITY = _path("inputs"), _path("task_execution_metadata")
_OUTPUTS = _path("template", "interface", "outputs")
_memories: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[type, ResponseMemory]] = WeakKeyDictionary()


def handlers_of(servicer: Any) -> grpc.GenericRpcHandler:
    """Return the handlers of Flyte's service for a guarded servicer, which get each request as bytes."""
    handlers = {}
    for method in _SERVICE.methods:
        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        write = GetMessageClass(method.output_type).SerializeToString
        handlers[method.name] = make(getattr(servicer, method.name), response_serializer=write)
    return grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers)


class LargeRequest(NamedTuple):
    """A request, parsed. Of a create also the bytes of its inputs, and the room that it takes, until nobody refers to
    that any more."""

    request: Any
    inputs_size: int
    room: Room | None


async def read_large(kind: type[Message], data: bytes) -> LargeRequest:
    """Parse a request.

    Raises RefusedInputError or DecodeError, and TransientError if there is no room.
    """
    room = None
    if len(data) > SMALL:
        memory = _memories.setdefault(asyncio.get_running_loop(), {}).setdefault(kind, ResponseMemory(_MOST))
        try:
            room = await memory.room_for(_COPIES * len(data), _LONGEST_WAIT)
        except NoRoomError:
            raise TransientError(
                "the request was not read: other large requests are being served", may_have_been_processed=False
            ) from None
    request, size = await in_thread(_parse_and_measure, kind, data)
    return LargeRequest(request, size, room if kind is CreateTaskRequest else None)


def _parse_and_measure(kind: type[Message], data: bytes) -> tuple[Any, int]:
    return parse(kind, data), _size_of(_INPUTS, data) if kind is CreateTaskRequest else 0


def parse(kind: type[Message], data: bytes) -> Any:
    """Parse a request of bounded parts. Raises RefusedInputError or DecodeError."""
    try:
        if not _has_many_parts(kind.DESCRIPTOR, data):
            if kind is CreateTaskRequest:
                _check_sizes(data)
            return kind.FromString(data)
        if kind is CreateTaskRequest:
            rest = _without_inputs(data)
            if not _has_many_parts(kind.DESCRIPTOR, rest):
                _check_sizes(rest)
                request = CreateTaskRequest.FromString(rest)
                if drop_inputs_of_container(request):  # it reads them itself
                    return request
    except IndexError:
        raise DecodeError("Error parsing message: it ends too early") from None
    raise RefusedInputError(
        f"the request has more than {_MOST_PARTS} parts; send inputs of many items as one JSON value, or as a file; "
        "nothing was submitted"
    )


def _check_sizes(data: bytes) -> None:
    """Raise RefusedInputError for a create of which parts are too large that nobody looks at in parts."""
    size = _size_of(_OUTPUTS, data)
    if size > _LARGEST_OUTPUTS:
        raise RefusedInputError(f"the task's outputs are declared by {size} bytes, and {_LARGEST_OUTPUTS} are the most")
    size = _size_of(_IDENTITY, data)
    if size > _LARGEST_IDENTITY:
        raise RefusedInputError(
            f"the names, labels and annotations of the task's execution have {size} bytes, and {_LARGEST_IDENTITY} are "
            "the most"
        )


def _size_of(path: tuple[int, ...], data: bytes) -> int:
    """Return the bytes of what is at a path, without parsing it: protobuf's own count writes it all."""
    found = [(0, len(data))]
    for wanted in path:
        found = [(start, end) for part in found for start, end, number, _ in _fields(data, *part) if number == wanted]
    return sum(end - start for start, end in found)


def _has_many_parts(kind: Any, data: bytes) -> bool:
    """Tell whether a message has too many fields, those of the messages in it among them. Raises IndexError if it ends
    too early, DecodeError if it has what messages have not."""
    left = _MOST_PARTS
    waiting = [(_inner(kind), 0, len(data))]
    while waiting:
        inner, at, end = waiting.pop()
        while at < end:
            left -= 1
            if left < 0:
                return True
            tag, length = data[at], data[at + 1]
            if tag < 128 and tag & 7 == 2 and length < 128:  # as most are
                number, at = tag >> 3, at + 2
                is_long = True
            else:
                at, number, wire, length = _field(data, at)
                is_long = wire == 2
            if is_long and number in inner:
                found = inner[number]
                if found is None:
                    left -= length
                elif length:
                    waiting.append((_inner(found), at, at + length))
            at += length
    return False


def _without_inputs(data: bytes) -> bytes:
    parts, before = [], 0
    for _, end, number, _ in _fields(data, 0, len(data)):
        if (number,) != _INPUTS:
            parts.append(data[before:end])
        before = end
    return b"".join(parts)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield where the value of each field begins and ends, its number and kind."""
    while at < end:
        at, number, wire, length = _field(data, at)
        yield at, at + length, number, wire
        at += length


def _field(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Return where the value of the field begins that begins here, its number and kind, and the bytes of the value."""
    tag, at = _varint(data, at)
    wire = tag & 7
    if wire == 2:
        length, at = _varint(data, at)
    elif wire == 0:
        length = _varint(data, at)[1] - at
    elif wire in (1, 5):
        length = 8 if wire == 1 else 4
    else:
        raise DecodeError("Error parsing message: it has a group")
    if at + length > len(data):
        raise IndexError
    return at, tag >> 3, wire, length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 128:
        return value, at + 1
    value &= 127
    for shift in range(7, 70, 7):
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
    raise DecodeError("Error parsing message: it has a number of more than ten bytes")


@cache
def _inner(kind: Any) -> dict[int, Any]:
    """Return the fields of a message that are more than one value, by number: messages, and None for numbers."""
    return {
        field.number: field.message_type if field.type in _TYPES_OF_MESSAGES else None
        for field in kind.fields
        if field.type not in _TYPES_OF_BYTES
    }
