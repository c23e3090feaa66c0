"""`yaml-connector validate`: problems at their place, exit codes, formats, what paths stand for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.paths import ROOT
from yaml_connector.cli.main import cli

GOOD = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
TESTS = (ROOT / "connectors.d" / "batch_job.test.yaml").read_text(encoding="utf-8")
BAD = GOOD.replace("SUCCEEDED: [done]", "SUCCEDED: [done]")
WARNS = GOOD.replace("  idempotent: true\n", "")


def validate(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments], input=stdin)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YAML_CONNECTOR_PATH", raising=False)


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return name


def test_a_good_spec_gives_one_line_and_exit_code_0() -> None:
    result = validate(write("a.yaml", GOOD))
    assert result.output == "1 spec, 0 problems\n"
    assert result.exit_code == 0


def test_with_a_spec_the_tests_that_are_for_it_are_checked() -> None:
    write("batch_job.yaml", GOOD)
    write("batch_job.test.yaml", TESTS)
    write("more.test.yaml", "spec: batch_job.yaml\ntests: [{name: a, config: {nonsense: 1}, calls: [restart: true]}]\n")
    write("other.test.yaml", "tests: []\n")
    result = validate("batch_job.yaml")
    assert "more.test.yaml:2:28: tests[0].config.nonsense: batch_job has no config field 'nonsense'" in result.output
    assert result.output.endswith("1 spec, 2 test files, 1 problem\n")


def test_a_problem_is_shown_with_its_line_a_caret_and_exit_code_1() -> None:
    result = validate(write("a.yaml", BAD))
    line = BAD.splitlines().index("      SUCCEDED: [done]") + 1
    first, source, caret, last = result.output.splitlines()
    assert first.startswith(
        f"a.yaml:{line}:7: get.phase.map.SUCCEDED: 'SUCCEDED' is not allowed; did you mean SUCCEEDED?"
    )
    assert source == f"  {line} |       SUCCEDED: [done]"
    assert caret == f"  {' ' * len(str(line))} |       ^"
    assert last == "1 spec, 1 problem"
    assert result.exit_code == 1


def test_warnings_are_told_and_leave_exit_code_0_unless_strict() -> None:
    write("a.yaml", WARNS)
    result = validate("a.yaml")
    assert result.exit_code == 0
    assert ": warning: create: neither idempotent nor adopt" in result.output
    assert result.output.endswith("1 spec, 0 problems, 1 warning\n")
    strict = validate("a.yaml", "--strict")
    assert strict.exit_code == 1
    assert "warning" not in strict.output
    assert strict.output.endswith("1 spec, 1 problem\n")


def test_all_problems_of_all_files_come_at_once() -> None:
    write("a.yaml", BAD)
    write("b.yaml", BAD.replace("job_id: $.id", "job_id: $.["))
    write("c.yaml", GOOD)
    result = validate("a.yaml", "b.yaml", "c.yaml")
    assert [line.split(":")[0] for line in result.output.splitlines() if ": get" in line] == ["a.yaml", "b.yaml"]
    assert result.output.endswith("3 specs, 3 problems\n")


def test_two_specs_of_one_task_type_are_a_problem_and_one_file_named_twice_is_none() -> None:
    write("d/a.yaml", GOOD)
    write("d/b.yaml", GOOD)
    result = validate("d")
    assert "d/b.yaml:3:17: task_type_name: d/a.yaml has the task type 'batch_job' in version 0 already" in result.output
    assert validate("d/a.yaml", "d/a.yaml", "./d/../d/a.yaml").output == "1 spec, 0 problems\n"


def test_a_folder_is_its_specs_and_the_contract_tests_beside_them() -> None:
    write("d/batch_job.yaml", GOOD)
    write("d/batch_job.test.yaml", TESTS)
    write("d/notes.txt", "no spec")
    write("d/.hidden.yaml", "no: spec")
    write("d/deeper/other.yaml", "no: spec")
    assert validate("d").output == "1 spec, 1 test file, 0 problems\n"
    write("d/batch_job.test.yaml", TESTS.replace("phase: ABORTED", "phase: ABORTD"))
    result = validate("d")
    assert "d/batch_job.test.yaml:" in result.output
    assert "'ABORTD' is not allowed; did you mean ABORTED?" in result.output
    assert result.exit_code == 1


def test_a_contract_test_that_is_named_is_checked_as_one_with_the_values_it_gives() -> None:
    write("batch_job.yaml", GOOD)
    write("batch_job.test.yaml", TESTS.replace("timeout_seconds: 60", "timeout_second: 60"))
    result = validate("batch_job.test.yaml")
    assert "defaults.config.timeout_second: batch_job has no config field 'timeout_second'" in result.output
    assert result.output.endswith("0 specs, 1 test file, 1 problem\n")


def test_a_contract_test_of_a_bad_spec_shows_the_specs_problems_once() -> None:
    write("batch_job.yaml", BAD)
    write("batch_job.test.yaml", TESTS)
    for paths in (["batch_job.test.yaml"], ["."], ["batch_job.yaml", "batch_job.test.yaml"]):
        result = validate(*paths)
        assert result.output.count("is not allowed; did you mean SUCCEEDED?") == 1
        assert result.exit_code == 1


def test_without_a_path_the_folder_connectors_d_is_checked() -> None:
    write("connectors.d/a.yaml", BAD)
    assert validate().output.startswith("connectors.d/a.yaml:")


def test_without_a_path_the_environment_counts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    write("connectors.d/a.yaml", BAD)
    write("other/a.yaml", GOOD)
    monkeypatch.setenv("YAML_CONNECTOR_PATH", "other")
    assert validate().output == "1 spec, 0 problems\n"


def test_a_path_that_does_not_exist_is_a_problem() -> None:
    result = validate("nowhere")
    assert result.output.startswith("nowhere:1:1: there is no such file or folder")
    assert result.exit_code == 1
    assert validate("x.test.yaml").exit_code == 1


def test_a_folder_without_a_spec_is_a_problem() -> None:
    Path("empty").mkdir()
    result = validate("empty")
    assert "there is no spec (*.yaml) in this folder" in result.output
    assert result.exit_code == 1


def test_a_spec_comes_from_the_standard_input() -> None:
    assert validate("-", stdin=GOOD).output == "1 spec, 0 problems\n"
    result = validate("-", stdin=BAD)
    assert result.output.startswith("<stdin>:")
    assert "SUCCEDED: [done]\n" in result.output.split("|", 1)[1]
    assert result.exit_code == 1


def test_the_standard_input_comes_beside_paths_and_alone_it_is_all() -> None:
    write("connectors.d/a.yaml", BAD)
    write("b.yaml", GOOD.replace("batch_job", "b"))
    assert validate("-", stdin=GOOD).output == "1 spec, 0 problems\n"
    assert validate("-", "b.yaml", stdin=GOOD).output == "2 specs, 0 problems\n"


def test_a_contract_test_comes_from_the_standard_input_too() -> None:
    write("batch_job.yaml", GOOD)
    assert validate("-", stdin=TESTS).output == "0 specs, 1 test file, 0 problems\n"
    assert "must not be empty" in validate("-", stdin="spec: batch_job.yaml\ntests: []\n").output


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"- a",
        b"a: b: c",
        b"&a [*a]",
        b"\x00",
        b"[" * 5000,
        b"spec_version: 1\ncreate: {request: GET}\n",
        b"!!python/object:os.system x",
        b"a: " + b"9" * 5000,
    ],
)
def test_no_input_gives_a_traceback(content: bytes) -> None:
    Path("a.yaml").write_bytes(content)
    for arguments, stdin in ((["a.yaml"], None), (["-"], content)):
        result = validate(*arguments, stdin=stdin)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.yaml").symlink_to("a.yaml")
    result = validate("d/a.yaml", "d")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)


def test_json_has_all_that_the_text_has() -> None:
    write("a.yaml", BAD)
    write("b.yaml", WARNS)
    result = validate("a.yaml", "b.yaml", "--format", "json")
    data = json.loads(result.output)
    assert {name: data[name] for name in ("specs", "test_files", "errors", "warnings")} == {
        "specs": 2,
        "test_files": 0,
        "errors": 1,
        "warnings": 1,
    }
    first, second = data["problems"]
    assert first["file"] == "a.yaml"
    assert first["path"] == "get.phase.map.SUCCEDED"
    assert first["severity"] == "error"
    assert first["column"] == 7
    assert second["severity"] == "warning"
    assert result.exit_code == 1
    assert json.loads(validate(write("c.yaml", GOOD), "--format", "json").output)["problems"] == []


def test_github_gets_annotations() -> None:
    write("a,b.yaml", BAD)
    write("w.yaml", WARNS.replace("batch_job", "w"))
    result = validate("a,b.yaml", "w.yaml", "--format", "github")
    line = BAD.splitlines().index("      SUCCEDED: [done]") + 1
    assert result.output.startswith(
        f"::error file=a%2Cb.yaml,line={line},col=7::get.phase.map.SUCCEDED: 'SUCCEDED' is not allowed"
    )
    assert "::warning file=w.yaml,line=" in result.output
    assert result.exit_code == 1


def test_a_long_line_is_shown_around_the_problem() -> None:
    text = BAD.replace("      SUCCEDED: [done]", "")
    long = "      QUEUED: [" + ", ".join(f"state{number}" for number in range(60)) + ", {}, last]"
    write("a.yaml", text.replace("      QUEUED: [queued]", long))
    source, caret = validate("a.yaml").output.splitlines()[1:3]
    assert len(source) < 140
    assert source[caret.index("^")] == "{"


def test_the_caret_is_below_the_problem_also_behind_wide_characters() -> None:
    write("a.yaml", "{'日本': 1, spec_version: 2}\n")
    wide = [line for line in validate("a.yaml").output.splitlines() if line.endswith("^")]
    columns = {line.index("^") for line in wide}  # each of the two characters takes two columns of a terminal
    assert len("  1 | {'日本': 1, spec_version: ") + 2 in columns


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    write("a.yaml", GOOD + '"\\e[31mx": 1\n# \x85\n')
    assert "\x1b" not in validate("a.yaml").output


def test_an_unknown_option_is_wrong_usage() -> None:
    assert validate("--formt", "json").exit_code == 2
    assert validate("--format", "xml").exit_code == 2


@pytest.mark.slow
def test_a_thousand_specs_are_checked_in_seconds_and_flyte_is_not_imported(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        text = GOOD.replace("batch_job", f"job_{number}").replace("/jobs", f"/jobs{number}")
        (folder / f"{number}.yaml").write_text(text)
    code = (
        "import sys, time; from yaml_connector.cli.main import cli\n"
        "try: cli(['validate', sys.argv[1]])\n"
        "finally: print({name.partition('.')[0] for name in sys.modules} & {'flyte', 'grpc'}, time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "1000 specs, 0 problems"
    loaded, seconds = done.stdout.splitlines()[1].split(" ")
    assert loaded == "set()"
    assert float(seconds) < 10  # of the processor: 1 to 2 s, more beside other work


def test_a_spec_in_a_sub_folder_is_named_because_it_is_not_read() -> None:
    Path("team").mkdir()
    write("batch_job.yaml", GOOD)
    Path("team/other.yaml").write_text(GOOD, encoding="utf-8")
    Path("team/values.yaml").write_text("replicas: 3\n", encoding="utf-8")
    result = validate(".")
    assert "team/other.yaml:1:1: warning: this spec is not read with .: move it there" in result.output
    assert result.output.endswith("1 spec, 0 problems, 1 warning\n")
    assert result.exit_code == 0
