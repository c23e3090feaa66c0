"""Encodes and decodes what Flyte keeps of a job: all that later calls need, nothing else, and no secrets.

Flyte stores it at create and hands it back with every later call; it never changes. It is a JSON object. With a signing
key its last member, `sig`, signs all bytes before it, and it holds the spec's later sections as they were, so that a
job survives a change of its spec. Without one, nothing in it can be trusted to be ours: it holds values only.

A field that this version does not know makes a job unreadable and does not fail it: a later version may have written
it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from pydantic_core import from_json

from yaml_connector._expressions.json_text import write_json
from yaml_connector._jobs.signing import KEY_VARIABLE, SIGNATURE_LENGTH, UNSIGNED, Signer

VERSION = 3
_READABLE = (2, VERSION)  # a release reads what the one before it wrote
LARGEST = 2**20  # bytes
_DEEPEST = 200  # levels, as many as the parser takes
DEEPEST_SAVED = 100  # levels
_LATEST = 253_402_300_800  # the year 10000
_LONGEST_IN_KEY = 200
_USUAL, _REMEMBERED = 2048, 512  # bytes of a job, and how many of them are read once for many calls
_SIGNATURE = b',"sig":"'
_TAIL = len(_SIGNATURE) + SIGNATURE_LENGTH + len(b'"}')


@dataclass
class JobMeta:
    """The job as Flyte keeps it.

    `snapshot` is the packed spec, with its `digest`. `outputs` are names and types. `asked` names the values that
    create looked for and that `inputs`, `config` and `task` do not have: `inputs.NAME`, or `inputs` if all are kept.
    `holders` are the place holders in `id` and `saved`: see `placeholders.py`. `timeout` is the task's own, in
    seconds; 0 if it has none. `create_error` is the message of a create that failed permanently. `pending` is what
    create needs of a job that is not submitted yet (`pending.py`): with a signing key it is encrypted, since Flyte logs
    what it keeps.

    Four fields are not kept. `not_submitted` says, after create, why the job is `pending`. `verified`: the signature is
    right. `decode_error` says why the bytes that Flyte handed back cannot be read; with `is_foreign`, another connector
    may read them: one with another key, or a later version.
    """

    task_type: str = ""
    task_version: int = 0
    id: str = ""
    created_at: float = 0.0
    digest: str = ""
    snapshot: str = ""
    saved: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    outputs: list[list[str]] = field(default_factory=list)
    name: str = ""
    timeout: float = 0.0
    holders: dict[str, Any] = field(default_factory=dict)
    adopted: bool = False
    create_error: str | None = None
    pending: dict[str, Any] | None = None
    not_submitted: str = ""
    verified: bool = False
    decode_error: str | None = None
    is_foreign: bool = False

    @property
    def job(self) -> dict[str, Any]:
        """The values of `job.*`."""
        return {**self.saved, "id": self.id, "created_at": self.created_at, "cancelled": False}

    @property
    def shown(self) -> str:
        """What messages call the job: its id, or its `task.key` as long as it is not submitted."""
        return self.id or f"of task.key {self.name}"

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of this job in this process's cache; nothing that is not verified has that of a verified job."""
        if len(self.id) + len(self.name) > _LONGEST_IN_KEY:
            return (self.verified, self.digest, _hashed(self.id), self.created_at, _hashed(self.name))
        return (self.verified, self.digest, self.id, self.created_at, self.name)

    @cached_property
    def size(self) -> int:
        """The characters of its values, about; of a job that does not change any more."""
        return len(repr((self.id, self.saved, self.inputs, self.config, self.task, self.snapshot)))

    @property
    def surely_fits(self) -> bool:
        """Tell whether a job holds so little that Flyte can keep it, without encoding it: see `unfit`."""
        if self.inputs or self.config or self.task or self.saved or self.pending or len(self.id) > LARGEST // 4:
            return False
        return len(self.snapshot) + sum(len(name) + len(kind) for name, kind in self.outputs) < LARGEST // 4

    def encode(self, signer: Signer = UNSIGNED) -> bytes:
        """Return the bytes that Flyte keeps, signed if there is a key."""
        values = vars(self)
        kept: dict[str, Any] = {"v": VERSION}
        kept |= {name: value for name in _KEPT if (value := values[name])}
        if self.pending is not None and signer.keys:
            kept["sealed"] = signer.seal(json_to_keep(kept.pop("pending")))
        data = json_to_keep(kept)
        if not signer.keys:
            return data
        body = data[:-1]  # its brace closes the object, behind the signature
        return body + _SIGNATURE + signer.sign(body) + b'"}'

    @classmethod
    def decode(cls, data: bytes, signer: Signer = UNSIGNED) -> JobMeta:
        """Read the bytes that Flyte kept. Never raises: what cannot be read is returned with a `decode_error`."""
        if len(data) > LARGEST:
            return cls(decode_error=f"what Flyte kept of the job has {len(data)} bytes, more than {LARGEST}")
        body, signature = data, b""
        if data[-_TAIL : -_TAIL + len(_SIGNATURE)] == _SIGNATURE and data[-2:] == b'"}':
            body, signature = data[:-_TAIL], data[-_TAIL + len(_SIGNATURE) : -2]
        verified = False
        if signer.keys:
            verified = bool(signature) and signer.verify(body, signature)
            if not verified and (signature or not signer.accept_unsigned):
                what = "no key of this service made its signature" if signature else "it has no signature"
                return cls.foreign(data, f"the job was not made by this service: {what}; see {KEY_VARIABLE}")
        try:
            raw = parse_kept(body + b"}" if signature else body)
            sealed = raw.pop("sealed", None)
            if sealed is not None:
                raw["pending"] = parse_kept(signer.unseal(sealed))
            if raw.pop("v") not in _READABLE or not raw.keys() <= _KINDS.keys():
                return cls.foreign(data, "the job was created by another version of the connector")
            for name, value in raw.items():
                if type(value) not in _KINDS[name]:
                    raise TypeError(name)
            meta = cls.__new__(cls)  # every get reads one: a field that is not there costs nothing
            meta.__dict__.update(_DEFAULTS, **raw, verified=verified)
            if not (0 <= meta.created_at < _LATEST and 0 <= meta.timeout < _LATEST):
                raise ValueError("a time")
            for name in meta.asked:
                if type(name) is not str:
                    raise TypeError("asked")
            if meta.holders:
                check_holders(meta.holders)
            if meta.pending is not None:
                check_pending(meta.pending)
            for output, kind in meta.outputs:
                if type(output) is not str or type(kind) is not str:
                    raise TypeError("outputs")
            return meta
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        return cls(decode_error="what Flyte kept of the job cannot be read")

    @classmethod
    def foreign(cls, data: bytes, why: str) -> JobMeta:
        """Return these bytes as a job that another connector may read."""
        return cls(digest=sha256(data).hexdigest(), decode_error=why, is_foreign=True)


_decode_usual = lru_cache(maxsize=_REMEMBERED)(JobMeta.decode)


def decode_kept(data: bytes, signer: Signer) -> JobMeta:
    """Read what Flyte kept of a job, as `JobMeta.decode` does. Calls share it, since Flyte hands in the same bytes
    again and again, so it must never be changed."""
    return _decode_usual(data, signer) if len(data) <= _USUAL else JobMeta.decode(data, signer)


def too_large(size: int) -> str:
    """Say that what is kept of a job would have too many bytes."""
    most = f"{LARGEST} are the most: let the spec use and save smaller values"
    return f"what is kept of the job has {size} bytes, and {most}"


def unfit(data: bytes, spare: int = 0) -> str | None:
    """Say why Flyte cannot keep these bytes of a job, if some more must fit in; None if it can."""
    if len(data) > LARGEST - spare:
        return too_large(len(data))
    try:
        parse_kept(data)
    except (ValueError, RecursionError):
        return f"what is kept of the job is nested more than {_DEEPEST} levels deep: let the spec use and save less"
    return None


def _hashed(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parse_kept(data: bytes) -> Any:
    """Parse what `json_to_keep` wrote. Raises ValueError, or RecursionError."""
    try:
        return from_json(data, cache_strings="keys")
    except ValueError as error:
        if "hex escape" not in str(error):  # which is how the fast parser refuses half a character
            raise
    value = json.loads(data)  # it takes half a character, and any depth
    if is_deeper(value, _DEEPEST):
        raise ValueError("nested too deeply")
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and mappings are nested in a value, more of them inside each other than so many."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return not levels or any(is_deeper(item, levels - 1) for item in items)


def json_to_keep(kept: dict[str, Any]) -> bytes:
    """Write JSON, with whatever strings and numbers are in it. Raises TypeError, ValueError or RecursionError."""
    return write_json(kept) or _COMPACT(kept).encode()


def check_holders(holders: dict[str, Any]) -> None:
    """Raise TypeError if these are not what `_jobs/placeholders.py` makes."""
    for holder, place in holders.items():
        if len(holder) > _LONGEST_IN_KEY or len(place) != 3 or any(type(part) is not str for part in place):
            raise TypeError("holders")


def check_pending(pending: dict[str, Any]) -> None:
    """Raise ValueError if this is not what `_jobs/pending.py` makes."""
    if any(type(value) is not _PENDING.get(name) for name, value in pending.items()):
        raise ValueError("pending")
    if not pending.keys() >= {"digest", "inputs", "config", "task"}:
        raise ValueError("pending")


_PENDING: dict[str, type] = {
    **dict.fromkeys(("inputs", "config", "task", "steps"), dict),
    "digest": str,
    "doubtful": bool,
    "position": int,
}
_DEFAULTS = vars(JobMeta())  # a job that was read never changes, so all share the empty ones
_COMPACT = json.JSONEncoder(separators=(",", ":")).encode  # half a character must not lose the job: it is escaped
# the fields that are kept, and their types
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("task_type", "id", "digest", "snapshot", "name", "create_error"), (str,)),
    **dict.fromkeys(("saved", "inputs", "config", "task", "holders", "pending"), (dict,)),
    **dict.fromkeys(("asked", "outputs"), (list,)),
    **dict.fromkeys(("created_at", "timeout"), (float, int)),
    "task_version": (int,),
    "adopted": (bool,),
}
_KEPT = tuple(name for name in _DEFAULTS if name in _KINDS)
