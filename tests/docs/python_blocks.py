"""Runs the Python blocks of a page, one after the other with the same names; a program of its own, for it loads Flyte.

Arguments: a JSON file with a list of [label, kind, file, expected output]. `kind` is python or pycon (a doctest).
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def run_python(file: str, expected: str, names: dict[str, Any]) -> str:
    """Execute a file; gives what is wrong with what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(Path(file).read_text(encoding="utf-8"), file, "exec"), names)
    return "" if printed.getvalue().strip() == expected.strip() else f"printed {printed.getvalue()!r}"


def run_console(label: str, file: str, names: dict[str, Any]) -> str:
    """Run a Python session as a doctest; gives what differs."""
    report = io.StringIO()
    test = doctest.DocTestParser().get_doctest(Path(file).read_text(encoding="utf-8"), names, label, file, 0)
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.write, clear_globs=False)
    return report.getvalue()


def main() -> None:
    sys.path.insert(0, ".")
    importlib.import_module("flyte").init(local_persistence=False)
    page = sys.modules["page"] = ModuleType("page")  # a dataclass looks for its module
    names: dict[str, Any] = page.__dict__
    for label, kind, file, expected in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        wrong = run_python(file, expected, names) if kind == "python" else run_console(label, file, names)
        if wrong:
            sys.exit(f"{label}: {wrong}")


if __name__ == "__main__":
    main()
