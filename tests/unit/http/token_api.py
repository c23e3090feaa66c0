"""An API that wants tokens, and a login that gives them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.fake_api import FakeApi
from tests.support.sending import Sender

OAUTH: dict[str, Any] = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.test/token",
    "client_id": "${{ config.id }}",
    "client_secret": "${{ secrets.k }}",
}
TOKEN: dict[str, Any] = {
    "type": "token",
    "request": {"method": "POST", "path": "/login", "json": {"user": "${{ config.id }}", "key": "${{ secrets.k }}"}},
    "token": "$.token",
    "expires_in": "$.expires_in",
}


class Tokens:
    """An API whose tokens are numbered; `good` are those it takes (None: all)."""

    def __init__(self, **answer: Any) -> None:
        self.given = 0
        self.good: set[str] | None = None
        self.answer = answer
        self.logins: list[httpx.Request] = []
        self.api = FakeApi({"POST https://login.test/token": self.login, "POST /login": self.login, "GET /": self.data})

    async def login(self, request: httpx.Request) -> httpx.Response:
        self.given += 1
        self.logins.append(request)
        token = f"t{self.given}"
        await asyncio.sleep(0.01)
        return httpx.Response(200, json={"access_token": token, "token": token, **self.answer})

    def data(self, request: httpx.Request) -> Any:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return 401 if self.good is not None and token not in self.good else {"token": token}

    def sender(self, auth: dict[str, Any], **more: Any) -> Sender:
        given: dict[str, Any] = {
            "secrets": {"k": "s3cr3t"},
            "config": {"id": "me"},
            "allowed_hosts": ["login.test"],
            **more,
        }
        return Sender(self.api, auth=auth, **given)


def used(sender: Sender, **given: Any) -> Any:
    return sender.send(**given).body["token"]
