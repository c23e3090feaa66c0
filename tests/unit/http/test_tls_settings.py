"""Files of `connection.tls` that the environment does not name."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from yaml_connector._http.tls import TlsSettings
from yaml_connector._spec.connection import Tls
from yaml_connector.errors import EvaluationError


def test_a_file_that_is_null_is_as_if_it_were_not_there() -> None:
    null = "${{ env.NOT_SET | default(none) }}"
    context = TlsSettings(Tls(ca_file=null, cert_file=null, key_file=null), {}).context()
    assert context.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({"ca_file": "server.key"}, "ca_file server.key cannot be used: certificates in PEM must be there"),
        ({"ca_file": "none.pem"}, "none.pem cannot be read: No such file or directory"),
        ({"ca_file": "."}, ". cannot be read: not a regular file"),
        ({"ca_file": "pipe"}, "pipe cannot be read: not a regular file"),  # nobody writes to it
        ({"cert_file": "/dev/zero"}, "/dev/zero cannot be read: not a regular file"),
        ({"ca_file": "huge"}, "huge cannot be read: it has more than 4194304 bytes"),
        (
            {"cert_file": "server.key", "key_file": "server.pem"},
            "cert_file server.key and key_file server.pem cannot be used: a certificate and its key without a password",
        ),
        (
            {"cert_file": "ca.pem", "key_file": "server.key"},
            "the key server.key does not belong to the certificate ca.pem",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: dict[str, str], words: str
) -> None:
    certificate(tmp_path)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("huge").touch()
    os.truncate("huge", 2**33)
    with pytest.raises(EvaluationError) as raised:
        TlsSettings(Tls(**tls), {}).context()
    assert str(raised.value).startswith(f"connection.tls: {words}")
