"""What is wrong with a file that is not YAML is told in plain words, whatever a slip of the fingers did to it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from yaml_connector._loading.loader import load_text

SPEC = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
PARSERS_WORDS = re.compile(
    r"\bwhile (?:scanning|parsing)\b|\bexpected\b|\bscalar\b|\btoken\b|\bblock (?:end|mapping)\b"
)

places = st.integers(0, len(SPEC) - 1)
slips = st.one_of(
    st.tuples(places, st.just(1), st.just("")),  # a character is missing
    st.tuples(places, st.just(0), st.sampled_from(" :-'\"{}[],#&*!|>%@`\t\n=?“\u00a0")),  # one too many
    st.tuples(places, st.just(1), st.sampled_from(" :-'\"{}[],#")),  # another one
)


@given(st.lists(slips, min_size=1, max_size=2))
def test_a_slip_is_told_without_the_parsers_words(made: list[tuple[int, int, str]]) -> None:
    text = SPEC
    for place, length, new in made:
        text = text[:place] + new + text[place + length :]
    lines = text.count("\n") + 1
    for problem in load_text(text.encode(), "s.yaml")[1]:
        if problem.message.startswith("not YAML: "):
            without_quoted = problem.message.partition("; write ")[0]
            assert not PARSERS_WORDS.search(without_quoted), problem
            assert 1 <= problem.line <= lines
