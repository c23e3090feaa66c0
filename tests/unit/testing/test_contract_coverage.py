"""The report names the values of `phase.map`, the rules and the steps that no test reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.contract_folder import CREATE, DEFAULTS, Folder, get, state
from tests.support.paths import ROOT
from yaml_connector._loading.loader import read_file
from yaml_connector.testing import loader, report
from yaml_connector.testing.loader import load_tests
from yaml_connector.testing.runner import run_tests


def unreached(folder: Folder, *tests: list[dict[str, Any]]) -> list[str]:
    numbered = [{"name": str(number), "calls": calls} for number, calls in enumerate(tests)]
    result = folder.run_file({"defaults": DEFAULTS, "tests": numbered})
    assert all(test.passed for test in result.results), result
    return [f"{place.path}: {place.value}" if place.value else place.path for place in report.unreached([result])]


def test_the_values_that_no_answer_had_are_named_in_the_order_of_the_file(folder: Folder) -> None:
    folder.change_spec("QUEUED: [queued]", "QUEUED: [queued, Waiting]")
    assert unreached(folder, [CREATE, get(state("QUEUED")), get(state("done", result="r"))]) == [
        "get.phase.map.QUEUED: Waiting",
        "get.phase.map.RUNNING: running",
        "get.phase.map.FAILED: error",
        "get.phase.map.ABORTED: cancelled",
        "delete",
        "logs",
    ]


def test_a_value_counts_wherever_a_test_of_the_file_reached_it(folder: Folder) -> None:
    calls = [[CREATE, get(state(name, result="r"))] for name in ("queued", "running", "done", "error", "cancelled")]
    cancel = {"request": {"method": "POST", "path": "/jobs/7/cancel"}}
    delete = {"delete": {"exchanges": [cancel]}}
    ask = {"request": "GET /jobs/7", "response": {"status": 500}, "repeat": 1}
    delete_later = {"delete": {"exchanges": [ask, cancel]}}
    logs = {"logs": {"exchanges": [{"request": "GET /jobs/7/logs", "response": {"json": {"lines": []}}}]}}
    assert unreached(folder, *calls) == ["delete", "logs"]
    assert unreached(folder, *calls, [CREATE, delete, {"restart": True}]) == ["logs"]
    assert unreached(folder, *calls, [CREATE, {"restart": True}, delete_later], [CREATE, logs]) == []


def test_a_place_is_given_with_file_line_and_column(folder: Folder) -> None:
    result = folder.run_file({"defaults": DEFAULTS, "tests": [{"name": "a", "calls": [CREATE]}]})
    line = (folder.path / "batch_job.yaml").read_text().splitlines().index("      QUEUED: [queued]") + 1
    first = f"{folder.path}/batch_job.yaml:{line}:16: get.phase.map.QUEUED: queued"
    assert str(report.unreached([result])[1]) == first


RULES = """\
  phase:
    - {path: $.result, map: {SUCCEEDED: [ok, done], FAILED: [ok2]}}
    - {when: body.late, is: RETRYABLE_FAILED}
    - {path: $.state, map: {RUNNING: [1, true]}}
    - {is: FAILED}
  message: $.detail
"""


def with_rules(folder: Folder) -> None:
    text = (folder.path / "batch_job.yaml").read_text()
    folder.change_spec(text[text.index("  phase:") : text.index("\ndelete:")], RULES)
    text = (folder.path / "batch_job.yaml").read_text()
    folder.change_spec(text[text.index("\ndelete:") :], "")


def test_rules_are_named_by_their_number(folder: Folder) -> None:
    with_rules(folder)
    assert unreached(folder, [CREATE]) == [
        "get",
        "get.phase[0].map.SUCCEEDED: ok",
        "get.phase[0].map.SUCCEEDED: done",
        "get.phase[0].map.FAILED: ok2",
        "get.phase[1]",
        "get.phase[2].map.RUNNING: 1",
        "get.phase[2].map.RUNNING: true",
        "get.phase[3]",
    ]


def test_a_rule_counts_when_it_gives_the_phase_not_when_it_is_looked_at(folder: Folder) -> None:
    with_rules(folder)
    assert unreached(folder, [CREATE, get({"json": {"state": 1}}), get({"json": {"result": "OK", "late": True}})]) == [
        "get.phase[0].map.SUCCEEDED: done",
        "get.phase[0].map.FAILED: ok2",
        "get.phase[1]",
        "get.phase[2].map.RUNNING: true",
        "get.phase[3]",
    ]
    late, other = get({"json": {"late": True}}), get({"json": {"state": "other"}})
    found = unreached(folder, [CREATE, late], [CREATE, other])
    assert "get.phase[1]" not in found
    assert "get.phase[3]" not in found


STEPS = """\
create:
  adopt: {request: GET /find, job_id: $.id}
  steps:
    - name: upload
      request: POST /files
    - name: start
      request: POST /jobs
  job_id: $.id
  on_failure:
    - request: DELETE /files/1
"""


def with_steps(folder: Folder) -> None:
    text = (folder.path / "batch_job.yaml").read_text()
    folder.change_spec(text[text.index("create:") : text.index("\nget:")], STEPS)
    folder.change_spec(
        "delete:\n  request:", "delete:\n  steps:\n    - name: stop\n      optional: true\n      request:"
    )
    folder.change_spec("logs:\n", "result:\n  request: GET /jobs/${{ job.id }}/result\nlogs:\n")


def exchange(request: str, status: int = 200, body: Any = None) -> dict[str, Any]:
    return {"request": request, "response": {"status": status, "json": body}}


def test_steps_are_named_and_so_are_sections_with_one_request(folder: Folder) -> None:
    with_steps(folder)
    found = {"create": {"exchanges": [exchange("GET /find", body={"id": 7})]}}
    places = unreached(folder, [found, get(state("running"))])
    assert [place for place in places if not place.startswith("get.phase")] == [
        "create.steps[0]: upload",
        "create.steps[1]: start",
        "create.on_failure[0]",
        "delete.steps[0]: stop",
        "result",
        "logs",
    ]


def test_a_step_counts_once_it_is_sent_whatever_comes_of_it(folder: Folder) -> None:
    with_steps(folder)
    create = {
        "create": {
            "exchanges": [
                exchange("GET /find", body={"id": None}),
                exchange("POST /files"),
                exchange("POST /jobs", 400),
                exchange("DELETE /files/1", 403),
            ]
        }
    }
    found = {"create": {"exchanges": [exchange("GET /find", body={"id": 7})]}}
    delete = {"delete": {"exchanges": [exchange("POST /jobs/7/cancel", 500)]}}
    delete["delete"]["exchanges"][0]["repeat"] = 3  # type: ignore[assignment]
    done = [exchange("GET /jobs/7", body={"state": "done"}), exchange("GET /jobs/7/result", body={"result": "r"})]
    places = unreached(folder, [create], [found, delete, {"get": {"exchanges": done}}])
    assert [place for place in places if not place.startswith("get.phase")] == ["logs"]


def test_a_step_that_was_skipped_is_named(folder: Folder) -> None:
    with_steps(folder)
    folder.change_spec("- name: start\n", "- name: start\n      if: steps.upload.body.go\n")
    create = {"create": {"exchanges": [exchange("GET /find", 404), exchange("POST /files", body={"id": 1})]}}
    places = unreached(folder, [create])
    assert "create.steps[1]: start" in places
    assert "create.steps[0]: upload" not in places


def test_a_log_with_each_and_a_streamed_one_are_seen(folder: Folder) -> None:
    text = (folder.path / "batch_job.yaml").read_text()
    folder.change_spec(
        text[text.index("logs:") :],
        "logs:\n  steps:\n    - name: pods\n      request: GET /pods\n  each: $.pods[*]\n"
        "  request: GET /pods/${{ item }}\n  format: text\n",
    )
    pods = exchange("GET /pods", body={"pods": ["a"]})
    line = {"request": "GET /pods/a", "response": {"text": "one\n"}}
    assert unreached(folder, [CREATE])[-2:] == ["logs.steps[0]: pods", "logs.request"]
    none = {"logs": {"exchanges": [exchange("GET /pods", body={"pods": []})], "expect": {"lines": []}}}
    assert unreached(folder, [CREATE, none])[-1] == "logs.request"
    logs = {"logs": {"exchanges": [pods, line], "expect": {"lines": ["one"]}}}
    assert [place for place in unreached(folder, [CREATE, logs]) if place.startswith("logs")] == []


def test_hidden_files_are_not_tests(folder: Folder) -> None:
    file = folder.write({"tests": []})
    folder.write({"spec": "batch_job.yaml"}, ".batch_job.test.yaml")
    assert loader.tests_of(str(folder.path / "batch_job.yaml")) == [file]


def test_all_files_of_tests_of_a_spec_count_together(folder: Folder) -> None:
    names = ("queued", "running", "done", "error", "cancelled")
    files = []
    for number, name in enumerate(names):
        content = {"spec": "batch_job.yaml", "defaults": DEFAULTS, "tests": [{"name": name, "calls": [CREATE]}]}
        content["tests"][0]["calls"].append(get(state(name, result="r")))  # type: ignore[index]
        files.append(folder.write(content, f"{number}.test.yaml"))
    loaded = [load_tests(read_file(file), file)[0] for file in files]
    results = [run_tests(item) for item in loaded if item is not None]
    assert [place.path for place in report.unreached(results)] == ["delete", "logs"]
    assert len(report.unreached(results[:4])) == 3
    assert loaded[0] is not None
    part = run_tests(loaded[0], only=lambda name: False)
    assert report.unreached([*results, part]) == []
    assert report.unreached([part, *results]) == []


def test_coverage_is_not_told_of_a_part_of_the_tests(folder: Folder) -> None:
    tests = [{"name": "one", "calls": [CREATE]}, {"name": "two", "calls": [CREATE]}]
    file = folder.write({"defaults": DEFAULTS, "tests": tests})
    loaded, _ = load_tests(read_file(file), file)
    assert loaded is not None
    result = run_tests(loaded, only=lambda name: name == "one")
    assert [test.name for test in result.results] == ["one"]
    assert report.unreached([result]) == []


def test_the_contract_of_the_first_spec_holds_and_reaches_all_of_it() -> None:
    file = str(Path(ROOT, "connectors.d", "batch_job.test.yaml"))
    loaded, problems = load_tests(read_file(file), file)
    assert problems == []
    assert loaded is not None
    result = run_tests(loaded)
    assert [test for test in result.results if not test.passed] == []
    assert report.unreached([result]) == []
