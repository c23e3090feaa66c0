"""Answers of the backend with more in them than anybody reads: large, deep, or just under a bound."""

from __future__ import annotations

import json

from flyteidl2.core.literals_pb2 import Literal, LiteralCollection
from flyteidl2.core.types_pb2 import LiteralType

from tests.integration.attack.cases.base import case, created, job
from tests.integration.attack.values import INTEGERS, JSON, STRING, json_input, numbers, string

OUTPUTS = {"result": JSON}
JUST_UNDER = (60, 120, 250, 500, 1000)  # kB: whatever the threshold, one of them is just under it
READERS = ("everywhere", "filtered", "selected", "sorted", "grouped", "contained", "written")

case("giant JSON", *(job(kind, f"items-{9500}") for kind in ("plain", *READERS)))
case(
    "JSON of numbers and lists",
    *(job(kind, what) for kind in ("plain", "contained") for what in ("numbers-9500", "lists-9500", "keys-9500")),
)
case(
    "twenty just under a threshold",
    *(job(kind, f"{what}-{size}") for size in JUST_UNDER for kind in READERS for what in ("items", "last")),
    at_once=20,
)
case(
    "deep JSON",
    *(
        job(kind, what)
        for kind in ("plain", "everywhere")
        for what in ("deep-2000", "deep-9000", "levels-1", "levels-5")
    ),
)
case(
    "long integers",
    *(job("plain", what, outputs=OUTPUTS) for what in ("digits-9000", "digits-4", "integers-9000", "nan", "infinite")),
)
case(
    "just under the bounds",
    created("plain", config=json.dumps({f"k{n}": 1 for n in range(49_000)}), inputs={"name": (STRING, string("q"))}),
    created("written_int", config={"n": [[1]] * 16_000}),
    created("joined", {"items": ["a"] * 49_000, "text": ","}),
    created("anything", inputs={"x": json_input([1] * 49_000)}),
    created("anything", inputs={"x": json_input({f"k{n}": [] for n in range(24_000)})}),
    created("anything", inputs={"x": (INTEGERS, numbers(3_900))}),
    created(
        "anything",
        inputs={
            "x": (
                LiteralType(collection_type=INTEGERS),
                Literal(collection=LiteralCollection(literals=[numbers(1)] * 1_900)),
            )
        },
    ),
    job("plain", "ones-99", outputs={"result": INTEGERS}),
    job("plain", "ones-99", outputs=OUTPUTS),
    job("plain", "ones-190", outputs={"result": INTEGERS}),
    job("collected", "many-150"),
    job("collected", "many-500"),
    job("stepwise", "keys-250"),
    job("batched", "fat"),
)
case("odd text", job("plain", "escapes-9000"), job("plain", "halves-9000"))
case(
    "large values",
    job("plain", "message-9000"),
    job("plain", "message-3000"),
    job("plain", "output-9000", outputs=OUTPUTS),
    job("plain", "output-4100", outputs=OUTPUTS),
    job("plain", "link-9000"),
    job("plain", "info-3000"),
    job("plain", "id-4000"),
    job("saving", "saved-4000"),
    job("saving", "saved-900"),
    job("plain", "page"),
)
