"""Secrets of the service under attack. They are made for this, and open nothing."""

from __future__ import annotations

API_KEY = "planted-service-key-6c1e90d2"
OTHER = "planted-unrelated-variable-77aa88bb"
SIGNING_KEY = "planted-signing-key-0123456789abcdef0123456789"
PEM = "\n".join(
    [
        "-----BEGIN PRIVATE KEY-----",
        *(f"{number:02}PLANTEDnotAKey{'x' * 48}" for number in range(26)),
        "-----END PRIVATE KEY-----",
    ]
)
