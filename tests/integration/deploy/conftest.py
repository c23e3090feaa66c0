"""A project as a user has it, and what its image would be: a Python environment without this package."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.deploy import build_bundle
from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has all that is installed here, but neither this package nor its
    metadata: as the image that a bundle with the package in it is unpacked in."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True)
    here = Path(sysconfig.get_path("purelib"))
    there = folder / here.relative_to(sys.prefix)
    for entry in here.iterdir():
        ours = entry.name.lower().startswith(("yaml_connector", "__editable__"))
        if not ours and entry.suffix != ".pth":
            (there / entry.name).symlink_to(entry)
    programs = folder / "bin"
    for name in ("c0", "fserve", "flyte"):
        source = (Path(sys.executable).parent / name).read_text()
        (programs / name).write_text(f"#!{programs / 'python'}\n" + source.partition("\n")[2])
        (programs / name).chmod(0o755)
    probe = "import importlib.util, flyte, sys; sys.exit(importlib.util.find_spec('yaml_connector') is not None)"
    subprocess.run([programs / "python", "-c", probe], check=True, cwd=folder, env={"PATH": ""})
    return programs


@dataclass
class Bundle:
    """What a deployment sends."""

    tgz: Path
    files: list[str]
    include: list[str]
    command: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    replicas: list[int] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)

    def unpack(self, folder: Path) -> Path:
        """Into an empty folder, as the container does."""
        folder.mkdir()
        shutil.unpack_archive(self.tgz, folder)
        return folder


class Project:
    """A folder with files, to build bundles from."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root = root
        self._out = out

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python in the project's root, with the package that is found there."""
        env = clean_environment(self._out, PYTHONPATH=str(self.root), LOG_LEVEL="40")
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=60)

    def build(self, module: str, variable: str) -> Bundle:
        """The bundle of an environment, built by a process of its own where the package is the project's too."""
        if (self.root / "yaml_connector").exists():
            done = self.run(build_bundle.__file__, module, variable, str(self._out))
            assert done.returncode == 0, done.stderr
            built: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        else:
            loaded = self._load(module)
            try:
                built = asyncio.run(build_bundle.build(getattr(loaded, variable), self.root, self._out))
            finally:
                del sys.modules[module]
        return Bundle(**{**built, "tgz": Path(built["tgz"])})

    def _load(self, module: str) -> Any:
        path = self.root / (module.replace(".", "/") + ".py")
        spec = importlib.util.spec_from_file_location(module, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = loaded = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[module]
            raise
        return loaded


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Makes projects: empty ones, or copies of this repository."""

    def make(*, checkout: bool = False) -> Project:
        project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("bundle"))
        if checkout:
            ignored = shutil.ignore_patterns("__pycache__")
            for name in ("app.py", "pyproject.toml"):
                shutil.copy(ROOT / name, project.root)
            for name in ("connectors.d", "examples", "yaml_connector"):
                shutil.copytree(ROOT / name, project.root / name, ignore=ignored)
        return project

    return make
