"""Encodes and decodes what Flyte keeps of a job: all that later calls need, nothing else, and no secrets.

Flyte stores it at create and hands it back with every later call; it never changes. It holds the spec's later sections
as they were, so that a job survives a change of its spec.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._expressions.json_text import parse_json, write_json

VERSION = 1


@dataclass
class JobMeta:
    """The job as Flyte keeps it. `snapshot` is the packed spec, with its `digest`; `outputs` are names and types;
    `create_error` is the message of a create that failed permanently; `decode_error` says why the bytes that Flyte
    handed back cannot be read."""

    id: str = ""
    created_at: float = 0.0
    digest: str = ""
    snapshot: str = ""
    saved: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    outputs: list[list[str]] = field(default_factory=list)
    name: str = ""
    adopted: bool = False
    create_error: str | None = None
    decode_error: str | None = None

    @property
    def job(self) -> dict[str, Any]:
        """The values of `job.*`."""
        return {**self.saved, "id": self.id, "created_at": self.created_at}

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of this job in this process's cache."""
        return (self.digest, self.id, self.created_at, self.name)

    def encode(self) -> bytes:
        """Return the bytes that Flyte keeps."""
        kept = {"v": VERSION, **{_KEYS.get(name, name): value for name, value in vars(self).items() if value}}
        # a lone surrogate must not lose the job
        return write_json(kept) or _COMPACT(kept).encode("utf-8", "surrogatepass")

    @classmethod
    def decode(cls, data: bytes) -> JobMeta:
        """Read the bytes that Flyte kept. Never raises: what cannot be read is returned with a `decode_error`."""
        try:
            raw = parse_json(data)
            version = raw.pop("v")
            if version != VERSION:
                return cls(
                    decode_error=f"the job was created by a connector of another version ({version!r}, not {VERSION})"
                )
            for name, value in raw.items():
                if type(value) not in _KINDS[name]:
                    raise TypeError(name)
            meta = cls(**{_NAMES.get(key, key): value for key, value in raw.items()})
            for output, kind in meta.outputs:
                if type(output) is not str or type(kind) is not str:
                    raise TypeError("outputs")
            return meta
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        return cls(decode_error="what Flyte kept of the job cannot be read")


_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
# In the bytes, some names are older than here. They stay: jobs outlive a new version of the connector.
_KEYS = {"snapshot": "pin", "create_error": "failed", "decode_error": "broken"}
_NAMES = {key: name for name, key in _KEYS.items()}
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "digest", "pin", "name", "failed", "broken"), (str,)),
    **dict.fromkeys(("saved", "inputs", "config", "task"), (dict,)),
    "created_at": (float, int),
    "outputs": (list,),
    "adopted": (bool,),
}
