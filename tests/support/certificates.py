"""A server's certificate, and the authority that signed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(folder: Path, *, host: str = "127.0.0.1", days: int = 1) -> None:
    """Put `server.pem`, its key, and `ca.pem`, the authority that signed it, into the folder; it ends in `days`."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    for file, subject, public, is_ca in (("ca", ca_name, ca_key, True), ("server", name, key, False)):
        made = (
            x509.CertificateBuilder(ca_name, subject, public.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days if not is_ca else 9))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        (folder / f"{file}.pem").write_bytes(made.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.key").write_bytes(secret)
