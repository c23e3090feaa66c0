"""The TLS settings of a connection; files that change are read anew."""

from __future__ import annotations

import errno
import logging
import os
import ssl
from collections.abc import Mapping

from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._regular_file import regular_file
from yaml_connector._spec.connection import Tls
from yaml_connector.errors import EvaluationError

_LARGEST = 4 * 2**20  # bytes of one of the files: the bundles of operating systems have 200 KB

logger = logging.getLogger("yaml_connector.http")


class TlsSettings:
    """Makes the SSL context of a connection, and another one when a file has changed.

    Every call of `context` may return another object; connections that are open go on with theirs. `environment` is
    what the templates of the file names see.
    """

    def __init__(self, spec: Tls, environment: Mapping[str, str]) -> None:
        self._verify = spec.verify
        self._files = {
            name: compile_text(value)
            for name in ("ca_file", "cert_file", "key_file")
            if (value := getattr(spec, name)) is not None
        }
        self._scope = Scope(env=environment, config={}, secrets={})
        self._context: ssl.SSLContext | None = None
        self._stamps: list[tuple[int, int, int]] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection. Files that cannot be used (a certificate whose key is not there yet)
        leave the one before. Raises EvaluationError if there is none."""
        found = {name: value.evaluate(self._scope) for name, value in self._files.items()}
        files = {name: str(file) for name, file in found.items() if file is not None}
        used = [*files]  # by what fails, if it does
        try:
            stamps = [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in map(os.stat, files.values())]
            if self._context is not None and stamps == self._stamps:
                return self._context
            self._stamps = stamps
            for file in files.values():
                _check(file)
            used = ["ca_file"]
            context = ssl.create_default_context(cafile=files.get("ca_file"))
            used = ["cert_file", "key_file"]
            if "cert_file" in files:
                # without a password OpenSSL would ask for one at the terminal
                context.load_cert_chain(files["cert_file"], files.get("key_file"), password="")
        except (OSError, ssl.SSLError) as error:
            if self._context is None:
                raise EvaluationError(f"connection.tls: {_reason(error, files, used)}") from None
            why = _reason(error, files, used)
            logger.warning("connection.tls: the files changed and cannot be used, so the old ones are kept: %s", why)
            return self._context
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._context = context
        return context


def _check(file: str) -> None:
    """Raise OSError for a file that OpenSSL would read for long, or wait for: a pipe, a device, a huge file."""
    with open(file, "rb", opener=regular_file) as handle:
        if os.fstat(handle.fileno()).st_size > _LARGEST:
            raise OSError(errno.EFBIG, f"it has more than {_LARGEST} bytes", file)


def _reason(error: OSError, files: Mapping[str, str], used: list[str]) -> str:
    """Say why the files under these names cannot be used."""
    named = " and ".join(f"{name} {files[name]}" for name in used if name in files)
    if not isinstance(error, ssl.SSLError):
        return f"{error.filename or named} cannot be read: {error.strerror}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the key {files.get('key_file', 'of cert_file')} does not belong to the certificate {files['cert_file']}"
        )
    what = "certificates" if used == ["ca_file"] else "a certificate and its key without a password"
    return f"{named} cannot be used: {what} in PEM must be there"
