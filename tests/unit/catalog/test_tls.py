"""The corner spec tls.yaml against a real server that wants a client's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.paths import CORNERS
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import load

SPEC = CORNERS / "tls.yaml"
Signer = tuple[x509.Name, ec.EllipticCurvePrivateKey]


def certificate(folder: Path, common_name: str, signer: Signer | None = None) -> Signer:
    """Put a key and its certificate into the folder, signed by the signer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    issuer, issuer_key = signer or (name, key)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / f"{common_name}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{common_name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return name, key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an authority, and what it signed for the server and for the client."""
    authority = certificate(tmp_path, "ca")
    certificate(tmp_path, "server", authority)
    certificate(tmp_path, "client", authority)
    return tmp_path


class Service:
    """An API on a real port that wants a client's certificate, and says whom it names."""

    def __init__(self, folder: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
        self.context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.at_once = self.most_at_once = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.02)
        self.at_once -= 1
        assert request.transport is not None
        shown = request.transport.get_extra_info("ssl_object").getpeercert()
        return web.json_response({"state": "on", "client": shown["subject"][0][0][1]})

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.context).start()
        try:
            yield f"https://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def messages(folder: Path, service: Service, *, spec: Path = SPEC, jobs: int = 1) -> list[str | None]:
    """The messages of some jobs that are created and asked for at once."""

    async def one(connector: JobClient, number: int) -> str | None:
        meta = await connector.create(CreateValues(task={"key": f"k{number}"}))
        return meta.create_error or (await connector.get(meta)).message

    async def run() -> list[str | None]:
        async with service.run() as url:
            connector = JobClient(load(spec)[0], environment={"TLS_URL": url, "TLS_FOLDER": str(folder)})
            try:
                return list(await asyncio.gather(*(one(connector, number) for number in range(jobs))))
            finally:
                await connector.close()

    return asyncio.run(run())


def test_the_clients_certificate_is_shown_to_a_server_that_is_trusted(folder: Path) -> None:
    assert messages(folder, Service(folder)) == ["client"]


def test_no_more_connections_are_open_at_once_than_allowed(folder: Path) -> None:
    service = Service(folder)
    assert messages(folder, service, jobs=4) == ["client"] * 4
    assert service.most_at_once == 1


@pytest.mark.slow
def test_a_server_of_another_authority_is_not_trusted(folder: Path) -> None:
    service = Service(folder)
    certificate(folder, "ca")
    assert "its certificate is not trusted" in str(messages(folder, service)[0])


def test_without_verifying_any_server_is_trusted(folder: Path) -> None:
    service = Service(folder)
    certificate(folder, "ca")
    careless = folder / "careless.yaml"
    careless.write_text(SPEC.read_text(encoding="utf-8").replace("verify: true", "verify: false"), encoding="utf-8")
    assert messages(folder, service, spec=careless) == ["client"]


@pytest.mark.slow
def test_a_client_of_another_authority_is_refused(folder: Path) -> None:
    service = Service(folder)
    certificate(folder, "client", certificate(folder, "other-ca"))
    assert str(messages(folder, service)[0]).startswith("not submitted yet: PUT https://127.0.0.1:")


def test_a_certificate_that_is_not_there_is_named(folder: Path) -> None:
    service = Service(folder)
    (folder / "client.key").unlink()
    assert "connection.tls" in str(messages(folder, service)[0])


def test_files_that_are_replaced_are_read_for_the_next_connection_and_a_half_pair_is_not(folder: Path) -> None:
    authority = certificate(folder, "ca")
    for name in ("server", "client"):
        certificate(folder, name, authority)
    service = Service(folder)

    async def main() -> None:
        async with service.run() as url:
            connector = JobClient(load(SPEC)[0], environment={"TLS_URL": url, "TLS_FOLDER": str(folder)})
            try:
                meta = await connector.create(CreateValues(task={"key": "k1"}))
                assert (await connector.get(meta)).message == "client"
                certificate(folder, "renewed", authority)
                (folder / "renewed.pem").replace(folder / "client.pem")
                assert (await connector.get(meta)).message == "client"
                (folder / "renewed.key").replace(folder / "client.key")
                assert (await connector.get(meta)).message == "renewed"
                (folder / "client.pem").write_text("not a certificate")
                assert (await connector.get(meta)).message == "renewed"
                (folder / "client.pem").unlink()
                assert (await connector.get(meta)).message == "renewed"
            finally:
                await connector.close()

    asyncio.run(main())
