"""Slips in indentation, quotes and characters are told at their own line and column, with what to write."""

from __future__ import annotations

import re

import pytest

from yaml_connector._loading.loader import load_text

SPEC = """\
spec_version: 1
task_type_name: render
description: Renders a scene.
connection:
  base_url: https://farm.example.org/api
  rate_limit: {requests: 10, per: 1s}
create:
  idempotent: true
  steps:
    - name: upload
      request:
        method: POST
        path: /scenes
        json:
          script: |
            set -e
            render --all
          tags:
            - nightly
            - long
      save:
        scene: $.id
  job_id: $.render.id
get:
  request: GET /renders/${{ job.id }}
  phase:
    path: $.render.state
    map:
      SUCCEEDED:
        - ready
      FAILED: [broken]
"""

# What is replaced, by what, the line and column that are named, and a part of the message.
SLIPS = {
    "an item less": ("            - long", "          - long", "20:11", "the one on line 19 by 12 spaces"),
    "an item more": ("            - long", "              - long", "19:15", "indent all items alike"),
    "items without a blank": (
        "            - nightly\n            - long",
        "            -nightly\n            -long",
        "19:13",
        "write - nightly",
    ),
    "a bullet": ("        - ready", "        * ready", "30:9", "write - ready"),
    "a dash that is longer": ("            - nightly", "            \u2013 nightly", "19:13", "write - nightly"),
    "a blank after the dash that is not one": (
        "- nightly\n            - long",
        "-\u00a0nightly",
        "19:13",
        "write - night",
    ),
    "a text that is not indented": ("            set -e", "          set -e", "16:11", "by 12 spaces or more"),
    "a line of a text less": (
        "            render --all",
        "         render --all",
        "17:10",
        "by 12 spaces or more, as line 16",
    ),
    "a first line of a text more": ("            set -e", "              set -e", "17:13", "by 14 spaces or more"),
    "a key of an item less": (
        "      save:",
        "     save:",
        "21:6",
        "6 spaces",
    ),
    "a key at its dash": (
        "      save:\n        scene",
        "    save:\n      scene",
        "21:5",
        "6 spaces (as request: on line 11)",
    ),
    "a missing colon": ("  idempotent: true", "  idempotent true", "8:3", "write idempotent: true"),
    "a missing colon of a section": ("get:\n", "get\n", "24:1", "write get:"),
    "an arrow": ("  idempotent: true", "  idempotent => true", "8:3", "write idempotent: true"),
    "no blank before a URL": ("base_url: https", "base_url:https", "5:11", "write base_url: https://farm"),
    "no blank before a brace": ("rate_limit: {", "rate_limit:{", "6:13", "write rate_limit: {requests: 10"),
    "a brace too many": ("per: 1s}", "per: 1s}}", "6:38", "this } closes nothing"),
    "a backslash in quotes": ("Renders a scene.", '"C:\\path"', "3:14", "write 'C:\\path'"),
    "a comma at the end": ("method: POST", "method: POST,", "12:17", "write POST"),
    "a comma at the end of what may be anything": ("path: /scenes", "path: /scenes,", "13:15", "write /scenes"),
    "an invisible character": ("https://farm", "https://\u200bfarm", "5:13", "(U+200B)"),
    "a byte order mark inside": ("\nget:", "\n\ufeffget:", "24:1", "an invisible character"),
    "a quote that is curly at one end": ("/scenes", "\u201c/scenes'", "13:15", "is not a quote in YAML"),
    "a line end of another kind": ("Renders a", "Renders\x85a", "3:21", "U+0085 ends a line in YAML"),
    "a control character": ("Renders a", "Renders\x1ba", "3:21", "the control character U+001B"),
    "zeros at the beginning": (
        "script: |\n            set -e\n            render --all",
        "n: 007",
        "15:14",
        "the number 7",
    ),
}


def test_the_spec_itself_has_no_problem() -> None:
    assert load_text(SPEC.encode(), "s.yaml")[1] == []


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_one_problem_at_its_place(name: str) -> None:
    old, new, place, part = SLIPS[name]
    assert SPEC.count(old) == 1
    (problem,) = load_text(SPEC.replace(old, new).encode(), "s.yaml")[1]
    assert (f"{problem.line}:{problem.column}", part in problem.message) == (place, True), problem
    for line in map(int, re.findall(r"on line (\d+)", problem.message)):
        assert SPEC.splitlines()[line - 1].strip()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            SPEC.replace("a scene", "a scène").encode("latin-1"),
            "s.yaml:3:26: the file is not UTF-8 text: the byte 0xE8 (è",
        ),
        (SPEC.encode("utf-16"), "s.yaml:1:1: the file is not UTF-8 text, but UTF-16"),
        (SPEC.encode("utf-16-le"), "s.yaml:1:1: not YAML: the file is UTF-16"),
        (b"\x1f\x8b\x08\x00", "s.yaml:1:1: the file is not UTF-8 text, but gzip"),
        (b"PK\x03\x04\xff", "s.yaml:1:1: the file is not UTF-8 text, but a zip archive"),
    ],
)
def test_what_is_not_utf8_is_named(content: bytes, said: str) -> None:
    (problem,) = load_text(content, "s.yaml")[1]
    assert str(problem).startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "Renders: {a: b}",
        "'Renders, as the farm says,'",
        "Renders\n  - a scene\n  - another",
        "Renders \u2013 slowly",
        "\u201cRenders\u201d and more",
        "Le prix\u00a0cher",
        "1.10",
    ],
)
def test_prose_may_have_dashes_commas_and_blanks_of_all_kinds(text: str) -> None:
    text = text if ": {" not in text else f"'{text}'"
    text = text if text != "1.10" else "'1.10'"
    assert load_text(SPEC.replace("Renders a scene.", text).encode(), "s.yaml")[1] == []
