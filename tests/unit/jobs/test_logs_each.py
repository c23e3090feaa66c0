"""Logs of several items (`each`), such as those of pods: each has its own pages and its own end."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import Driver
from tests.support.paged_logs import LINES, everything, logs_of
from yaml_connector.errors import EvaluationError, PermanentError

# What a page gives each time it is read, and the next page: null while there is none yet.
A_PAGE_THAT_GROWS = [(["1"], None), (["1"], None), (["1", "2", "3"], "y"), (["4"], None), (["4"], None)]


class TestEach:
    EACH: ClassVar[dict[str, Any]] = {
        "steps": [{"name": "pods", "request": "GET /jobs/${{ job.id }}/pods"}],
        "each": "$.pods[*]",
        "request": {"path": "/pods/${{ item.name }}/logs", "query": {"cursor": "${{ page.token }}"}},
        "lines": "$.lines[*]",
        "next": "$.next",
        "message": "${{ item.name }}: ${{ line }}",
    }

    def driver(self, pods: Any, *, logs: Any = None, **routes: Any) -> Driver:
        pods = pods if callable(pods) else {"pods": [{"name": name} for name in pods]}
        return logs_of(
            {"GET /jobs/7/pods": pods, **{f"GET /pods/{name}/logs": route for name, route in routes.items()}},
            **{**self.EACH, **(logs or {})},
        )

    def test_item_has_its_own_pages_in_their_order(self) -> None:
        driver = self.driver(
            ["a", "b"],
            a=[{"lines": ["1"], "next": "x"}, {"lines": ["2"]}],
            b=[{"lines": ["3"], "next": "y"}, {"lines": ["4"], "next": "z"}, {"lines": ["5"]}],
        )
        driver.end()
        assert everything(driver) == ["a: 1", "b: 3", "a: 2", "b: 4", "b: 5"]
        assert [call for call in driver.api.calls if "/pods/" in call] == [
            "GET /pods/a/logs",
            "GET /pods/b/logs",
            "GET /pods/a/logs?cursor=x",
            "GET /pods/b/logs?cursor=y",
            "GET /pods/a/logs?cursor=x",  # a page without a next one is read again until it has nothing new
            "GET /pods/b/logs?cursor=z",
            "GET /pods/b/logs?cursor=z",
        ]

    def test_item_that_is_quiet_is_asked_again_until_the_job_is_over(self) -> None:
        driver = self.driver(
            ["a", "b"],
            a=[{"lines": lines, "next": following} for lines, following in A_PAGE_THAT_GROWS],
            b=[{"lines": [], "next": None}],
        )
        token: str | None = ""
        calls = []
        for over in (False, False, False, False, True):
            if over:
                driver.end()
            lines, token = driver.logs(token or "")
            calls.append([line.removeprefix("a: ") for line in lines])
        assert calls == [["1"], [], ["2", "3"], ["4"], []]
        assert token is None

    def test_item_is_done_when_more_is_false(self) -> None:
        pods = {"a": [{"lines": ["1"], "next": "x"}, {"lines": ["2"], "next": "y", "eof": True}]}
        driver = self.driver(["a"], **pods, logs={"more": "not body.eof"})
        assert everything(driver) == ["a: 1", "a: 2"]
        assert driver.api.calls.count("GET /jobs/7/pods") == 2

    def test_item_that_begins_after_the_end_of_the_job_is_read_where_the_log_is_read_on(self) -> None:
        driver = self.driver(["a"], a=[{"lines": []}, {"lines": ["1"]}])
        driver.end()
        lines, token = driver.logs(read_on=True)
        assert lines == []
        assert driver.logs(token or "")[0] == ["a: 1"]

    def test_item_that_has_no_log_yet_is_asked_again_while_more_is_true(self) -> None:
        pages = [404, {"lines": ["1"], "next": None}, {"lines": ["1", "2"], "next": None, "eof": True}]
        driver = self.driver(["a"], a=pages, logs={"more": "not body.eof", "success": [200, 404]})
        calls: list[list[str]] = []
        token: str | None = ""
        while token is not None:
            lines, token = driver.logs(token)
            calls.append(lines)
        assert calls == [[], ["a: 1"], ["a: 2"]]

    def test_item_keeps_its_place_while_it_is_not_listed(self) -> None:
        rounds = [["a"], [], ["a"]]
        driver = self.driver(
            lambda request: {"pods": [{"name": name} for name in rounds.pop(0)]},
            a=[{"lines": ["1"], "next": None}, {"lines": ["1", "2"], "next": None}],
        )
        lines, token = driver.logs()
        assert (lines, driver.logs(token or "")) == (["a: 1"], ([], token))
        assert driver.logs(token or "")[0] == ["a: 2"]

    def test_item_that_is_listed_twice_is_read_once(self) -> None:
        assert self.driver(["a", "b", "a"], a={"lines": ["1"]}, b={"lines": ["2"]}).logs()[0] == ["a: 1", "b: 2"]

    def test_item_whose_request_cannot_be_built_does_not_make_the_lines_before_it_come_again(self) -> None:
        driver = self.driver(lambda request: {"pods": [{"name": "a"}, {}]}, a=[{"lines": ["1"]}, {"lines": ["1", "2"]}])
        lines, token = driver.logs()
        more, token = driver.logs(token or "")
        assert (lines, more) == (["a: 1"], ["a: 2"])
        with pytest.raises(EvaluationError, match=r"item\.name"):
            driver.logs(token or "")

    @pytest.mark.parametrize("state", ["running", "done"])
    def test_get_is_asked_by_a_process_that_does_not_know_the_job(self, state: str) -> None:
        driver = self.driver(["a"], a={"lines": [], "next": None})
        driver.api.routes["GET /jobs/7"] = [{"state": state}]
        driver.restart()
        lines, token = driver.logs()
        assert (lines, token is None) == ([], state == "done")
        assert driver.api.calls[0] == "GET /jobs/7"
        driver.logs()
        assert driver.api.calls.count("GET /jobs/7") == 1

    def test_goes_on_while_get_cannot_tell_whether_the_job_is_over(self) -> None:
        driver = self.driver(["a"], a={"lines": ["1"], "next": None})
        driver.api.routes["GET /jobs/7"] = [403]
        driver.restart()
        lines, token = driver.logs()
        assert lines == ["a: 1"]
        assert token

    def test_item_whose_request_says_how_many_lines_were_given_has_nothing_to_skip(self) -> None:
        stored = ["1"]
        request = {"path": "/pods/${{ item.name }}/logs", "query": {"from": "${{ page.lines }}"}}
        driver = self.driver(
            ["a"],
            a=lambda request: {"lines": stored[int(request.url.params["from"]) :], "next": None},
            logs={"request": request},
        )
        lines, token = driver.logs()
        assert lines == ["a: 1"]
        stored += ["2", "3"]
        assert driver.logs(token or "")[0] == ["a: 2", "a: 3"]

    def test_item_that_comes_later_is_read_from_its_start_and_the_order_does_not_matter(self) -> None:
        rounds = [["a"], ["b", "a"], ["b", "a"], ["b", "a"]]
        driver = self.driver(
            lambda request: {"pods": [{"name": name} for name in rounds.pop(0)]},
            a=[{"lines": ["1"], "next": "x"}, {"lines": ["2"]}],
            b=[{"lines": ["3"], "next": "y"}, {"lines": ["4"]}],
        )
        found: list[str] = []
        token: str | None = ""
        for _ in range(3):
            lines, token = driver.logs(token or "")
            found += lines
        assert found == ["a: 1", "b: 3", "a: 2", "b: 4"]

    @pytest.mark.parametrize(
        "request_of_item",
        [
            {
                "method": "POST",
                "path": "/events",
                "json": {"stream": "${{ item.name }}", "cursor": "${{ page.token }}"},
            },
            {
                "method": "POST",
                "path": "/events",
                "query": {"stream": "${{ item.name }}", "cursor": "${{ page.token }}"},
            },
        ],
    )
    def test_item_has_its_own_place_though_all_have_the_same_path(self, request_of_item: Any) -> None:
        pages = {"a": {None: (["1"], "x"), "x": (["2"], "x")}, "b": {None: (["3"], "y"), "y": (["4"], "y")}}

        def events(request: httpx.Request) -> Any:
            asked = json.loads(request.content) if request.content else dict(request.url.params)
            lines, following = pages[asked["stream"]][asked.get("cursor")]
            return {"lines": lines, "next": following}

        driver = logs_of(
            {"GET /jobs/7/pods": {"pods": [{"name": "a"}, {"name": "b"}]}, "POST /events": events},
            **{**self.EACH, "request": request_of_item},
        )
        lines, token = driver.logs()
        assert lines == ["a: 1", "b: 3"]
        assert driver.logs(token or "")[0] == ["a: 2", "b: 4"]

    def test_over_nothing_gives_no_lines(self) -> None:
        assert self.driver([]).logs() == ([], None)

    def test_item_that_fails_is_raised(self) -> None:
        with pytest.raises(PermanentError, match="/pods/b/logs answered 403"):
            self.driver(["a", "b"], a={"lines": []}, b=403).logs()

    def test_item_after_one_that_fails_waits_so_that_the_lines_keep_their_order(self) -> None:
        driver = self.driver(["a", "b", "c"], a={"lines": ["1"]}, b=[403, {"lines": ["2"]}], c={"lines": ["3"]})
        driver.end()
        assert everything(driver) == ["a: 1", "b: 2", "c: 3"]

    @given(stored=st.lists(LINES, min_size=1, max_size=3), sizes=st.lists(st.integers(1, 4), min_size=3, max_size=3))
    def test_item_loses_nothing_and_repeats_nothing(self, stored: list[list[str]], sizes: list[int]) -> None:
        def page(lines: list[str], size: int) -> Any:
            def answer(request: httpx.Request) -> Any:
                start = int(request.url.params.get("cursor", 0))
                return {
                    "lines": lines[start : start + size],
                    "next": start + size if start + size < len(lines) else None,
                }

            return answer

        names = [f"p{number}" for number in range(len(stored))]
        routes = {name: page(lines, size) for name, lines, size in zip(names, stored, sizes, strict=False)}
        driver = self.driver(names, **routes)
        driver.end()
        found = everything(driver)
        for name, lines in zip(names, stored, strict=True):
            assert [line.removeprefix(f"{name}: ") for line in found if line.startswith(f"{name}: ")] == lines
