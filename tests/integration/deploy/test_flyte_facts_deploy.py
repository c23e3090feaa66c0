"""What this project relies on in Flyte's deployment: a release of Flyte that changes one of them is noticed here."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from pathlib import Path

import flyte.app
import pytest
from flyte._bin import serve
from flyte._code_bundle._includes import collect_env_include_files
from flyte._code_bundle.bundle import build_code_bundle
from flyte.app import ConnectorEnvironment, Scaling
from flyte.models import SerializationContext


def test_flyte_s_own_arguments_name_every_included_file_as_a_module_in_one_option() -> None:
    """Why ours are our own: `c0` rejects more than one value there, and a folder of specs is no module."""
    environment = ConnectorEnvironment(name="plain", include=("a.py", "connectors.d"))
    args = environment.container_args(SerializationContext("v1"))
    assert args == ["c0", "--port", "8080", "--prometheus_port", "9092", "--modules", "a", "connectors.d"]


def test_an_app_scales_down_to_nothing_unless_it_says_otherwise() -> None:
    assert Scaling().get_replicas() == (0, 1)
    assert ConnectorEnvironment(name="plain").scaling.get_replicas() == (0, 1)


def test_included_files_are_looked_for_beside_the_file_that_builds_the_environment() -> None:
    environment = ConnectorEnvironment(name="plain", include=("conftest.py", "/elsewhere/x.yaml"))
    assert collect_env_include_files([environment]) == (
        str(Path(__file__).with_name("conftest.py").resolve()),
        "/elsewhere/x.yaml",
    )


def test_a_bundle_holds_the_loaded_modules_below_the_root_and_what_is_included_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out, elsewhere = tmp_path / "root", tmp_path / "out", tmp_path / "elsewhere"
    for folder in (root, out, elsewhere):
        folder.mkdir()
    for name in ("module_of_a_fact.py", "unused.py", "spec.yaml", "other.yaml"):
        (root / name).write_text("")
    (elsewhere / "x.yaml").write_text("")
    monkeypatch.syspath_prepend(root)
    importlib.import_module("module_of_a_fact")

    def files(*included: Path) -> list[str]:
        bundle = asyncio.run(
            build_code_bundle(root, dryrun=True, copy_bundle_to=out, additional_files=tuple(map(str, included)))
        )
        return sorted(Path(file).name for file in bundle.files or [])

    try:
        assert files(root / "spec.yaml") == ["module_of_a_fact.py", "spec.yaml"]
        with pytest.raises(ValueError, match="outside the bundle root"):
            files(elsewhere / "x.yaml")
    finally:
        del sys.modules["module_of_a_fact"]


def test_the_container_imports_the_app_before_it_starts_its_arguments() -> None:
    """Why building the environment must also work inside the bundle, where the package is not installed."""
    source = inspect.getsource(serve.main.callback)  # type: ignore[arg-type]
    assert source.index("load_app_env(") < source.index("Popen(")
    assert 'command_joined = " ".join(command_list)' in source  # no argument of ours may hold a blank
    assert flyte.app.ConnectorEnvironment is ConnectorEnvironment
