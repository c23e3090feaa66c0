"""What is wrong with a spec, as the user reads it."""

from __future__ import annotations

from yaml_connector._loading.loader import load_text


def problems(text: str | bytes) -> list[str]:
    """What is wrong with a spec, as the user reads it."""
    content = text.encode() if isinstance(text, str) else text
    return [str(problem) for problem in load_text(content, "s.yaml")[1] if problem.severity == "error"]
