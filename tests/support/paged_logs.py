"""A job whose log comes in pages, and a reader of all of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.fake_api import Driver, job

PAGED: dict[str, Any] = {
    "request": {"path": "/jobs/${{ job.id }}/logs", "query": {"cursor": "${{ page.token }}"}},
    "lines": "$.lines[*]",
    "next": "$.next",
}
LINES = st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=6), max_size=30)


def logs_of(routes: Any, **logs: Any) -> Driver:
    return job(
        routes if isinstance(routes, dict) and any(" " in key for key in routes) else {"GET /jobs/7/logs": routes},
        logs={"request": "GET /jobs/${{ job.id }}/logs", **logs},
    )


def everything(driver: Driver) -> list[str]:
    """All that a reader gets who goes on as long as there is a token."""
    lines, token = driver.logs()
    while token is not None:
        more, token = driver.logs(token)
        lines += more
    return lines
