"""`yaml-connector check` over TLS: a certificate that is good, and the reason when one is not."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.command_line import Command

SPEC = """\
spec_version: 1
task_type_name: safe
connection:
  base_url: https://127.0.0.1:{port}
  check: GET /me
{tls}create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The port of a server with the folder's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def checked(command: Command, folder: Path, tls: str) -> tuple[int, str]:
    """The exit code and the output of the check."""
    with served(folder) as port:
        text = SPEC.format(port=port, tls=f"  tls: {tls}\n" if tls else "")
        (folder / "safe.yaml").write_text(text, encoding="utf-8")
        done = command("check", "safe.yaml")
    return done.returncode, done.stdout


def test_a_certificate_of_the_authority_that_the_spec_names_is_good(command: Command, here: Path) -> None:
    certificate(here)
    code, shown = checked(command, here, f"{{ca_file: {here}/ca.pem}}")
    assert code == 0, shown
    assert "✓ TLS         TLSv1.3, certificate until " in shown
    assert "answered 200: hello" in shown


@pytest.mark.parametrize(
    ("host", "days", "trusted", "told"),
    [
        ("127.0.0.1", 1, False, "unable to get local issuer certificate"),
        ("127.0.0.1", -1, True, "certificate has expired"),
        ("127.0.0.2", 1, True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
    ids=["unknown authority", "expired", "wrong host"],
)
def test_a_certificate_that_is_not_good_is_told_with_the_reason(
    command: Command, here: Path, host: str, days: int, trusted: bool, told: str
) -> None:
    certificate(here, host=host, days=days)
    code, shown = checked(command, here, f"{{ca_file: {here}/ca.pem}}" if trusted else "")
    assert code == 1
    assert f"✗ TLS         the certificate is not trusted: {told}" in shown


def test_a_certificate_that_is_not_looked_at_is_told(command: Command, here: Path) -> None:
    certificate(here, days=-1)
    code, shown = checked(command, here, "{verify: false}")
    assert code == 0, shown
    assert "the certificate is not verified (tls.verify is false)" in shown
