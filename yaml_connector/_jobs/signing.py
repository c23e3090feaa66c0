"""Signs what Flyte keeps of a job, so that the service recognizes what it made itself.

The gRPC port has no authentication: without a signature, every caller can hand in any bytes as a job. The key is
never derived from the secrets of an API: signatures stand in Flyte's log, and would let anybody test guesses.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from yaml_connector.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "YAML_CONNECTOR_SIGNING_KEY"
KEY_FILE_VARIABLE = "YAML_CONNECTOR_SIGNING_KEY_FILE"
ACCEPT_UNSIGNED_VARIABLE = "YAML_CONNECTOR_ACCEPT_UNSIGNED"
SIGNATURE_LENGTH = 43  # characters of base64 for 32 bytes

_SHORTEST = 32  # bytes of a key
_LARGEST_FILE = 64 * 1024
_PURPOSE = b"yaml_connector job meta\0"  # a signature of anything else never passes for one of a job
_SEALED = b"yaml_connector job not submitted\0"  # so that this key is not the one that signs
_NONCE = 12  # bytes
_MAKE_ONE = "make one with: openssl rand -hex 32"


@dataclass(frozen=True)
class Signer:
    """Signs with the first key, and accepts the signatures of all. Without a key, nothing is signed or verified.

    `accept_unsigned`: with keys, data without any signature is read as if there were no key.
    """

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    accept_unsigned: bool = False

    def sign(self, data: bytes) -> bytes:
        """Return the signature of data; there must be a key."""
        return _signature(self.keys[0], data)

    def seal(self, data: bytes) -> str:
        """Return the data encrypted with the first key, as text; there must be a key."""
        nonce = os.urandom(_NONCE)
        return urlsafe_b64encode(nonce + _cipher(self.keys[0]).encrypt(nonce, data, _SEALED)).decode()

    def unseal(self, text: str) -> bytes:
        """Return what `seal` encrypted, with whichever key. Raises ValueError."""
        from cryptography.exceptions import InvalidTag  # imported here: only jobs that are not submitted yet need it

        data = urlsafe_b64decode(text)
        if urlsafe_b64encode(data).decode() != text:  # base64 has other texts for the same bytes
            raise ValueError("not as it was written")
        for key in self.keys:
            with suppress(InvalidTag):
                return _cipher(key).decrypt(data[:_NONCE], data[_NONCE:], _SEALED)
        raise ValueError("no key of this service encrypted it")

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Tell whether one of the keys made the signature."""
        return any(hmac.compare_digest(_signature(key, data), signature) for key in self.keys)


UNSIGNED = Signer()


def _signature(key: bytes, data: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, _PURPOSE + data, "sha256")).rstrip(b"=")


@cache
def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=_SEALED).derive(key))


def signer_from(environment: Mapping[str, str]) -> Signer:
    """Return the signer that the environment describes. Raises ConfigError if a key is too short or cannot be read."""
    text, file = environment.get(KEY_VARIABLE, ""), environment.get(KEY_FILE_VARIABLE, "")
    if text and file:
        raise ConfigError(f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set: set one of them")
    if file:
        text = _read(file)
    elif not text:
        return UNSIGNED
    keys = tuple(key.strip().encode() for key in text.split(",") if key.strip())
    where = KEY_FILE_VARIABLE if file else KEY_VARIABLE
    if not keys:
        raise ConfigError(f"{where} holds no key; {_MAKE_ONE}")
    for number, key in enumerate(keys, 1):
        if len(key) < _SHORTEST:
            found = f"key {number} of {len(keys)} has {len(key)} bytes"
            raise ConfigError(f"{where}: {found}, at least {_SHORTEST} are needed; {_MAKE_ONE}")
    for key in keys:
        _cipher(key)  # imports much: a call may find no file descriptor free for that
    return Signer(keys, environment.get(ACCEPT_UNSIGNED_VARIABLE, "") == "1")


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as handle:
            return handle.read(_LARGEST_FILE)
    except OSError as error:
        raise ConfigError(f"{KEY_FILE_VARIABLE}: {file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError):
        raise ConfigError(f"{KEY_FILE_VARIABLE}: {file} cannot be read: it is not text") from None


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment that specs may see: it has no signing key."""
    return {name: value for name, value in environment.items() if name not in (KEY_VARIABLE, KEY_FILE_VARIABLE)}
