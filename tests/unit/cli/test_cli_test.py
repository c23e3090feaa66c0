"""`yaml-connector test`: which files are run, what is printed, exit codes, JSON and JUnit."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
from click.testing import CliRunner, Result

from tests.support.paths import ROOT
from yaml_connector.cli.main import cli

SPEC = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
TESTS = (ROOT / "connectors.d" / "batch_job.test.yaml").read_text(encoding="utf-8")
WRONG = TESTS.replace("expect: {phase: ABORTED, message: cancelled}", "expect: {phase: FAILED}")
NAMED = "spec: batch_job.yaml\n"
COUNT = TESTS.count("\n  - name: ")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["test", *arguments])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YAML_CONNECTOR_PATH", raising=False)
    Path("connectors.d").mkdir()
    Path("connectors.d/batch_job.yaml").write_text(SPEC, encoding="utf-8")
    Path("connectors.d/batch_job.test.yaml").write_text(TESTS, encoding="utf-8")


def test_each_test_has_a_line_with_a_tick_and_the_last_line_counts() -> None:
    result = run()
    lines = result.output.splitlines()
    assert lines[0] == "connectors.d/batch_job.test.yaml"
    assert lines[1] == "  ✓ runs to success"
    assert lines[-1] == f"{COUNT} passed"
    assert len(lines) == COUNT + 2
    assert result.exit_code == 0


def test_a_test_that_fails_shows_the_difference_and_gives_exit_code_1() -> None:
    Path("connectors.d/batch_job.test.yaml").write_text(WRONG, encoding="utf-8")
    result = run()
    assert "  ✗ cancelled while it runs, and once more after the end\n" in result.output
    assert ": call 4 (get): not as expected\n" in result.output
    assert '          expected "FAILED"\n          found    "ABORTED"\n' in result.output
    assert result.output.endswith(f"{COUNT - 1} passed, 1 failed\n")
    assert result.exit_code == 1


def further_test(name: str, text: str) -> None:
    """One more file of tests of the spec, with a name of its own."""
    Path(f"connectors.d/{name}.test.yaml").write_text(f"{NAMED}{text}", encoding="utf-8")


def test_all_tests_that_are_for_a_spec_are_run_with_it() -> None:
    further_test("more", TESTS.replace(NAMED, ""))
    Path("connectors.d/other.yaml").write_text(SPEC.replace("batch_job", "other"), encoding="utf-8")
    Path("connectors.d/other.test.yaml").write_text(TESTS.replace(NAMED, ""), encoding="utf-8")
    Path("connectors.d/broken.test.yaml").write_text("batch_job.yaml: [", encoding="utf-8")
    result = run("connectors.d/batch_job.yaml")
    files = [line for line in result.output.splitlines() if line.endswith(".test.yaml")]
    assert files == ["connectors.d/batch_job.test.yaml", "connectors.d/more.test.yaml"]
    assert result.output.endswith(f"{2 * COUNT} passed\n")


def test_a_test_of_the_same_name_that_is_for_another_spec_is_not_run() -> None:
    Path("connectors.d/old.yaml").write_text(SPEC, encoding="utf-8")
    Path("connectors.d/old.test.yaml").write_text(TESTS, encoding="utf-8")
    assert "there is no contract test connectors.d/old.test.yaml beside" in run("connectors.d/old.yaml").output


def test_what_the_other_files_of_tests_reach_counts_and_is_told_once_for_a_spec() -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC.replace("[queued]", "[queued, waiting]"), encoding="utf-8")
    further_test("more", "tests: [{name: a, inputs: {name: a}, secrets: {api_key: k}, calls: [restart: true]}]\n")
    output = run().output
    assert output.count("reached by no test") == 1
    assert output.count("get.phase.map.") == 1
    assert output.endswith(f": get.phase.map.QUEUED: waiting\n{COUNT + 1} passed\n")
    (place,) = json.loads(run("--format", "json").output)["unreached"]
    assert (place["file"], place["value"]) == ("connectors.d/batch_job.yaml", "waiting")
    assert json.loads(run("--format", "json", "-k", "cancel").output)["unreached"] is None


def test_a_mistake_in_a_spec_is_told_and_counted_once_whatever_the_number_of_its_tests() -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC.replace("SUCCEEDED: [", "SUCCEDED: ["), encoding="utf-8")
    further_test("more", TESTS.replace(NAMED, ""))
    output = run().output
    assert output.count("did you mean SUCCEEDED?") == 1
    assert output.endswith("0 passed, 1 problem\n")


def test_what_no_test_reached_is_named_and_is_no_failure() -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC.replace("[queued]", "[queued, waiting]"), encoding="utf-8")
    result = run()
    line = SPEC.splitlines().index("      QUEUED: [queued]") + 1
    assert result.output.endswith(
        "reached by no test of connectors.d/batch_job.yaml:\n"
        f"  connectors.d/batch_job.yaml:{line}:24: get.phase.map.QUEUED: waiting\n"
        f"{COUNT} passed\n"
    )
    assert result.exit_code == 0


@pytest.mark.parametrize(
    "path", ["connectors.d", "connectors.d/batch_job.test.yaml", "connectors.d/batch_job.yaml", "./connectors.d/"]
)
def test_a_path_is_a_folder_a_test_or_the_spec_beside_it(path: str) -> None:
    assert run(path).output.endswith(f"\n{COUNT} passed\n")


def test_a_file_that_is_named_twice_is_run_once() -> None:
    assert run("connectors.d", "connectors.d/batch_job.yaml", "connectors.d/batch_job.test.yaml").output.endswith(
        f"\n{COUNT} passed\n"
    )


def test_k_picks_the_tests_by_a_part_of_their_name_and_leaves_coverage_out() -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC.replace("[queued]", "[queued, waiting]"), encoding="utf-8")
    result = run("-k", "CANCEL")
    assert [line for line in result.output.splitlines() if "✓" in line] == [
        "  ✓ cancelled while it runs, and once more after the end",
        "  ✓ a cancel that is refused is raised",
    ]
    assert "reached by no test" not in result.output
    assert result.output.endswith("2 passed\n")


def test_k_that_picks_nothing_is_wrong_usage() -> None:
    result = run("-k", "nonsense")
    assert "no test has 'nonsense' in its name" in result.output
    assert result.exit_code == 2


def test_a_mistake_in_a_test_file_is_shown_at_its_place() -> None:
    Path("connectors.d/batch_job.test.yaml").write_text(TESTS.replace("phase: ABORTED", "phase: ABORTD"))
    result = run()
    assert "did you mean ABORTED?" in result.output
    assert " ^\n" in result.output
    assert result.output.endswith("0 passed, 1 problem\n")
    assert result.exit_code == 1


def test_the_problems_of_a_spec_are_shown() -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC.replace("job_id: $.id", "job_id: $.["))
    result = run()
    assert result.output.startswith("connectors.d/batch_job.yaml:")
    assert "create.job_id" in result.output
    assert result.exit_code == 1


def test_other_files_are_run_all_the_same() -> None:
    Path("connectors.d/other.yaml").write_text(SPEC.replace("batch_job", "other"))
    Path("connectors.d/other.test.yaml").write_text("tests: []")
    result = run()
    assert result.output.endswith(f"{COUNT} passed, 1 problem\n")
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "there is no such file or folder"),
        ("-", "there is no such file or folder"),
        ("nowhere.test.yaml", "there is no such file or folder"),
        ("empty", "there is no"),
        ("alone", "there is no contract test (*.test.yaml) in this folder"),
        ("alone/a.yaml", "there is no contract test alone/a.test.yaml beside this spec"),
    ],
)
def test_a_path_without_a_test_is_a_problem(path: str, message: str) -> None:
    Path("empty").mkdir()
    Path("alone").mkdir()
    Path("alone/a.yaml").write_text(SPEC)
    result = run(path)
    assert message in result.output
    assert result.output.endswith("0 passed, 1 problem\n")
    assert result.exit_code == 1


def test_json_has_every_test_with_its_failures() -> None:
    Path("connectors.d/batch_job.test.yaml").write_text(WRONG, encoding="utf-8")
    result = run("--format", "json")
    data = json.loads(result.output)
    assert (data["passed"], data["failed"], data["problems"]) == (COUNT - 1, 1, [])
    failed = [test for test in data["files"][0]["tests"] if not test["passed"]]
    assert failed[0]["failures"][0]["differences"] == [{"field": "phase", "expected": "FAILED", "found": "ABORTED"}]
    assert result.exit_code == 1


def test_junit_is_written_beside_the_report() -> None:
    Path("connectors.d/batch_job.test.yaml").write_text(WRONG, encoding="utf-8")
    result = run("--junit", "report.xml")
    assert result.output.endswith(f"{COUNT - 1} passed, 1 failed\n")
    suite = parse("report.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == (str(COUNT), "1")


def test_junit_that_cannot_be_written_gives_a_message_and_no_traceback() -> None:
    result = run("--junit", "no/such/folder/report.xml")
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "report.xml" in result.output


def test_no_secret_is_printed() -> None:
    Path("connectors.d/batch_job.test.yaml").write_text(
        TESTS.replace("Authorization: Bearer s3cr3t", "Authorization: Bearer s3cr3t, X-More: s3cr3t"), encoding="utf-8"
    )
    result = run()
    assert "headers.X-More" in result.output
    assert "s3cr3t" not in result.output
    assert result.exit_code == 1


def test_what_a_test_provokes_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    Path("connectors.d/batch_job.yaml").write_text(SPEC[: SPEC.index("delete:")])
    Path("connectors.d/batch_job.test.yaml").write_text(
        "tests:\n- name: a\n  secrets: {api_key: k}\n  inputs: {name: a}\n  calls:\n"
        "  - create: {exchanges: [{request: POST /jobs, response: {json: {id: 1}}}]}\n  - delete:\n"
    )
    assert run().exit_code == 0
    assert capfd.readouterr().err == ""
