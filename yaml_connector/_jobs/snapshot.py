"""Packs the spec that is kept with a job, so that Flyte has little to store and to send with every poll."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from yaml_connector._spec import ConnectorSpec
from yaml_connector.errors import EvaluationError

_LARGEST = 4 * 2**20
_RAW = -15  # deflate alone: the digest detects a wrong one
# What specs usually hold, the most frequent last; a packed spec refers to it. Never change it: the jobs that are
# running could not be read any more.
_ZLIB_DICTIONARY = (
    b'"follow":"read":"each":"optional":true,"if":"save":{"steps":[{"name":"error":"body.error is defined","retry_if":'
    b'"success":["2xx",409],"form":{"text":"url":"timeout":"30s","follow_redirects":false,"auth":false,"public_hosts":'
    b'"allowed_hosts":["rate_limit":{"requests":10,"per":"1s"},"retry":{"max_attempts":3,"error_message":"deadline":"9s",'
    b'"check":"tls":{"ca_file":"batch":{"window":"items":"$.items[*]","max":100,"poll":{"min_interval":"10s",'
    b'"not_found":"tolerance":"10m","give_up":"FAILED","not_found_grace":"30s","info":{"progress":"$.progress"},'
    b'"outputs":{"type":"int","default":null,"value":"${{ body.result","result":"$.result"},"links":[{"name":"Console",'
    b'"url":"${{ base_url }}/jobs/"}],"logs":{"format":"text","keep":"lines":"$.lines[*]","message":"$.message",'
    b'"timestamp":"$.time","level":"$.level","next":"$.next","more":"query":{"cursor":"${{ page.token }}"}},'
    b'"delete":{"request":"DELETE /jobs/${{ job.id }}"},"delete":{"request":{"method":"POST","path":"/api/v1/jobs/'
    b'${{ job.id }}/cancel","json":{}}},"result":{"request":"GET /jobs/${{ job.id }}/result"},'
    b'"get":{"request":"GET /jobs/${{ job.id }}","phase":[{"when":"body.status == \'","is":"path":"$.status",'
    b'"phase":{"path":"$.state","map":{"QUEUED":["QUEUED","PENDING","queued","pending"],"INITIALIZING":'
    b'"RUNNING":["RUNNING","running"],"SUCCEEDED":["SUCCEEDED","SUCCESS","COMPLETED","done","success"],'
    b'"FAILED":["FAILED","ERROR","failed","error"],"RETRYABLE_FAILED":"ABORTED":["CANCELED","CANCELLED","cancelled"]}},'
    b'"message":"$.error.message"},"secrets":{"password":{"env":"PASSWORD","required":false,"file":"token":{"env":"TOKEN"},'
    b'"api_key":{"env":"API_KEY"}},"connection":{"base_url":"https://api.${{ config.region }}.com","base_url":'
    b'"${{ env.BASE_URL }}","headers":{"Content-Type":"application/json","Accept":"auth":{"type":"oauth2","token_url":'
    b'"client_id":"client_secret":"scope":"auth":{"type":"api_key","in":"header","name":"value":"auth":{"type":"basic",'
    b'"username":"password":"${{ secrets.password }}"},"auth":{"type":"bearer","token":"${{ secrets.token }}"},'
    b'"timeout":"10s"},"create":{"request":"POST /","job_id":"-"},"spec_version":1,"task_type_name":"'
)


def snapshot_spec(spec_data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the digest of the parts of a spec that later calls need, and these parts, packed."""
    names = ("connection", "secrets", "outputs", "get", "result", "delete", "logs")
    kept = {
        "spec_version": spec_data["spec_version"],
        "task_type_name": spec_data["task_type_name"],
        "create": {"request": "POST /", "job_id": "-"},
        **{name: _undescribed(name, spec_data[name]) for name in names if name in spec_data},
    }
    text = json.dumps(kept, sort_keys=False, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW, zdict=_ZLIB_DICTIONARY)
    return digest, base64.b64encode(packer.compress(text) + packer.flush()).decode()


def _undescribed(section: str, value: Any) -> Any:
    if section not in ("secrets", "outputs"):
        return value
    return {
        name: {key: item for key, item in entry.items() if key != "description"}
        if isinstance(entry, Mapping)
        else entry
        for name, entry in value.items()
    }


def restore_spec(snapshot: str) -> ConnectorSpec:
    """Return the spec as it was when the job was created. Raises EvaluationError if it cannot be read any more."""
    try:
        unpacker = zlib.decompressobj(_RAW, _ZLIB_DICTIONARY)
        text = unpacker.decompress(base64.b64decode(snapshot, validate=True), _LARGEST)
        return ConnectorSpec.model_validate(json.loads(text))
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        raise EvaluationError(f"the spec that was kept with the job cannot be read ({type(error).__name__})") from None
