"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "yaml_connector" / "catalog"
CORNERS = ROOT / "tests" / "unit" / "catalog" / "corners"
