"""`yaml-connector demo`: the tour, in an empty folder, with what is part of the package."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import yaml_connector
from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment, script, started

DEMO = Path(yaml_connector.__file__).parent / "demo"


@pytest.mark.slow
def test_the_tour_runs_in_an_empty_folder_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    env = clean_environment(tmp_path)
    with started([script("yaml-connector"), "demo"], cwd=folder, env=env, log=tmp_path / "log") as process:
        assert process.wait(120) == 0, process.output
        text = process.output
    assert re.search(r"serving on 127\.0\.0\.1:\d+: batch_job \(0\)", text)
    assert "output result = 'Hello, world!'" in text
    assert "FAILED: exit code 3: the input table is empty" in text
    assert "ABORTED: cancelled" in text
    assert "answered 401: a valid bearer token is needed" in text
    assert "Hello, laptop!" in text
    assert "everything is stopped" in text
    assert "Traceback" not in text
    assert os.listdir(folder) == []


def test_the_tour_shows_the_spec_of_the_checkout() -> None:
    own = (DEMO / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
    schema, _, deployed = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8").partition("\n")
    assert schema.startswith("# yaml-language-server:")
    assert own == deployed
