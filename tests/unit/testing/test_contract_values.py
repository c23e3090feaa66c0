"""What a test gives the connector, and what it keeps between calls: values, secrets, the task, the clock, memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.contract_folder import CREATE, DEFAULTS, Folder, differing, get, state, the_failure
from yaml_connector.testing.fixtures import make_secrets
from yaml_connector.testing.model import Generate

POST = {"method": "POST", "path": "/jobs"}


def sends(**request: Any) -> dict[str, Any]:
    return {"create": {"exchanges": [{"request": {**POST, **request}, "response": {"json": {"id": 7}}}]}}


def test_a_tests_values_replace_the_defaults_key_by_key(folder: Folder) -> None:
    folder.change_spec("inputs:\n  name: str", "inputs:\n  name: str\n  more: str")
    folder.change_spec(
        "      name: ${{ inputs.name }}", "      name: ${{ inputs.name }}\n      more: ${{ inputs.more }}"
    )
    inputs = {"name": "hello", "more": "a"}
    tests = [
        {"name": "defaults", "calls": [sends(json={"name": "hello", "more": "a", "timeout": 60})]},
        {
            "name": "own",
            "inputs": {"more": "b"},
            "config": {"timeout_seconds": 5},
            "secrets": {"api_key": "other"},
            "env": {"BATCH_URL": "https://own.test"},
            "calls": [
                sends(
                    json={"name": "hello", "more": "b", "timeout": 5},
                    headers={"Authorization": "Bearer other", "Host": "own.test"},
                )
            ],
        },
    ]
    result = folder.run_file({"defaults": {**DEFAULTS, "inputs": inputs}, "tests": tests})
    assert [test.passed for test in result.results] == [True, True], result


def test_the_config_has_the_specs_defaults(folder: Folder) -> None:
    tests = [{"name": "one", "calls": [sends(json={"name": "hello", "timeout": 300})]}]
    assert folder.run_file({"defaults": {**DEFAULTS, "config": {}}, "tests": tests}).results[0].passed


def test_an_optional_input_that_is_not_given_is_null(folder: Folder) -> None:
    folder.change_spec("inputs:\n  name: str", "inputs:\n  name: str\n  more: str?")
    folder.change_spec("      name: ${{ inputs.name }}", "      name: ${{ [inputs.name, inputs.more] }}")
    assert folder.run(sends(json={"name": ["hello", None], "timeout": 60})).passed


def test_the_environment_is_the_tests_alone(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_URL", "https://elsewhere.test")
    monkeypatch.setenv("BATCH_API_KEY", "of-the-process")
    call = sends(headers={"Host": "127.0.0.1:8900", "Authorization": "Bearer s3cr3t"})
    assert folder.run(call, env={"BATCH_URL": None}).passed
    missing = {"create": {"expect": {"phase": "FAILED", "message": "/the secret 'api_key' is missing/"}}}
    assert folder.run(missing, secrets={"api_key": None}).passed


def test_a_secret_that_is_null_is_missing_and_one_of_the_environment_counts(folder: Folder) -> None:
    call = sends(headers={"Authorization": "Bearer from-env"})
    assert folder.run(call, secrets={"api_key": None}, env={"BATCH_API_KEY": "from-env"}).passed


def test_a_generated_secret_is_a_private_rsa_key(folder: Folder) -> None:
    folder.change_spec('token: "${{ secrets.api_key }}"', 'token: "${{ secrets.api_key | fingerprint }}"')
    call = sends(headers={"Authorization": "/^Bearer [A-Za-z0-9+.=/]{44}$/"})
    assert folder.run(call, secrets={"api_key": {"generate": "rsa"}}).passed
    made = make_secrets({"a": Generate(generate="rsa"), "b": Generate(generate="rsa"), "c": "text"})
    assert made["a"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert made["a"] != made["b"]
    assert made == make_secrets({"a": Generate(generate="rsa"), "b": Generate(generate="rsa"), "c": "text"})


def test_a_generated_service_account_is_googles_json_with_such_a_key() -> None:
    made = make_secrets({"a": Generate(generate="google_service_account")})
    account = json.loads(made["a"])
    assert account["type"] == "service_account"
    assert account["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert account["token_uri"] == "https://oauth2.googleapis.com/token"


def test_a_generated_key_is_masked(folder: Folder) -> None:
    folder.change_spec('token: "${{ secrets.api_key }}"', "token: x")
    folder.change_spec(
        "name: ${{ inputs.name }}", "name: ${{ inputs.name }}\n      key: ${{ secrets.api_key | b64encode }}"
    )
    result = folder.run(sends(json={"name": "x", "timeout": 60, "key": 0}), secrets={"api_key": {"generate": "rsa"}})
    assert differing(result)["json.key"][1].startswith("***")


def test_the_task_has_names_for_everything(folder: Folder) -> None:
    names = ("name", "type", "project", "domain", "version", "execution_id", "attempt", "namespace", "labels")
    more = ("annotations", "output_prefix", "container", "sql", "timeout", "key")
    folder.change_spec("      name: ${{ inputs.name }}", "      name: ${{ task }}")
    result = folder.run(sends(json={"name": {}, "timeout": 60}))
    found = {item.field.removeprefix("json.name."): item.found for item in the_failure(result).differences}
    assert set(found) == {*names, *more}
    assert found["key"] == "test-key"
    assert found["attempt"] == 0
    assert found["type"] == "batch_job"
    assert found["container"] == {
        "image": "registry.test/image:1",
        "command": [],
        "args": [],
        "env": {},
        "resources": {},
    }


def test_the_tasks_names_are_replaced_key_by_key_too(folder: Folder) -> None:
    text = (
        "${{ task.key }} ${{ task.attempt }} ${{ task.project }} ${{ task.container.image }} ${{ task.container.args }}"
    )
    folder.change_spec("      name: ${{ inputs.name }}", f'      name: "{text}"')
    tests = [
        {
            "name": "one",
            "task": {"attempt": 2, "container": {"args": ["a"]}},
            "calls": [sends(json={"name": 'k 2 test-project registry.test/image:1 ["a"]', "timeout": 60})],
        }
    ]
    result = folder.run_file({"defaults": {**DEFAULTS, "task": {"key": "k", "attempt": 1}}, "tests": tests})
    assert result.results[0].passed, result


def test_the_outputs_are_the_specs_unless_the_task_declares_its_own(folder: Folder) -> None:
    folder.change_spec("  result: $.result", '  result: $.result\n  "*": {value: "${{ body[output.name] }}"}')
    done = state("done", result="r", rows="5")
    assert folder.run(CREATE, get(done, expect={"outputs": {"result": "r"}})).passed
    assert folder.run(CREATE, get(done, expect={"outputs": {"rows": 5}}), outputs={"rows": "int"}).passed
    tests = [
        {
            "name": "one",
            "outputs": {"rows": "int"},
            "calls": [CREATE, get(done, expect={"outputs": {"rows": 5, "result": "r"}})],
        }
    ]
    assert folder.run_file({"defaults": {**DEFAULTS, "outputs": {"result": "str"}}, "tests": tests}).results[0].passed


def test_inputs_come_as_the_task_gives_them(folder: Folder) -> None:
    folder.change_spec("  name: str\n", "  name: duration\n")
    assert folder.run(sends(json={"name": 300, "timeout": 60}), inputs={"name": "5m"}).passed


def test_a_spec_without_inputs_takes_any(folder: Folder) -> None:
    folder.change_spec("inputs:\n  name: str\n", "")
    assert folder.run(sends(json={"name": {"x": [1]}, "timeout": 60}), inputs={"name": {"x": [1]}}).passed


def test_a_file_input_is_a_path_beside_the_test(folder: Folder) -> None:
    folder.change_spec("  name: str\n", "  name: file\n")
    start, end = "    json:\n", "  idempotent"
    text = (folder.path / "batch_job.yaml").read_text()
    body = text[text.index(start) : text.index(end)]
    folder.change_spec(body, "    file: ${{ inputs.name }}\n")
    (folder.path / "data").mkdir()
    (folder.path / "data" / "rows.csv").write_text("a,b\n1,2\n" * 10_000)
    inputs = {"name": "data/rows.csv"}
    assert folder.run(sends(text="a,b\n1,2\n" * 10_000), inputs=inputs).passed
    assert not folder.run(sends(text="a,b\n1,2\n" * 9_999), inputs=inputs).passed
    gone = {"create": {"expect": {"phase": "FAILED", "message": "/the file gone.csv cannot be read: No such file/"}}}
    assert folder.run(gone, inputs={"name": "gone.csv"}).passed


# --- between the calls ------------------------------------------------------------------------------------------------


def test_the_clock_starts_at_a_fixed_time_and_moves_by_after_alone(folder: Folder) -> None:
    folder.change_spec("      name: ${{ inputs.name }}", "      name: ${{ now() }}")
    began = time.monotonic()
    calls = [
        sends(json={"name": 1767225600, "timeout": 60}),
        {"after": "24h"},
        sends(json={"name": 1767225600 + 86400, "timeout": 60}),
        {"after": "500ms"},
        sends(json={"name": 1767225600.5 + 86400, "timeout": 60}),
    ]
    assert folder.run(*calls).passed
    assert time.monotonic() - began < 5


def test_each_test_has_a_clock_of_its_own(folder: Folder) -> None:
    folder.change_spec("      name: ${{ inputs.name }}", "      name: ${{ now() }}")
    test = [sends(json={"name": 1767225600, "timeout": 60}), {"after": "1h"}]
    tests = [{"name": "one", "calls": test}, {"name": "two", "calls": test}]
    assert all(result.passed for result in folder.run_file({"defaults": DEFAULTS, "tests": tests}).results)
    assert abs(time.time() - 1767225600) > 1


@pytest.mark.parametrize(("step", "now"), [("+1h", "2026-01-01T01:00:00Z"), ("-30m", "2025-12-31T23:30:00Z")])
def test_a_step_of_the_clock_changes_only_what_the_wall_clock_shows(folder: Folder, step: str, now: str) -> None:
    folder.change_spec("  phase:", "  poll: {min_interval: 10s}\n  phase:")
    running, down = get(state("running")), get({"status": 400}, expect={"message": f"/since {now}/"})
    from_memory = {"get": {"expect": {"phase": "RUNNING"}}}
    assert folder.run(CREATE, running, {"clock": step}, from_memory, {"after": "10s"}, {"clock": "-10s"}, down).passed


def test_a_rate_limit_takes_no_time(folder: Folder) -> None:
    folder.change_spec("  auth:", "  rate_limit: {requests: 1, per: 2s}\n  auth:")
    began = time.monotonic()
    message = "/since 2026-01-01T00:00:00Z/"
    assert folder.run(CREATE, get({"status": 503}, repeat=3, expect={"message": message})).passed
    assert time.monotonic() - began < 5  # real waits would take 6 s or more


def test_memory_lasts_from_call_to_call_and_a_restart_empties_it(folder: Folder) -> None:
    queued = get(state("queued"), expect={"phase": "QUEUED"})
    down = {"status": 500}
    assert folder.run(CREATE, queued, get(down, repeat=3, expect={"phase": "QUEUED"})).passed
    assert folder.run(CREATE, queued, {"restart": True}, get(down, repeat=3, expect={"phase": "RUNNING"})).passed


def test_each_test_starts_with_an_empty_memory(folder: Folder) -> None:
    tests = [
        {"name": "one", "calls": [CREATE, get(state("queued"), expect={"phase": "QUEUED"})]},
        {"name": "two", "calls": [CREATE, get({"status": 500}, repeat=3, expect={"phase": "RUNNING"})]},
    ]
    assert all(result.passed for result in folder.run_file({"defaults": DEFAULTS, "tests": tests}).results)


def test_the_job_goes_through_the_bytes_that_flyte_keeps(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    from yaml_connector._jobs.meta import JobMeta

    real = JobMeta.decode.__func__  # type: ignore[attr-defined]
    read = classmethod(lambda cls, data, *key: (kept.append(data), real(cls, data, *key))[1])
    monkeypatch.setattr(JobMeta, "decode", read)
    assert folder.run(CREATE, get(state("running")), get(state("running"))).passed
    assert len(kept) == 3
    assert kept[0] == kept[1] == kept[2]
    assert b"s3cr3t" not in kept[0]


def test_secrets_go_with_create_get_and_delete_and_not_with_logs(folder: Folder) -> None:
    """Logs have the secrets that this process has seen; after a restart they have none."""
    logs = {"logs": {"exchanges": [{"request": {"path": "/jobs/7/logs"}, "response": {"json": {"lines": []}}}]}}
    alone = {"logs": {"expect": {"error": "the secret 'api_key' is missing"}}}
    ask = {"request": "GET /jobs/7", "response": {"status": 500}}
    cancel = {"delete": {"exchanges": [ask, {"request": {"method": "POST", "path": "/jobs/7/cancel"}}]}}
    assert folder.run(CREATE, logs).passed
    assert folder.run(CREATE, {"restart": True}, alone).passed
    assert folder.run(CREATE, {"restart": True}, cancel, get(state("running")), logs).passed


def test_secrets_may_change_between_two_calls(folder: Folder) -> None:
    with_key = {"headers": {"Authorization": "Bearer other-key"}, "url": "https://batch.test/jobs/7"}
    ask = {"get": {"exchanges": [{"request": with_key, "response": state("running")}]}}
    changed = {"secrets": {"api_key": "other-key"}}
    missing = {"create": {"expect": {"phase": "FAILED", "message": "/the secret 'api_key' is missing/"}}}
    assert folder.run(CREATE, changed, ask, {"secrets": {"api_key": None}}, missing).passed
    shown = the_failure(
        folder.run(CREATE, changed, get(expect={"message": "s3cr3t or other-key"}), secrets={"api_key": "s3cr3t-1"})
    )
    assert "other-key" not in str(shown)
    assert "s3cr3t-1" not in str(shown)


def test_a_secret_that_changes_must_be_one_of_the_spec(folder: Folder) -> None:
    failure = the_failure(folder.run(CREATE, {"secrets": {"apikey": "x"}}))
    assert "did you mean api_key?" in failure.what
    assert failure.line > 1


def test_a_second_create_is_a_job_of_its_own(folder: Folder) -> None:
    second = {"create": {"exchanges": [{"request": POST, "response": {"json": {"id": 8}}}]}}
    found = {"get": {"exchanges": [{"request": "GET /jobs/8", "response": state("running")}]}}
    assert folder.run(CREATE, second, found).passed


def test_the_spec_beside_the_test_may_have_another_name(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "batch_job.yaml").rename(tmp_path / "sub" / "other.yml")
    result = folder.run_file(
        {"spec": "sub/other.yml", "defaults": DEFAULTS, "tests": [{"name": "a", "calls": [CREATE]}]}
    )
    assert result.results[0].passed


def test_the_project_and_domain_of_a_test_are_checked_against_allow(folder: Folder) -> None:
    folder.change_spec("connection:", "allow: {projects: [data], domains: [production]}\nconnection:")
    refused = {"create": {"expect": {"phase": "FAILED", "message": "/^tasks of the project 'test-project' may not/"}}}
    assert folder.run(refused).passed
    call = sends(headers={"Authorization": "Bearer s3cr3t"})
    assert folder.run(call, task={"project": "data", "domain": "production"}).passed
