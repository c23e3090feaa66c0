"""Every message that the troubleshooting page quotes is one that a user really meets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.doc_blocks import DOCS
from tests.docs.met_messages import (
    ANY_REGION,
    BATCH_JOB,
    HTTPS,
    NO_KEY,
    PATH_OF_INPUT,
    POSTED,
    TOKEN,
    TYPED,
    after_a_change,
    auth,
    bundle_without_spec,
    claiming,
    command,
    contract_report,
    created,
    doubles,
    follow,
    function_of,
    given_up,
    got,
    kept_by_another,
    kept_bytes,
    local_run,
    not_submitted,
    of_the_shared_type,
    output_of,
    raised,
    reaching,
    refused_input,
    render_value,
    service,
    source,
    task,
    too_large,
    unplaced,
    unreadable_file,
    unsigned_service,
    unsubmitted,
    validated,
    with_text,
    without_a_spec,
    without_library,
)
from tests.support.fake_api import REFUSED, SILENT, job, reply, spec_data
from tests.support.paths import CATALOG
from yaml_connector._jobs.signing import UNSIGNED, signer_from
from yaml_connector._loading.loader import load_all

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)


# Each quoted message, and what gives it.
PRODUCED: dict[str, Callable[[Path], str]] = {
    "unknown key; did you mean ...? allowed: ...": lambda _: validated({"gett": {}}),
    "is required": lambda _: validated({"create": {"request": "POST /jobs"}}),
    "must be a string, not the number ...; put quotes around it": lambda _: validated({"name": 7}),
    "not YAML: put quotes around the template: inside {} and [], and where it contains ': ', YAML needs them": (
        lambda _: validated(with_text("delete: {request: {method: POST, path: ${{ job.id }}}}"))
    ),
    "not YAML: put quotes around types such as 'list[str]' and 'str?' inside {} and []": (
        lambda _: validated("spec_version: 1\ninputs: {names: list[str]}")
    ),
    "not YAML: there is a tab; YAML allows only spaces for indenting": (
        lambda _: validated(with_text("delete:\n\trequest: POST /x"))
    ),
    "duplicate key, first defined on line ...": lambda _: validated(with_text("create: {}")),
    "merge keys (<<) are not allowed": lambda _: validated(with_text("inputs: {<<: {}}")),
    "... cannot be used here; ...": lambda _: validated({"outputs": {"a": "${{ secrets.a }}"}}),
    "there is no ...; did you mean ...? there is: ...": (
        lambda _: validated({"inputs": {"name": "str"}, "outputs": {"a": "${{ inputs.nam }}"}})
    ),
    "there is no filter ...": lambda _: validated({"outputs": {"a": "${{ body.a | jsson }}"}}),
    "... is not a valid regular expression: ... is not in RE2's syntax, whose patterns take linear time": (
        lambda _: validated({"outputs": {"a": "${{ body.a | regex('(?<=id=)[0-9]+') }}"}})
    ),
    "... is not a valid regular expression: ...": lambda _: validated({"outputs": {"a": "${{ body.a | regex('(') }}"}}),
    "in a regular expression \\w knows ASCII letters only: ...": (
        lambda _: validated({"outputs": {"a": r"${{ body.a | regex('(\\w+)') }}"}})
    ),
    "a condition is a bare expression: leave ${{ and }} out": (
        lambda _: validated({"get": {"phase": {"when": "${{ body.done }}", "is": "SUCCEEDED"}}})
    ),
    "templates are not allowed in this field": lambda _: validated({"description": "for ${{ task.name }}"}),
    "give either request or steps": lambda _: validated({"delete": {}}),
    "... belongs to a request; with steps, write it in the step": (
        lambda _: validated({"delete": {"steps": [{"name": "a", "request": "POST /a"}], "success": [200]}})
    ),
    "is required in create and delete": lambda _: validated({"delete": {"request": {"path": "/a"}}}),
    "base_url uses config, so allowed_hosts is required: the hosts that a task's author may choose from": (
        lambda _: validated({"config": {"host": "str"}, "connection": {"base_url": "https://${{ config.host }}"}})
    ),
    "the value ... is mapped to both ... and ...": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"RUNNING": ["on"], "FAILED": ["ON"]}}}})
    ),
    "... is not a valid duration; write it as 500ms, 10s, 5m, 24h or 7d": lambda _: validated(
        {"connection": {"timeout": 5}}
    ),
    "there is no type ...": lambda _: validated({"inputs": {"name": "string"}}),
    "lines is required for format json": lambda _: validated({"logs": {"request": "GET /log"}}),
    "has the task type ... in version ... already": doubles,
    "there is no such file or folder; specs are looked for in the path given, else in YAML_CONNECTOR_PATH, else in "
    "connectors.d/": lambda folder: str(load_all([str(folder / "none")])[1][0]),
    "an error that comes as 200 would ...: say ... here too, or ...": lambda _: source("_loading/likely_mistakes.py"),
    "neither idempotent nor adopt: after a broken connection it can be unknown whether a job was submitted": (
        lambda _: validated(NO_KEY)
    ),
    "no rule maps to FAILED: failed jobs would stay RUNNING": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"SUCCEEDED": ["done"]}}}})
    ),
    "no rule maps to SUCCEEDED: no job would ever succeed": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"FAILED": ["done"]}}}})
    ),
    "this secret is never used": lambda _: validated({"secrets": {"api_key": {}}}),
    "TLS verification is off: traffic can be intercepted": (
        lambda _: validated({"connection": {"tls": {"verify": False}}})
    ),
    "one attempt may take longer than the deadline of the whole call": (
        lambda _: validated({"connection": {"timeout": "20s"}})
    ),
    "answered 400: ...": lambda _: created(reply(400, json={"message": "no such queue"})),
    "answered ... without a job id at ...": lambda _: created({"job": 7}),
    "it is unknown whether the job was submitted: ...": lambda _: created(SILENT, **NO_KEY),
    "${{ ... }}: ... does not exist; there is: ...": lambda _: created(
        create={"request": {"method": "POST", "path": "/jobs", "json": {"a": "${{ inputs.a }}"}}, "job_id": "$.id"}
    ),
    "is empty, and would leave out a segment of the path": (
        lambda _: created(**PATH_OF_INPUT, values={"inputs": {"name": ""}})
    ),
    "must not contain the segments '.' and '..'": lambda _: created(**PATH_OF_INPUT, values={"inputs": {"name": ".."}}),
    "the file ... cannot be read: ...": lambda _: unreadable_file(),
    "config field ...: ... is less than the minimum ...": (
        lambda _: created(config={"cpus": {"type": "int", "minimum": 2}}, values={"config": {"cpus": 1}})
    ),
    "the secret ... has more than 65536 characters; give a shorter one, or send it as a file input": (
        lambda _: created(
            **auth(type="bearer", token="${{ secrets.api_key }}"),
            secrets={"api_key": {}},
            values={"secrets": {"api_key": "x" * 65537}},
        )
    ),
    "the secret ... is missing: ...": lambda _: created(
        **auth(type="bearer", token="${{ secrets.api_key }}"), secrets={"api_key": {"env": "KEY"}}
    ),
    "answered 401: ...": lambda _: created(reply(401, json={"message": "who are you?"})),
    "answered ... without a token": lambda _: created(**auth(**TOKEN)),
    "this spec needs a library: pip install 'yaml-connector[...]'": lambda _: raised(without_library),
    "the JWT cannot be signed with ... and this key ...": lambda _: created(**auth(type="jwt", key="no key")),
    "aws_sigv4: the spec has no keys, and botocore's credential chain finds none": lambda _: source(
        "_http/auth/cloud.py"
    ),
    "cannot be connected to: ...": lambda _: created(REFUSED),
    "gave no complete answer within ... s": lambda _: created(SILENT),
    "the host ... is not allowed; no request was sent; "
    "add it to allowed_hosts (or to public_hosts, without credentials)": (
        lambda _: created(**follow("https://other.test/jobs"))
    ),
    "is not encrypted, but base_url is; no request was sent": lambda _: created(
        **follow("http://other.test/jobs"), connection={**HTTPS, "allowed_hosts": ["other.test"]}
    ),
    "the name resolves to a link-local or metadata address, which is refused": lambda _: source("_http/hosts.py"),
    "the config leads to ..., which allowed_hosts does not name": (
        lambda _: created(**ANY_REGION, config={"host": "str"}, values={"config": {"host": "evil.test"}})
    ),
    "answered ... with more than ... (max_response)": (
        lambda _: got({"a": "x" * 2000}, connection={**HTTPS, "max_response": "1KiB"})
    ),
    "unreadable since ...: ...": lambda _: got(500),
    "given up ...": lambda _: given_up(),
    "unknown state: ... at ...; no phase rule of the spec maps it": lambda _: got({"state": "odd"}),
    "the API does not know the job yet (...)": lambda _: got(404),
    "not submitted yet: ...": lambda _: unsubmitted(),
    "not submitted: ...": lambda _: unsubmitted(after=601),
    "the spec changed before the job was submitted": lambda _: unsubmitted(changed=True),
    "the job was not submitted within ..., and a create that is sent later could make a second one (...)": (
        lambda _: unsubmitted(after=86401)
    ),
    "timed out after ...": lambda _: got(
        {"state": "running"}, after=60, get=spec_data()["get"] | {"poll": {"timeout": "1m"}}
    ),
    "the container ended without outputs": lambda _: source("_jobs/container.py"),
    "... runs functions: give its config to an environment, ...": lambda _: task(spec=CATALOG / "nomad_job.yaml"),
    "... runs by the spec ..., without secrets: ...": lambda _: function_of("nomad_job", secrets="token"),
    "... runs jobs that exist at its API, not functions: its spec lacks `runs: container`. ...": (
        lambda _: function_of("argo_workflows", config={"template": "t"})
    ),
    "...: the code bundle lacks the spec ..., which its module reads in the job, too; ...": (
        lambda _: bundle_without_spec()
    ),
    "the job no longer exists: ...": lambda _: got(404, after=61),
    "answered 200 with no JSON (...)": lambda _: got(reply(200, html="<p>Please log in</p>")),
    "the output ... is not at ..., and has no default": lambda _: output_of({}),
    "the output ... at ...: ... is not a valid int": lambda _: output_of({"rows": "many"}),
    "the API reports state ...": lambda _: got({"state": "error"}),
    "tasks of the ... ... may not use this connector; it allows: ...; nothing was submitted": lambda _: created(
        allow={"projects": ["data"]}
    ),
    "the input ... is refused: ...; nothing was submitted": lambda _: refused_input(),
    "the spec that was kept with the job cannot be read ...": lambda _: kept_by_another(),
    "invalid log token; omit it to read from the start": lambda _: raised(
        lambda: job({}, logs={"request": "GET /log", "format": "text"}).logs("???")
    ),
    "there is no spec ... in ...": lambda _: task(spec="batch_jobs"),
    "has no config field ...": lambda _: task(config={"timeout": 5}),
    "config field ... is required": lambda _: task(spec=TYPED, config={}),
    "config field ...: ... is not allowed; allowed: ...": lambda _: task(
        spec=TYPED, config={"account": "a", "queue": "huge"}
    ),
    "has no secret ...": lambda _: task(secrets={"key": "k"}),
    "has no input ...": lambda _: task(inputs={"title": str}),
    "is ... in the spec, and ... is something else": lambda _: task(inputs={"name": int}),
    "the type ... cannot be used; allowed are ...": lambda _: task(outputs={"result": set}),
    "is called ... in Flyte's store; in a local run it comes from the environment: set ...": lambda _: local_run(),
    "...: the connector service does not start": lambda _: service(),
    "the spec that was kept with the job does not fit the loaded one any more: ...": lambda _: after_a_change(),
    "the spec has changed since the job was created, and now uses ..., which was not kept with the job; ...": (
        lambda _: after_a_change(UNSIGNED)
    ),
    "the job was not made by this service: ...; see YAML_CONNECTOR_SIGNING_KEY": lambda _: kept_bytes(b"{}"),
    "the job was created by another version of the connector": lambda _: kept_bytes(b'{"v": 4}', UNSIGNED),
    "spec.containers[0].image: Required value": lambda _: source("cli/backend_config.py"),
    "Cannot find connector for task type: ...; ...": lambda _: unplaced("never_heard_of"),
    "the task is of the shared type ..., and does not name its spec: ...": lambda _: claiming(""),
    "this service has no spec ...; nothing was submitted": lambda _: claiming("never_heard_of"),
    "YAML_CONNECTOR_SHARED_TYPE is ..., and ... has that task type itself: choose another one": (
        lambda _: of_the_shared_type()
    ),
    "this service has no spec ... in version ...; the job itself may still be running": lambda _: without_a_spec(),
    "what is kept of the job has ... bytes, and ... are the most: ...": lambda _: too_large(),
    "... bytes, at least 32 are needed; make one with: openssl rand -hex 32": lambda _: raised(
        lambda: signer_from({"YAML_CONNECTOR_SIGNING_KEY": "x"})
    ),
    "warning: without YAML_CONNECTOR_SIGNING_KEY jobs are not signed: ...": lambda folder: unsigned_service(folder),
    "sent and not recorded: ...": lambda folder: contract_report(folder, exchanges=[]),
    "recorded and not sent: ...": lambda folder: contract_report(folder, exchanges=[POSTED, POSTED]),
    "what was sent is not what was recorded: ...": lambda folder: contract_report(
        folder, exchanges=[{"request": {"method": "POST", "url": "https://api.test/other"}}]
    ),
    "not as expected": lambda folder: contract_report(folder, exchanges=[POSTED], expect={"job_id": "8"}),
    "reached by no test of ...": lambda folder: contract_report(folder, exchanges=[POSTED]),
    "there is no spec ... beside this file": lambda folder: command(
        "test", render_value(folder / "alone.test.yaml", {"tests": [{"name": "a", "calls": [{"create": {}}]}]})
    ),
    "the certificate is not trusted: ...": lambda _: source("cli/check/preflight.py"),
    "... cannot be resolved: ...": lambda folder: command("check", reaching(folder, "https://api.invalid")),
    "... does not answer within ... s (a firewall?)": lambda _: source("cli/check/preflight.py"),
    "the secret ...: the variable ... is not set": lambda _: command(
        "run", BATCH_JOB, "--input", "name=x", "--secret", "api_key=env:NONE"
    ),
    "the secret ...: write it as ...=env:VARIABLE or ...=file:PATH": (
        lambda _: command("run", BATCH_JOB, "--input", "name=x", "--secret", "api_key=4711")
    ),
    "... needs: --input ...": lambda _: command("run", BATCH_JOB),
    "it could not be cancelled: ...": lambda _: source("cli/_live/interactive_run.py"),
    "not submitted within ...": lambda _: not_submitted(),
    "it is unknown whether the job was submitted: ... was not answered...": (
        lambda _: source("cli/_live/interactive_run.py").replace("{reason}", "x was not answered")
    ),
    "the output cannot be written: ...": lambda _: source("cli/_live/interactive_run.py"),
}


def test_every_message_is_produced_here() -> None:
    assert sorted(PRODUCED) == sorted(QUOTED)


@pytest.mark.slow
@pytest.mark.parametrize("message", QUOTED)
def test_a_message_is_what_a_user_meets(message: str, tmp_path: Path) -> None:
    said = PRODUCED[message](tmp_path)
    pattern = re.escape(message).replace(re.escape("..."), ".*?")
    assert re.search(pattern, " ".join(said.split()), re.DOTALL), said
