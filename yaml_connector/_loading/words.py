"""Words that people bring from other tools, and what they are here: a table for each kind of place.

In a table, the words before a colon mean what is behind it: of several, the first that is allowed where the word is.
"""

from __future__ import annotations

import re


def _table(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        words, _, meant = line.partition(": ")
        for word in words.split():
            found[word] = (*found.get(word, ()), *meant.split())
    return found


FIELDS = _table(
    """
cancel stop abort kill terminate destroy remove on_kill on_cancel on_abort cancellation: delete
submit start run launch post trigger execute submission new on_create start_job submit_job: create
status state: get phase
poll check describe read polling wait sensor watch show get_status: get
log stdout logging: logs
server servers api source provider client http conn connections backend: connection base_url
secret credential credentials: secrets auth
settings options configuration configs properties plugin_config parameters: config
parameters params args arguments interface: inputs
returns return produces output results: outputs
output: logs
results: result
data body payload content: json text content
params parameters query_params query_string args: query
header: headers name
endpoint host uri url base address: base_url url path
href link: url
title label: name
id job run_id: job_id name
authentication authorization credentials: auth
states mapping values statuses status_map: map
field jsonpath json_path selector expression from status_path state_path: path value
path extract: value
phase then: is
condition if: when
when: if
verb http_method: method
type_name task_type type kind: task_type_name type
api_version schema_version version: spec_version
version: task_type_version
environment variable env_var from_env: env
interval every frequency poll_interval period: min_interval
max_wait grace: tolerance
max_retries retries attempts max_tries tries retry_count: max_attempts retry
backoff delay wait_time: initial_delay
expect expected_status expected_statuses status_code status_codes success_codes: success
loop for_each foreach with_items: each
register extract outputs: save
text msg: message
time ts date: timestamp
next_token next_page cursor: next
items: lines
user login user_name: username
pass passwd pwd: password
api_key apikey access_token key: token value
rate_limits throttle max_rps: rate_limit
health healthcheck health_check ping: check
proxies: proxy
continue_on_error ignore_errors: optional
allowed_domains hosts: allowed_hosts
choices options allowed: enum
min: minimum
max: maximum
files: multipart file
"""
)

# Where a field belongs that is written one level too high.
DEEPER = {
    **{name: f"connection.{name}" for name in ("base_url", "auth", "timeout", "retry", "headers", "allowed_hosts")},
    **{name: f"request.{name}" for name in ("path", "url", "method", "json", "form", "query", "multipart")},
    **{name: f"tls.{name}" for name in ("verify", "ca_file", "cert_file", "key_file")},
    **dict.fromkeys(("verify_ssl", "ssl_verify", "insecure", "ssl", "verify_tls"), "tls.verify"),
    **dict.fromkeys(("ca", "ca_cert", "ca_bundle", "cacert"), "tls.ca_file"),
    **dict.fromkeys(("content_type", "user_agent", "cookies", "cookie"), "headers"),
    "port": "base_url",
    "map": "phase.map",
    "job_id": "create.job_id",
    "tolerance": "poll.tolerance",
    "min_interval": "poll.min_interval",
}

PHASES = _table(
    """
pending waiting submitted accepted created scheduled new: QUEUED
started active in_progress processing executing running: RUNNING
starting preparing provisioning: INITIALIZING
done complete completed finished success successful ok: SUCCEEDED
error errored failure fail crashed timeout timed_out expired: FAILED
cancel cancelled canceled stopped killed terminated aborting: ABORTED
retry retryable preempted: RETRYABLE_FAILED
"""
)

AUTH_KINDS = _table(
    """
oauth oauth2 client_credentials oidc azure entra: oauth2_client_credentials
apikey api-key header query: api_key
aws sigv4 aws4: aws_sigv4
gcp google_cloud service_account: google
login session session_token: token
"""
)

FORMATS = _table(
    """
plain raw txt string: text
jsonl jsonlines json_lines: ndjson
event-stream eventstream stream: sse
"""
)


def snake(name: str) -> str:
    """Return a name as the fields of a spec are written: `baseUrl`, `base-URL` and `Base URL` are `base_url`."""
    return re.sub(r"[\s.-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()
