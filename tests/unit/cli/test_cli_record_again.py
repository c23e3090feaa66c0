"""`record --add` and `record --again`: a test more in a file, and the recordings of files made anew."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command, Done
from tests.support.real_api import RealApi, Received, running_api

SPEC = """\
spec_version: 1
task_type_name: shop
connection:
  base_url: ${{ env.SHOP_URL }}
  auth: {type: basic, username: "${{ env.SHOP_USER }}", password: "${{ secrets.password }}"}
secrets: {password: {env: SHOP_PASSWORD}}
inputs: {order: str}
create:
  request: {method: POST, path: /orders, headers: {X-Key: "${{ task.key }}"}, json: {order: "${{ inputs.order }}"}}
  idempotent: true
  job_id: $.id
get:
  request: GET /orders/${{ job.id }}
  phase: {path: $.state, map: {QUEUED: [new], RUNNING: [open], SUCCEEDED: [done], FAILED: [burnt], ABORTED: [gone]}}
  message: $.note
delete:
  request: DELETE /orders/${{ job.id }}
"""
PASSWORD = "correct horse battery staple"
PAIR = base64.b64encode(f"cook:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def api() -> Iterator[RealApi]:
    with running_api() as running:
        yield running


class Kitchen:
    """An API whose jobs take two polls; `note` is their message, and `cancelled` are the jobs that were deleted."""

    def __init__(self) -> None:
        self.note = "tasty"
        self.polls = 0
        self.cancelled: list[str] = []

    def __call__(self, request: Received) -> Any:
        assert request.headers["Authorization"] == f"Basic {PAIR}"
        if request.method == "POST":
            self.polls = 0
            return {"id": "order-123456"}
        if request.method == "DELETE":
            self.cancelled.append(request.parts[-1])
            return {}
        self.polls += 1
        if self.cancelled:
            return {"state": "gone", "note": None}
        return {"state": "open" if self.polls == 1 else "done", "note": self.note}


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


@pytest.fixture
def shop(api: RealApi, kitchen: Kitchen, command: Command, here: Path) -> Any:
    (here / "shop.yaml").write_text(SPEC, encoding="utf-8")
    api.case("shop", kitchen)

    def run(*arguments: str) -> Done:
        done = command(*arguments, SHOP_URL=f"{api.url}/shop", SHOP_USER="cook", SHOP_PASSWORD=PASSWORD)
        written = "".join(file.read_text(encoding="utf-8") for file in here.glob("*.test.yaml"))
        for secret in (PASSWORD, PAIR):
            assert secret not in done.stdout + done.stderr + written
        return done

    return run


RECORD = ("record", "shop.yaml", "--input", "order=soup")


def test_a_basic_pair_is_written_with_the_tests_own_secret(shop: Any, here: Path) -> None:
    done = shop(*RECORD)
    assert (done.returncode, "relaxed" in done.stdout) == (0, False), done.stdout
    pair = base64.b64encode(b"cook:test-password").decode()
    assert f"Authorization: Basic {pair}" in (here / "shop.test.yaml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_test_is_added_to_a_file_and_its_other_lines_stay(shop: Any, here: Path) -> None:
    assert shop(*RECORD).returncode == 0
    file = here / "shop.test.yaml"
    before = file.read_text(encoding="utf-8") + "# the end\n"
    file.write_text(before, encoding="utf-8")
    refused = shop(*RECORD)
    assert (refused.returncode, "add to it with --add" in refused.stderr) == (2, True)
    done = shop("record", "shop.yaml", "--input", "order=pie", "--add")
    assert done.returncode == 0, done.stderr
    after = file.read_text(encoding="utf-8")
    added = after.replace("# the end\n", "").removeprefix(before.replace("# the end\n", ""))
    assert added.startswith("- name: ends as SUCCEEDED (2)\n  inputs:\n    order: pie\n  calls:\n")
    assert shop("test", "shop.test.yaml").stdout.endswith("2 passed\n")


@pytest.mark.slow
def test_recordings_are_made_anew_with_the_same_inputs(shop: Any, here: Path, kitchen: Kitchen) -> None:
    assert shop(*RECORD, "--name", "soup").returncode == 0
    file = here / "shop.test.yaml"
    mine = (
        file.read_text(encoding="utf-8")
        .replace("- name: soup", "# the soup\n- name: soup")
        .replace("password: test-password", "password: a-test-secret")
    )
    pair = base64.b64encode(b"cook:test-password").decode()
    own = base64.b64encode(b"cook:a-test-secret").decode()
    file.write_text(mine.replace(pair, own), encoding="utf-8")
    same = shop("record", "--again", "shop.yaml", "--yes")
    assert (same.returncode, "soup: as recorded" in same.stdout) == (0, True), same.stdout
    kitchen.note = "salty"
    before = file.read_text(encoding="utf-8")
    asked = shop("record", "--again", "shop.yaml")  # nobody answers
    assert (asked.returncode, file.read_text(encoding="utf-8")) == (1, before)
    done = shop("record", "--again", ".", "--yes")
    assert done.returncode == 0, done.stderr
    assert "message: salty\n" in done.stdout.replace("+        ", "")
    assert file.read_text(encoding="utf-8") == before.replace("tasty", "salty")


def test_a_test_that_cancels_its_job_cancels_it_again(shop: Any, here: Path, kitchen: Kitchen) -> None:
    file = here / "shop.test.yaml"
    file.write_text(
        """\
# Recorded by `yaml-connector record shop`
defaults: {inputs: {order: stew}, secrets: {password: test-password}}
tests:
  - name: a stew is cancelled
    calls:
      - create: {exchanges: [{request: POST http://old.test/orders, response: {json: {id: job-1}}}]}
      - get: {exchanges: [{request: GET http://old.test/orders/job-1}], expect: {phase: RUNNING}}
      - delete: {exchanges: [{request: DELETE http://old.test/orders/job-1}]}
  - name: a fault
    calls:
      - create: {exchanges: [{request: POST http://old.test/orders, response: {fault: reset}}]}
# the end
""",
        encoding="utf-8",
    )
    done = shop("record", "--again", "--yes", "shop.test.yaml")
    assert "a fault: left as it is: it has a fault (reset)" in done.stdout
    assert kitchen.cancelled == ["order-123456"]
    text = file.read_text(encoding="utf-8")
    assert "  - name: a stew is cancelled\n    calls:\n    - create:" in text
    assert text.endswith("response: {fault: reset}}]}\n# the end\n")
    assert "- delete:" in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("json: {order: ", 'json: {at: "${{ now() }}", order: ', "json.at .*(shop.yaml:9: create.request.json.at)"),
        (
            "  request: GET /orders/${{ job.id }}",
            '  request: {path: "/orders/${{ job.id }}", query: {t: "${{ now() }}"}}',
            "query.t .*(shop.yaml:13: get.request.query.t)",
        ),
        (
            "  request: GET /orders/${{ job.id }}",
            "  steps:\n    - request: GET /orders/${{ job.id }}?t=${{ now() }}\n      name: a",
            "query.t .*(shop.yaml:14: get.steps[0].request)",
        ),
        ("  message: $.note", "  message: ${{ now() }}", "message .*(shop.yaml:15: get.message)"),
    ],
    ids=["body", "query", "path of a step", "message"],
)
def test_a_value_that_no_two_runs_have_in_common_names_the_line_of_the_spec(
    shop: Any, here: Path, old: str, new: str, told: str
) -> None:
    assert SPEC.count(old) == 1
    (here / "shop.yaml").write_text(SPEC.replace(old, new), encoding="utf-8")
    done = shop(*RECORD)
    assert done.returncode == 0, done.stderr
    field, _, source = told.partition(" .*")
    assert f"{field} accepts any value, because it differed when the test ran {source}" in done.stdout


def test_a_folder_without_recordings_is_wrong_usage(shop: Any, here: Path) -> None:
    done = shop("record", "--again", ".")
    assert (done.returncode, "no test there was made by `record`" in done.stderr) == (2, True)
