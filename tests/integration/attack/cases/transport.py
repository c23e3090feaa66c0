"""Answers of the backend that are odd in themselves: packed, endless, slow, elsewhere."""

from __future__ import annotations

from tests.integration.attack.cases.base import case, job

case("decompression", *(job("plain", what) for what in ("zeros", "braces", "deflated", "twice", "stored")))
case(
    "headers", *(job("plain", what) for what in ("headers", "headerless", "cookies", "hints", "trailers", "extension"))
)
case(
    "endless answers",
    job("plain", "endless"),
    job("text", "line", "logs"),
    job("ndjson", "line", "logs"),
    job("sse", "line", "logs"),
)
case(
    "logs",
    job("plain", "lines", "logs"),
    job("text", "short", "logs"),
    job("sse", "short", "logs"),
    job("ndjson", "short", "logs"),
)
case(
    "silence",
    *(
        job(kind, what, "get", "delete", "logs")
        for kind in ("plain", "stepwise")
        for what in ("silent", "drip", "slow")
    ),
)
case(
    "pages and redirects",
    *(
        job(kind, what)
        for kind, what in (("followed", "pages"), ("followed", "further"), ("redirected", "moved"), ("plain", "later"))
    ),
)
case("logins", job("logging_in", "quiet"))
case(
    "ids in batches",
    *(job("batched", f"id-{size}") for size in (1, 30, 500)),
    job("batched", "1,2,3"),
    job("batched", "quiet"),
)
