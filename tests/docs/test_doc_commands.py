"""Every command, session and Python block of every page does what the page says, against the real job service.

test_from_a_clone.py does the same for the pages that a newcomer begins with, in a bare shell.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.docs.doc_blocks import DOCS, Block, blocks, slug
from tests.support.paths import ROOT
from tests.support.real_processes import USER_KEYS, clean_environment, script
from yaml_connector.cli.main import cli

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
FROM_A_CLONE = [ROOT / "README.md", DOCS / "tutorial.md"]
KNOWN = {"yaml", "yaml wrong", "sh", "console", "python", "pycon", "text"}

# What is not run here, and why. Its options are looked up in the command's own help.
NOT_RUN = {
    "flyte deploy": "needs a Flyte cluster",
    "flyte create secret": "needs a Flyte cluster",
    "yaml-connector serve": "runs until it is stopped; tests/integration/service starts it",
    "export": "the tests have keys of their own",
    "make": "works on the checkout",
}
LUCK = re.compile(r"^N s  (QUEUED|RUNNING)$|map\.(QUEUED|RUNNING): |\] (QUEUED|RUNNING)$")


class Reader:
    """Somebody who reads a page and does what it says, in a folder of their own."""

    def __init__(self, folder: Path, job_service_url: str) -> None:
        self.folder = folder
        self.port = job_service_url.rpartition(":")[2]
        self.env = clean_environment(
            folder,
            BATCH_URL=job_service_url,
            ALICE_KEY=USER_KEYS["alice"],
            ALICE_API_KEY=USER_KEYS["alice"],
            BATCH_API_KEY=USER_KEYS["bob"],
        )
        for name in ("connectors.d", "examples"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "app.py", folder)

    def run(self, line: str) -> tuple[int, str]:
        """Run a command line; gives its exit code, and all that it wrote."""
        words = shlex.split(line)
        env = dict(self.env)
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            env[name] = env.get(name, "") if value == "..." else value
        if words[0] == "yaml-connector":
            with_environment = {name: env.get(name) for name in {*os.environ, *env}}
            result = CliRunner().invoke(cli, words[1:], env=with_environment)
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return result.exit_code, result.output
        assert words[0] == "flyte", line
        done = subprocess.run(
            [script("flyte"), *words[1:]], cwd=self.folder, env=env, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    def write(self, block: Block) -> None:
        """Write the file that a block is."""
        content = (
            block.content.partition("\n")[2] if block.file.endswith(".txt") else block.content
        )  # no comments there
        (self.folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / block.file).write_text(content.replace("8900", self.port), encoding="utf-8")

    def do(self, block: Block) -> None:
        """Do what a block says: write its file, or run its commands."""
        if block.file:
            self.write(block)
        elif block.kind == "console":
            for session in re.split(r"^\$ ", block.content, flags=re.MULTILINE)[1:]:
                line, _, expected = session.partition("\n")
                code, written = self.run(line.replace("8900", self.port))
                assert not [key for key in USER_KEYS.values() if key in written], f"{block}: {line} shows a secret"
                compare(written, expected.replace("8900", self.port), f"{block}: {line}\nexit code {code}\n{written}")
        elif block.kind == "sh":
            for line in command_lines(block.content):
                if not_run(line) is None:
                    code, written = self.run(line)
                    assert code == 0, f"{block}: {line}\n{written}"

    def python(self, page: list[Block]) -> None:
        """Run all Python of a page, in one process."""
        todo = []
        for number, block in enumerate(page):
            if block.kind in ("python", "pycon"):
                following = page[number + 1] if number + 1 < len(page) else block
                file = self.folder / (block.file or f"block_{block.line}.py")
                file.write_text(block.content, encoding="utf-8")
                todo.append([str(block), block.kind, str(file), following.content if following.kind == "text" else ""])
        if todo:
            (self.folder / "blocks.json").write_text(json.dumps(todo), encoding="utf-8")
            command = [sys.executable, str(Path(__file__).with_name("python_blocks.py")), "blocks.json"]
            done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr


def command_lines(content: str) -> list[str]:
    """The commands of a shell block, without comments."""
    lines = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in content.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line]


def not_run(line: str) -> str | None:
    """The beginning of the command, if it is one that is not run here."""
    command = re.sub(r"^([A-Z_]+=\S+ )+", "", line)
    return next((start for start in NOT_RUN if command.startswith(start + " ")), None)


def normal(text: str) -> str:
    """The text without what differs from run to run: seconds, ids, keys."""
    text = re.sub(r"^ *[\d.]+ s  ", "N s  ", text, flags=re.MULTILINE)
    text = re.sub(r"\[ *[\d.]+ s\]", "[N s]", text)
    text = re.sub(r"\b(job|run)-[0-9a-f]{10,16}\b", r"\1-ID", text)
    text = re.sub(r"\d+ ms$", "N ms", text, flags=re.MULTILINE)
    text = re.sub(r'\{"jobs": \[.*', '{"jobs": []}', text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    # which of the passing states a poll meets is a matter of luck
    return "\n".join(line for line in lines if not LUCK.search(line))


def compare(written: str, expected: str, about: str) -> None:
    """What was written is what the page shows; where it shows `...`, every line that it shows is there."""
    if "\n...\n" not in f"\n{expected}":
        assert normal(written) == normal(expected), about
        return
    for line in normal(expected).splitlines():
        assert line == "..." or line in normal(written), f"{line!r} is not in {about}"


@lru_cache(maxsize=8)
def help_of(*words: str) -> str:
    """What `--help` says of a command."""
    if words[:2] == ("python", "-m"):
        command = [sys.executable, *words[1:], "--help"]
    else:
        command = [script(words[0]), *words[1:], "--help"]
    env: Mapping[str, str] = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FROM_A_CLONE], ids=lambda page: page.name)
def test_a_page_is_what_happens(
    page: Path, tmp_path: Path, job_service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    all_blocks = list(blocks(page))
    reader = Reader(tmp_path, job_service_url)
    for block in all_blocks:
        reader.do(block)
    reader.python(all_blocks)


def test_the_spec_of_the_readme_runs_a_job(
    tmp_path: Path, job_service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (spec,) = [block for block in blocks(ROOT / "README.md") if block.kind == "yaml"]
    (tmp_path / "readme.yaml").write_text(spec.content, encoding="utf-8")
    code, written = Reader(tmp_path, job_service_url).run("yaml-connector run readme.yaml --input name=hello")
    assert "Hello, hello!" in written
    assert code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_is_left_out(page: Path) -> None:
    kinds = ["", *("file" if block.file else block.kind for block in blocks(page))]
    unknown = [f"{block}: {block.kind or 'no language'}" for block in blocks(page) if block.kind not in KNOWN]
    assert unknown == [], f"these blocks are not tested; known languages: {', '.join(sorted(KNOWN))}"
    assert all(before == "python" for before, kind in pairwise(kinds) if kind == "text"), "text is what Python printed"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_that_is_not_run_is_one_that_there_is(page: Path) -> None:
    lines = [line for block in blocks(page) if block.kind == "sh" for line in command_lines(block.content)]
    for line in lines:
        start = not_run(line)
        if start == "make":
            done = subprocess.run(
                ["make", "--dry-run", *shlex.split(line)[1:]], cwd=ROOT, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        elif start is not None:
            for option in re.findall(r"(?<=\s)--[\w-]+", line):
                assert option in help_of(*start.split()), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file) if file else page
        assert linked.is_file(), target
        if anchor:
            anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.M)}
            assert anchor in anchors, target
