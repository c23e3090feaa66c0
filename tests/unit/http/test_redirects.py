"""Redirects: which are followed, with what method and body, and who gets the credentials."""

from __future__ import annotations

import pytest

from tests.support.fake_api import FakeApi, reply
from tests.support.sending import Sender
from yaml_connector.errors import EvaluationError, PermanentError


class TestRedirects:
    def test_are_not_followed_unless_asked_for(self) -> None:
        api = FakeApi({"GET /": reply(302, headers={"Location": "/x"})})
        with pytest.raises(PermanentError, match="answered 302"):
            Sender(api).send()
        assert len(api.sent) == 1

    @pytest.mark.parametrize(
        ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    )
    def test_keep_the_method_and_body_as_their_status_says(self, status: int, method: str) -> None:
        api = FakeApi({"POST /a": reply(status, headers={"Location": "b?x=1"}), f"{method} /b": {"ok": 1}})
        request = {
            "method": "POST",
            "path": "/a",
            "json": {"k": 1},
            "follow_redirects": True,
            "headers": {"X-Own": "1"},
        }
        answer = Sender(api, headers={"X-Default": "d"}, query={"q": "1"}).send(request)
        assert answer.url == "https://api.test/b?x=1&q=1"
        assert api.sent[1].content == (b'{"k":1}' if method == "POST" else b"")
        assert (api.sent[1].headers["X-Own"], api.sent[1].headers["X-Default"]) == ("1", "d")

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_keep_every_method_but_post(self, status: int, method: str) -> None:
        api = FakeApi({f"{method} /a": reply(status, headers={"Location": "/b"}), f"{method} /b": {"ok": 1}})
        Sender(api, follow_redirects=True).send({"method": method, "path": "/a", "json": {"k": 1}})
        assert (api.sent[1].method, api.sent[1].content) == (method, b'{"k":1}')

    def test_that_become_a_get_say_nothing_of_a_body(self) -> None:
        api = FakeApi({"POST /a": reply(303, headers={"Location": "/b"}), "GET /b": {"ok": 1}})
        Sender(api, follow_redirects=True).send({"method": "POST", "path": "/a", "json": {"k": 1}})
        assert "Content-Type" not in api.sent[1].headers

    def test_in_a_circle_fail_for_good(self) -> None:
        api = FakeApi({"GET /": reply(302, headers={"Location": "/"})})
        with pytest.raises(PermanentError, match="redirected more than 10 times"):
            Sender(api, follow_redirects=True).send()
        assert len(api.sent) == 10

    @pytest.mark.parametrize(
        "location",
        ["https://evil.test/", "http://api.test/", "//evil.test/", "https://[x", "\\\\evil", "ftp://api.test/"],
    )
    def test_to_elsewhere_fail_for_good_before_anything_is_sent(self, location: str) -> None:
        api = FakeApi({"GET /": reply(302, headers={"Location": location})})
        with pytest.raises(PermanentError, match=r"GET https://api\.test/ redirects elsewhere"):
            Sender(api, follow_redirects=True).send()
        assert len(api.sent) == 1

    def test_to_another_allowed_host_take_credentials_but_no_headers(self) -> None:
        api = FakeApi(
            {"GET /": reply(302, headers={"Location": "https://other.test/x"}), "GET https://other.test/x": {"ok": 1}}
        )
        sender = Sender(
            api,
            allowed_hosts=["other.test"],
            follow_redirects=True,
            headers={"X-D": "1"},
            auth={"type": "bearer", "token": "t"},
        )
        sender.send({"path": "/", "headers": {"X-Key": "k", "Cookie": "c", "Authorization": "own"}, "query": {"a": 1}})
        headers = api.sent[1].headers
        assert headers["Authorization"] == "Bearer t"
        assert not {"x-key", "cookie", "x-d"} & set(headers)

    def test_to_a_public_host_take_no_credentials_at_all(self) -> None:
        api = FakeApi(
            {
                "GET /": reply(302, headers={"Location": "https://files.test/x?sig=1"}),
                "GET https://files.test/x": {"ok": 1},
            }
        )
        for auth in (
            {"type": "bearer", "token": "t"},
            {"type": "api_key", "name": "k", "in": "query", "value": "t"},
            {"type": "basic", "username": "u", "password": "p"},
        ):
            api.sent.clear()
            Sender(api, public_hosts=["files.test"], follow_redirects=True, auth=auth).send(
                {"path": "/", "headers": {"X-Key": "k"}}
            )
            assert str(api.sent[1].url) == "https://files.test/x?sig=1"
            assert not {"authorization", "x-key"} & set(api.sent[1].headers)

    @pytest.mark.parametrize("location", ["https://files.test/x", "https://files.test/x?token=planted%2Dsecret"])
    def test_to_a_public_host_take_no_body_or_url_with_a_secret(self, location: str) -> None:
        sends = {"password": "${{ secrets.key }}"} if "?" not in location else {"a": 1}
        api = FakeApi({"POST /": reply(307, headers={"Location": location})})
        sender = Sender(api, public_hosts=["files.test"], follow_redirects=True, secrets={"key": "planted-secret"})
        with pytest.raises(EvaluationError, match=r"files\.test/x.* was not sent: it holds the value of a secret"):
            sender.send({"method": "POST", "path": "/", "json": sends})
        assert len(api.sent) == 1
