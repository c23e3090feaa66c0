"""What is kept with a job: all that later calls need, and nothing else. No secrets (section 3, and Flyte's facts).

Flyte stores it at create and hands it back with every later call; it never changes. It holds the spec's later sections
as they were, so that a job survives a change of its spec.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.errors import ValueProblem
from yaml_connector.spec import ConnectorSpec
from yaml_connector.values.jsontext import parse_json

VERSION = 1
_LARGEST_PIN = 4 * 2**20


@dataclass
class JobMeta:
    """The job as Flyte keeps it. `failed` is the message of a create that failed for good, `broken` says why a meta
    that Flyte handed back cannot be read."""

    id: str = ""
    created_at: float = 0.0
    digest: str = ""
    pin: str = ""
    saved: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    outputs: list[list[str]] = field(default_factory=list)
    name: str = ""
    adopted: bool = False
    failed: str | None = None
    broken: str | None = None

    @property
    def job(self) -> dict[str, Any]:
        """`job.*` of section 3."""
        return {**self.saved, "id": self.id, "created_at": self.created_at}

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this job from every other, in this process's memory."""
        return (self.digest, self.id, self.created_at, self.name)

    def encode(self) -> bytes:
        """The bytes that Flyte keeps."""
        text = _COMPACT({"v": VERSION, **{name: value for name, value in vars(self).items() if value}})
        return text.encode("utf-8", "surrogatepass")  # JSON spells what UTF-8 cannot: keep the job

    @classmethod
    def decode(cls, data: bytes) -> JobMeta:
        """Read what Flyte kept. Never raises: what cannot be read comes back with `broken` set."""
        try:
            raw = parse_json(data)
            version = raw.pop("v")
            if version != VERSION:
                return cls(broken=f"the job was created by a connector of another version ({version!r}, not {VERSION})")
            for name, value in raw.items():
                if type(value) not in _KINDS[name]:
                    raise TypeError(name)
            meta = cls(**raw)
            for output, kind in meta.outputs:
                if type(output) is not str or type(kind) is not str:
                    raise TypeError("outputs")
            return meta
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        return cls(broken="what Flyte kept of the job cannot be read")


_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "digest", "pin", "name", "failed", "broken"), (str,)),
    **dict.fromkeys(("saved", "inputs", "config", "task"), (dict,)),
    "created_at": (float, int),
    "outputs": (list,),
    "adopted": (bool,),
}


def pin_spec(spec_data: Mapping[str, Any]) -> tuple[str, str]:
    """The parts of a spec that later calls need, packed, with their digest."""
    names = ("connection", "secrets", "outputs", "get", "result", "delete", "logs")
    kept = {
        "spec_version": spec_data["spec_version"],
        "task_type_name": spec_data["task_type_name"],
        "create": {"request": "POST /", "job_id": "-"},
        **{name: _undescribed(name, spec_data[name]) for name in names if name in spec_data},
    }
    text = json.dumps(kept, sort_keys=False, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
    return digest, base64.b64encode(zlib.compress(text, 9)).decode()


def _undescribed(section: str, value: Any) -> Any:
    if section not in ("secrets", "outputs"):
        return value
    return {
        name: {key: item for key, item in entry.items() if key != "description"}
        if isinstance(entry, Mapping)
        else entry
        for name, entry in value.items()
    }


def unpin_spec(pin: str) -> ConnectorSpec:
    """The spec as it was when the job was created; raises ValueProblem if it cannot be read any more."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(base64.b64decode(pin, validate=True), _LARGEST_PIN)
        return ConnectorSpec.model_validate(json.loads(text))
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        raise ValueProblem(f"the spec that was kept with the job cannot be read ({type(error).__name__})") from None
