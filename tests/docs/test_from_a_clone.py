"""What a newcomer reads first works word for word: a fresh clone, a bare shell, every command as it is written.

Two things differ from a newcomer's machine. `.venv` is ready, with the packages of this environment, because installing
them takes a minute (CI begins with it). And the job service listens on a free port instead of 8900.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.doc_blocks import Block, blocks
from tests.docs.test_doc_commands import FROM_A_CLONE, command_lines, compare
from tests.support.paths import ROOT
from tests.support.ports import held_port
from tests.support.real_processes import started

pytestmark = pytest.mark.slow

# What does not run here, and why. Its options are looked up by test_doc_commands.py.
NOT_RUN = {
    "flyte create secret": "needs a Flyte cluster",
    "flyte deploy": "needs a Flyte cluster",
    "make demo": "the tour takes long; test_wheel.py runs it, test_tour.py sees that this is what make does",
    "make test": "runs this test",
}
SECOND_TERMINAL = "python -m yaml_connector.demo.jobservice"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this work tree, with an environment that takes its packages, but not this package, from ours."""
    folder = tmp_path_factory.mktemp("clone") / "yaml-connector"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").replace("/", "").split()
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", *ignored))
    venv.create(folder / ".venv")
    paths = {"base": str(folder / ".venv"), "platbase": str(folder / ".venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    (packages / "borrowed.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    for name in ("yaml-connector", "flyte", "a0"):  # a0 runs a function in its container
        text = Path(sys.executable).with_name(name).read_text(encoding="utf-8")
        script = folder / ".venv" / "bin" / name
        script.write_text(re.sub(r"\A#!.*", f"#!{folder}/.venv/bin/python", text), encoding="utf-8")
        script.chmod(0o755)
    (folder / ".venv" / "ready").touch()
    return folder


def steps(page: Path) -> Iterator[tuple[Block, str, str]]:
    """Yield what the first terminal does: the block, the command (or what an editor writes), and what it shows."""
    shown = list(blocks(page))
    for block, following in zip(shown, [*shown[1:], None], strict=True):
        if block.file:
            yield block, f"cat > {block.file} <<'END_OF_FILE'\n{block.content}END_OF_FILE", ""
        elif block.kind == "sh" and SECOND_TERMINAL not in block.content:
            for line in command_lines(block.content):
                if not line.startswith(tuple(NOT_RUN)):
                    yield block, line, "...\n"
        elif block.kind == "console":
            for session in re.split(r"^\$ ", block.content, flags=re.MULTILINE)[1:]:
                line, _, expected = session.partition("\n")
                yield block, line, expected
        elif block.kind == "python":
            output = following.content if following is not None and following.kind == "text" else ""
            yield block, f"python - <<'END_OF_FILE'\n{block.content}END_OF_FILE", output


def in_a_bare_shell(commands: list[str], clone: Path, bare: dict[str, str]) -> list[tuple[str, int]]:
    """Run the commands in one shell; return what each wrote, and its exit code."""
    mark = "=== exit code"
    script = "\n".join(f'{command}\ncode=$?; echo; echo "{mark} $code"' for command in commands)
    (clone.parent / "script.sh").write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "../script.sh"],
        cwd=clone,
        env=bare,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    parts = re.split(rf"^{mark} (\d+)\n", done.stdout, flags=re.MULTILINE)
    return [(output, int(code)) for output, code in zip(parts[:-1:2], parts[1::2], strict=True)]


@pytest.mark.parametrize("page", FROM_A_CLONE, ids=lambda page: page.name)
def test_a_newcomer_gets_what_the_page_shows(page: Path, clone: Path, tmp_path: Path) -> None:
    bare = {"HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    todo = list(steps(page))
    with ExitStack() as stack:
        port = str(stack.enter_context(held_port()))
        spec = clone / "connectors.d" / "batch_job.yaml"
        spec.write_text(re.sub(r"(?<=127\.0\.0\.1:)\d+", port, spec.read_text(encoding="utf-8")), encoding="utf-8")
        (second,) = [block.content.replace("8900", port) for block in blocks(page) if SECOND_TERMINAL in block.content]
        log = tmp_path / "second_terminal.log"
        stack.enter_context(started(["bash", "-c", second], cwd=clone, env=bare, log=log)).wait_for("listening on")
        results = in_a_bare_shell([command.replace("8900", port) for _, command, _ in todo], clone, bare)
    for (block, command, expected), (output, code) in zip(todo, results, strict=True):
        about = f"{block}: {command}\nexit code {code}\n{output}"
        assert block.kind == "console" or code == 0, about
        compare(output.replace(port, "8900"), expected, about)
