"""Two hundred secrets in every place of a request, shown again by the API in every form: none may come out."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from prometheus_client import generate_latest

from tests.integration.faults.fault_rig import TestResolver
from tests.integration.faults.fault_server import Answer, FaultServer, Seen, as_json
from tests.support.fake_api import loaded
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec

COUNT = 200
ODD = ("/+=", '"q"', "%41&x=1", "\\n\\t", "ünï", "a b", "'", "<>", "$.{{}}", "")


def planted(number: int) -> str:
    """A secret: every one different, with odd characters; each tenth is the start of the one after it."""
    base = f"pl{number // 10 * 10:03}-{'Zk7' * 3}" if number % 10 < 2 else f"pl{number:03}-{'Qx9' * 3}"
    return base + ("" if number % 10 == 0 else ODD[number % 10] + f"-{number:03}-tail")


SECRETS = [planted(number) for number in range(COUNT)]
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 inside": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "URL": lambda text: quote(text, safe=""),
    "JSON": lambda text: json.dumps({"a": text}),
    "cut": lambda text: text[: len(text) * 3 // 4],
}
AUTHS: dict[str, dict[str, Any]] = {
    "basic": {"type": "basic", "username": "${{ secrets.s0 }}", "password": "${{ secrets.s1 }}"},
    "token": {
        "type": "token",
        "request": {"method": "POST", "path": "/token", "json": {"key": "${{ secrets.s2 }}"}},
        "token": "$.token",
    },
    "jwt": {"type": "jwt", "algorithm": "HS256", "key": "${{ secrets.s3 }}", "claims": {"iss": "${{ secrets.s4 }}"}},
    "query": {"type": "api_key", "name": "key", "in": "query", "value": "${{ secrets.s5 }}"},
    "sigv4": {
        "type": "aws_sigv4",
        "service": "batch",
        "region": "eu-west-1",
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "${{ secrets.s0 }}",
        "session_token": "${{ secrets.s1 | b64encode }}",
    },
    "google": {"type": "google", "key": "${{ secrets.account }}"},
}


@lru_cache
def private_key() -> str:
    """A service account's private key, in PEM."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()


def account(token_uri: str) -> str:
    """A service account's key, as Google gives it."""
    email = "robot@project.iam.gserviceaccount.com"
    return json.dumps({"private_key": private_key(), "client_email": email, "token_uri": token_uri})


def key_lines() -> list[str]:
    """The lines of the key that tell something of it."""
    return [line for line in private_key().splitlines() if len(line) >= 16 and "-----" not in line]


def _all(start: int, end: int) -> dict[str, str]:
    return {f"X-{number}": f"${{{{ secrets.s{number} | b64encode }}}}" for number in range(start, end)}


def spec(auth: str) -> LoadedSpec:
    body = {f"k{number}": f"${{{{ secrets.s{number} }}}}" for number in range(60, COUNT)}
    return loaded(
        {
            "spec_version": 1,
            "task_type_name": f"planted_{auth}",
            "connection": {
                "base_url": "${{ env.BASE }}",
                "headers": _all(6, 20),
                "auth": AUTHS[auth],
                "retry": {"max_attempts": 1},
                "follow_redirects": True,
            },
            "secrets": {f"s{number}": {"env": f"S{number}"} for number in range(COUNT)}
            | {"account": {"env": "ACCOUNT"}},
            "outputs": {"echo": "$.echo"},
            "create": {
                "request": {"method": "POST", "path": "/jobs/${{ secrets.s20 }}", "json": body},
                "job_id": "$.id",
                "save": {"echo": "$.echo", "nested": "$.nested"},
                "idempotent": True,
            },
            "get": {
                "request": {"path": "/jobs/1", "query": {"q": "${{ secrets.s21 }}"}, "headers": _all(22, 60)},
                "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"]}},
                "message": "$.echo",
                "info": {"echo": "$.nested"},
                "links": [{"name": "at", "url": "https://ui.test/${{ body.echo | quote }}"}],
            },
            "delete": {"request": "DELETE /jobs/1"},
            "logs": {"request": "/logs", "lines": "$.lines"} | {"request": "GET /logs"},
        }
    )


class Leaks:
    """Every text that left the connector."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.assertions: list[str] = []

    def add(self, *values: Any) -> None:
        self.texts += [value if isinstance(value, str) else repr(value) for value in values]

    def error(self, error: BaseException | None) -> None:
        while error is not None:
            self.add(str(error), error, error.args, vars(error))
            self.error(error.__context__ if error.__context__ is not error.__cause__ else None)
            error = error.__cause__

    def found(self) -> list[tuple[str, str]]:
        """Which secrets are in them, in which form. A cut one counts from half of it on."""
        text = "\0".join(dict.fromkeys(self.texts))
        inner: dict[str, Callable[[str], str]] = {
            "JSON": lambda secret: json.dumps(secret)[1:-1],
            "cut": lambda secret: secret[: max(10, len(secret) // 2)],
        }
        forms = {**FORMS, **inner}
        found = [(secret, name) for secret in SECRETS for name, form in forms.items() if form(secret) in text]
        found += [(line, "a line of the key") for line in key_lines() if line in text]
        return found + [(token, "an assertion") for token in self.assertions if token in text]


def shown_to(auth: str) -> Iterator[int]:
    """Yield where the twenties of secrets begin that the API shows again with these credentials: the first and the
    last, which hold their own, and of the others every third, so that every secret is shown in every form."""
    last = COUNT - 20
    return (start for start in range(0, COUNT, 20) if start in (0, last) or start // 20 % 3 == TURNS[auth])


async def drive(auth: str, form: str, leaks: Leaks) -> None:
    asyncio.get_running_loop().slow_callback_duration = 0.01  # in debug mode, most callbacks are logged
    server = FaultServer()
    shown: list[str] = []
    status = 200

    def answer(seen: Seen) -> Answer:
        if seen.path == "/token":
            leaks.assertions += [value for name, value in parse_qsl(seen.body.decode()) if name == "assertion"]
            if len(leaks.assertions) == 1:  # the first login is refused, in the words that it came with
                return as_json({"error": f"invalid_grant {leaks.assertions[0]} {private_key()}"}, 400)
            return as_json({"token": SECRETS[199], "access_token": SECRETS[199]})
        echo = " ".join(FORMS[form](secret) for secret in shown)
        if auth == "google":
            echo += f" {private_key()} {json.dumps(private_key())}"
        if status == 307:
            return 307, {"Location": f"http://elsewhere.test/{quote(echo)}"}, b""
        state = "done" if status == 200 else "odd " + echo
        data = {"id": 1, "state": state, "echo": echo, "nested": {"a": [{"b": echo}], echo: 1}, "message": echo}
        got = {"seen": seen.headers.get("authorization", ""), "path": seen.path}
        return as_json({**data, "lines": [echo], **got}, 200 if status == 201 else status)

    server.api.answer = answer  # type: ignore[method-assign]
    await server.start()
    environment = {f"S{number}": secret for number, secret in enumerate(SECRETS)}
    transport = AiohttpTransport(max_connections=4, resolver=TestResolver())
    base = f"http://api.test:{server.port}"
    environment |= {"BASE": base, "ACCOUNT": account(f"{base}/token")}
    connector = JobClient(spec(auth), environment=environment, transport=transport)
    for start in shown_to(auth):
        shown[:] = SECRETS[start : start + 20]
        for status in (200, 201, 403, 500, 307):
            try:
                meta = await connector.create(CreateValues(task={"key": f"k{start}-{status}"}, outputs={"echo": "str"}))
                leaks.add(meta.encode().decode(), json.loads(meta.encode()), meta)
                if meta.create_error is not None:
                    continue
            except Exception as error:
                leaks.error(error)
                continue
            found = await connector.get(meta)
            if form == "cut":  # an output is never changed, and only a whole secret in it fails the job
                found = replace(found, outputs={})
            leaks.add(found, connector, vars(connector.cache))
            async for page in connector.logs(meta, ""):
                leaks.add(page, page.token or "")
            status = 403
            try:
                await connector.delete(meta)
            except Exception as error:
                leaks.error(error)
    leaks.add(connector.plan, connector.plan.connection, connector.plan.connection.auth, transport)
    await connector.close()
    await server.stop()


# One of each kind of credentials with asyncio's debug log, which costs as much as all the rest.
TURNS = {auth: i // 2 for i, auth in enumerate(AUTHS)}  # among those that share a form
CASES = [(auth, form, j < 2) for i, auth in enumerate(AUTHS) for j, form in enumerate(FORMS) if (i + j) % 2 == 0]


@pytest.mark.parametrize(("auth", "form", "debug"), CASES)
def test_no_planted_secret_comes_out(auth: str, form: str, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    leaks = Leaks()
    for name in ("", *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    asyncio.run(drive(auth, form, leaks), debug=debug)
    formatter = logging.Formatter("%(name)s %(message)s")
    leaks.add(*(formatter.format(record) for record in caplog.records))
    leaks.add(generate_latest().decode())
    assert len(leaks.texts) > 100
    assert leaks.found() == []


def test_every_secret_is_shown_in_every_form() -> None:
    for form in FORMS:
        starts = {start for auth, shown, _ in CASES if shown == form for start in shown_to(auth)}
        assert starts == set(range(0, COUNT, 20)), form
