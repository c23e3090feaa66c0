"""Every command of the tutorial gives what the page says, against the real job service."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from command_line import Command
from contract_folder import ROOT
from real_processes import USER_KEYS

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def normal(text: str) -> str:
    """The text without what differs from run to run: seconds, ids, keys."""
    text = re.sub(r"^ *[\d.]+ s  ", "N s  ", text, flags=re.MULTILINE)
    text = re.sub(r"\b(job|run)-[0-9a-f]{10,16}\b", r"\1-ID", text)
    text = re.sub(r"\d+ ms$", "N ms", text, flags=re.MULTILINE)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    # which of the passing states a poll meets is a matter of luck
    return "\n".join(line for line in lines if not re.search(r"^N s  (QUEUED|RUNNING)$|map\.(QUEUED|RUNNING): ", line))


def test_the_tutorial_is_what_happens(live: Command, here: Path, batch_url: str) -> None:
    port = batch_url.rpartition(":")[2]
    ran = 0
    for kind, content in BLOCK.findall(PAGE):
        content = content.replace("8900", port)
        if kind == "yaml":
            file = content.splitlines()[0].removeprefix("# ")
            (here / file).write_text(content, encoding="utf-8")
        elif kind == "console":
            line, _, expected = content.removeprefix("$ ").partition("\n")
            program, *arguments = shlex.split(line)
            assert program == "yaml-connector"
            done = live(*arguments, YAML_CONNECTOR_PATH="connectors.d", ALICE_KEY=USER_KEYS["bob"])
            found = re.sub(r'\{"jobs": \[.*', '{"jobs": []}', done.stdout)
            assert normal(found) == normal(expected), line
            ran += 1
    assert ran >= 7
