"""`follow` with `collect`: the list of what all pages have, whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.support.fake_api import BASE, Driver, FakeApi, job, reply, run
from yaml_connector._expressions.compile import compile_extraction
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.memory import MOST, response_memory
from yaml_connector._http.messages import CollectedResponse, Response
from yaml_connector._jobs.steps import _collected

GET: dict[str, Any] = {
    "request": "GET /jobs",
    "follow": "$.next",
    "collect": "$.jobs[*]",
    "phase": {"path": "${{ (body | find('id', job.id)).state }}", "map": {"RUNNING": ["on"], "SUCCEEDED": ["done"]}},
    "info": {"all": "$[*].id"},
    "message": "${{ text | bytelen }}",
}


def page(*ids: int, following: str | None = None, **more: Any) -> dict[str, Any]:
    return {"jobs": [{"id": name, "state": "done"} for name in ids], "next": following, **more}


def test_the_body_is_the_list_of_all_pages() -> None:
    pages = {"GET /jobs": page(1, 2, following="/p2"), "GET /p2": page(following="p3"), "GET /p3": page(7)}
    driver = job(pages, get=GET)
    for _ in range(2):  # each call begins with the first page
        status = driver.get()
        assert (status.phase, status.info) == ("SUCCEEDED", {"all": [1, 2, 7]})
        assert driver.api.calls == ["GET /jobs", "GET /p2", "GET /p3"]
        driver.api.sent.clear()


def test_one_page_is_a_list_too() -> None:
    assert job({"GET /jobs": page(7, following="")}, get=GET).get().info == {"all": [7]}


@pytest.mark.parametrize("collect", ["$.jobs[*]", None])
@pytest.mark.parametrize("end", [None, "", False])
def test_the_last_page_has_no_next_one(end: Any, collect: str | None) -> None:
    section = {**GET, "phase": {"is": "RUNNING"}, "message": None, "info": None} | {"collect": collect}
    driver = job({"GET /jobs": page(1) | {"next": end}}, get={k: v for k, v in section.items() if v is not None})
    assert driver.get().message is None
    assert driver.api.calls == ["GET /jobs"]


@pytest.mark.parametrize("following", [True, 5, ["/p2"], {"href": "/p2"}])
def test_what_is_not_a_url_is_not_followed(following: Any) -> None:
    driver = job({"GET /jobs": page(1) | {"next": following}}, get=GET)
    status = driver.get()
    assert status.phase == "RUNNING"
    assert "follow ($.next) is" in (status.message or "")
    assert driver.api.calls == ["GET /jobs"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (404, "answered 404"),
        (403, "answered 403"),
        (500, "answered 500"),
        (reply(200, html="<p>"), "no JSON"),
        ({"jobs": [], "next": "https://elsewhere.test/"}, "elsewhere.test"),
    ],
)
def test_a_later_page_that_cannot_be_read_makes_the_job_unreadable(answer: Any, said: str) -> None:
    status = job({"GET /jobs": page(7, following="/p2"), "GET /p2": answer}, get=GET).get()
    assert status.phase == "RUNNING"
    assert "unreadable since" in (status.message or "")
    assert said in (status.message or "")


def test_pages_without_end_are_cut_short_by_their_time() -> None:
    def slow(request: Any) -> Any:
        driver.clock.move(1)
        return page(7, following="/jobs")

    driver = job({"GET /jobs": slow}, get={**GET, "follow_for": "2s"})
    assert "not read to the last page: there are pages left after 2 s (follow_for)" in (driver.get().message or "")
    assert len(driver.api.sent) == 2


def test_pages_that_are_larger_together_than_one_response_may_be_are_cut_short() -> None:
    pages = [page(7, following="/jobs", filler="x" * 400)] * 9
    driver = job({"GET /jobs": [*pages, page(7)]}, get=GET, connection={"base_url": BASE, "max_response": "1KiB"})
    assert "its pages have more than 1 KiB (max_response)" in (driver.get().message or "")
    assert len(driver.api.sent) == 3


class TestALookUpOverPages:
    CREATE: dict[str, Any] = {
        "request": {"method": "POST", "path": "/jobs"},
        "job_id": "$.id",
        "adopt": {
            "request": "GET /jobs",
            "follow": "$.next",
            "collect": "$.jobs[*]",
            "job_id": "${{ (body | find('name', task.key)).id }}",
        },
    }

    def create(self, **pages: Any) -> tuple[Driver, Any]:
        routes = {f"GET /{name}": answer for name, answer in pages.items()}
        driver = Driver(FakeApi({**routes, "POST /jobs": {"id": 99}}), create=self.CREATE)
        return driver, driver.create

    def test_finds_the_job_on_a_later_page(self) -> None:
        later = {"jobs": [{"id": 8, "name": "task-key-1"}], "next": None}
        driver, create = self.create(jobs=page(1, following="/p2"), p2=later)
        assert create().id == "8"
        assert "POST /jobs" not in driver.api.calls

    def test_submits_if_no_page_has_it(self) -> None:
        _, create = self.create(jobs=page(1, following="/p2"), p2=page(2))
        assert create().id == "99"

    @pytest.mark.parametrize("answer", [404, 500])
    def test_submits_nothing_if_a_later_page_cannot_be_read(self, answer: int) -> None:
        """A 404 of the first page says that there is no job; of a later one it says nothing."""
        driver, create = self.create(jobs=page(1, following="/p2"), p2=answer)
        assert create().pending is not None
        assert "POST /jobs" not in driver.api.calls


class TestWhatIsCollectedTakesRoom:
    """The pages of a `collect` together have the room that a single response would have."""

    PAGES = 4
    ITEM = "x" * 100_000

    def driver(self, used: list[int], **sections: Any) -> Driver:
        def answer(number: int) -> Any:
            def page_(_: Any) -> Any:
                used.append(response_memory().used)
                following = f"/p{number + 1}" if number < self.PAGES else None
                return {"jobs": [{"id": number, "state": "done", "x": self.ITEM}] * 2, "next": following}

            return page_

        routes = {f"GET /p{number}": answer(number) for number in range(2, self.PAGES + 1)}
        return job({"GET /jobs": answer(1), **routes}, get=GET, **sections)

    def test_from_the_first_page_that_is_more_than_a_small_response(self) -> None:
        used: list[int] = []
        assert self.driver(used).get().phase == "RUNNING"  # no item is this job's
        size = 2 * len(self.ITEM)
        assert used[:2] == [0, 0]
        assert size < used[2] < 1.1 * size
        assert 2 * size < used[3] < 2.2 * size

    def test_until_the_call_is_over(self) -> None:
        driver = self.driver([])

        async def main() -> int:
            for _ in range(3):
                await driver.connector.get(driver.connector.decode(driver.kept))
            return response_memory().used

        assert run(main(), driver.clock) == 0

    def test_and_waits_for_it_no_longer_than_the_call(self) -> None:
        driver = self.driver([], connection={"base_url": BASE, "deadline": "200ms"})

        async def main() -> str | None:
            room = await response_memory().room_for(MOST - 300_000)
            status = await driver.connector.get(driver.connector.decode(driver.kept))
            del room
            return status.message

        assert "was not read within the deadline: other large responses were being read" in str(
            run(main(), driver.clock)
        )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(values, max_size=4))
def test_any_values_are_collected_as_they_are(items: list[Any]) -> None:
    page_of = Response("GET", BASE, 200, CIMultiDict(), b"[]")
    collect = compile_extraction("${{ config.items }}")
    part = _collected(collect, Scope(config={"items": items}))
    assert CollectedResponse(page_of, b"[%b]" % part).body == items
