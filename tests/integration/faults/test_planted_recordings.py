"""Planted secrets and `yaml-connector record`: none is in what is written, in what is shown, or in what the recorded
test says when it passes and when it fails."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner, Result

from tests.integration.faults.test_planted_secrets import AUTHS, FORMS, SECRETS, Leaks, account, key_lines
from tests.support.real_api import RealApi, Received
from yaml_connector.cli.main import cli

PLANTED = SECRETS[:30]
TOKEN = SECRETS[199]


def spec(auth: str) -> dict[str, Any]:
    return {
        "spec_version": 1,
        "task_type_name": "recorded",
        "connection": {
            "base_url": "${{ env.BASE }}",
            "auth": AUTHS.get(auth) or {"type": "bearer", "token": "${{ secrets.s0 }}"},
            "headers": {"X-Key": "${{ secrets.s6 | b64encode }}"},
            "query": {"also": "${{ secrets.s7 }}"},
        },
        "secrets": {
            "account": {"env": "ACCOUNT"},
            # a user name is not sensitive by itself
            **{f"s{number}": {"env": f"S{number}", "sensitive": True} for number in range(len(PLANTED))},
        },
        "inputs": {"x": "str"},
        "outputs": {"echo": "$.id"},  # one with a secret in it would fail the job
        "create": {
            "request": {
                "method": "POST",
                "path": "/jobs/${{ secrets.s8 }}",
                "json": {f"k{number}": f"${{{{ secrets.s{number} }}}}" for number in range(9, 30)},
            },
            "job_id": "$.id",
            "save": {"echo": "$.echo"},
            "idempotent": True,
        },
        "get": {
            "request": {"path": "/jobs/1", "headers": {"X-Odd": "a ${{ secrets.s9 | quote }}"}},
            "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "RUNNING": ["running"]}},
            "message": "${{ body.echo ~ headers.location }}",
        },
        "result": {"request": {"method": "POST", "path": "/result", "form": {"a": "${{ secrets.s10 }}"}}},
        "logs": {"request": "GET /logs", "format": "text"},
    }


def answers(received: Received) -> Any:
    if received.parts[-1] == "token":
        return {"token": TOKEN, "access_token": TOKEN}
    shown = [*PLANTED, TOKEN] if received.raw_path.startswith(("/token/", "/google/")) else PLANTED
    echo = " ".join(form(secret) for form in FORMS.values() for secret in shown)
    echo += " ".join(key_lines()) if received.raw_path.startswith("/google/") else ""
    if received.parts[-1] == "logs":  # no UTF-8, so it is kept as bytes
        return web.Response(body=echo.encode() + b"\n\xff\xfe\n", content_type="text/plain")
    seen = {"path": received.raw_path, **received.headers}
    data = {"id": "1", "state": "done", "echo": echo, "seen": seen, echo[:300]: 1}
    return web.json_response(data, headers={"Location": f"/at?{quote(echo[:2000])}"})


def run(*arguments: str, **variables: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments), env=variables)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def found(*texts: str) -> list[tuple[str, str]]:
    """Which planted secrets are in these texts, in which form."""
    leaks = Leaks()
    leaks.add(*texts)
    return leaks.found()


@pytest.mark.parametrize("auth", ["bearer", *AUTHS])
def test_a_recording_holds_no_secret(api: RealApi, auth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.case(auth, answers)
    base = f"{api.url}/{auth}"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recorded.yaml").write_text(json.dumps(spec(auth)))
    secrets = {f"S{number}": secret for number, secret in enumerate(PLANTED)}
    variables = {"BASE": base, "ACCOUNT": account(f"{base}/token"), **secrets}
    recorded = run("record", "recorded.yaml", "--input", "x=1", **variables)
    file = tmp_path / "recorded.test.yaml"
    assert "ends as SUCCEEDED" in file.read_text()
    assert found(recorded.stdout, recorded.stderr) == []
    assert found(file.read_text(), json.dumps(yaml.safe_load(file.read_text()), ensure_ascii=False)) == []
    assert found(bytes.fromhex(_bytes_kept(file)).decode("utf-8", "replace")) == []

    passes = run("test", "recorded.yaml")
    assert found(passes.stdout, passes.stderr) == []
    file.write_text(file.read_text().replace("/result", "/another").replace("phase: SUCCEEDED", "phase: FAILED"))
    fails = run("test", "recorded.yaml")
    assert fails.exit_code == 1
    assert found(fails.stdout, fails.stderr) == []

    for form in (("--verbose",), ("--json",), ("--dry-run",)):
        shown = run("run", "recorded.yaml", "--input", "x=1", *form, **variables)
        assert found(shown.stdout, shown.stderr) == [], form


def _bytes_kept(file: Path) -> str:
    """All `base64` of the recording, decoded, in hex."""
    kept = b""
    for call in yaml.safe_load(file.read_text())["tests"][0]["calls"]:
        for body in call.values():
            for exchange in body.get("exchanges", []) if isinstance(body, dict) else []:
                kept += base64.b64decode(exchange["response"].get("base64", ""))
    return kept.hex()
