"""What the fuzzer of a service sends: each case is made from its number."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

from flyteidl2.connector import connector_pb2
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.integration.attack import hostile_specs
from tests.integration.attack.secrets_planted import SIGNING_KEY
from tests.integration.attack.values import FILE, JSON, STRING, file_of, json_input, string
from tests.integration.fuzz import mutate
from yaml_connector._jobs.signing import Signer
from yaml_connector._jobs.snapshot import snapshot_spec
from yaml_connector.flyte.service_client import attempt_of

CALLS = {name: f"/flyteidl2.connector.AsyncConnectorService/{name}" for name in ("CreateTask", "GetTask", "DeleteTask")}


SHARES = {"meta": 5, "token": 2, "template": 4, "message": 2, "raw": 1}
TYPES = tuple(hostile_specs.SPECS)
# Names of jobs whose backend answers soon: what is slow is the attack's business.
QUICK = (
    "quiet-1",
    "items-2",
    "levels-1",
    "nan-1",
    "infinite-1",
    "digits-4",
    "halves-1",
    "keys-1",
    "x",
    "",
    "é💥",
    "a/b",
    "..",
)
_SIGNER = Signer((SIGNING_KEY.encode(),))


@dataclass
class Sent:
    """One case: the call, and the bytes of its message."""

    call: str
    data: bytes


def _seed_meta(random: Random, task_type: str) -> dict[str, Any]:
    return {
        "v": 2,
        "task_type": task_type,
        "id": random.choice(QUICK),
        "created_at": random.choice((1.0, time.time() - 5, 1e12)),
        "name": f"n{random.getrandbits(20)}",
        "digest": "0123456789abcdef",
        "config": {"n": 1, "text": "a"},
        "inputs": {"name": "x"},
        "saved": {"more": "x"},
        "asked": ["inputs.name"],
        "outputs": [["result", "any"], ["o", "list[str]"]],
    }


def _kept(random: Random, task_type: str) -> bytes:
    """What Flyte may hand back: changed, or cut, and often signed after that."""
    meta = _seed_meta(random, task_type)
    if random.random() < 0.4:
        spec = {**hostile_specs.BASE, **hostile_specs.SPECS[task_type]}
        sections = {name: spec[name] for name in ("get", "outputs", "delete", "logs") if name in spec}
        meta["snapshot"] = snapshot_spec(mutate.mutated_data(random, [sections]))
    if random.random() < 0.8:
        meta = mutate.mutated_data(random, [meta])
    data = _json(meta)
    if random.random() < 0.2:
        data = mutate.mutated_bytes(random, [data])
    how = random.random()
    if how < 0.6 and data.endswith(b"}"):
        body = data[:-1]
        data = body + b',"sig":"' + _SIGNER.sign(body) + b'"}'
    if how < 0.1:
        data = mutate.mutated_bytes(random, [data])
    return data


def _json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _category(random: Random) -> connector_pb2.TaskCategory:
    name = random.choice(TYPES) if random.random() < 0.97 else mutate.joined(random, mutate.SMALL_BITS)
    return connector_pb2.TaskCategory(name=name, version=random.choice((0,) * 20 + (1, -1, 2**31 - 1)))


def meta(random: Random) -> Sent:
    """A get, a delete or a log call for a job that the service may not have made."""
    category = _category(random)
    kept = _kept(random, category.name if category.name in TYPES else "plain")
    call = random.choice(("GetTask", "GetTask", "DeleteTask", "GetTaskLogs"))
    if call == "GetTaskLogs":
        return Sent(
            call, connector_pb2.GetTaskLogsRequest(resource_meta=kept, task_category=category).SerializeToString()
        )
    request = getattr(connector_pb2, f"{call}Request")(resource_meta=kept, task_category=category)
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        name = random.choice(("api_key", "key", "resource_meta", "inputs", "self", "x y", "é"))
        getattr(request.connection, random.choice(("secrets", "configs")))[name] = random.choice(mutate.WORDS)
    return Sent(call, request.SerializeToString())


def token(random: Random) -> Sent:
    """A log call of a good job, from a token of the fuzzer's making on."""
    task_type = random.choice(("plain", "text", "ndjson", "sse"))
    seeds = [{"": {"t": "x", "g": 1, "r": 2, "s": "rest", "l": 3}}, {"0123456789ab": {"g": 1}, "x": 0}]
    data = _json(mutate.mutated_data(random, seeds))
    if random.random() < 0.2:
        data = mutate.mutated_bytes(random, [data])
    text = base64.urlsafe_b64encode(data).decode().rstrip("=" * random.randrange(2))
    if random.random() < 0.1:
        text = mutate.joined(random, mutate.EXPRESSION_BITS)
    body = _json(_seed_meta(random, task_type))[:-1]
    request = connector_pb2.GetTaskLogsRequest(
        resource_meta=body + b',"sig":"' + _SIGNER.sign(body) + b'"}',
        task_category=connector_pb2.TaskCategory(name=task_type),
        token=text.encode("utf-8", "replace").decode(),
    )
    return Sent("GetTaskLogs", request.SerializeToString())


def _create(random: Random) -> CreateTaskRequest:
    task_type = random.choice(TYPES)
    request = CreateTaskRequest(output_prefix=random.choice(("s3://bucket/x", "", "/etc", "s3://other/\n")))
    request.template.type = task_type
    request.template.id.name = "t"
    config = mutate.mutated_data(
        random, [{"text": "a b", "n": 3, "m": 2, "items": [1, "a", {"b": None}], "pattern": "a+"}]
    )
    request.template.custom["config"] = _json(config).decode("utf-8", "replace")
    inputs: dict[str, Any] = {"name": (STRING, string(random.choice(QUICK)))}
    if task_type == "files":
        inputs = {"data": file_of(random.choice(("s3://allowed/../x", "/etc/passwd", "http://127.0.0.1:1/x", "\x01")))}
    elif task_type == "anything" or random.random() < 0.1:
        inputs = {random.choice(mutate.WORDS) or "x": json_input(_packable(mutate.junk(random))) for _ in range(2)}
    for name, (kind, literal) in inputs.items():
        variable = request.template.interface.inputs.variables.add()
        variable.key = name
        variable.value.type.CopyFrom(kind)
        named = request.inputs.literals.add()
        named.name = name
        named.value.CopyFrom(literal)
    output = request.template.interface.outputs.variables.add()
    output.key = "result"
    output.value.type.CopyFrom(random.choice((JSON, STRING, FILE)))
    request.task_execution_metadata.CopyFrom(attempt_of(SimpleNamespace(name="t"), f"r{random.getrandbits(30)}"))
    return request


def _packable(value: Any) -> Any:
    """Any value, as msgpack takes it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-(2**63), min(value, 2**64 - 1))
    if isinstance(value, list):
        return [_packable(item) for item in value]
    if isinstance(value, dict):
        return {_packable(key): _packable(item) for key, item in value.items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def template(random: Random) -> Sent:
    """A create with some fields of its message changed, added or dropped, wherever they are."""
    request = _create(random)
    for _ in range(random.choice((0, 1, 1, 2, 4, 8))):
        _change(random, request)
    return Sent("CreateTask", request.SerializeToString())


def _change(random: Random, message: Message, depth: int = 0) -> None:
    """Change one field somewhere in a message."""
    fields = message.DESCRIPTOR.fields
    if not fields or depth > 8:
        return
    chosen = random.choice([found for found, _ in message.ListFields()] * 2 + list(fields))
    if chosen.is_repeated if hasattr(chosen, "is_repeated") else chosen.label == FieldDescriptor.LABEL_REPEATED:
        _change_repeated(random, message, chosen, depth)
    elif chosen.message_type is not None:
        if random.random() < 0.15:
            message.ClearField(chosen.name)
        else:
            part = getattr(message, chosen.name)
            part.SetInParent()
            _change(random, part, depth + 1)
    else:
        setattr(message, chosen.name, _scalar(random, chosen))


def _change_repeated(random: Random, message: Message, chosen: FieldDescriptor, depth: int) -> None:
    container = getattr(message, chosen.name)
    kind = chosen.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
        if value.message_type is None:
            container[_scalar(random, key)] = _scalar(random, value)
        else:
            _change(random, container[_scalar(random, key)], depth + 1)
    elif random.random() < 0.2:
        message.ClearField(chosen.name)
    elif kind is not None:
        part = random.choice(container) if len(container) and random.random() < 0.7 else container.add()
        _change(random, part, depth + 1)
    else:
        container.append(_scalar(random, chosen))


def _scalar(random: Random, chosen: FieldDescriptor) -> Any:
    match chosen.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if chosen.type == FieldDescriptor.TYPE_BYTES:
            return random.choice((b"", b"\xc1", b"\x80", random.randbytes(20), b"\x93\x01\x02", b"pickle"))
        case FieldDescriptor.CPPTYPE_STRING:
            texts = (
                "",
                "x",
                "name",
                "pickle",
                "PythonPickle",
                "parquet",
                "msgpack",
                "\x00",
                "é💥",
                "../..",
                "s3://allowed/x",
            )
            return random.choice((*texts, *mutate.WORDS, "x" * 20_000))
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return random.choice(chosen.enum_type.values).number
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return random.choice(
                (0.0, 1.5, -1.0, float("nan"), float("inf"), 1e300 if "DOUBLE" in str(chosen) else 1.0)
            )
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return random.choice((0, 1, 2**31, 2**32 - 1))
    return random.choice((0, 1, -1, 2**31 - 1, -(2**31)))


def message(random: Random) -> Sent:
    """A good message with some of its bytes changed."""
    made = random.choice((meta, token, template))(random)
    return Sent(made.call, mutate.mutated_bytes(random, [made.data or b"\x00"]))


def raw(random: Random) -> Sent:
    """Bytes that are a message by chance only."""
    return Sent(random.choice((*CALLS, "GetTaskLogs")), mutate.raw_bytes(random))


KINDS: dict[str, Callable[[Random], Sent]] = {
    "meta": meta,
    "token": token,
    "template": template,
    "message": message,
    "raw": raw,
}
