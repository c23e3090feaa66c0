"""Get: the phase, and what is shown beside it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.support.fake_api import Driver, FakeApi, job, reply
from tests.support.states import STATES
from yaml_connector._jobs.metrics import UNKNOWN_STATE
from yaml_connector._jobs.status import Status


def get_of(body: Any, phase: Any = None, **get: Any) -> Status:
    """What one get makes of this answer."""
    phase = phase or {"path": "$.state", "map": STATES}
    answer = body if callable(body) else reply(200, json=body)
    return job({"GET /jobs/7": answer}, get={"request": "GET /jobs/${{ job.id }}", "phase": phase, **get}).get()


class TestAMap:
    @pytest.mark.parametrize(
        ("state", "phase"),
        [
            ("queued", "QUEUED"),
            ("DONE", "SUCCEEDED"),
            ("stopping", "RUNNING"),
            ("Error", "FAILED"),
            (0, "SUCCEEDED"),
            ("0", "SUCCEEDED"),
            (True, "SUCCEEDED"),
            ("TRUE", "SUCCEEDED"),
            (None, "FAILED"),
            ("null", "FAILED"),
            (" done\n", "SUCCEEDED"),
            ("\u00a0DONE ", "SUCCEEDED"),
            (0.0, "SUCCEEDED"),
            (-0.0, "SUCCEEDED"),
            ("0.0", "SUCCEEDED"),
            ("0.50", "RUNNING"),
            (10**300, "RUNNING"),
        ],
    )
    def test_compares_as_case_insensitive_strings(self, state: Any, phase: str) -> None:
        assert get_of({"state": state}).phase == phase

    @pytest.mark.parametrize(
        ("written", "answer"),
        [
            (10, "10.0"),
            (10.0, "10"),
            ("10.0", "10"),
            (10, '"10.0"'),
            (" Done ", '"done"'),
            (2.5, "2.50"),
            ("2.5", "2.5"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
        ],
    )
    def test_a_number_equals_a_number_and_blanks_around_a_value_do_not_count(self, written: Any, answer: str) -> None:
        rule = {"path": "$.state", "map": {"SUCCEEDED": [written], "FAILED": ["no"]}}
        assert get_of(reply(200, content=f'{{"state": {answer}}}'), rule).phase == "SUCCEEDED"

    @pytest.mark.parametrize(
        "phase",
        [
            "QUEUED",
            "WAITING_FOR_RESOURCES",
            "INITIALIZING",
            "RUNNING",
            "SUCCEEDED",
            "FAILED",
            "RETRYABLE_FAILED",
            "ABORTED",
        ],
    )
    def test_gives_every_phase_there_is(self, phase: str) -> None:
        assert get_of({"state": "x"}, {"path": "$.state", "map": {phase: ["x"]}}).phase == phase

    @pytest.mark.parametrize(
        ("states", "phase"),
        [
            (["done", "done"], "SUCCEEDED"),
            (["done", "error"], "FAILED"),
            (["done", "running"], "RUNNING"),
            (["strange", "done"], "SUCCEEDED"),
            (["error", "queued", "running"], "FAILED"),
        ],
    )
    def test_takes_the_phase_listed_first_of_several_matches(self, states: list[str], phase: str) -> None:
        rule = {"map": {"FAILED": ["error"], "RUNNING": ["running", "queued"], "SUCCEEDED": ["done"]}}
        body = {"tasks": [{"state": state} for state in states]}
        assert get_of(body, {"path": "$.tasks[*].state", **rule}).phase == phase
        assert get_of(body, {"path": "${{ body.tasks | map(attribute='state') }}", **rule}).phase == phase

    def test_reads_a_template_of_several_fields(self) -> None:
        rule = {"path": "${{ body.a ~ '/' ~ body.b }}", "map": {"SUCCEEDED": ["1/2"]}}
        assert get_of({"a": 1, "b": 2}, rule).phase == "SUCCEEDED"

    def test_reads_a_status_or_a_header_without_a_body(self) -> None:
        assert get_of(reply(204), {"path": "${{ status }}", "map": {"SUCCEEDED": [204]}}).phase == "SUCCEEDED"
        rule = {"path": "${{ headers['x-STATE'] }}", "map": {"FAILED": ["bad"]}}
        assert get_of(reply(200, headers={"X-State": "BAD"}), rule).phase == "FAILED"


class TestRules:
    LIST: ClassVar[list[Any]] = [
        {"path": "$.result", "map": {"SUCCEEDED": ["ok"], "FAILED": ["failed"]}},
        {"when": "body.cycle == 'INTERNAL_ERROR'", "is": "RETRYABLE_FAILED"},
        {"path": "$.cycle", "map": {"QUEUED": ["PENDING"], "RUNNING": ["UP"]}},
    ]

    @pytest.mark.parametrize(
        ("body", "phase"),
        [
            ({"result": "ok", "cycle": "INTERNAL_ERROR"}, "SUCCEEDED"),
            ({"cycle": "INTERNAL_ERROR"}, "RETRYABLE_FAILED"),
            ({"cycle": "pending"}, "QUEUED"),
            ({"result": "", "cycle": "up"}, "RUNNING"),
            ({"result": None}, "RUNNING"),
        ],
    )
    def test_the_first_that_gives_a_phase_counts(self, body: Any, phase: str) -> None:
        assert get_of(body, self.LIST).phase == phase

    def test_the_last_one_without_when_always_holds(self) -> None:
        assert get_of({"result": "odd"}, [*self.LIST, {"is": "FAILED"}]).phase == "FAILED"

    def test_a_page_that_is_no_json_is_no_state_even_if_the_last_rule_always_holds(self) -> None:
        status = get_of(reply(200, html="<h1>Sign in</h1>"), [*self.LIST, {"is": "FAILED"}])
        assert status.phase == "RUNNING"
        assert "answered 200 with no JSON (text/html" in (status.message or "")


def test_a_map_with_a_condition_counts_only_if_it_is_true() -> None:
    rules = [{"when": "body.over", "path": "$.code", "map": {"FAILED": [0]}}, {"is": "QUEUED"}]
    assert get_of({"over": False, "code": 0}, rules).phase == "QUEUED"
    assert get_of({"over": True, "code": 0}, rules).phase == "FAILED"


def test_an_unknown_state_names_what_is_there_instead() -> None:
    message = "unknown state: nothing at $.state (there is no state in $; did you mean $.job.state? there is: id, job)"
    assert str(get_of({"id": 7, "job": {"state": "done"}}).message).startswith(message)


def test_an_unknown_state_is_running_and_says_which_value_stood_where() -> None:
    before = UNKNOWN_STATE.labels("batch_job")._value.get()
    status = get_of({"state": "halted"})
    assert status.phase == "RUNNING"
    assert status.message == "unknown state: 'halted' at $.state; no phase rule of the spec maps it"
    assert UNKNOWN_STATE.labels("batch_job")._value.get() == before + 1
    assert get_of({}).message == "unknown state: nothing at $.state; no phase rule of the spec maps it"


@pytest.mark.parametrize("state", ['{"a":NaN}', '[{"a":[-Infinity]}]'])
def test_a_state_that_is_not_quite_json_is_read_as_any_other(state: str) -> None:
    shown = get_of(reply(200, content=f'{{"state": {state}}}')).message
    assert shown == f"unknown state: {state!r} at $.state; no phase rule of the spec maps it"


def test_a_failure_without_a_message_of_its_own_names_the_state() -> None:
    assert get_of({"state": "error"}).message == "the API reports state 'error'"


@pytest.mark.parametrize(
    ("message", "body", "expected"),
    [
        ("$.detail", {"detail": "text"}, "text"),
        ("$.errors[*].m", {"errors": [{"m": "one"}, {"m": "two"}]}, "one"),
        ("$.detail", {"detail": {"code": 5}}, '{"code":5}'),
        ("$.detail", {"detail": ""}, None),
        ("$.nothing", {}, None),
        ("${{ body.a }}/${{ body.b }}", {"a": 1, "b": "x"}, "1/x"),
        ("${{ body.a }}/${{ body.b }}", {"a": 1}, None),
        ("always", {}, "always"),
    ],
)
def test_a_message_is_the_first_match_as_text(message: str, body: dict[str, Any], expected: str | None) -> None:
    assert get_of({"state": "running", **body}, message=message).message == expected


def test_info_keeps_types_and_leaves_nulls_of_templates_out() -> None:
    info = {
        "rows": "$.rows",
        "all": "$.parts[*]",
        "no": "${{ body.no }}",
        "deep": {"x": ["${{ body.rows + 1 }}"]},
        "nil": None,
    }
    assert get_of({"state": "running", "rows": 3, "parts": [1, 2]}, info=info).info == {
        "rows": 3,
        "all": [1, 2],
        "deep": {"x": [4]},
        "nil": None,
    }


def test_info_gives_numbers_that_flyte_cannot_hold_exactly_as_text() -> None:
    answer = reply(
        200, content='{"state": "running", "n": [9007199254740992, 9007199254740993, -9007199254740993, 1e300]}'
    )
    assert get_of(answer, info={"n": "$.n[*]"}).info == {
        "n": [9007199254740992, "9007199254740993", "-9007199254740993", 1e300]
    }
    odd = reply(200, content='{"state": "running", "deep": {"a": [NaN, Infinity, -Infinity, true, null, 0.1]}}')
    assert get_of(odd, info={"d": "$.deep"}).info == {"d": {"a": ["NaN", "Infinity", "-Infinity", True, None, 0.1]}}


def test_a_message_that_is_not_a_number_leaves_the_job_readable() -> None:
    answer = reply(200, content='{"state": "running", "detail": NaN}')
    assert get_of(answer, message="$.detail").phase == "RUNNING"


def test_info_that_is_nested_very_deeply_leaves_the_job_readable() -> None:
    answer = reply(200, content='{"state": "running", "deep": ' + "[" * 900 + "]" * 900 + "}")
    assert get_of(answer, info={"d": "$.deep"}).phase == "RUNNING"


def test_info_may_be_one_template() -> None:
    assert get_of({"state": "running", "m": {"a": 1}}, info="${{ body.m }}").info == {"a": 1}


class TestLinks:
    LINKS: ClassVar[list[Any]] = [
        {"name": "Console", "url": "https://ui.test/${{ job.id }}"},
        {"name": "Run ${{ body.n }}", "url": "$.link"},
        {"name": "Never", "url": "https://x.test", "if": "body.n == 2"},
    ]

    def test_are_shown_if_they_have_a_url_and_their_condition_holds(self) -> None:
        assert get_of({"state": "running", "n": 1, "link": "https://l.test"}, links=self.LINKS).links == [
            ("Console", "https://ui.test/7"),
            ("Run 1", "https://l.test"),
        ]

    def test_of_equal_names_the_first_that_is_there_counts(self) -> None:
        links = [
            {"name": "Log", "url": "$.a"},
            {"name": "Log", "url": "$.b", "if": "true"},
            {"name": "L${{ body.o }}g", "url": "$.c"},
        ]
        body = {"state": "running", "o": "o", "b": "https://b.test", "c": "https://c.test"}
        assert get_of(body, links=links).links == [("Log", "https://b.test")]

    def test_of_the_job_alone_show_from_the_start_and_while_it_is_unreadable(self) -> None:
        assert get_of(reply(500), links=self.LINKS).links == [("Console", "https://ui.test/7")]

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            " JavaScript:x",
            "java\nscript:x",
            "\x01javascript:x",
            "data:text/html,x",
            "VBScript:x",
        ],
    )
    def test_that_would_run_a_script_is_left_out(self, url: str) -> None:
        body = {"state": "running", "n": 1, "link": url}
        links = [{"name": "L", "url": "$.link"}, {"name": "M", "url": "https://m.test/${{ body.link }}"}]
        assert [name for name, _ in get_of(body, links=links).links] == ["M"]


def test_without_a_get_section_the_job_has_succeeded_at_once() -> None:
    driver = job({}, get=None)
    assert driver.get().phase == "SUCCEEDED"
    assert not driver.api.sent


def test_without_a_get_section_a_result_gives_the_outputs() -> None:
    driver = Driver(
        FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7/out": {"x": 5}}),
        get=None,
        result={"request": "GET /jobs/${{ job.id }}/out"},
        outputs={"x": {"type": "int", "value": "$.x"}},
    )
    driver.create(outputs={"x": "int"})
    assert driver.get().outputs["x"][1] == 5


def test_what_is_shown_of_a_large_response_is_small() -> None:
    body = {"state": "running", "text": "x" * 200_000, "all": [{"a": 1}] * 20_000}
    links = [{"name": "long", "url": "$.text"}, {"name": "short", "url": "https://a.test/"}]
    status = get_of(body, message="$.text", links=links, info={"all": "$.all"})
    assert len(status.message or "") == 2000
    assert status.links == [("short", "https://a.test/")]
    assert status.info == {"left out": "the info has 160009 bytes, and 65536 are the most"}
    assert get_of({"state": "running", "all": [1] * 3000}, info={"all": "$.all"}).info == {
        "left out": "the info has more than 2000 values"
    }
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    assert get_of({"state": "running", "all": deep}, info={"all": "$.all"}).info == {
        "left out": "the info is nested more than 25 levels deep"
    }
    unknown = get_of({"state": "x" * 200_000}).message or ""
    assert unknown.startswith("unknown state: 'xxx")
    assert len(unknown) < 1000
