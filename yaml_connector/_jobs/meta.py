"""What is kept with a job: all that later calls need, and nothing else. No secrets (section 3, and Flyte's facts).

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
        kept = {"v": VERSION, **{name: value for name, value in vars(self).items() if value}}
        # JSON spells what UTF-8 cannot: keep the job
        return write_json(kept) or _COMPACT(kept).encode("utf-8", "surrogatepass")

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
