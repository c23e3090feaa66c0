"""Packs the sections of a spec that are kept with a job, and restores them beside the spec that is loaded.

What was kept says only how a job is followed: get, result, outputs, delete and logs. The loaded spec says where
requests go, with which credentials, and within which limits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from yaml_connector._loading.document import LARGEST_FILE
from yaml_connector._loading.loader import load_text
from yaml_connector._spec import ConnectorSpec
from yaml_connector.errors import EvaluationError

SECTIONS = ("runs", "get", "result", "outputs", "delete", "logs")
_FORMAT = "1:"  # deflate, in base64
# Create is over: what it saved is in the job, whatever the loaded spec saves now.
_CREATED = {"request": "POST /", "job_id": "$", "save": "${{ body }}", "idempotent": True}


def digest_of(data: Mapping[str, Any]) -> str:
    """Return a digest of all parts of a spec that later calls use, without descriptions."""
    names = ("connection", "secrets", "config", *SECTIONS)
    return hashlib.sha256(json.dumps(without_descriptions(data, names)).encode()).hexdigest()[:16]


def snapshot_spec(data: Mapping[str, Any]) -> str:
    """Return the sections that are kept with a job, packed."""
    kept = without_descriptions(data, SECTIONS)
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
    return _FORMAT + base64.b64encode(zlib.compress(text, 9)).decode()


def without_descriptions(data: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """Return these sections of a spec, those that it has, in their order, without the descriptions of fields."""
    return {name: _undescribed(name, data[name]) for name in sections if name in data}


def _undescribed(section: str, value: Any) -> Any:
    if section not in ("secrets", "config", "outputs") or not isinstance(value, Mapping):
        return value
    return {
        name: {key: item for key, item in entry.items() if key != "description"}
        if isinstance(entry, Mapping)
        else entry
        for name, entry in value.items()
    }


def restore_spec(snapshot: str, loaded: Mapping[str, Any]) -> ConnectorSpec:
    """Return the loaded spec with the sections that were kept with a job, checked as a whole as loading does.

    Raises EvaluationError if they cannot be read, or refer to what the loaded spec does not declare.
    """
    kept = _unpack(snapshot)
    data = {name: part for name, part in loaded.items() if name not in SECTIONS} | kept | {"create": _CREATED}
    restored, problems = load_text(json.dumps(data).encode(), "kept")
    if restored is None:
        problem = next(problem for problem in problems if problem.severity == "error")
        raise EvaluationError(
            "the spec that was kept with the job does not fit the loaded one any more: "
            f"{problem.path}: {problem.message}; declare it again until the job is over"
        )
    return restored.spec


def _unpack(snapshot: str) -> dict[str, Any]:
    try:
        if not snapshot.startswith(_FORMAT):
            raise ValueError("format")
        packed = base64.b64decode(snapshot[len(_FORMAT) :], validate=True)
        kept = json.loads(zlib.decompressobj().decompress(packed, LARGEST_FILE))
        if not isinstance(kept, dict) or not kept.keys() <= set(SECTIONS):
            raise ValueError("content")
        return kept
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        raise EvaluationError(f"the spec that was kept with the job cannot be read ({type(error).__name__})") from None
