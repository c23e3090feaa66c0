"""Files of `connection.tls` that the environment does not name."""

from __future__ import annotations

import ssl

from yaml_connector._http.tls import TlsSettings
from yaml_connector._spec.connection import Tls


def test_a_file_that_is_null_is_as_if_it_were_not_there() -> None:
    null = "${{ env.NOT_SET | default(none) }}"
    context = TlsSettings(Tls(ca_file=null, cert_file=null, key_file=null), {}).context()
    assert context.verify_mode == ssl.CERT_REQUIRED
