"""`yaml-connector demo`: the tour (tests/integration/packaging runs it, from an installed wheel)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml_connector
from tests.support.paths import ROOT

DEMO = Path(yaml_connector.__file__).parent / "demo"


def test_the_tour_shows_the_spec_of_the_checkout() -> None:
    own = (DEMO / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
    schema, _, deployed = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8").partition("\n")
    assert schema.startswith("# yaml-language-server:")
    assert own == deployed


def test_make_demo_runs_the_tour() -> None:
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ".venv/bin/python -m yaml_connector.demo"
    assert (DEMO / "__main__.py").read_text(encoding="utf-8").endswith('if __name__ == "__main__":\n    main()\n')
