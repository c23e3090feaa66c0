"""Expressions, regular expressions and secrets that take long."""

from __future__ import annotations

import os

from tests.integration.attack.cases.base import case, created, job
from tests.integration.attack.secrets_planted import PEM
from tests.integration.attack.values import STRING, string

case(
    "regular expressions",
    *(
        job(kind, what)
        for kind in ("greedy", "trimmed")
        for what in ("text-9000", "blanks-9000", "text-300", "blanks-250")
    ),
    *(
        job("given", "text-9000", config={"pattern": pattern})
        for pattern in ("(a+)+$", "(a*)*b", "(.*){30}z", "(?:a?){500}a{500}", "[a" * 5000)
    ),
)
case(
    "templates",
    created("repeated", {"text": "a" * 1000, "n": 10_000_000}),
    created("repeated", {"text": "a", "n": 10**18}),
    created("ranged", {"n": 10**9}),
    created("raised", {"n": 10**9, "m": 10**9}),
    created("raised", {"n": 9, "m": 10**7}),
    created("shifted", {"n": 10**9}),
    created("formatted", {"text": "%999999999d", "n": 1}),
    created("formatted", {"text": "%.999999999f", "n": 1}),
    created("replaced", {"text": "a" * 100_000}),
    created("joined", {"items": ["a"] * 100_000, "text": "b" * 100_000}),
    created("looped", {"items": ["a" * 1000] * 1000, "text": "b" * 100_000}),
    created("batched_list", {"items": [1], "n": 10**9}),
    created("indented", {"text": "\n" * 100_000, "n": 10**6}),
    created("centered", {"text": "a", "n": 10**9}),
    created("wrapped", {"text": "a " * 500_000, "n": 1}),
    created("summed", {"items": [[1]] * 100_000}),
    created("matched", {"text": "a" * 1_000_000, "pattern": "(a|a)*$"}),
    created("pathed", {"items": [{"a": 1}] * 100_000, "pattern": "$..a"}),
    created("pathed", {"items": [1], "pattern": "$" + ".a" * 100_000}),
    created("pathed", {"items": [1], "pattern": "$[?(@.a =~ '(a+)+$')]" * 50}),
)
case(
    "redaction",
    job("plain", "pem-9000"),
    job("plain", "refusal"),
    job("text", "heads", "logs"),
    job("plain", "pem-250"),
    job("plain", "refusal", secrets={"api_key": PEM, "key": "x" * 60_000}),
    created("plain", secrets={"api_key": "s" * 200_000}, inputs={"name": (STRING, string("q"))}),
    created(
        "plain", secrets={f"n{n}": os.urandom(30).hex() for n in range(2000)}, inputs={"name": (STRING, string("q"))}
    ),
)
