"""`yaml-connector new --from-curl`: each folder of `curl/` is a paste, with the spec that must come of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command_line import Command, Done
from tests.support.paths import ROOT
from tests.support.real_api import RealApi
from tests.support.yaml_data import yaml_data
from yaml_connector.cli.new.curl.shell import commands_of
from yaml_connector.cli.new.curl.tokens import plain

CASES = ROOT / "tests" / "unit" / "cli" / "curl"
# What stands in the pastes and must stand in no file and in no output.
SECRETS = {
    "chrome-cmd": ["abc123def456ghi789", "77aa88bb99cc"],
    "differing-values": ["abcd1234efgh5678"],
    "form-urlencode": ["acct_77", "pw-91c2"],
    "graphql": ["fl_live_0123456789abcdef"],
    "key-in-query": ["sc_1234567890abcdef"],
    "location-header": ["k-0000111122223333"],
    "login-first": ["hunter2-hunter2", "ci-bot", "eyJhbGciOiJIUzI1NiJ9"],
    "login-pasted": ["0a1b2c3d4e5f60718293a4b5", "S3cr3t!pass"],
    "lost-continuations": ["vd_0a0b0c0d0e0f"],
    "missing-file": ["b3BzOnBhc3N3b3JkMTIz", "password123"],
    "powershell": ["tok-5f2c9d0e7a"],
    "prompts-and-jq": ["glsa_9d8f7a6b5c4d3e2f1a0b"],
    "upload": ["0123456789abcdef0123456789abcdef"],
    "airflow": ["s3cretAirflow"],
    "azure": ["eyJ0eXAiOiJKV1Qi"],
    "elastic": ["VnVhQ2ZHY0JDZGJrUW0t"],
    "github": ["ghp_abcdefghijklmnop"],
    "nomad": ["1b2c3d4e-aaaa-bbbb-cccc-0123456789ab"],
    "cookie-jar": ["s3cr3tpw", "0011AABBCCDDEEFF"],
    "list-first": ["abc.def.ghi"],
}


def imported(command: Command, case: str, *arguments: str) -> Done:
    """The command, run where the paste is."""
    for file in (CASES / case).iterdir():
        if file.name != "expected.yaml":
            shutil.copy(file, file.name)
    answers = ["--answers", "answers.txt"] if Path("answers.txt").exists() else []
    return command("new", "mine", "--from-curl", "commands.txt", *answers, *arguments)


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_paste_becomes_the_spec_that_it_describes(command: Command, case: str) -> None:
    done = imported(command, case, "--json", "--to", "out")
    assert done.returncode == 0, done.stderr
    written = Path("out/mine.yaml").read_text(encoding="utf-8")
    expected = (CASES / case / "expected.yaml").read_text(encoding="utf-8")
    assert written.partition("\n")[2] == expected
    found = json.loads(done.stdout)
    assert found["files"] == ["out/mine.yaml", "out/mine.test.yaml"]
    lines = written.splitlines()
    assert all(lines[item["line"] - 1].lstrip().startswith("# DECIDE: ") for item in found["decide"])
    assert len(found["decide"]) == written.count("# DECIDE: ")
    everything = done.stdout + done.stderr + written + Path("out/mine.test.yaml").read_text(encoding="utf-8")
    assert [secret for secret in SECRETS.get(case, ()) if secret in everything] == []


def test_what_is_written_passes_validate_and_test(command: Command) -> None:
    assert imported(command, "login-first").returncode == 0
    for check in ("validate", "test"):
        assert command(check, "connectors.d").returncode == 0


def test_the_fields_of_a_test_have_the_order_of_the_rules(command: Command) -> None:
    assert imported(command, "nested-result-state").returncode == 0
    test = Path("connectors.d/mine.test.yaml").read_text(encoding="utf-8")
    assert "response: {json: {result: succeeded, state: completed}}" in test


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("just prose about curl and nothing else\n", "there is no curl command in it"),
        ("", "there is no curl command in it"),
        ("curl https://a.test/jobs/1\ncurl https://a.test/jobs\n", "no command submits a job (a POST, say)"),
        ("curl -X DELETE https://a.test/jobs/1\n", "no command submits a job"),
    ],
)
def test_without_a_create_it_fails_with_the_reason(command: Command, text: str, told: str) -> None:
    Path("commands.txt").write_text(text, encoding="utf-8")
    done = command("new", "mine", "--from-curl", "commands.txt")
    assert done.returncode == 1
    assert told in done.stderr
    assert not Path("connectors.d").exists()


def test_wrong_usage_names_what_is_missing(command: Command) -> None:
    assert "give NAME" in command("new", "--from-curl", "commands.txt").stderr
    done = command("new", "mine", "--from-curl", "nowhere.txt")
    assert (done.returncode, "nowhere.txt cannot be read" in done.stderr) == (2, True)


def test_people_see_what_is_to_decide_and_what_was_not_used(command: Command) -> None:
    done = imported(command, "list-first")
    assert "connectors.d/mine.yaml:" in done.stdout
    assert "decide: which state means success? The answers have only running" in done.stdout
    assert "commands.txt:2: not used: GET /api/queues: not part of the job" in done.stdout


def test_an_unchecked_certificate_is_a_warning(command: Command) -> None:
    assert "warning: the commands use -k" in imported(command, "missing-file").stderr


# --- the words of a command ---

QUOTING = r"""
curl 'a b' "c d" e\ f $'g\'h\n\x41\u00e9' ""
curl "a'b" 'c"d' "e\"f\\g\`h" plain'joined'"parts"
curl -d '{"a": "it'\''s"}' https://a.test/x?y=1 # a comment
curl one \
  two \
  "three
four"
curl -d "back\slash \$HOME" 'un\changed' ~x a=b
echo 'x' | curl - | cat; curl after && curl again || curl never
"""


@pytest.mark.slow
def test_words_are_those_of_bash() -> None:
    script = "curl() { printf '%s\\0' curl \"$@\"; printf '\\n\\0'; }\nHOME='$HOME'\ncd() { :; }\n" + QUOTING.replace(
        "~x", "x~"
    )
    # With `|` the output of a curl goes to cat, which writes it; `||` runs only one side.
    shown = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=20).stdout.decode()
    expected = [text.split("\0")[:-1] for text in shown.split("\n\0") if text]
    found = [
        [plain(word) for word in command.words]
        for pipeline in commands_of(QUOTING.replace("~x", "x~"))[0]
        for command in pipeline
        if command.name == "curl"
    ]
    assert found[:-1] == expected  # `|| curl never` is read, and never runs


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff\u200b\u00a0\u2007\u202f"), max_size=20),
        max_size=5,
    )
)
def test_quoted_words_are_read_back(words: list[str]) -> None:
    import shlex

    found, _ = commands_of(f"curl https://a.test {shlex.join(words)}")
    assert [plain(word) for word in found[0][0].words[2:]] == words


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    commands_of(f"curl {text}")
    commands_of(text)


@pytest.mark.slow
def test_a_large_paste_takes_no_long_time() -> None:
    commands_of("curl -H 'a: b' https://a.test \\\n" * 500)
    commands_of("curl $(" * 500)
    commands_of("x=$(curl " + "'" * 5001)
    commands_of("curl https://a.test/x\n  -H 'a: b'\n" * 500)
    commands_of("it's curl it's\n" * 500)


@pytest.mark.parametrize("page", ["[" * 10**5, '{"a":' * 10**5, "HTTP/1.1 200\n" * 10**4, "1\n\n" * 10**4])
def test_odd_answers_are_read_without_an_exception(command: Command, page: str) -> None:
    Path("answers.txt").write_text(page, encoding="utf-8")
    Path("commands.txt").write_text("curl -d '{}' https://a.test/jobs\ncurl https://a.test/jobs/17\n", encoding="utf-8")
    done = command("new", "mine", "--from-curl", "commands.txt", "--answers", "answers.txt")
    assert done.returncode in (0, 1), done.stderr
    assert yaml_data(Path("connectors.d/mine.yaml"))["create"]["job_id"]


PIECES = r"""curl§-X POST§-d '{"a": "<B>", "id": 77}'§-H 'Authorization: Bearer $T'§https://a.test/jobs§
§https://a.test/jobs/j-77§| jq -r .id§ID=$(curl -s https://a.test/jobs -d a=1 | jq .id)§-F f=@x§-u a:b§?q=1&q=2
https://a.test/jobs/$ID/cancel§-G§--data-urlencode q=$Q§-b 's=1; t=2'§-d @nowhere.json§-X DELETE§<<EOF
{$X}
EOF§--url§https://$H/{id}/x?y={z}§# stop it§-d§--json '[1]'§`""".split("§")  # noqa: SIM905 - quotes of all kinds are in them
ANSWERS = """{"id": "j-77", "status": "running"}§HTTP/1.1 202
Location: /jobs/j-77
§{"jobs": [{"id": 77}]}§text§[]§{"done": true, "error": null}§{"a": {"status": 3}}§null
{"id": 77, "result": "ok", "state": "exited"}""".split("§")  # noqa: SIM905 - as above


@given(st.lists(st.sampled_from(PIECES), max_size=20), st.lists(st.sampled_from(ANSWERS), max_size=4))
def test_odd_commands_and_answers_give_no_traceback(pieces: list[str], answers: list[str]) -> None:
    from yaml_connector.cli.new.checked import files_of
    from yaml_connector.cli.new.curl.build import sketch_of
    from yaml_connector.errors import ConfigError

    with contextlib.suppress(ConfigError):
        files_of(sketch_of(" ".join(["curl", *pieces]), "-", "mine", Path(), "\n\n".join(answers)))


def test_the_commands_can_be_tried_at_the_api(live: Command, job_service_url: str) -> None:
    body = '{"name": "tried", "timeout": 60, "command": ["true"]}'
    commands = f"""
    curl {job_service_url}/jobs -H "Authorization: Bearer $ALICE_KEY" --json '{body}'
    curl {job_service_url}/jobs/job-000 -H "Authorization: Bearer $ALICE_KEY"
    curl -X POST {job_service_url}/jobs/job-000/cancel -H "Authorization: Bearer $ALICE_KEY"
    """
    Path("commands.txt").write_text(commands, encoding="utf-8")
    done = live("new", "mine", "--from-curl", "commands.txt", "--try", "--to", "out")
    assert done.returncode == 0, done.stderr
    assert f"sent POST {job_service_url}/jobs\n" in done.stderr
    spec = yaml_data(Path("out/mine.yaml"))
    assert spec["create"]["job_id"] == "$.id"
    assert spec["get"]["request"] == "GET /jobs/${{ job.id }}"
    assert spec["get"]["phase"]["path"] == "$.state"
    assert spec["get"]["phase"]["map"]["SUCCEEDED"] == ["done"]
    assert "job_id" not in done.stdout


def test_what_a_try_lacks_is_named(command: Command) -> None:
    text = 'curl https://a.test/jobs -H "X-Api-Key: $NO_SUCH_KEY" -d "{}"\ncurl https://a.test/jobs/77\n'
    Path("commands.txt").write_text(text, encoding="utf-8")
    done = command("new", "mine", "--from-curl", "commands.txt", "--try")
    assert (done.returncode, "set these variables of the commands for --try: NO_SUCH_KEY" in done.stderr) == (1, True)


def test_an_id_that_a_try_finds_is_never_read_as_a_variable(live: Command, api: RealApi) -> None:
    api.case("odd", lambda received: {"id": "$ALICE_KEY", "status": "done"})
    url = f"{api.url}/odd"
    Path("commands.txt").write_text(f"curl {url}/jobs -d '{{}}'\ncurl {url}/jobs/job-000\n", encoding="utf-8")
    done = live("new", "mine", "--from-curl", "commands.txt", "--try", "--to", "out")
    assert done.returncode == 0, done.stderr
    assert [received.raw_path for received in api.received("odd", "GET")] == ["/odd/jobs/$ALICE_KEY"]
